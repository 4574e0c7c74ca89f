//! Where profiles are kept: one opaque, versioned blob per visitor.
//!
//! Profiles are a view of the event log, so a store may lose the last moments before a power cut:
//! replay brings them back. It must never mix visitors or sites, nor lose a concurrent write.

use std::fmt::Debug;

use super::embedded::EmbeddedProfiles;
use super::redis::RedisProfiles;
use crate::store_engine::StoreError;

/// A stored profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Counts the writes since the profile came into being; never 0, which stands for "absent".
    pub version: u64,
    /// The profile as its owner encoded it.
    pub blob: Vec<u8>,
}

/// A write that takes place only if the profile is still as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfilePut<'a> {
    /// Whose profile.
    pub visitor: &'a str,
    /// The version that was read; 0 if there was none.
    pub expected: u64,
    /// The new profile, which gets version `expected + 1`; `None` deletes it.
    pub blob: Option<Vec<u8>>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// It took place.
    Stored,
    /// Someone else was faster: read again, fold again, put again.
    Conflict,
}

/// Keeps one profile per visitor and site.
///
/// A read sees every write that had returned before. Names hold no NUL and at most
/// [`MAX_NAME`](crate::store_engine::MAX_NAME) bytes; one bad name refuses the whole call.
pub trait ProfileStore: Send + Sync + Debug {
    /// Returns profiles in the order asked for; `None` where there is none.
    fn get_many(&self, site: &str, visitors: &[&str]) -> impl Future<Output = Result<Vec<Option<Versioned>>, StoreError>> + Send;

    /// Compares and sets each profile; outcomes come in the order of the puts.
    ///
    /// Puts of one visitor take effect in order. After an error any part of the batch may be stored.
    fn put_many(&self, site: &str, puts: Vec<ProfilePut<'_>>)
    -> impl Future<Output = Result<Vec<PutOutcome>, StoreError>> + Send;

    /// Forgets a visitor; complete, and durable as far as the store can, when it returns.
    ///
    /// A put that was read before it then conflicts.
    fn erase(&self, site: &str, visitor: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns up to `limit` profiles ordered by the bytes of the visitor, from after `after`.
    ///
    /// Fewer than `limit` means the end.
    fn scan(
        &self,
        site: &str,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(String, Versioned)>, StoreError>> + Send;

    /// Forgets every profile of a site, as a replay does before it starts.
    fn clear(&self, site: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The profile store the configuration chose.
#[derive(Debug, Clone)]
pub enum Profiles {
    /// In the data directory.
    Embedded(EmbeddedProfiles),
    /// In Redis.
    Redis(RedisProfiles),
}

impl ProfileStore for Profiles {
    async fn get_many(&self, site: &str, visitors: &[&str]) -> Result<Vec<Option<Versioned>>, StoreError> {
        match self {
            Self::Embedded(store) => store.get_many(site, visitors).await,
            Self::Redis(store) => store.get_many(site, visitors).await,
        }
    }

    async fn put_many(&self, site: &str, puts: Vec<ProfilePut<'_>>) -> Result<Vec<PutOutcome>, StoreError> {
        match self {
            Self::Embedded(store) => store.put_many(site, puts).await,
            Self::Redis(store) => store.put_many(site, puts).await,
        }
    }

    async fn erase(&self, site: &str, visitor: &str) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.erase(site, visitor).await,
            Self::Redis(store) => store.erase(site, visitor).await,
        }
    }

    async fn scan(&self, site: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Versioned)>, StoreError> {
        match self {
            Self::Embedded(store) => store.scan(site, after, limit).await,
            Self::Redis(store) => store.scan(site, after, limit).await,
        }
    }

    async fn clear(&self, site: &str) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.clear(site).await,
            Self::Redis(store) => store.clear(site).await,
        }
    }
}

/// Writes a profile as both stores keep it: eight bytes of version, then the blob.
pub(super) fn encode(version: u64, blob: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + blob.len());
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(blob);
    bytes
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Result<Versioned, StoreError> {
    let Some((version, blob)) = bytes.split_first_chunk::<8>() else {
        return Err(StoreError::corrupt("a profile is shorter than its version"));
    };
    Ok(Versioned { version: u64::from_le_bytes(*version), blob: blob.to_vec() })
}
