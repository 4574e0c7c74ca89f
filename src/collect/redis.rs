//! Ids that other nodes keep: a window in Redis, so that a client's second try that reaches another node is known there.
//!
//! In the same two phases as [`dedupe`](super::dedupe): a lease while the event is being written, a mark once it is durable. Each id costs Redis
//! some 100 bytes for `collect.shared_id_minutes`. What it cannot be asked about is kept all the same and counted: twice in two logs is
//! better than lost, profiles take most of it in once, and builds know each id once.

use std::time::Duration;

use redis::Value;

use super::dedupe::{IdHash, Seen};
use crate::store_engine::{Group, Redis, StoreError};

/// How long a write may take before another node may try.
const LEASE_MS: u64 = 30_000;
/// How long a beacon waits for the answer; a Redis that is slower than this is done without.
const PATIENCE: Duration = Duration::from_millis(100);

/// The window.
#[derive(Debug, Clone)]
pub struct SharedIds {
    redis: Redis,
    seconds: u64,
}

impl SharedIds {
    /// Remembers ids for so many minutes.
    pub fn new(redis: Redis, minutes: u32) -> Self {
        Self { redis, seconds: u64::from(minutes) * 60 }
    }

    /// Asks about ids and leases those that are new; one answer for each, in their order.
    pub async fn begin(&self, ids: &[IdHash]) -> Result<Vec<Seen>, StoreError> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(ids)).await;
        asked.unwrap_or_else(|elapsed| Err(StoreError::unavailable(elapsed)))
    }

    async fn ask(&self, ids: &[IdHash]) -> Result<Vec<Seen>, StoreError> {
        let lease = |id: &IdHash| {
            let mut set = redis::cmd("SET");
            set.arg(key(*id)).arg("w").arg("NX").arg("PX").arg(LEASE_MS);
            vec![set]
        };
        let leased = self.redis.quick.stages(vec![ids.iter().map(lease).collect()]).await?;
        let known: Vec<usize> = (0..ids.len()).filter(|&place| matches!(leased.get(place), None | Some(Value::Nil))).collect();
        let mut seen = vec![Seen::New; ids.len()];
        if known.is_empty() {
            return Ok(seen);
        }
        let look = |&place: &usize| {
            let mut get = redis::cmd("GET");
            get.arg(key(ids[place]));
            vec![get]
        };
        let found = self.redis.quick.stages(vec![known.iter().map(look).collect()]).await?;
        for (place, value) in known.into_iter().zip(found) {
            let durable = matches!(value, Value::BulkString(text) if text == b"d");
            seen[place] = if durable { Seen::Duplicate } else { Seen::InFlight };
        }
        Ok(seen)
    }

    /// Notes that ids are durable here.
    pub async fn commit(&self, ids: &[IdHash]) -> Result<(), StoreError> {
        let mark = |id: &IdHash| {
            let mut set = redis::cmd("SET");
            set.arg(key(*id)).arg("d").arg("EX").arg(self.seconds);
            vec![set]
        };
        self.tell(ids.iter().map(mark).collect()).await
    }

    /// Gives back the leases of ids that were not written.
    pub async fn release(&self, ids: &[IdHash]) -> Result<(), StoreError> {
        let forget = |id: &IdHash| {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(key(*id));
            vec![unlink]
        };
        self.tell(ids.iter().map(forget).collect()).await
    }

    async fn tell(&self, groups: Vec<Group>) -> Result<(), StoreError> {
        self.redis.quick.stages(vec![groups]).await.map(|_| ())
    }
}

fn key(id: IdHash) -> Vec<u8> {
    [b"rapport:i:".as_slice(), &id.to_bytes()].concat()
}
