//! An array of a model: in memory after learning, in the map of a file when served.

use std::ops::Deref;
use std::sync::Arc;

use bytemuck::Pod;

use super::open::FileIndex;
use super::{Artifact, ArtifactError, Draft};

/// An array that reads the same whether the model was just learnt or lies in a build.
///
/// A mapped array keeps its build alive. Reading a mapped one looks its place up, so loops take the slice once.
#[derive(Debug, Clone)]
pub struct Column<T>(Place<T>);

#[derive(Debug, Clone)]
enum Place<T> {
    Memory(Vec<T>),
    Build(Arc<Artifact>, FileIndex),
}

impl<T: Pod> Column<T> {
    /// Opens the array written as `file`.
    pub fn open(artifact: &Arc<Artifact>, file: &str) -> Result<Self, ArtifactError> {
        artifact.slice::<T>(file)?;
        Ok(Self(Place::Build(Arc::clone(artifact), artifact.index(file)?)))
    }

    /// Writes the array as `file`, to be read back with [`Self::open`].
    pub fn save(&self, draft: &mut Draft, file: &str) -> Result<(), ArtifactError> {
        draft.write_slice(file, self)
    }
}

impl<T> From<Vec<T>> for Column<T> {
    fn from(values: Vec<T>) -> Self {
        Self(Place::Memory(values))
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self(Place::Memory(Vec::new()))
    }
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Place::Memory(values) => values,
            Place::Build(artifact, at) => artifact.slice_at(*at),
        }
    }
}

impl<T: Pod + PartialEq> PartialEq for Column<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
