//! Versioned documents with a change feed: catalog, rules, campaigns, wish lists, customers, consents.
//!
//! A document is opaque bytes under (site, kind, id). Every write gives it the next revision and a
//! place in the site's change feed, from which each node keeps its own view up to date. Unlike
//! profiles, documents are the only copy of what they say: a write is durable when it returns.

pub mod embedded;
pub mod redis;

use std::fmt::Debug;

use crate::store_engine::{StoreError, check_name};
use embedded::EmbeddedDocuments;
use redis::RedisDocuments;

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Counts the writes of this id from 1, deletions included, so that no revision ever returns.
    pub revision: u64,
    /// The document as its owner encoded it.
    pub body: Vec<u8>,
}

/// What a write takes for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: the last writer wins.
    Any,
    /// That there is no such document (`If-None-Match: *`).
    Absent,
    /// That the document still has the revision that was read (`If-Match`).
    Revision(u64),
}

/// A write of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPut {
    /// Which document.
    pub id: String,
    /// What must hold, or nothing is written.
    pub expect: Expect,
    /// The new document; `None` deletes it.
    pub body: Option<Vec<u8>>,
    /// A revision the sender counts, as feeds do; written only if greater than the last one seen.
    ///
    /// The last one is kept by writes without one and by deletion, so that a late line of a feed
    /// neither undoes an edit nor brings back what is gone.
    pub external_revision: Option<u64>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentOutcome {
    /// It took place; a deletion uses up a revision, too.
    Stored {
        /// The document's revision from now on.
        revision: u64,
    },
    /// The expectation did not hold: read again (412).
    Conflict {
        /// The revision there is, `None` for no document.
        current: Option<u64>,
    },
    /// A newer or the same external revision is stored: the sender may forget this one.
    Stale {
        /// The external revision there is.
        current: u64,
    },
    /// There was nothing to delete (404).
    NotFound,
}

/// The latest change of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The place in the site's feed; later changes have greater ones.
    pub seq: u64,
    /// The kind of the document.
    pub kind: String,
    /// The id of the document.
    pub id: String,
    /// Whether the change took it away.
    pub deleted: bool,
}

