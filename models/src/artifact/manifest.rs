//! What a build says about itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use super::ArtifactError;

/// Version of the layout this code writes and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// File every build has, beside those it lists.
pub(super) const MANIFEST: &str = "manifest.json";

/// Table of contents of a build: where it comes from, how good it is, and what each file must be.
///
/// `format_version` and `files` are filled in by [`Draft::finish`](super::Draft::finish).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u32,
    /// Version of the program that built it.
    pub rapport_version: String,
    pub site: String,
    /// Microseconds since 1970, UTC.
    pub created_at: i64,
    /// Times of the events it learnt from.
    pub window: Window,
    /// How many items, sessions and the like it holds.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// By node, the position in the event log up to which it learnt.
    #[serde(default)]
    pub log_position: BTreeMap<String, u64>,
    /// Settings it was trained with.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
    /// Figures it reached.
    #[serde(default)]
    pub evaluation: BTreeMap<String, f64>,
    #[serde(default)]
    pub files: BTreeMap<String, FileEntry>,
}

/// A span of time in microseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    pub from: i64,
    pub to: i64,
}

/// What one file must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub bytes: u64,
    /// XXH3-64 of the content as 16 hex digits.
    pub xxh3: String,
}

impl Manifest {
    /// Reads the manifest of the build in `dir`, refusing versions it does not know.
    ///
    /// The files themselves are not looked at; [`Artifact::open`](super::Artifact::open) does that.
    pub fn read(dir: &Path) -> Result<Self, ArtifactError> {
        let path = dir.join(MANIFEST);
        let text = fs::read(&path).map_err(ArtifactError::missing_or_io("read", &path))?;

        // The version comes first: another version may lay out everything else differently.
        let unreadable = |source| ArtifactError::Manifest { path: path.clone(), source };
        let version: VersionOnly = serde_json::from_slice(&text).map_err(unreadable)?;
        if version.format_version != u64::from(FORMAT_VERSION) {
            return Err(ArtifactError::FormatVersion { path, found: version.format_version, known: FORMAT_VERSION });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(unreadable)?;
        for name in manifest.files.keys() {
            check_file_name(name)?;
        }
        Ok(manifest)
    }

    /// Returns the hash of all names, lengths and checksums.
    pub(super) fn content_hash(&self) -> u64 {
        let mut hash = Xxh3::new();
        for (name, entry) in &self.files {
            hash.update(format!("{name}\n{}\n{}\n", entry.bytes, entry.xxh3).as_bytes());
        }
        hash.digest()
    }

    /// Tells whether both describe the same build, whenever each was made.
    pub(super) fn same_content(&self, other: &Self) -> bool {
        Self { created_at: other.created_at, ..self.clone() } == *other
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    format_version: u64,
}

/// Formats a checksum the way the manifest holds it.
pub(super) fn hex(checksum: u64) -> String {
    format!("{checksum:016x}")
}

/// Refuses names that could leave the directory, hide in it or stand for the manifest.
pub(super) fn check_file_name(name: &str) -> Result<(), ArtifactError> {
    let refuse = |reason| Err(ArtifactError::FileName { name: name.escape_debug().to_string(), reason });
    if name.is_empty() || name.len() > 100 {
        return refuse("it must have 1 to 100 characters");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return refuse("only letters, digits, `.`, `_` and `-` are allowed");
    }
    if name.starts_with('.') {
        return refuse("it must not start with a dot");
    }
    if name == MANIFEST {
        return refuse("the manifest has this name");
    }
    Ok(())
}
