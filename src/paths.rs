//! Where things are in the data directory.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::event::SiteId;
use crate::event_log::bucket::{self, Bucket};
use crate::event_log::{Archive, LogError};

/// The places of one data directory.
#[derive(Debug, Clone)]
pub struct Paths {
    pub data: PathBuf,
    pub log: PathBuf,
    archive_url: String,
    models: PathBuf,
}

impl Paths {
    /// Returns the places below a data directory.
    pub fn new(data: &Path, config: &Config) -> Self {
        Self {
            data: data.to_owned(),
            log: data.join("log"),
            archive_url: config.events.archive_url().to_owned(),
            models: data.join("models"),
        }
    }

    /// Returns the archive of the event log: the data directory's own, or the one the configuration names, which other nodes
    /// may share.
    pub fn archive(&self) -> Result<Archive, LogError> {
        let folder = self.archive_folder();
        if self.archive_url.is_empty() {
            return Ok(Archive::own(&folder));
        }
        let node = self.node().map_err(LogError::io("read", &self.data.join("node-id")))?;
        if self.archive_url.starts_with(bucket::SCHEME) {
            return Ok(Archive::in_bucket(Bucket::open(&self.archive_url)?, &folder, node));
        }
        Ok(Archive::shared(&folder, node))
    }

    /// Returns the folder of the archive, or the one in which files are written before they go to its bucket.
    pub fn archive_folder(&self) -> PathBuf {
        match self.archive_url.as_str() {
            url if url.is_empty() || url.starts_with(bucket::SCHEME) => self.data.join("archive"),
            url => PathBuf::from(url.strip_prefix("file://").unwrap_or(url)),
        }
    }

    /// Returns this node's number, made once and kept with its log.
    pub fn node(&self) -> io::Result<u64> {
        let path = self.data.join("node-id");
        match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| io::Error::other("it holds no number")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Within 2^53, so that the number survives JSON.
                let id: u64 = rand::random::<u64>() >> 11;
                std::fs::write(&path, id.to_string())?;
                Ok(id)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the folder of a site's builds.
    pub fn models(&self, site: &SiteId) -> PathBuf {
        self.models.join(site.as_str())
    }

    /// Returns the folder of the dead letters.
    pub fn dead_letters(&self) -> PathBuf {
        self.data.join("dead-letters")
    }

    /// Returns the socket through which commands reach a running server.
    pub fn socket(&self) -> PathBuf {
        self.data.join("control.sock")
    }
}
