//! A copy of everything a node keeps, taken while it serves, and the way back.
//!
//! A backup is a folder:
//!
//! ```text
//! backup.json            what it is, and size and checksum of every other file; written last, so a folder without it is no backup
//! node-id                the node whose positions its watermarks mean
//! store.entries          profiles and documents of the embedded store, all of one moment (see [`entries`])
//! log/…  archive/…       the event log, its sealed part included
//! models/SITE/…          the active build of each site and the pointer to it
//! ```
//!
//! The store is copied before the log, so the log holds everything that the profiles hold and mostly a little more; what is more is
//! folded when the restored node starts, as after any other stop. Everything acknowledged before the backup began is in it. Where
//! documents live in Redis they are not: Redis has its own ways. An archive in an object store stays there too.
//! Dead letters and their keys are in no backup: they have to be gone after some days, wherever they have been copied to.

mod entries;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use rapport_models::artifact::publish;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::event::{SiteId, Timestamp};
use crate::event_log::{self, LogError, segment};
use crate::paths::Paths;
use crate::store_engine::{Embedded, StoreError};

/// The format written.
const FORMAT: u32 = 1;
const MANIFEST: &str = "backup.json";
const ENTRIES: &str = "store.entries";
const NODE_ID: &str = "node-id";
const LOG: &str = "log";
const ARCHIVE: &str = "archive";
const MODELS: &str = "models";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    pub format: u32,
    /// The program that wrote it.
    pub rapport_version: String,
    pub created_at: Timestamp,
    pub node: u64,
    /// Whether profiles and documents are in it; they are not where Redis keeps them.
    pub store: bool,
    pub files: Vec<Entry>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the folder, with `/`.
    pub path: String,
    pub bytes: u64,
    /// XXH3-64 of the content as 16 hex digits.
    pub xxh3: String,
}

impl Backup {
    /// Returns how much it holds.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Why there is no backup, or none was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is not empty; name a folder that is, or does not exist yet", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} is no backup: it has no {MANIFEST}, which is written last", .0.display())]
    Unfinished(PathBuf),
    #[error("{}: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the event log cannot be copied")]
    Log(#[from] LogError),
    #[error("the store cannot be copied")]
    Store(#[from] StoreError),
}

impl BackupError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

/// Copies what a node keeps into an empty folder. `store` is the embedded store where profiles and documents live in it.
pub fn backup(
    paths: &Paths,
    node: u64,
    sites: &[SiteId],
    store: Option<&Embedded>,
    now: Timestamp,
    to: &Path,
) -> Result<Backup, BackupError> {
    claim(to)?;
    let mut target = Target { root: to.to_owned(), files: Vec::new() };
    if let Some(store) = store {
        target.write(ENTRIES, |out| entries::write(store, out))?;
    }
    target.copy(&paths.data.join(NODE_ID), NODE_ID)?;
    let archive = paths.archive()?;
    event_log::copy::parts(&paths.log, |part| {
        let (from, folder, name) = match part {
            event_log::copy::Part::Log(name) => (paths.log.join(name), LOG, name),
            event_log::copy::Part::Archive(_) if !archive.is_folder() => return Ok(()),
            event_log::copy::Part::Archive(name) => (archive.describe(name), ARCHIVE, name),
        };
        target.copy(&from, &format!("{folder}/{}", slashed(name)))
    })?;
    for site in sites {
        let models = paths.models(site);
        // A site that has not learnt anything yet has nothing to copy.
        if let Ok(Some(active)) = publish::active(&models) {
            let build = models.join(active.as_str());
            for name in files_below(&build)? {
                target.copy(&build.join(&name), &format!("{MODELS}/{site}/{active}/{}", slashed(&name)))?;
            }
            target.copy(&models.join(publish::ACTIVE), &format!("{MODELS}/{site}/{}", publish::ACTIVE))?;
        }
    }
    let backup = Backup {
        format: FORMAT,
        rapport_version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: now,
        node,
        store: store.is_some(),
        files: target.files,
    };
    sync_folders(to)?;
    let text = serde_json::to_vec_pretty(&backup).map_err(|e| BackupError::io("write", to)(e.into()))?;
    let (aside, place) = (to.join(".backup.json.tmp"), to.join(MANIFEST));
    let mut file = File::create(&aside).map_err(BackupError::io("create", &aside))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(BackupError::io("write", &aside))?;
    fs::rename(&aside, &place).map_err(BackupError::io("rename to", &place))?;
    segment::sync_dir(to)?;
    Ok(backup)
}

/// Puts a backup into a data directory that is empty or does not exist; nothing is there until all of it is checked.
pub fn restore(from: &Path, paths: &Paths) -> Result<Backup, BackupError> {
    let manifest = from.join(MANIFEST);
    let text = match fs::read(&manifest) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BackupError::Unfinished(from.to_owned())),
        Err(error) => return Err(BackupError::io("read", &manifest)(error)),
    };
    let backup: Backup =
        serde_json::from_slice(&text).map_err(|error| BackupError::damaged(&manifest, format!("it cannot be read: {error}")))?;
    if backup.format != FORMAT {
        let what = format!(
            "it has format {}, this program reads format {FORMAT}; use the version that wrote it ({})",
            backup.format, backup.rapport_version
        );
        return Err(BackupError::damaged(&manifest, what));
    }
    claim(&paths.data)?;
    // In the same folder, so that what is whole can be renamed into its place.
    let aside = paths.data.join(".restoring");
    let restored = fill(from, &manifest, &backup, &aside).and_then(|()| move_in(&aside, paths));
    if restored.is_err() {
        // Whatever was copied is of no use, and the next try wants an empty folder.
        let _ = fs::remove_dir_all(&aside);
    }
    restored.map(|()| backup)
}