/// Keeps documents by site, kind and id.
///
/// A read sees every write that had returned before. Names hold no NUL and at most
/// [`MAX_NAME`](crate::store_engine::MAX_NAME) bytes; one bad name refuses the whole call.
pub trait DocumentStore: Send + Sync + Debug {
    /// Returns documents in the order asked for; `None` where there is none.
    fn get_many(
        &self,
        site: &str,
        kind: &str,
        ids: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<Document>>, StoreError>> + Send;

    /// Writes documents of one kind; outcomes come in the order of the puts.
    ///
    /// Each put is judged by itself, after those before it; all that pass become visible together.
    fn put_many(
        &self,
        site: &str,
        kind: &str,
        puts: Vec<DocumentPut>,
    ) -> impl Future<Output = Result<Vec<DocumentOutcome>, StoreError>> + Send;

    /// Returns up to `limit` documents ordered by the bytes of the id, from after `after`.
    ///
    /// Fewer than `limit` means the end.
    fn list(
        &self,
        site: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(String, Document)>, StoreError>> + Send;

    /// Returns up to `limit` changes with a `seq` above `after`, ascending.
    ///
    /// Each document appears once, at its latest change; fewer than `limit` means the end.
    fn changes(&self, site: &str, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Change>, StoreError>> + Send;

    /// Returns the `seq` of the site's latest change, 0 before the first.
    fn head(&self, site: &str) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Forgets documents deleted at or before `up_to` for good, and returns how many.
    ///
    /// Until then the id stays in the feed, and revisions go on from the deleted one's; afterwards
    /// nothing is left of it and a document of that id starts anew. Call it now and then, with a
    /// `seq` that every follower of the feed has passed.
    fn forget_deleted(&self, site: &str, up_to: u64) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Deletes all documents of a kind; each deletion is a change in the feed.
    ///
    /// After an error some may be left.
    fn clear(&self, site: &str, kind: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// How many entries of the feed are looked at together when deletions are forgotten.
const FORGET_PAGE: usize = 1_000;

/// The document store the configuration chose.
#[derive(Debug, Clone)]
pub enum Documents {
    /// In the data directory.
    Embedded(EmbeddedDocuments),
    /// In Redis.
    Redis(Box<RedisDocuments>),
}

impl DocumentStore for Documents {
    async fn get_many(&self, site: &str, kind: &str, ids: &[&str]) -> Result<Vec<Option<Document>>, StoreError> {
        match self {
            Self::Embedded(store) => store.get_many(site, kind, ids).await,
            Self::Redis(store) => store.get_many(site, kind, ids).await,
        }
    }

    async fn put_many(&self, site: &str, kind: &str, puts: Vec<DocumentPut>) -> Result<Vec<DocumentOutcome>, StoreError> {
        match self {
            Self::Embedded(store) => store.put_many(site, kind, puts).await,
            Self::Redis(store) => store.put_many(site, kind, puts).await,
        }
    }

    async fn list(
        &self,
        site: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        match self {
            Self::Embedded(store) => store.list(site, kind, after, limit).await,
            Self::Redis(store) => store.list(site, kind, after, limit).await,
        }
    }

    async fn changes(&self, site: &str, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
        match self {
            Self::Embedded(store) => store.changes(site, after, limit).await,
            Self::Redis(store) => store.changes(site, after, limit).await,
        }
    }

    async fn head(&self, site: &str) -> Result<u64, StoreError> {
        match self {
            Self::Embedded(store) => store.head(site).await,
            Self::Redis(store) => store.head(site).await,
        }
    }

    async fn forget_deleted(&self, site: &str, up_to: u64) -> Result<usize, StoreError> {
        match self {
            Self::Embedded(store) => store.forget_deleted(site, up_to).await,
            Self::Redis(store) => store.forget_deleted(site, up_to).await,
        }
    }

    async fn clear(&self, site: &str, kind: &str) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.clear(site, kind).await,
            Self::Redis(store) => store.clear(site, kind).await,
        }
    }
}

/// Documents deleted at a time by `clear`.
const CLEAR_PAGE: usize = 1_000;

/// Deletes page by page what `list` finds: a clear is nothing but many deletions.
async fn clear_by_pages(store: &impl DocumentStore, site: &str, kind: &str) -> Result<(), StoreError> {
    loop {
        let page = store.list(site, kind, None, CLEAR_PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        let puts = page
            .into_iter()
            .map(|(id, _)| DocumentPut { id, expect: Expect::Any, body: None, external_revision: None })
            .collect();
        store.put_many(site, kind, puts).await?;
    }
}

fn check_kind(site: &str, kind: &str) -> Result<(), StoreError> {
    check_name("the site", site)?;
    check_name("the kind of document", kind)
}

fn check_id(id: &str) -> Result<(), StoreError> {
    check_name("the document id", id)
}

const DELETED: u8 = 1;
const HAS_EXTERNAL: u8 = 2;

/// A document as both stores keep it; what was deleted stays as a record without a body.
///
/// One byte of flags, then revision, external revision and seq in eight big-endian bytes each,
/// then the body. The script in `redis.rs` reads and writes the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    deleted: bool,
    revision: u64,
    external: Option<u64>,
    seq: u64,
    body: Vec<u8>,
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let mut flags = 0;
        if self.deleted {
            flags |= DELETED;
        }
        if self.external.is_some() {
            flags |= HAS_EXTERNAL;
        }
        let mut bytes = Vec::with_capacity(25 + self.body.len());
        bytes.push(flags);
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        bytes.extend_from_slice(&self.external.unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let short = || StoreError::corrupt("a document is shorter than its header");
        let (&flags, rest) = bytes.split_first().ok_or_else(short)?;
        let (revision, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (external, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (seq, body) = rest.split_first_chunk().ok_or_else(short)?;
        Ok(Self {
            deleted: flags & DELETED != 0,
            revision: u64::from_be_bytes(*revision),
            external: (flags & HAS_EXTERNAL != 0).then(|| u64::from_be_bytes(*external)),
            seq: u64::from_be_bytes(*seq),
            body: body.to_vec(),
        })
    }

    /// Returns the document, unless it was deleted.
    fn into_document(self) -> Option<Document> {
        (!self.deleted).then_some(Document { revision: self.revision, body: self.body })
    }
}
