//! Copying the log while it is written to.

use std::path::Path;

use super::manifest::Manifest;
use super::segment::{self, Place};
use super::{LogError, Position};

/// A file of the log.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// Below the log's folder.
    Log(&'a Path),
    /// Below the archive.
    Archive(&'a Path),
}

/// Hands over every file of the log, in log order, so that who copies each as it is has all that was durable before the call.
///
/// Sealing may go on meanwhile: a segment that is gone by now has its manifest, which is handed over instead. The last segment may end
/// in a commit that is not whole; opening a copy cuts it off, as after a crash.
pub fn parts<E: From<LogError>>(dir: &Path, mut each: impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
    let mut from = Position::START;
    loop {
        let list = segment::list(dir)?;
        let Some((&start, &place)) = list.range(from..).next() else { return Ok(()) };
        let last = list.range(start.after()..).next().is_none();
        let raw = segment::raw_path(dir, start);
        if place == Place::Raw && raw.exists() {
            match each(Part::Log(&name(dir, &raw))) {
                Ok(()) => {}
                // Sealed between the look and the copy: the next look finds its manifest.
                Err(_) if !raw.exists() => continue,
                Err(error) => return Err(error),
            }
        } else {
            let manifest = Manifest::read(dir, start)?;
            for file in &manifest.files {
                each(Part::Archive(&file.path))?;
            }
            each(Part::Log(&name(dir, &segment::manifest_path(dir, start))))?;
            // Manifests within this one are about to be deleted.
            from = manifest.end;
        }
        if last {
            return Ok(());
        }
        from = from.max(start.after());
    }
}

fn name(folder: &Path, path: &Path) -> std::path::PathBuf {
    path.strip_prefix(folder).unwrap_or(path).to_owned()
}
