//! What says that a part of the log lives in Parquet now.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::archive::{Archive, manifest_name};
use super::segment::{self, Place};
use super::{LogError, Position};
use crate::event::Timestamp;

/// The format written.
pub const FORMAT: u32 = 1;

/// One sealed segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub start: Position,
    /// Where the next segment starts.
    pub end: Position,
    pub count: u64,
    /// The earliest and the latest `received_at`, where there are events.
    pub first_received_at: Option<Timestamp>,
    pub last_received_at: Option<Timestamp>,
    pub files: Vec<SealedFile>,
    /// Files that this manifest no longer names and that are still to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<PathBuf>,
}

/// One Parquet file of a sealed segment, its rows in log order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFile {
    /// Relative to the archive.
    pub path: PathBuf,
    pub site: String,
    /// Of `ts`, in UTC.
    pub date: String,
    pub rows: u64,
    pub bytes: u64,
}

impl Manifest {
    /// Reads the manifest of the sealed segment that starts there.
    pub fn read(dir: &Path, start: Position) -> Result<Self, LogError> {
        let path = segment::manifest_path(dir, start);
        let text = fs::read(&path).map_err(LogError::io("read", &path))?;
        Self::parse(&text, &path, start)
    }

    /// Reads a node's manifest in a shared archive, or returns nothing where there is none.
    pub(super) fn in_archive(archive: &Archive, node: u64, start: Position) -> Result<Option<Self>, LogError> {
        let path = archive.describe(&manifest_name(node, start));
        archive.manifest(node, start)?.map(|text| Self::parse(&text, &path, start)).transpose()
    }

    /// Reads what a manifest says, wherever it was.
    pub(super) fn parse(text: &[u8], path: &Path, start: Position) -> Result<Self, LogError> {
        let manifest: Self =
            serde_json::from_slice(text).map_err(|e| LogError::corrupt(path, 0, format!("the manifest cannot be read: {e}")))?;
        if manifest.format != FORMAT {
            let what = format!("the manifest has format {}, this program reads format {FORMAT}", manifest.format);
            return Err(LogError::corrupt(path, 0, what));
        }
        if manifest.start != start || manifest.end < start {
            return Err(LogError::corrupt(path, 0, "the manifest belongs to another position"));
        }
        Ok(manifest)
    }
}

/// Returns every manifest, in log order.
pub fn read_all(dir: &Path) -> Result<Vec<Manifest>, LogError> {
    let sealed = segment::list(dir)?.into_iter().filter(|(_, place)| *place == Place::Sealed);
    sealed.map(|(start, _)| Manifest::read(dir, start)).collect()
}

/// Returns where the sealed part of the log ends.
pub(super) fn sealed_end(dir: &Path) -> Result<Position, LogError> {
    let last = segment::list(dir)?.into_iter().rev().find(|(_, place)| *place == Place::Sealed);
    match last {
        Some((start, _)) => Ok(Manifest::read(dir, start)?.end),
        None => Ok(Position::START),
    }
}
