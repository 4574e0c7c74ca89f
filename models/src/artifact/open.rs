//! Opening a build: check everything once, then hand out slices.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use super::manifest::{self, FileEntry, Manifest};
use super::map::Map;
use super::strings::{self, Strings};
use super::{ArtifactError, BuildId};

/// A build that was checked from end to end and is mapped into memory.
///
/// It stays readable while it is held, even when its directory is removed meanwhile.
#[derive(Debug)]
pub struct Artifact {
    id: BuildId,
    dir: PathBuf,
    manifest: Manifest,
    /// Sorted by name.
    files: Vec<(String, Map)>,
}

/// Place of a file in one artifact, so that hot paths need not look up names.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileIndex(usize);

impl Artifact {
    /// Opens the build in `dir`, whose last part is its id, and reads every byte of it once to compare checksums.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ArtifactError> {
        let dir = dir.as_ref();
        // Also turns `.` or a link into the directory that carries the id.
        let dir = dir.canonicalize().map_err(ArtifactError::missing_or_io("find", dir))?;
        let id = BuildId::parse(&dir.file_name().unwrap_or_default().to_string_lossy())?;
        let manifest = Manifest::read(&dir)?;
        let files = manifest
            .files
            .iter()
            .map(|(name, entry)| Ok((name.clone(), open_file(&dir.join(name), entry)?)))
            .collect::<Result<Vec<_>, ArtifactError>>()?;
        Ok(Self { id, dir, manifest, files })
    }

    /// Returns the name of the build.
    pub fn id(&self) -> &BuildId {
        &self.id
    }

    /// Returns where the build was opened.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns what the build says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Tells whether the build has this file.
    pub fn contains(&self, file: &str) -> bool {
        self.manifest.files.contains_key(file)
    }

    /// Returns a file as an array, without copying.
    pub fn slice<T: Pod>(&self, file: &str) -> Result<&[T], ArtifactError> {
        let index = self.index(file)?;
        cast(self.bytes_at(index)).map_err(|reason| ArtifactError::shape(file, reason))
    }

    /// Returns a value written by [`Draft::write_value`](super::Draft::write_value).
    pub fn value<T: DeserializeOwned>(&self, file: &str) -> Result<T, ArtifactError> {
        serde_json::from_slice(self.slice(file)?).map_err(|error| ArtifactError::shape(file, error.to_string()))
    }

    /// Returns a list written by [`Draft::write_strings`](super::Draft::write_strings), without copying.
    ///
    /// Walks the whole list to check it. To look up strings often, keep a [`StringsView`](super::StringsView).
    pub fn strings(&self, name: &str) -> Result<Strings<'_>, ArtifactError> {
        let bytes = self.slice::<u8>(&strings::bytes_file(name))?;
        let offsets = self.slice::<u64>(&strings::offsets_file(name))?;
        Strings::new(name, bytes, offsets)
    }

    /// Brings every page into memory, so that no request waits for the disk.
    pub fn warm(&self) {
        for (_, map) in &self.files {
            map.warm();
        }
    }

    pub(super) fn index(&self, file: &str) -> Result<FileIndex, ArtifactError> {
        self.files
            .binary_search_by(|(name, _)| name.as_str().cmp(file))
            .map(FileIndex)
            .map_err(|_| ArtifactError::NotInBuild { build: self.id.to_string(), file: file.to_owned() })
    }

    pub(super) fn bytes_at(&self, index: FileIndex) -> &[u8] {
        self.files.get(index.0).map_or(&[], |(_, map)| map.bytes())
    }

    /// Returns a file as an array; nothing when it is not one, which whoever holds the index has checked.
    pub(super) fn slice_at<T: Pod>(&self, index: FileIndex) -> &[T] {
        cast(self.bytes_at(index)).unwrap_or_default()
    }
}

/// Sees bytes as an array, or says why not.
fn cast<T: Pod>(bytes: &[u8]) -> Result<&[T], String> {
    // An empty slice points nowhere in particular and need not be aligned.
    if bytes.is_empty() {
        return Ok(&[]);
    }
    bytemuck::try_cast_slice(bytes)
        .map_err(|_| format!("its {} bytes are not a whole number of {}-byte values", bytes.len(), size_of::<T>()))
}

fn open_file(path: &Path, entry: &FileEntry) -> Result<Map, ArtifactError> {
    let file = File::open(path).map_err(ArtifactError::missing_or_io("open", path))?;
    let metadata = file.metadata().map_err(ArtifactError::io("inspect", path))?;
    if !metadata.is_file() {
        return Err(ArtifactError::Missing { path: path.to_owned() });
    }
    if metadata.len() != entry.bytes {
        return Err(ArtifactError::Length { path: path.to_owned(), expected: entry.bytes, found: metadata.len() });
    }
    let map = Map::of(&file, entry.bytes).map_err(ArtifactError::io("map", path))?;
    if manifest::hex(xxh3_64(map.bytes())) != entry.xxh3 {
        return Err(ArtifactError::Checksum { path: path.to_owned() });
    }
    Ok(map)
}