/// Copies and checks every file of a backup.
fn fill(from: &Path, manifest: &Path, backup: &Backup, aside: &Path) -> Result<(), BackupError> {
    let mut target = Target { root: aside.to_owned(), files: Vec::new() };
    fs::create_dir_all(aside).map_err(BackupError::io("create", aside))?;
    for file in &backup.files {
        let name = Path::new(&file.path);
        if name.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(BackupError::damaged(manifest, format!("`{}` is no place within the backup", file.path)));
        }
        target.copy(&from.join(name), &file.path)?;
        if target.files.last() != Some(file) {
            return Err(BackupError::damaged(&from.join(name), "it is not what the backup was made with; nothing was restored"));
        }
    }
    if backup.store {
        let store = Embedded::open(&aside.join("store"))?;
        let path = aside.join(ENTRIES);
        let file = File::open(&path).map_err(BackupError::io("open", &path))?;
        entries::read(&store, file).map_err(|error| match error {
            entries::EntriesError::Store(error) => error.into(),
            entries::EntriesError::Io(error) => BackupError::io("read", &path)(error),
            entries::EntriesError::Damaged(what) => BackupError::damaged(&path, what),
        })?;
        store.persist()?;
        fs::remove_file(&path).map_err(BackupError::io("remove", &path))?;
    }
    sync_folders(aside)
}

/// Moves what is whole to where it belongs.
fn move_in(aside: &Path, paths: &Paths) -> Result<(), BackupError> {
    let archive = aside.join(ARCHIVE);
    let folder = paths.archive_folder();
    if archive.exists() && folder != paths.data.join(ARCHIVE) {
        claim(&folder)?;
        for name in files_below(&archive)? {
            let mut target = Target { root: folder.clone(), files: Vec::new() };
            target.copy(&archive.join(&name), &slashed(&name))?;
        }
        sync_folders(&folder)?;
        fs::remove_dir_all(&archive).map_err(BackupError::io("remove", &archive))?;
    }
    for entry in fs::read_dir(aside).map_err(BackupError::io("list", aside))? {
        let from = entry.map_err(BackupError::io("list", aside))?;
        let place = paths.data.join(from.file_name());
        fs::rename(from.path(), &place).map_err(BackupError::io("rename to", &place))?;
    }
    fs::remove_dir(aside).map_err(BackupError::io("remove", aside))?;
    Ok(segment::sync_dir(&paths.data)?)
}

/// Makes sure that a folder exists and is empty.
fn claim(folder: &Path) -> Result<(), BackupError> {
    fs::create_dir_all(folder).map_err(BackupError::io("create", folder))?;
    let mut entries = fs::read_dir(folder).map_err(BackupError::io("list", folder))?;
    if entries.next().is_some() { Err(BackupError::NotEmpty(folder.to_owned())) } else { Ok(()) }
}

/// Where files are copied to, with what is known of them.
struct Target {
    root: PathBuf,
    files: Vec<Entry>,
}

impl Target {
    /// Copies a file as it is now; one that grows meanwhile is copied up to where it was.
    fn copy(&mut self, from: &Path, name: &str) -> Result<(), BackupError> {
        let source = File::open(from).map_err(BackupError::io("open", from))?;
        let length = source.metadata().map_err(BackupError::io("read the size of", from))?.len();
        let mut source = source.take(length);
        self.write(name, |out| io::copy(&mut source, out).map(|_| ()).map_err(BackupError::io("copy", from)))
    }

    fn write<E: Into<BackupError>>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Summed) -> Result<(), E>,
    ) -> Result<(), BackupError> {
        let path = self.root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(BackupError::io("create", folder))?;
        }
        let file = File::create(&path).map_err(BackupError::io("create", &path))?;
        let mut out = Summed { file: io::BufWriter::with_capacity(1 << 18, file), bytes: 0, sum: Xxh3::new() };
        write(&mut out).map_err(Into::into)?;
        let file = out.file.into_inner().map_err(|e| BackupError::io("write", &path)(e.into_error()))?;
        file.sync_all().map_err(BackupError::io("sync", &path))?;
        self.files.push(Entry { path: name.to_owned(), bytes: out.bytes, xxh3: format!("{:016x}", out.sum.digest()) });
        Ok(())
    }
}

/// A file that knows what was written to it.
struct Summed {
    file: io::BufWriter<File>,
    bytes: u64,
    sum: Xxh3,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Returns the files below a folder, relative to it, in order.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(within) = folders.pop() {
        let folder = folder.join(&within);
        for entry in fs::read_dir(&folder).map_err(BackupError::io("list", &folder))? {
            let entry = entry.map_err(BackupError::io("list", &folder))?;
            let name = within.join(entry.file_name());
            let kind = entry.file_type().map_err(BackupError::io("look at", &folder))?;
            if kind.is_dir() { folders.push(name) } else { files.push(name) }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Makes the names in a folder and in all below it durable.
fn sync_folders(folder: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(folder).map_err(BackupError::io("list", folder))? {
        let entry = entry.map_err(BackupError::io("list", folder))?;
        if entry.file_type().map_err(BackupError::io("look at", folder))?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    Ok(segment::sync_dir(folder)?)
}

fn slashed(name: &Path) -> String {
    let parts: Vec<_> = name.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
