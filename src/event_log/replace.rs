//! One manifest in the place of others, so that it may end anywhere.
//!
//! In this order: the files of the new manifest are in their place; the new manifest is put into a shared archive over the
//! first of those it covers, and then into the node's own folder: from then on it counts, and readers pass over those within
//! it. Then these are deleted, the node's own first, so that none is published again; then the files that none names any
//! more. As long as the manifest says what it replaces, all of this is done anew.

use std::path::Path;

use super::archive::Archive;
use super::manifest::{self, Manifest};
use super::seal::{Step, text, write_manifest};
use super::segment::{self, SEALED};
use super::{LogError, Position};

/// Puts a manifest in the place of those it covers. Its files are there.
pub(super) fn replace(dir: &Path, archive: &Archive, new: Manifest, step: Step<'_>) -> Result<(), LogError> {
    put(dir, archive, &new, step)?;
    finish(dir, archive, new, step)
}

/// Does the rest of what an earlier process began.
pub(super) fn finish_all(dir: &Path, archive: &Archive, step: Step<'_>) -> Result<(), LogError> {
    let begun = manifest::read_all(dir)?.into_iter().filter(|manifest| !manifest.replaces.is_empty());
    begun.into_iter().try_for_each(|manifest| finish(dir, archive, manifest, step))
}

fn finish(dir: &Path, archive: &Archive, mut new: Manifest, step: Step<'_>) -> Result<(), LogError> {
    let within = |start: &Position| (new.start.after()..new.end).contains(start);
    for start in segment::list(dir)?.into_keys().filter(within) {
        let path = segment::manifest_path(dir, start);
        std::fs::remove_file(&path).map_err(LogError::io("remove", &path))?;
        step()?;
    }
    segment::sync_dir(&dir.join(SEALED))?;
    if let Some(node) = archive.node() {
        for start in archive.starts(node)?.into_iter().filter(within) {
            archive.remove(&super::archive::manifest_name(node, start))?;
            step()?;
        }
    }
    for name in &new.replaces {
        archive.remove(name)?;
        step()?;
    }
    archive.sync(new.replaces.iter().map(std::path::PathBuf::as_path))?;
    new.replaces.clear();
    put(dir, archive, &new, step)
}

fn put(dir: &Path, archive: &Archive, manifest: &Manifest, step: Step<'_>) -> Result<(), LogError> {
    if let Some(node) = archive.node() {
        archive.put_manifest(node, manifest.start, &text(manifest, dir)?)?;
        step()?;
    }
    write_manifest(dir, manifest, step)?;
    step()
}
