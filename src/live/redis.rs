//! Facts of all nodes in Redis: one capped stream per site, written by everybody and read by everybody.
//!
//! Each node notes beside it how far it has shared its log, so that it goes on there after a restart. Sending twice is
//! harmless: whoever reads knows by node and position what it has taken in already.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::FromRedisValue;
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
/// How often streams that cannot be waited for are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
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
        let mut adds = Vec::new();
        for (site, facts) in &batch.facts {
            let key = key(site);
            let add = |fact: &Fact| {
                let mut add = redis::cmd("XADD");
                add.arg(&key).arg("MAXLEN").arg("~").arg(KEPT).arg("*").arg("f").arg(fact.encode());
                add
            };
            adds.push(facts.iter().map(add).collect());
        }
        let mut note = redis::cmd("HSET");
        note.arg(SHARED).arg(node).arg(batch.through);
        // Last, so that a batch that was cut off is sent again.
        self.redis.bulk.stages(vec![adds, vec![vec![note]]]).await.map(|_| ())
    }

    /// Waits up to a second for what comes after the given ids, and returns it by site.
    pub async fn read(&self, after: &BTreeMap<SiteId, String>) -> Result<Vec<Received>, StoreError> {
        let sites: BTreeMap<String, &SiteId> = after.keys().map(|site| (key(site), site)).collect();
        let begun = |block: bool| {
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(COUNT);
            if block {
                read.arg("BLOCK").arg(BLOCK);
            }
            read.arg("STREAMS");
            read
        };
        let from = |site: &SiteId| after.get(site).map_or("0", String::as_str);
        let replies: Vec<Option<StreamReadReply>> = if self.redis.waiting.is_cluster() {
            // The streams lie on several servers, and who waits on one of them hears nothing of the others.
            let reads = sites.iter().map(|(key, site)| {
                let mut read = begun(false);
                read.arg(key).arg(from(site));
                vec![read]
            });
            let answers = self.redis.waiting.stages(vec![reads.collect()]).await?;
            let replies: Vec<Option<StreamReadReply>> = answers
                .into_iter()
                .map(FromRedisValue::from_redis_value)
                .collect::<Result<_, _>>()
                .map_err(StoreError::unavailable)?;
            if replies.iter().all(Option::is_none) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            replies
        } else {
            let mut read = begun(true);
            for key in sites.keys() {
                read.arg(key);
            }
            for site in sites.values() {
                read.arg(from(site));
            }
            vec![self.redis.waiting.read(&read).await?]
        };
        let streams = replies.into_iter().flatten().flat_map(|reply| reply.keys);
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
