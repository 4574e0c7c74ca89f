//! Where sealed parts of the log live: a folder, of one node or of several.
//!
//! ```text
//! <archive>/site=default/date=2026-11-23/part-<start>.parquet               the data directory's own archive
//! <archive>/site=default/date=2026-11-23/part-<start>-<node>.parquet        one that is named in the configuration
//! <archive>/manifests/node=<node>/<start>.json                              and there, what all nodes may read
//! ```
//!
//! A manifest in the archive is created, never written over, by the seal that made its files: whoever finds it finds them.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Committed, LogError, Position, parquet_read, segment};
use crate::event::SiteId;

/// The folder of the manifests.
const MANIFESTS: &str = "manifests";

/// The folder of the Parquet files and, if it is shared, of the manifests of all nodes.
#[derive(Debug, Clone)]
pub struct Archive {
    root: PathBuf,
    /// The node whose name its files carry, where other nodes may have theirs beside them.
    node: Option<u64>,
}

impl Archive {
    /// An archive of one node's own.
    pub fn own(folder: &Path) -> Self {
        Self { root: folder.to_path_buf(), node: None }
    }

    /// A folder in which several nodes may keep theirs; `node` writes.
    pub fn shared(folder: &Path, node: u64) -> Self {
        Self { root: folder.to_path_buf(), node: Some(node) }
    }

    /// Returns the node whose files this process writes, where other nodes may have theirs beside them.
    pub fn node(&self) -> Option<u64> {
        self.node
    }

    /// Returns how messages name a file.
    pub fn describe(&self, name: &Path) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the name of a file of the segment that starts there.
    pub(super) fn file_name(&self, start: Position) -> String {
        match self.node {
            None => format!("part-{:020}.parquet", start.0),
            Some(node) => format!("part-{:020}-{node:016}.parquet", start.0),
        }
    }

    /// Returns where to write a file before it is placed; the folder is there then.
    pub(super) fn aside(&self, name: &Path) -> Result<PathBuf, LogError> {
        let file = name.file_name().unwrap_or(name.as_os_str()).to_string_lossy();
        let folder = self.root.join(name.parent().unwrap_or(Path::new("")));
        fs::create_dir_all(&folder).map_err(LogError::io("create", &folder))?;
        Ok(folder.join(format!(".{file}.tmp")))
    }

    /// Gives a file that was written aside and synced its place, over what an earlier try left there.
    pub(super) fn place(&self, aside: &Path, name: &Path) -> Result<(), LogError> {
        let place = self.root.join(name);
        fs::rename(aside, &place).map_err(LogError::io("rename to", &place))
    }

    /// Makes the names of placed files durable, and those of the folders they are in.
    pub(super) fn sync<'a>(&self, names: impl Iterator<Item = &'a Path>) -> Result<(), LogError> {
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
        parquet_read::read_file(&self.root.join(name), site, each)
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
        let path = self.root.join(manifest_name(node, start));
        match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::io("read", &path)(error)),
        }
    }

    /// Puts a manifest where there was none; returns whether there was none.
    pub(super) fn create_manifest(&self, node: u64, start: Position, text: &[u8]) -> Result<bool, LogError> {
        let name = manifest_name(node, start);
        let path = self.root.join(&name);
        // Two processes that take themselves for one node write aside each on their own.
        let aside = path.with_extension(format!("{}.tmp", std::process::id()));
        let folder = self.root.join(manifests_of(node));
        fs::create_dir_all(&folder).map_err(LogError::io("create", &folder))?;
        let mut file = fs::File::create(&aside).map_err(LogError::io("create", &aside))?;
        file.write_all(text).and_then(|()| file.sync_all()).map_err(LogError::io("write", &aside))?;
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

    /// Returns the names directly below a folder of the archive.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<String>, LogError> {
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

fn manifests_of(node: u64) -> PathBuf {
    Path::new(MANIFESTS).join(format!("node={node}"))
}

/// Returns the name of a node's manifest in the archive.
pub(super) fn manifest_name(node: u64, start: Position) -> PathBuf {
    manifests_of(node).join(format!("{:020}.json", start.0))
}
