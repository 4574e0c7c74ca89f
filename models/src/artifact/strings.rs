//! A list of strings as two files: all bytes in a row, and where each string starts.

use std::sync::Arc;

use super::open::FileIndex;
use super::{Artifact, ArtifactError};

pub(super) fn bytes_file(name: &str) -> String {
    format!("{name}.bytes")
}

pub(super) fn offsets_file(name: &str) -> String {
    format!("{name}.offsets.u64")
}

/// A checked list of strings, borrowed from an artifact.
#[derive(Debug, Clone, Copy)]
pub struct Strings<'a> {
    text: &'a str,
    offsets: &'a [u64],
}

impl<'a> Strings<'a> {
    /// Checks that every string lies inside the bytes and is UTF-8.
    pub(super) fn new(name: &str, bytes: &'a [u8], offsets: &'a [u64]) -> Result<Self, ArtifactError> {
        let wrong_offsets = |reason: &str| ArtifactError::shape(offsets_file(name), reason);
        let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
            return Err(wrong_offsets("it is empty"));
        };
        if first != 0 {
            return Err(wrong_offsets("it does not start at 0"));
        }
        if last != bytes.len() as u64 {
            return Err(wrong_offsets("it does not end where the bytes end"));
        }
        if !offsets.is_sorted() {
            return Err(wrong_offsets("an offset is smaller than the one before"));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| ArtifactError::shape(bytes_file(name), format!("it is not UTF-8 ({error})")))?;
        if !offsets.iter().all(|&offset| text.is_char_boundary(offset as usize)) {
            return Err(wrong_offsets("an offset is inside a character"));
        }
        Ok(Self { text, offsets })
    }

    /// Returns how many strings there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns one string, or nothing past the end.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        let (from, to) = bounds(self.offsets, index)?;
        self.text.get(from..to)
    }

    /// Returns all strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let list = *self;
        (0..list.len()).map(move |index| list.get(index).unwrap_or_default())
    }
}

/// A checked list of strings that keeps its artifact alive.
#[derive(Debug, Clone)]
pub struct StringsView {
    artifact: Arc<Artifact>,
    bytes: FileIndex,
    offsets: FileIndex,
}

impl StringsView {
    /// Opens and checks the list written as `name`.
    pub fn open(artifact: Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        artifact.strings(name)?;
        let bytes = artifact.index(&bytes_file(name))?;
        let offsets = artifact.index(&offsets_file(name))?;
        Ok(Self { artifact, bytes, offsets })
    }

    /// Returns how many strings there are.
    pub fn len(&self) -> usize {
        self.offsets().len().saturating_sub(1)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns one string, or nothing past the end.
    pub fn get(&self, index: u32) -> Option<&str> {
        let (from, to) = bounds(self.offsets(), index as usize)?;
        let bytes = self.artifact.bytes_at(self.bytes).get(from..to)?;
        // Known to be UTF-8; asking again costs nanoseconds for a name and spares unsafe code.
        std::str::from_utf8(bytes).ok()
    }

    /// Returns all strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index as u32).unwrap_or_default())
    }

    fn offsets(&self) -> &[u64] {
        self.artifact.slice_at(self.offsets)
    }
}

fn bounds(offsets: &[u64], index: usize) -> Option<(usize, usize)> {
    let from = *offsets.get(index)?;
    let to = *offsets.get(index.checked_add(1)?)?;
    Some((from as usize, to as usize))
}
