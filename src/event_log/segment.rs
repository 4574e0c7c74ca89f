//! Segment files: their names, their header, and which there are.
//!
//! Header, 24 bytes: magic `rapplog1`, format `u32`, start position `u64`, CRC-32 of these 20 bytes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{LogError, Position};

/// Bytes of a segment file before its first frame.
pub const HEADER_BYTES: usize = 24;

const MAGIC: &[u8; 8] = b"rapplog1";
const FORMAT: u32 = 1;

/// The folder of the manifests, within the log's.
pub const SEALED: &str = "sealed";

/// A part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a segment file.
    Raw,
    /// In Parquet files, named by a manifest.
    Sealed,
}

/// Returns the path of the segment that starts there.
pub fn raw_path(dir: &Path, start: Position) -> PathBuf {
    dir.join(format!("{:020}.seg", start.0))
}

/// Returns the path of the manifest of the sealed segment that starts there.
pub fn manifest_path(dir: &Path, start: Position) -> PathBuf {
    dir.join(SEALED).join(format!("{:020}.json", start.0))
}

/// Returns every part of the log by its start.
///
/// A part that is in both places counts as sealed. Segments are listed first, so that one that is sealed meanwhile is seen
/// in at least one place.
pub fn list(dir: &Path) -> Result<BTreeMap<Position, Place>, LogError> {
    let mut parts: BTreeMap<Position, Place> = raw_starts(dir)?.into_iter().map(|start| (start, Place::Raw)).collect();
    parts.extend(starts(&dir.join(SEALED), "json")?.into_iter().map(|start| (start, Place::Sealed)));
    Ok(parts)
}

/// Returns the starts of all segment files, in order.
pub fn raw_starts(dir: &Path) -> Result<Vec<Position>, LogError> {
    starts(dir, "seg")
}

fn starts(dir: &Path, extension: &str) -> Result<Vec<Position>, LogError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(LogError::io("list", dir)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(LogError::io("list", dir))?.file_name();
        let start = name.to_str().and_then(|name| name.split_once('.')).and_then(|(stem, end)| {
            (end == extension && stem.len() == 20 && stem.bytes().all(|b| b.is_ascii_digit())).then(|| stem.parse().ok())?
        });
        found.extend(start.map(Position));
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes an empty segment, durable before it appears under its name, and returns it ready to be appended to.
pub fn create(dir: &Path, start: Position) -> Result<File, LogError> {
    let aside = dir.join(format!("{:020}.new", start.0));
    let path = raw_path(dir, start);
    let mut file = File::create(&aside).map_err(LogError::io("create", &aside))?;
    file.write_all(&header(start)).and_then(|()| file.sync_all()).map_err(LogError::io("write", &aside))?;
    fs::rename(&aside, &path).map_err(LogError::io("rename to", &path))?;
    sync_dir(dir)?;
    open_to_append(&path)
}

/// Opens a segment to be appended to.
pub fn open_to_append(path: &Path) -> Result<File, LogError> {
    OpenOptions::new().append(true).open(path).map_err(LogError::io("open", path))
}

/// Removes a file; that it is not there is no error.
pub fn remove_file(path: &Path) -> Result<(), LogError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LogError::io("remove", path)(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub fn sync_dir(dir: &Path) -> Result<(), LogError> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(LogError::io("sync", dir))
}

fn header(start: Position) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..20].copy_from_slice(&start.0.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..20]);
    bytes[20..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Reads the header of an open segment and checks that it is the one its name says.
pub fn check_header(file: &mut File, path: &Path, start: Position) -> Result<(), LogError> {
    let mut found = [0; HEADER_BYTES];
    match file.read_exact(&mut found) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(LogError::corrupt(path, 0, "the header is cut off"));
        }
        Err(e) => return Err(LogError::io("read", path)(e)),
    }
    if found == header(start) {
        return Ok(());
    }
    let what = if !found.starts_with(MAGIC) {
        "not a segment of an event log".to_owned()
    } else if found[8..12] != FORMAT.to_le_bytes() {
        format!("the segment format is {:02x?}, this program reads format {FORMAT}", &found[8..12])
    } else {
        "the header belongs to another position".to_owned()
    };
    Err(LogError::corrupt(path, 0, what))
}
