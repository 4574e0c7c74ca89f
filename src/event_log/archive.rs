//! Where sealed parts of the log live: a folder of one node's own, or a folder or a bucket that several share.
//!
//! ```text
//! <archive>/site=default/date=2026-11-23/part-<start>.parquet               the data directory's own archive
//! <archive>/site=default/date=2026-11-23/part-<start>-<node>.parquet        one that is named in the configuration
//! <archive>/manifests/node=<node>/<start>.json                              and there, what all nodes may read
//! ```
//!
//! A manifest in the archive is created by the seal that made its files, and fails to be where there is one: whoever finds
//! it finds them. Later only `replace` puts another in its place.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::bucket::Bucket;
use super::{Committed, LogError, Position, parquet_read, segment};
use crate::event::SiteId;

/// The folder of the manifests.
const MANIFESTS: &str = "manifests";

/// The folder of the Parquet files and, if it is shared, of the manifests of all nodes.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Where files lie, or where they are written before they go to the bucket.
    root: PathBuf,
    bucket: Option<Bucket>,
    /// The node whose name its files carry, where other nodes may have theirs beside them.
    node: Option<u64>,
}

impl Archive {
    /// An archive of one node's own.
    pub fn own(folder: &Path) -> Self {
        Self { root: folder.to_path_buf(), bucket: None, node: None }
    }

    /// A folder in which several nodes may keep theirs; `node` writes.
    pub fn shared(folder: &Path, node: u64) -> Self {
        Self { root: folder.to_path_buf(), bucket: None, node: Some(node) }
    }

    /// A bucket in which several nodes may keep theirs; `node` writes, each file in `folder` first.
    pub fn in_bucket(bucket: Bucket, folder: &Path, node: u64) -> Self {
        Self { root: folder.to_path_buf(), bucket: Some(bucket), node: Some(node) }
    }

    /// Returns the node whose files this process writes, where other nodes may have theirs beside them.
    pub fn node(&self) -> Option<u64> {
        self.node
    }

    /// Returns whether its files are files of this machine.
    pub fn is_folder(&self) -> bool {
        self.bucket.is_none()
    }

    /// Returns how messages name a file.
    pub fn describe(&self, name: &Path) -> PathBuf {
        match &self.bucket {
            None => self.root.join(name),
            Some(bucket) => bucket.describe(name),
        }
    }

    /// Returns the name of a file of the segment that starts there.
    pub(super) fn file_name(&self, start: Position) -> String {
        self.named(&format!("{:020}", start.0))
    }

    /// Returns the name of a file that holds what several segments held.
    pub(super) fn merged_name(&self, start: Position, end: Position) -> String {
        self.named(&format!("{:020}-{:020}", start.0, end.0))
    }

    fn named(&self, part: &str) -> String {
        match self.node {
            None => format!("part-{part}.parquet"),
            Some(node) => format!("part-{part}-{node:016}.parquet"),
        }
    }

