//! One build of the models: a directory of flat arrays that never changes once it has its name.
//!
//! A build is written aside as a [`Draft`], which gives every file a checksum and then takes its final name in one
//! rename. [`Artifact::open`] checks all of it and maps it, so that arrays are used where they lie and several
//! processes share one copy in memory. [`publish`] says which build is the active one.
//!
//! ```text
//! models/
//!   active                        id of the build to serve
//!   previous                      id of the build to go back to
//!   2026-11-23T01-20Z-9f3a/       a build: manifest.json and flat little-endian arrays
//!   .draft-4711-0/                a build being written; ignored by everyone else
//! ```

mod build_id;
mod column;
mod draft;
mod error;
mod manifest;
mod map;
mod neighbors;
mod open;
pub mod publish;
mod strings;
#[cfg(test)]
mod tests;

pub use build_id::BuildId;
pub use column::Column;
pub use draft::Draft;
pub use error::ArtifactError;
pub use manifest::{FORMAT_VERSION, FileEntry, Manifest, Window};
pub use neighbors::{NeighborsView, Row, write_neighbors};
pub use open::Artifact;
pub use strings::{Strings, StringsView};

/// The arrays are used as they lie in the file.
#[cfg(target_endian = "big")]
compile_error!("builds are little-endian and are used without conversion");
