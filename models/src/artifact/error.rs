//! What can be wrong with a build.

use std::io;
use std::path::{Path, PathBuf};

/// Why a build could not be written, opened or published.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The disk or its permissions are in the way; the build itself may be sound and the same call may work later.
    #[error("cannot {action} {}; check the disk and its permissions", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    /// The build cannot be used by this version; another version of the program can.
    #[error(
        "{} has format version {found}, this program reads {known}; build again or use the program that wrote it",
        path.display()
    )]
    FormatVersion { path: PathBuf, found: u64, known: u32 },

    /// The build cannot be used: nobody knows what it holds.
    #[error("{} is not a readable manifest; build again or activate another build", path.display())]
    Manifest { path: PathBuf, source: serde_json::Error },

    /// The build is incomplete and stays unusable.
    #[error("{} is missing; copy it back or activate another build", path.display())]
    Missing { path: PathBuf },

    /// The build was cut short or written to, and stays unusable.
    #[error(
        "{} has {found} bytes where the manifest says {expected}; copy it again or activate another build",
        path.display()
    )]
    Length { path: PathBuf, expected: u64, found: u64 },

    /// The build was damaged after it was written, and stays unusable.
    #[error("{} does not match its checksum; copy it again or activate another build", path.display())]
    Checksum { path: PathBuf },

    /// The build is whole but lacks this model; what needs it cannot be served from it.
    #[error("build {build} has no file `{file}`; build again with the model that writes it")]
    NotInBuild { build: String, file: String },

    /// The file is as it was written, but was never what the reader takes it for; what needs it cannot be served.
    #[error("`{file}` is not usable: {reason}; build again")]
    Shape { file: String, reason: String },

    /// Nothing was written: the name could leave the build's directory or is taken.
    #[error("`{name}` cannot name a file of a build: {reason}")]
    FileName { name: String, reason: &'static str },

    /// Nothing was built: the figure could not be read back.
    #[error("the evaluation figure `{name}` is not finite; leave it out of the manifest")]
    Figure { name: String },

    /// Nothing was done: this never was the id of a build.
    #[error("`{id}` is not a build id; see `rapport builds list` for those there are")]
    MalformedId { id: String },

    /// Nothing was built: the time given does not make an id.
    #[error("`{time}` is not a time like 2026-11-23T01-20Z")]
    MalformedTime { time: String },

    /// Nothing was changed: the active build is still the same.
    #[error("there is no build {id} in {}; see `rapport builds list` for those there are", models_dir.display())]
    UnknownBuild { id: String, models_dir: PathBuf },

    /// Nothing was changed: only one build was ever activated here.
    #[error("there is no previous build in {} to go back to; activate one by its id", models_dir.display())]
    NoPrevious { models_dir: PathBuf },
}

impl ArtifactError {
    /// Makes an I/O error into one that says what was tried and where.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Like [`ArtifactError::io`], but what is not there is missing from the build.
    pub(super) fn missing_or_io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                Self::Missing { path: path.to_owned() }
            } else {
                Self::Io { action, path: path.to_owned(), source: error }
            }
        }
    }

    pub(crate) fn shape(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Shape { file: file.into(), reason: reason.into() }
    }
}
