//! Facts of all nodes in Redis: one capped stream per site, written by everybody and read by everybody.
//!
//! Each node notes beside it how far it has shared its log, so that it goes on there after a restart. Sending twice is
//! harmless: whoever reads knows by node and position what it has taken in already.

use std::collections::BTreeMap;

use redis::streams::{StreamId, StreamReadReply};

use super::fact::Fact;
use super::follow::Batch;
use crate::event::SiteId;
use crate::store_engine::{Redis, StoreError, site_tag};

/// Facts a stream keeps, about; more than that between two builds, and a node that starts misses the oldest of others.
const KEPT: usize = 100_000;
/// How far each node has shared its log.
const SHARED: &str = "rapport:fresh:shared";
/// Milliseconds a read waits for news.
const BLOCK: usize = 1_000;
/// Entries read at a time from each stream.
const COUNT: usize = 1_000;

/// The streams of one Redis.
#[derive(Debug, Clone)]
pub struct FactStreams {
    redis: Redis,
}

/// What was read of one site's stream.
#[derive(Debug)]
pub struct Received {
    pub site: SiteId,
    pub facts: Vec<Fact>,
    /// Where to read on.
    pub last: String,
}

fn key(site: &SiteId) -> String {
    format!("rapport:{{{}}}:fresh", site_tag(site.as_str()))
}

impl FactStreams {
    /// Uses the server's connection for batches to write, and one of its own to wait on.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Returns how far a node has shared its log.
    pub async fn shared(&self, node: u64) -> Result<u64, StoreError> {
        let shared: Option<u64> = self.redis.bulk.read(redis::cmd("HGET").arg(SHARED).arg(node)).await?;
        Ok(shared.unwrap_or(0))
    }

    /// Appends facts to their sites' streams.
    pub async fn append(&self, node: u64, batch: &Batch) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        for (site, facts) in &batch.facts {
            let key = key(site);
            for fact in facts {
                let add = pipeline.cmd("XADD").arg(&key).arg("MAXLEN").arg("~").arg(KEPT).arg("*");
                add.arg("f").arg(fact.encode()).ignore();
            }
        }
        // Last, so that a batch that was cut off is sent again.
        pipeline.cmd("HSET").arg(SHARED).arg(node).arg(batch.through).ignore();
        self.redis.bulk.pipeline(&pipeline).await
    }

    /// Waits up to a second for what comes after the given ids, and returns it by site.
    pub async fn read(&self, after: &BTreeMap<SiteId, String>) -> Result<Vec<Received>, StoreError> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(COUNT).arg("BLOCK").arg(BLOCK).arg("STREAMS");
        let sites: BTreeMap<String, &SiteId> = after.keys().map(|site| (key(site), site)).collect();
        for key in sites.keys() {
            read.arg(key);
        }
        for site in sites.values() {
            read.arg(after.get(*site).map_or("0", String::as_str));
        }
        let reply: Option<StreamReadReply> = self.redis.waiting.read(&read).await?;
        let streams = reply.into_iter().flat_map(|reply| reply.keys);
        let received = streams.filter_map(|stream| {
            let site = (*sites.get(&stream.key)?).clone();
            let last = stream.ids.last()?.id.clone();
            Some(Received { site, facts: stream.ids.iter().filter_map(fact).collect(), last })
        });
        Ok(received.collect())
    }
}

/// Reads one entry; nothing where another version wrote it.
fn fact(entry: &StreamId) -> Option<Fact> {
    Fact::decode(&entry.get::<Vec<u8>>("f")?)
}
