//! One shop on an install: everything that belongs to it alone.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::catalog::{Catalog, Catalogs};
use crate::config::{Config, SitePolicy};
use crate::event::SiteId;
use crate::live::Live;
use crate::paths::Paths;
use crate::store_engine::StoreError;

/// What belongs to one site.
#[derive(Debug)]
pub struct Site {
    pub id: SiteId,
    pub policy: SitePolicy,
    pub catalog: Arc<Catalog>,
    pub live: Live,
    pub models_dir: PathBuf,
    /// The build that was refused last, so that it is reported once.
    pub refused: Mutex<Option<String>>,
}

impl Site {
    /// Opens a site: reads its catalog, and serves that until a build is looked for.
    pub async fn open(
        id: SiteId,
        node: u64,
        config: &Config,
        paths: &Paths,
        catalogs: &Catalogs,
    ) -> Result<Arc<Self>, StoreError> {
        let catalog = catalogs.open(&id).await?;
        Ok(Arc::new(Self {
            policy: config.site(&id),
            live: Live::new(id.clone(), node, &config.build, &catalog),
            models_dir: paths.models(&id),
            refused: Mutex::default(),
            catalog,
            id,
        }))
    }
}
