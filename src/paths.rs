//! Where things are in the data directory.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::event::SiteId;

/// The places of one data directory.
#[derive(Debug, Clone)]
pub struct Paths {
    pub data: PathBuf,
    pub log: PathBuf,
    pub archive: PathBuf,
    models: PathBuf,
}

impl Paths {
    /// Returns the places below a data directory.
    pub fn new(data: &Path, config: &Config) -> Self {
        Self {
            data: data.to_owned(),
            log: data.join("log"),
            archive: config.events.archive_dir(data),
            models: data.join("models"),
        }
    }

    /// Returns the folder of a site's builds.
    pub fn models(&self, site: &SiteId) -> PathBuf {
        self.models.join(site.as_str())
    }

    /// Returns the socket through which commands reach a running server.
    pub fn socket(&self) -> PathBuf {
        self.data.join("control.sock")
    }
}
