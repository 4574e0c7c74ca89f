//! The connections to Redis: multiplexed ones that come back by themselves.
//!
//! Decisions wait on one, whose calls are small and give up soon. The other carries batches and
//! pages, which may take seconds and must not stand in the way of decisions. A third is for
//! reads that wait for news and would hold up everything behind them.

pub mod address;
mod breaker;
mod line;
mod road;

use std::time::Duration;

use redis::{Cmd, RedisError};

use self::address::Address;
pub(crate) use self::line::{Group, Line};
use super::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const QUICK_RESPONSE: Duration = Duration::from_millis(500);
const BULK_RESPONSE: Duration = Duration::from_secs(5);

/// A Redis server, a Cluster, or the primary that Sentinels watch.
///
/// Clones share the connections. While it is away calls fail at once, and after its return they find it again within a moment. One that
/// hangs fails calls for a decision within 1.5 seconds, others within 6, and after a few of these at once.
#[derive(Debug, Clone)]
pub struct Redis {
    /// For what a request waits on.
    pub(crate) quick: Line,
    /// For batches of documents, and for whole sites.
    pub(crate) bulk: Line,
    /// For reads that block until there is something to read.
    pub(crate) waiting: Line,
}

/// A Lua script.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    pub(crate) fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// Begins a call, to which the number of keys, the keys and the arguments are added.
    pub(crate) fn call(&self, line: &Line) -> Cmd {
        // Which servers of a Cluster know it would have to be kept in mind; its few hundred bytes are sent along instead.
        let mut cmd = if line.is_cluster() { redis::cmd("EVAL") } else { redis::cmd("EVALSHA") };
        cmd.arg(if line.is_cluster() { self.code } else { &self.hash });
        cmd
    }

    /// Returns what must go before calls in the same stages: a server that was restarted has forgotten the script, and loading it with every
    /// batch leaves no half-done batch to sort out.
    pub(crate) fn load(&self, line: &Line) -> Vec<Group> {
        if line.is_cluster() {
            return Vec::new();
        }
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(self.code);
        vec![vec![load]]
    }
}

impl Redis {
    /// Connects to what `address` names.
    ///
    /// With `require_aof` it refuses servers that would lose documents by design: without an
    /// append-only file, or evicting any key when memory runs out.
    pub async fn connect(address: &Address, require_aof: bool) -> Result<Self, StoreError> {
        let line = |response| {
            Line::new(address, CONNECT_TIMEOUT, response)
                .map_err(|error| StoreError::Refused(format!("store.redis.url is not an address of a Redis server: {error}")))
        };
        let redis = Self { quick: line(QUICK_RESPONSE)?, bulk: line(BULK_RESPONSE)?, waiting: line(BULK_RESPONSE)? };
        let _: String = redis.quick.read(&redis::cmd("PING")).await?;
        if require_aof {
            redis.refuse_forgetful().await?;
        }
        Ok(redis)
    }

    /// Returns what names this run of every primary: it changes after a restart and after a failover. Nothing
    /// where this user may not know.
    pub async fn run_id(&self) -> Result<Option<String>, StoreError> {
        match self.quick.info("server").await {
            Ok(info) => Ok(Some(info.iter().filter_map(|text| field(text, "run_id")).collect::<Vec<_>>().join(" "))),
            Err(StoreError::Unavailable(source)) if is_denied(source.as_ref()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns whether calls fail at once because the last ones were not answered.
    pub fn is_cut(&self) -> bool {
        self.quick.is_cut() || self.bulk.is_cut()
    }

    async fn refuse_forgetful(&self) -> Result<(), StoreError> {
        let denied = |error| match error {
            StoreError::Unavailable(source) if is_denied(source.as_ref()) => StoreError::Refused(
                "Redis does not let this user run INFO, so whether it keeps documents is unknown; \
                         allow INFO, or accept in the configuration that documents may be lost"
                    .to_owned(),
            ),
            other @ (StoreError::Unavailable(_)
            | StoreError::Corrupt { .. }
            | StoreError::Refused(_)
            | StoreError::InvalidName(_)
            | StoreError::TooLarge { .. }) => other,
        };
        for persistence in self.quick.info("persistence").await.map_err(denied)? {
            if field(&persistence, "aof_enabled") != Some("1") {
                return Err(StoreError::Refused(
                    "Redis keeps no append-only file, so documents would be lost with it; set `appendonly yes` there, \
                     or accept the loss in the configuration"
                        .to_owned(),
                ));
            }
        }
        for memory in self.quick.info("memory").await.map_err(denied)? {
            if let Some(policy) = field(&memory, "maxmemory_policy")
                && policy.starts_with("allkeys")
            {
                return Err(StoreError::Refused(format!(
                    "Redis evicts documents when memory runs out (`maxmemory-policy {policy}`); set `noeviction` or a \
                     `volatile-` policy there, or accept the loss in the configuration"
                )));
            }
        }
        Ok(())
    }
}

fn is_denied(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<RedisError>().is_some_and(|error| error.code() == Some("NOPERM"))
}

/// Returns the value of a line `name:value` of an INFO answer.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| *key == name).map(|(_, value)| value.trim())
}

/// Returns the site as it stands in keys.
///
/// Colons and braces structure the keys: unescaped, site `a:b` with visitor `c` would be site `a`
/// with visitor `b:c`, and a brace would end the part that Redis Cluster hashes.
pub(crate) fn site_tag(site: &str) -> String {
    let mut tag = String::with_capacity(site.len());
    for c in site.chars() {
        match c {
            '%' => tag.push_str("%25"),
            ':' => tag.push_str("%3A"),
            '{' => tag.push_str("%7B"),
            '}' => tag.push_str("%7D"),
            other => tag.push(other),
        }
    }
    tag
}
