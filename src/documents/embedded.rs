//! Documents in the embedded database.
//!
//! `documents` holds a record per (site, kind, id). `changes` holds, per site, the head of the feed
//! and one entry per document under its latest seq; a record knows its seq, so a write finds the
//! entry it replaces.

use std::collections::HashMap;
use std::ops::Bound;

use super::{
    Change, Document, DocumentOutcome, DocumentPut, DocumentStore, Expect, FORGET_PAGE, Record, check_id, check_kind,
    clear_by_pages,
};
use crate::store_engine::{Embedded, StoreError, check_name, key, prefix};

/// Documents in the data directory: batches are atomic, and on disk when they return.
#[derive(Debug, Clone)]
pub struct EmbeddedDocuments {
    store: Embedded,
}

impl EmbeddedDocuments {
    /// Keeps documents in `store`.
    pub fn new(store: Embedded) -> Self {
        Self { store }
    }

    fn record(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        self.store.tables()?.documents.get(key)?.map(|bytes| Record::decode(&bytes)).transpose()
    }

    fn head_of(&self, site: &str) -> Result<u64, StoreError> {
        let Some(bytes) = self.store.tables()?.changes.get(head_key(site))? else {
            return Ok(0);
        };
        let bytes = <[u8; 8]>::try_from(&*bytes).map_err(|_| StoreError::corrupt("the head of a change feed is not a number"))?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn put(&self, site: &str, kind: &str, puts: Vec<DocumentPut>) -> Result<Vec<DocumentOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(puts.len());
        {
            let _guard = self.store.lock_documents();
            let tables = self.store.tables()?;
            let mut batch = tables.batch();
            let mut seq = self.head_of(site)?;
            // What this batch has written, which the database does not show before the commit.
            let mut written: HashMap<String, Record> = HashMap::new();
            for put in puts {
                let key = document_key(site, kind, &put.id);
                let held = match written.remove(&put.id) {
                    Some(record) => Some(record),
                    None => self.record(&key)?,
                };
                if let Err(outcome) = judge(held.as_ref(), &put) {
                    if let Some(held) = held {
                        // Perhaps of this batch: later puts must still see it.
                        written.insert(put.id, held);
                    }
                    outcomes.push(outcome);
                    continue;
                }
                seq += 1;
                if let Some(held) = &held {
                    batch.remove(&tables.changes, change_key(site, held.seq));
                }
                let record = Record {
                    deleted: put.body.is_none(),
                    revision: held.as_ref().map_or(0, |held| held.revision) + 1,
                    external: put.external_revision.or(held.and_then(|held| held.external)),
                    seq,
                    body: put.body.unwrap_or_default(),
                };
                batch.insert(&tables.documents, key, record.encode());
                let entry = encode_change(record.deleted, kind, &put.id);
                batch.insert(&tables.changes, change_key(site, seq), entry);
                outcomes.push(DocumentOutcome::Stored { revision: record.revision });
                written.insert(put.id, record);
            }
            if batch.is_empty() {
                return Ok(outcomes);
            }
            batch.insert(&tables.changes, head_key(site), seq.to_be_bytes());
            batch.commit()?;
        }
        // Not under the lock: one sync serves all who committed before it.
        self.store.persist()?;
        Ok(outcomes)
    }

