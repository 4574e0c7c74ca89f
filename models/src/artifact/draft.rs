//! A build being written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use bytemuck::Pod;
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use super::manifest::{self, FORMAT_VERSION, FileEntry, MANIFEST, Manifest};
use super::{Artifact, ArtifactError, BuildId, strings};

/// What the name of every unfinished or half-removed build starts with.
pub(super) const DRAFT_PREFIX: &str = ".draft-";

/// A build being written, under a name nobody reads from.
///
/// Dropping it unfinished removes what was written. A process that dies leaves its draft behind, for
/// [`remove_drafts`](super::publish::remove_drafts).
#[derive(Debug)]
pub struct Draft {
    models_dir: PathBuf,
    dir: PathBuf,
    /// Locked while the draft lives, so that nobody clears it away as a leftover.
    _lock: File,
    files: BTreeMap<String, FileEntry>,
    renamed: bool,
}

impl Draft {
    /// Starts a build in `models_dir`, creating that directory where it is missing.
    pub fn in_dir(models_dir: impl AsRef<Path>) -> Result<Self, ArtifactError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);

        let models_dir = models_dir.as_ref();
        fs::create_dir_all(models_dir).map_err(ArtifactError::io("create", models_dir))?;
        let dir = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let dir = models_dir.join(format!("{DRAFT_PREFIX}{}-{number}", process::id()));
            match fs::create_dir(&dir) {
                Ok(()) => break dir,
                // Left behind by an earlier process of the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ArtifactError::io("create", &dir)(error)),
            }
        };
        let lock = File::open(&dir).map_err(ArtifactError::io("open", &dir))?;
        lock.lock().map_err(ArtifactError::io("lock", &dir))?;
        Ok(Self { models_dir: models_dir.to_owned(), dir, _lock: lock, files: BTreeMap::new(), renamed: false })
    }

    /// Writes an array, to be read with [`Artifact::slice`] of the same type.
    ///
    /// By custom the name ends in the type: `also_bought.items.u32`.
    pub fn write_slice<T: Pod>(&mut self, name: &str, values: &[T]) -> Result<(), ArtifactError> {
        let mut file = self.create(name)?;
        file.write(bytemuck::cast_slice(values))?;
        self.close(name, file)
    }

    /// Writes a list of strings, to be read with [`Artifact::strings`].
    pub fn write_strings<'a>(&mut self, name: &str, strings: impl Iterator<Item = &'a str>) -> Result<(), ArtifactError> {
        let bytes_name = strings::bytes_file(name);
        let mut bytes = self.create(&bytes_name)?;
        let mut offsets = vec![0_u64];
        for string in strings {
            bytes.write(string.as_bytes())?;
            offsets.push(bytes.length);
        }
        self.close(&bytes_name, bytes)?;
        self.write_slice(&strings::offsets_file(name), &offsets)
    }

    /// Writes a value, such as a model's options, to be read with [`Artifact::value`].
    pub fn write_value<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), ArtifactError> {
        let text = serde_json::to_vec(value).map_err(|error| ArtifactError::shape(name, error.to_string()))?;
        self.write_slice(name, &text)
    }

    /// Gives the build its name; from here on it never changes.
    ///
    /// `time` is written like `2026-11-23T01-20Z` and starts the id. Where the same build is there already, it is left
    /// as it is and its id is returned.
    pub fn finish(mut self, manifest: Manifest, time: &str) -> Result<BuildId, ArtifactError> {
        if let Some((name, _)) = manifest.evaluation.iter().find(|(_, figure)| !figure.is_finite()) {
            return Err(ArtifactError::Figure { name: name.clone() });
        }
        let files = std::mem::take(&mut self.files);
        let manifest = self.write_manifest(&Manifest { format_version: FORMAT_VERSION, files, ..manifest })?;
        sync_dir(&self.dir)?;

        let hash = manifest.content_hash();
        let mut number = 1;
        loop {
            let id = BuildId::new(time, hash, number)?;
            let target = self.models_dir.join(id.as_str());
            if target.exists() {
                // A damaged build is not this one, whatever its manifest says.
                if Artifact::open(&target).is_ok_and(|there| there.manifest().same_content(&manifest)) {
                    return Ok(id);
                }
                number += 1;
                continue;
            }
            match fs::rename(&self.dir, &target) {
                Ok(()) => {}
                // Someone else took the name since; look at theirs.
                Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty) => {
                    continue;
                }
                Err(error) => return Err(ArtifactError::io("rename the draft to", &target)(error)),
            }
            self.renamed = true;
            sync_dir(&self.models_dir)?;
            return Ok(id);
        }
    }

    /// Returns the manifest as it will be read back.
    fn write_manifest(&self, manifest: &Manifest) -> Result<Manifest, ArtifactError> {
        let path = self.dir.join(MANIFEST);
        let mut text =
            serde_json::to_vec_pretty(manifest).map_err(|source| ArtifactError::Manifest { path: path.clone(), source })?;
        text.push(b'\n');
        write_synced(&path, &text)?;
        Manifest::read(&self.dir)
    }

    fn create(&self, name: &str) -> Result<HashedFile, ArtifactError> {
        manifest::check_file_name(name)?;
        if self.files.contains_key(name) {
            return Err(ArtifactError::FileName { name: name.to_owned(), reason: "it was written already" });
        }
        HashedFile::create(self.dir.join(name))
    }

    fn close(&mut self, name: &str, file: HashedFile) -> Result<(), ArtifactError> {
        let entry = file.close()?;
        self.files.insert(name.to_owned(), entry);
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing to be done about a failure here; `remove_drafts` will try again.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A file whose checksum is that of what was meant to be written, not of what the disk made of it.
struct HashedFile {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Xxh3,
    length: u64,
}

impl HashedFile {
    fn create(path: PathBuf) -> Result<Self, ArtifactError> {
        let file = File::create(&path).map_err(ArtifactError::io("create", &path))?;
        Ok(Self { path, file: BufWriter::new(file), hash: Xxh3::new(), length: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.file.write_all(bytes).map_err(ArtifactError::io("write", &self.path))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn close(mut self) -> Result<FileEntry, ArtifactError> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(ArtifactError::io("write", &self.path))?;
        Ok(FileEntry { bytes: self.length, xxh3: manifest::hex(self.hash.digest()) })
    }
}

/// Writes a whole file and waits until it is on disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), ArtifactError> {
    File::create(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(ArtifactError::io("write", path))
}

/// Waits until the names in a directory are on disk.
pub(super) fn sync_dir(dir: &Path) -> Result<(), ArtifactError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(ArtifactError::io("sync", dir))
}