    /// Returns whether a file of that name was written by this node.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        let end = self.node.map_or_else(|| ".parquet".to_owned(), |node| format!("-{node:016}.parquet"));
        name.starts_with("part-") && name.ends_with(&end)
    }

    /// Returns where to write a file before it is placed; the folder is there then.
    pub(super) fn aside(&self, name: &Path) -> Result<PathBuf, LogError> {
        let folder = self.asides();
        fs::create_dir_all(&folder).map_err(LogError::io("create", &folder))?;
        let file = name.file_name().unwrap_or(name.as_os_str()).to_string_lossy();
        Ok(folder.join(format!("{file}.tmp")))
    }

    /// Deletes what a process that ended halfway had written aside.
    pub(super) fn clear_asides(&self) -> Result<(), LogError> {
        let folder = self.asides();
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io("remove", &folder)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A folder of this node alone, so that what is in it is nobody else's.
    fn asides(&self) -> PathBuf {
        match self.node {
            None => self.root.join(".aside"),
            Some(node) => self.root.join(format!(".aside-{node:016}")),
        }
    }

    /// Gives a file that was written aside and synced its place, over what an earlier try left there.
    pub(super) fn place(&self, aside: &Path, name: &Path) -> Result<(), LogError> {
        let Some(bucket) = &self.bucket else {
            let place = self.root.join(name);
            let folder = place.parent().unwrap_or(&self.root);
            fs::create_dir_all(folder).map_err(LogError::io("create", folder))?;
            return fs::rename(aside, &place).map_err(LogError::io("rename to", &place));
        };
        bucket.put(name, fs::read(aside).map_err(LogError::io("read", aside))?)?;
        fs::remove_file(aside).map_err(LogError::io("remove", aside))
    }

    /// Deletes a file or a manifest; that it is not there is no error.
    pub(super) fn remove(&self, name: &Path) -> Result<(), LogError> {
        match &self.bucket {
            None => segment::remove_file(&self.root.join(name)),
            Some(bucket) => bucket.delete(name),
        }
    }

    /// Makes the names of placed files durable, and those of the folders they are in.
    pub(super) fn sync<'a>(&self, names: impl Iterator<Item = &'a Path>) -> Result<(), LogError> {
        if self.bucket.is_some() {
            return Ok(());
        }
        let mut folders: Vec<PathBuf> = Vec::new();
        for name in names {
            // The folder of the day and that of the site; or of the node and of all manifests.
            folders.extend(name.ancestors().skip(1).take(2).map(|folder| self.root.join(folder)));
        }
        if !folders.is_empty() {
            folders.push(self.root.clone());
            folders.extend(self.root.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_path_buf));
        }
        folders.sort_unstable();
        folders.dedup();
        folders.iter().try_for_each(|folder| segment::sync_dir(folder))
    }

    /// Calls `each` with every event of a file, in its order.
    pub(super) fn read_events(
        &self,
        name: &Path,
        site: &SiteId,
        each: &mut dyn FnMut(Committed) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        match &self.bucket {
            None => parquet_read::read_file(&self.root.join(name), site, each),
            Some(bucket) => parquet_read::read(bucket.get(name)?, &bucket.describe(name), site, each),
        }
    }

    /// Returns the nodes that have manifests here, in order.
    pub(super) fn nodes(&self) -> Result<Vec<u64>, LogError> {
        let names = self.names(Path::new(MANIFESTS))?;
        let mut nodes: Vec<u64> = names.iter().filter_map(|name| name.strip_prefix("node=")?.parse().ok()).collect();
        nodes.sort_unstable();
        Ok(nodes)
    }

    /// Returns where a node's sealed parts start, in order.
    pub(super) fn starts(&self, node: u64) -> Result<Vec<Position>, LogError> {
        let names = self.names(&manifests_of(node))?;
        let mut starts: Vec<Position> =
            names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok().map(Position)).collect();
        starts.sort_unstable();
        Ok(starts)
    }

    /// Returns the text of a node's manifest, or nothing where there is none.
    pub(super) fn manifest(&self, node: u64, start: Position) -> Result<Option<Vec<u8>>, LogError> {
        let name = manifest_name(node, start);
        let path = self.describe(&name);
        let found = match &self.bucket {
            None => fs::read(&path).map_err(LogError::io("read", &path)),
            Some(bucket) => bucket.get(&name).map(Into::into),
        };
        match found {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a manifest where there was none; returns whether there was none.
    pub(super) fn create_manifest(&self, node: u64, start: Position, text: &[u8]) -> Result<bool, LogError> {
        let name = manifest_name(node, start);
        if let Some(bucket) = &self.bucket {
            return bucket.create(&name, text.to_vec());
        }
        let path = self.root.join(&name);
        let aside = manifest_aside(&path, text)?;
        // A link, unlike a rename, fails where something is.
        let created = match fs::hard_link(&aside, &path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(LogError::io("create", &path)(error)),
        };
        fs::remove_file(&aside).map_err(LogError::io("remove", &aside))?;
        self.sync(std::iter::once(name.as_path()))?;
        Ok(created)
    }

    /// Puts a manifest there, over the one that is.
    pub(super) fn put_manifest(&self, node: u64, start: Position, text: &[u8]) -> Result<(), LogError> {
        let name = manifest_name(node, start);
        if let Some(bucket) = &self.bucket {
            return bucket.put(&name, text.to_vec());
        }
        let path = self.root.join(&name);
        let aside = manifest_aside(&path, text)?;
        fs::rename(&aside, &path).map_err(LogError::io("rename to", &path))?;
        self.sync(std::iter::once(name.as_path()))
    }

    /// Returns the names directly below a folder of the archive.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<String>, LogError> {
        if let Some(bucket) = &self.bucket {
            return bucket.names(folder);
        }
        let folder = self.root.join(folder);
        match fs::read_dir(&folder) {
            Ok(entries) => {
                let names = entries.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()));
                names.collect::<Result<_, _>>().map_err(LogError::io("list", &folder))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(LogError::io("list", &folder)(error)),
        }
    }
}

/// Returns the folder of a site.
pub(super) fn site_folder(site: &SiteId) -> PathBuf {
    PathBuf::from(format!("site={site}"))
}

/// Returns the folder of a site's day.
pub(super) fn day_folder(site: &SiteId, date: &str) -> PathBuf {
    site_folder(site).join(format!("date={date}"))
}

/// Writes a manifest beside its place, synced, and returns where.
fn manifest_aside(path: &Path, text: &[u8]) -> Result<PathBuf, LogError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(LogError::io("create", folder))?;
    // Two processes that take themselves for one node write aside each on their own.
    let aside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::File::create(&aside).map_err(LogError::io("create", &aside))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(LogError::io("write", &aside))?;
    Ok(aside)
}

fn manifests_of(node: u64) -> PathBuf {
    Path::new(MANIFESTS).join(format!("node={node}"))
}

/// Returns the name of a node's manifest in the archive.
pub(super) fn manifest_name(node: u64, start: Position) -> PathBuf {
    manifests_of(node).join(format!("{:020}.json", start.0))
}
