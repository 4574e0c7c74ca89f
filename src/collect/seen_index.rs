//! Every id the log holds, for imports.
//!
//! The live window remembers a day; a file may be imported again a year later. This index is a view of the log, brought
//! up to date when an import starts, so that it costs live traffic nothing.

use std::path::Path;

use super::dedupe::IdHash;
use crate::event_log::{Archive, LogError, Position, Reader};
use crate::store_engine::StoreError;
use crate::store_engine::embedded::{Embedded, Table};

const THROUGH: &str = "seen-index-through";
/// Ids written together.
const BATCH: usize = 10_000;

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeenIndexError {
    #[error("the index of known events cannot be read or written")]
    Store(#[from] StoreError),
    #[error("the event log cannot be read")]
    Log(#[from] LogError),
}

/// The ids of all events in the log.
#[derive(Debug, Clone)]
pub struct SeenIndex {
    engine: Embedded,
}

impl SeenIndex {
    /// Returns the index after reading what the log has gained since last time.
    pub fn up_to_date(engine: Embedded, log_dir: &Path, archive: &Archive) -> Result<Self, SeenIndexError> {
        let through = engine.meta_get(THROUGH)?.and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
        let mut reader = Reader::open(log_dir, archive, Position(through))?;
        let mut last = None;
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            for committed in reader.by_ref().take(BATCH) {
                let committed = committed?;
                batch.push((IdHash::of_event(&committed.event).to_bytes().to_vec(), Some(Vec::new())));
                last = Some(committed.position);
            }
            if batch.is_empty() {
                break;
            }
            engine.put_many(Table::Seen, batch)?;
        }
        if let Some(last) = last {
            engine.meta_put(THROUGH, &last.after().0.to_be_bytes())?;
        }
        Ok(Self { engine })
    }

    /// Returns whether the log held the event when the index was brought up to date.
    pub fn contains(&self, hash: IdHash) -> Result<bool, StoreError> {
        Ok(self.engine.get(Table::Seen, &hash.to_bytes())?.is_some())
    }
}
