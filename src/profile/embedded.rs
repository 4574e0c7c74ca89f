//! Profiles in the embedded database.
//!
//! The engine is called without leaving the async worker: a read or buffered write takes
//! microseconds, less than handing it to another thread.

use std::collections::HashMap;
use std::ops::Bound;

use super::store::{ProfilePut, ProfileStore, PutOutcome, Versioned, decode, encode};
use crate::store_engine::{Embedded, StoreError, check_name, key, prefix};

const CLEAR_PAGE: usize = 1_000;

/// Profiles in the data directory: atomic batches, buffered until the database is persisted.
#[derive(Debug, Clone)]
pub struct EmbeddedProfiles {
    store: Embedded,
}

impl EmbeddedProfiles {
    /// Keeps profiles in `store`.
    pub fn new(store: Embedded) -> Self {
        Self { store }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        self.store.tables()?.profiles.get(key)?.map(|bytes| decode(&bytes)).transpose()
    }
}

fn profile_key(site: &str, visitor: &str) -> Result<Vec<u8>, StoreError> {
    check_name("the site", site)?;
    check_name("the visitor id", visitor)?;
    Ok(key(&[site.as_bytes(), visitor.as_bytes()]))
}

impl ProfileStore for EmbeddedProfiles {
    async fn get_many(&self, site: &str, visitors: &[&str]) -> Result<Vec<Option<Versioned>>, StoreError> {
        visitors.iter().map(|visitor| self.get(&profile_key(site, visitor)?)).collect()
    }

    async fn put_many(&self, site: &str, puts: Vec<ProfilePut<'_>>) -> Result<Vec<PutOutcome>, StoreError> {
        let keys = puts.iter().map(|put| profile_key(site, put.visitor)).collect::<Result<Vec<_>, _>>()?;
        let _guards = self.store.lock_profiles(&keys);

        let tables = self.store.tables()?;
        let mut batch = tables.batch();
        // Versions this batch has written, which the database does not show before the commit.
        let mut written: HashMap<&[u8], u64> = HashMap::new();
        let mut outcomes = Vec::with_capacity(puts.len());
        for (key, put) in keys.iter().zip(puts) {
            let current = match written.get(key.as_slice()) {
                Some(version) => *version,
                None => self.get(key)?.map_or(0, |held| held.version),
            };
            if current != put.expected {
                outcomes.push(PutOutcome::Conflict);
                continue;
            }
            let version = match put.blob {
                Some(blob) => {
                    let version = current + 1;
                    batch.insert(&tables.profiles, key.as_slice(), encode(version, &blob));
                    version
                }
                None => {
                    batch.remove(&tables.profiles, key.as_slice());
                    0
                }
            };
            written.insert(key, version);
            outcomes.push(PutOutcome::Stored);
        }
        batch.commit()?;
        Ok(outcomes)
    }

    async fn erase(&self, site: &str, visitor: &str) -> Result<(), StoreError> {
        let key = profile_key(site, visitor)?;
        {
            let _guards = self.store.lock_profiles(std::slice::from_ref(&key));
            self.store.tables()?.profiles.remove(key)?;
        }
        // A power cut must not bring back whom we promised to forget.
        self.store.persist()
    }

    async fn scan(&self, site: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Versioned)>, StoreError> {
        check_name("the site", site)?;
        let (start, end) = prefix(&[site.as_bytes()]);
        let from = match after {
            Some(visitor) => Bound::Excluded(key(&[site.as_bytes(), visitor.as_bytes()])),
            None => Bound::Included(start.clone()),
        };
        let mut found = Vec::new();
        let range = (from, Bound::Excluded(end));
        for entry in self.store.tables()?.profiles.range(range).take(limit) {
            let (key, value) = entry.into_inner()?;
            let visitor =
                std::str::from_utf8(&key[start.len()..]).map_err(|_| StoreError::corrupt("a visitor id is not UTF-8"))?;
            found.push((visitor.to_owned(), decode(&value)?));
        }
        Ok(found)
    }

    async fn clear(&self, site: &str) -> Result<(), StoreError> {
        check_name("the site", site)?;
        let (start, end) = prefix(&[site.as_bytes()]);
        let _guards = self.store.lock_all_profiles();
        loop {
            let tables = self.store.tables()?;
            let mut batch = tables.batch();
            let range = tables.profiles.range(start.clone()..end.clone());
            for entry in range.take(CLEAR_PAGE) {
                batch.remove(&tables.profiles, entry.key()?);
            }
            if batch.is_empty() {
                return self.store.persist();
            }
            batch.commit()?;
        }
    }
}
