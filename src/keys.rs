//! API keys: who is calling, for which site, from where, and how often.
//!
//! A key reads `pk_ID_SECRET` or `sk_ID_SECRET`. Only the SHA-256 of the whole is stored; 128 random bits need no slow
//! hash. Keys decide the site.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Steady;
use crate::config::RateLimit;
use crate::documents::{DocumentOutcome, DocumentPut, DocumentStore, Documents, Expect};
use crate::event::ids::{hex, random_hex};
use crate::event::{SiteId, Timestamp};
use crate::store_engine::StoreError;

/// Where what belongs to the install and not to a site is kept.
pub const SYSTEM: &str = "_rapport";
const KIND: &str = "key";

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// For pages: events, decisions, the visitor's own things.
    Publishable,
    /// For servers: everything of the site.
    Secret,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
        })
    }
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    pub id: String,
    pub kind: KeyKind,
    pub site: SiteId,
    pub created_at: Timestamp,
    /// Origins of pages that may use it; a key without any serves callers that send no `Origin`.
    #[serde(default)]
    pub origins: Vec<String>,
    #[serde(default)]
    pub revoked: bool,
    sha256: String,
}

/// A key in service.
#[derive(Debug)]
pub struct Key {
    pub record: KeyRecord,
    /// The record's digest in bytes; nothing matches one that cannot be read.
    sha256: Option<[u8; 32]>,
    /// When, by the steady clock, the bucket will be empty again: the theoretical arrival time of GCRA.
    busy_until: AtomicI64,
}

impl Key {
    fn new(record: KeyRecord) -> Self {
        Self { sha256: unhex(&record.sha256), record, busy_until: AtomicI64::new(0) }
    }

    /// Takes one request out of the key's allowance; else returns the seconds to wait.
    ///
    /// The generic cell rate algorithm (ITU-T I.371): one number per key, no lock.
    pub fn admit(&self, now: Steady, limit: RateLimit) -> Result<(), u64> {
        let cost = (1_000_000 / i64::from(limit.requests_per_second)).max(1);
        let burst = cost.saturating_mul(i64::from(limit.burst));
        let taken = self.busy_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until| {
            let next = until.max(now.0) + cost;
            (next - now.0 <= burst).then_some(next)
        });
        match taken {
            Ok(_) => Ok(()),
            Err(until) => Err(u64::try_from((until + cost - now.0 - burst) / 1_000_000).unwrap_or(0) + 1),
        }
    }

    /// Returns whether a page of that origin may use the key.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.record.origins.iter().any(|o| o == origin)
    }
}

/// All keys of the install.
#[derive(Debug)]
pub struct Keys {
    documents: Documents,
    by_id: RwLock<HashMap<String, Arc<Key>>>,
}

impl Keys {
    /// Reads the keys.
    pub async fn open(documents: Documents) -> Result<Self, StoreError> {
        let keys = Self { documents, by_id: RwLock::default() };
        keys.reload().await?;
        Ok(keys)
    }

    /// Reads the keys again, so that what another node created or revoked counts here.
    pub async fn reload(&self) -> Result<(), StoreError> {
        let records = self.list().await?;
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::take(&mut *by_id);
        for record in records {
            // A key keeps its allowance while nothing about it changes.
            let key = match old.get(&record.id) {
                Some(key) if key.record == record => key.clone(),
                _ => Arc::new(Key::new(record)),
            };
            by_id.insert(key.record.id.clone(), key);
        }
        Ok(())
    }

    /// Returns all records, oldest id first.
    pub async fn list(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let mut records = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.documents.list(SYSTEM, KIND, after.as_deref(), 500).await?;
            let last = page.len() < 500;
            for (id, document) in page {
                if let Ok(record) = serde_json::from_slice::<KeyRecord>(&document.body) {
                    records.push(record);
                }
                after = Some(id);
            }
            if last {
                return Ok(records);
            }
        }
    }

    /// Creates a key; its text is returned once and kept nowhere.
    pub async fn create(
        &self,
        site: SiteId,
        kind: KeyKind,
        origins: Vec<String>,
        now: Timestamp,
        rng: &mut (impl rand::Rng + Send),
    ) -> Result<(KeyRecord, String), StoreError> {
        let id = random_hex(rng)[..12].to_owned();
        let prefix = match kind {
            KeyKind::Publishable => "pk",
            KeyKind::Secret => "sk",
        };
        let text = format!("{prefix}_{id}_{}", random_hex(rng));
        let record = KeyRecord { id, kind, site, created_at: now, origins, revoked: false, sha256: hex(&digest(&text)) };
        self.store(&record, Expect::Absent).await?;
        Ok((record, text))
    }

    /// Revokes a key. Returns whether there was one.
    pub async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let Some(record) = self.list().await?.into_iter().find(|r| r.id == id) else { return Ok(false) };
        self.store(&KeyRecord { revoked: true, ..record }, Expect::Any).await?;
        Ok(true)
    }

    async fn store(&self, record: &KeyRecord, expect: Expect) -> Result<(), StoreError> {
        let body = serde_json::to_vec(record).map_err(|e| StoreError::Refused(e.to_string()))?;
        let put = DocumentPut { id: record.id.clone(), expect, body: Some(body), external_revision: None };
        match self.documents.put_many(SYSTEM, KIND, vec![put]).await?.pop() {
            Some(DocumentOutcome::Stored { .. }) => self.reload().await,
            other => Err(StoreError::Refused(format!("the key was not stored: {other:?}"))),
        }
    }

    /// Returns the key of that text, if it is one and not revoked.
    pub fn find(&self, text: &str) -> Option<Arc<Key>> {
        let id = text.split('_').nth(1)?;
        let key = self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()?;
        let matches = key.sha256.is_some_and(|sha256| constant_time_eq(&digest(text), &sha256));
        (matches && !key.record.revoked).then_some(key)
    }

    /// Returns whether any key in service serves pages of that origin: what a preflight, which shows no key, asks.
    pub fn any_allows_origin(&self, origin: &str) -> bool {
        let keys = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().any(|key| !key.record.revoked && key.allows_origin(origin))
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Returns the bytes of 64 hexadecimal digits.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Compares without telling by its duration where two texts differ.
fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// Returns an origin in the form browsers send (`https://shop.example`), or what is wrong with it.
pub fn parse_origin(text: &str) -> Result<String, String> {
    let wrong =
        || format!("`{text}` is no origin; write it as the browser does, such as https://shop.example or http://localhost:3000");
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let valid = matches!(scheme, "http" | "https")
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    if valid { Ok(format!("{scheme}://{}", rest.to_ascii_lowercase())) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowance_is_a_burst_and_then_a_rate() {
        let record = KeyRecord {
            id: "a".into(),
            kind: KeyKind::Secret,
            site: SiteId::default_site(),
            created_at: Timestamp(0),
            origins: Vec::new(),
            revoked: false,
            sha256: String::new(),
        };
        let key = Key::new(record);
        let limit = RateLimit { requests_per_second: 10, burst: 5 };
        let now = Steady(1_000_000_000);
        let admitted = (0..20).filter(|_| key.admit(now, limit).is_ok()).count();
        assert_eq!(admitted, 5);
        assert_eq!(key.admit(now, limit), Err(1));
        assert!(key.admit(now.plus(100_000), limit).is_ok());
        assert!(key.admit(now.plus(100_000), limit).is_err());
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        assert_eq!(parse_origin("https://Shop.Example"), Ok("https://shop.example".into()));
        for bad in ["shop.example", "https://shop.example/", "ftp://x", "https://", "*"] {
            assert!(parse_origin(bad).is_err(), "{bad}");
        }
    }
}
