//! What opening a log finds, and what it does about it.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::frame::{self, Scan};
use super::segment::{self, HEADER_BYTES};
use super::{LogError, Position};

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Where the log ends, all of it durable.
    pub end: Position,
    /// Bytes of an unacknowledged commit that a crash had cut off; they were removed.
    pub truncated_bytes: u64,
    /// What was wrong with them.
    pub truncated_because: Option<&'static str>,
    /// Acknowledged records that cannot be read: the file and the offset. The reader will say so, too.
    pub damaged: Option<(PathBuf, u64)>,
}

/// Makes the log whole and returns its last segment, ready to be appended to, with the segment's start.
pub(super) fn recover(dir: &Path) -> Result<(File, Position, Recovery), LogError> {
    fs::create_dir_all(dir.join(segment::SEALED)).map_err(LogError::io("create", dir))?;
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        segment::sync_dir(parent)?;
    }
    remove_unfinished(dir)?;
    let sealed_end = super::manifest::sealed_end(dir)?;
    let Some(start) = segment::raw_starts(dir)?.pop().filter(|&start| start >= sealed_end) else {
        let file = segment::create(dir, sealed_end)?;
        return Ok((file, sealed_end, Recovery { end: sealed_end, ..Recovery::default() }));
    };
    let path = segment::raw_path(dir, start);
    let stream = read_stream(&path, start)?;
    let mut recovery = Recovery { end: start.plus(stream.len()), ..Recovery::default() };
    match frame::scan(&stream, start) {
        Scan::Whole => {}
        Scan::Torn { at, what } => {
            truncate(&path, HEADER_BYTES + at)?;
            recovery.end = start.plus(at);
            recovery.truncated_bytes = (stream.len() - at) as u64;
            recovery.truncated_because = Some(what);
            tracing::warn!(
                bytes = recovery.truncated_bytes,
                "Removed {} bytes of a cut off commit at the end of {}: {what}",
                recovery.truncated_bytes,
                path.display()
            );
        }
        Scan::Damaged { at, what } => {
            let offset = (HEADER_BYTES + at) as u64;
            tracing::error!("The event log is damaged in {} at offset {offset}: {what}", path.display());
            recovery.damaged = Some((path.clone(), offset));
            // Left as it is, for whoever can mend it. The log goes on in a segment of its own.
            let file = segment::create(dir, recovery.end)?;
            return Ok((file, recovery.end, recovery));
        }
    }
    let file = segment::open_to_append(&path)?;
    // A process that was killed may have written records without syncing them. From here on they count as kept.
    file.sync_all().map_err(LogError::io("sync", &path))?;
    Ok((file, start, recovery))
}

/// Returns all frames of a segment file.
pub(super) fn read_stream(path: &Path, start: Position) -> Result<Vec<u8>, LogError> {
    let mut file = File::open(path).map_err(LogError::io("open", path))?;
    segment::check_header(&mut file, path, start)?;
    let mut stream = Vec::new();
    file.read_to_end(&mut stream).map_err(LogError::io("read", path))?;
    Ok(stream)
}

fn truncate(path: &Path, length: usize) -> Result<(), LogError> {
    let file = OpenOptions::new().write(true).open(path).map_err(LogError::io("open", path))?;
    file.set_len(length as u64).and_then(|()| file.sync_all()).map_err(LogError::io("truncate", path))
}

/// Removes segments that were being created when the process ended.
fn remove_unfinished(dir: &Path) -> Result<(), LogError> {
    for entry in fs::read_dir(dir).map_err(LogError::io("list", dir))? {
        let path = entry.map_err(LogError::io("list", dir))?.path();
        if path.extension().is_some_and(|e| e == "new") {
            fs::remove_file(&path).map_err(LogError::io("remove", &path))?;
        }
    }
    Ok(())
}