    fn forget(&self, site: &str, up_to: u64) -> Result<usize, StoreError> {
        let mut forgotten = 0;
        let mut after = 0;
        loop {
            let page = read_changes(&self.store, site, after, up_to, FORGET_PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            let _guard = self.store.lock_documents();
            let tables = self.store.tables()?;
            let mut batch = tables.batch();
            for change in page.iter().filter(|change| change.deleted) {
                let key = document_key(site, &change.kind, &change.id);
                // Someone may have written it anew since the page was read.
                if self.record(&key)?.is_some_and(|held| held.seq == change.seq) {
                    batch.remove(&tables.documents, key);
                    batch.remove(&tables.changes, change_key(site, change.seq));
                    forgotten += 1;
                }
            }
            batch.commit()?;
        }
        self.store.persist()?;
        Ok(forgotten)
    }
}

/// Returns the changes above `after`, up to and including `up_to`.
fn read_changes(store: &Embedded, site: &str, after: u64, up_to: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
    if after >= up_to {
        return Ok(Vec::new());
    }
    let from = Bound::Excluded(change_key(site, after));
    let to = Bound::Included(change_key(site, up_to));
    let mut found = Vec::new();
    for entry in store.tables()?.changes.range((from, to)).take(limit) {
        let (key, value) = entry.into_inner()?;
        let seq = key.last_chunk().ok_or_else(|| StoreError::corrupt("a place in a change feed"))?;
        found.push(decode_change(u64::from_be_bytes(*seq), &value)?);
    }
    Ok(found)
}

/// Decides whether a put may take place.
///
/// The script in `redis.rs` decides the same; the conformance suite holds them together.
fn judge(held: Option<&Record>, put: &DocumentPut) -> Result<(), DocumentOutcome> {
    let current = held.filter(|held| !held.deleted).map(|held| held.revision);
    match put.expect {
        Expect::Absent if current.is_some() => {
            return Err(DocumentOutcome::Conflict { current });
        }
        Expect::Revision(expected) if current != Some(expected) => {
            return Err(DocumentOutcome::Conflict { current });
        }
        Expect::Any | Expect::Absent | Expect::Revision(_) => {}
    }
    if put.body.is_none() && current.is_none() {
        return Err(DocumentOutcome::NotFound);
    }
    match (put.external_revision, held.and_then(|held| held.external)) {
        (Some(new), Some(current)) if new <= current => Err(DocumentOutcome::Stale { current }),
        _ => Ok(()),
    }
}

fn document_key(site: &str, kind: &str, id: &str) -> Vec<u8> {
    key(&[site.as_bytes(), kind.as_bytes(), id.as_bytes()])
}

fn head_key(site: &str) -> Vec<u8> {
    key(&[site.as_bytes(), b"head"])
}

fn change_key(site: &str, seq: u64) -> Vec<u8> {
    key(&[site.as_bytes(), b"seq", &seq.to_be_bytes()])
}

fn encode_change(deleted: bool, kind: &str, id: &str) -> Vec<u8> {
    let flag: &[u8] = if deleted { b"d" } else { b"l" };
    [flag, kind.as_bytes(), b"\0", id.as_bytes()].concat()
}

/// Reads an entry of the feed, the same in both stores: `d` or `l`, the kind, NUL, the id.
pub(super) fn decode_change(seq: u64, bytes: &[u8]) -> Result<Change, StoreError> {
    let broken = || StoreError::corrupt("an entry of a change feed");
    let text = std::str::from_utf8(bytes).map_err(|_| broken())?;
    let (kind, id) = text.get(1..).and_then(|rest| rest.split_once('\0')).ok_or_else(broken)?;
    Ok(Change { seq, kind: kind.to_owned(), id: id.to_owned(), deleted: text.starts_with('d') })
}

impl DocumentStore for EmbeddedDocuments {
    async fn get_many(&self, site: &str, kind: &str, ids: &[&str]) -> Result<Vec<Option<Document>>, StoreError> {
        check_kind(site, kind)?;
        ids.iter().try_for_each(|id| check_id(id))?;
        ids.iter()
            .map(|id| {
                let record = self.record(&document_key(site, kind, id))?;
                Ok(record.and_then(Record::into_document))
            })
            .collect()
    }

    async fn put_many(&self, site: &str, kind: &str, puts: Vec<DocumentPut>) -> Result<Vec<DocumentOutcome>, StoreError> {
        check_kind(site, kind)?;
        puts.iter().try_for_each(|put| check_id(&put.id))?;
        if puts.is_empty() {
            return Ok(Vec::new());
        }
        // Waiting for the disk would hold up every request of this worker.
        let (store, site, kind) = (self.clone(), site.to_owned(), kind.to_owned());
        tokio::task::spawn_blocking(move || store.put(&site, &kind, puts)).await.map_err(StoreError::unavailable)?
    }

    async fn list(
        &self,
        site: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        check_kind(site, kind)?;
        let (start, end) = prefix(&[site.as_bytes(), kind.as_bytes()]);
        let from = match after {
            Some(id) => Bound::Excluded(document_key(site, kind, id)),
            None => Bound::Included(start.clone()),
        };
        let mut found = Vec::new();
        for entry in self.store.tables()?.documents.range((from, Bound::Excluded(end))) {
            if found.len() >= limit {
                break;
            }
            let (key, value) = entry.into_inner()?;
            let Some(document) = Record::decode(&value)?.into_document() else {
                continue;
            };
            let id = std::str::from_utf8(&key[start.len()..]).map_err(|_| StoreError::corrupt("a document id is not UTF-8"))?;
            found.push((id.to_owned(), document));
        }
        Ok(found)
    }

    async fn changes(&self, site: &str, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
        check_name("the site", site)?;
        read_changes(&self.store, site, after, u64::MAX, limit)
    }

    async fn head(&self, site: &str) -> Result<u64, StoreError> {
        check_name("the site", site)?;
        self.head_of(site)
    }

    async fn forget_deleted(&self, site: &str, up_to: u64) -> Result<usize, StoreError> {
        check_name("the site", site)?;
        let (store, site) = (self.clone(), site.to_owned());
        tokio::task::spawn_blocking(move || store.forget(&site, up_to)).await.map_err(StoreError::unavailable)?
    }

    async fn clear(&self, site: &str, kind: &str) -> Result<(), StoreError> {
        clear_by_pages(self, site, kind).await
    }
}
