//! The connections to Redis: multiplexed ones that come back by themselves.
//!
//! Decisions wait on one, whose calls are small and give up soon. The other carries batches and
//! pages, which may take seconds and must not stand in the way of decisions. A third, made when it is first used, is for
//! reads that wait for news and would hold up everything behind them.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion};
use redis::{RedisError, RedisResult};

use super::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const QUICK_RESPONSE: Duration = Duration::from_millis(500);
const BULK_RESPONSE: Duration = Duration::from_secs(5);

/// Requests that may queue before senders wait; the client's own 50 is less than one busy worker.
const QUEUE: usize = 1_024;

/// A Redis server.
///
/// Clones share the connections. While the server is away every call fails at once; the first
/// calls after its return find it again. A server that hangs fails calls for a decision within 1.5
/// seconds, others within 6.
#[derive(Debug, Clone)]
pub struct Redis {
    /// For what a request waits on.
    pub(crate) quick: Line,
    /// For batches of documents, and for whole sites.
    pub(crate) bulk: Line,
    /// For reads that block until there is something to read.
    pub(crate) waiting: Line,
}

/// One connection and the time a call on it may take.
#[derive(Clone)]
pub(crate) struct Line {
    manager: ConnectionManager,
    /// Includes connecting and a second try.
    limit: Duration,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Redis {
    /// Connects to the server at `url`.
    ///
    /// With `require_aof` it refuses a server that would lose documents by design: one without an
    /// append-only file, or one that evicts any key when memory runs out.
    pub async fn connect(url: &str, require_aof: bool) -> Result<Self, StoreError> {
        let line = |response| {
            Line::lazy(url, response).map_err(|error| {
                // The address may hold a password, so only the library's reason is shown.
                StoreError::Refused(format!("store.redis.url is not an address of a Redis server: {error}"))
            })
        };
        let redis = Self { quick: line(QUICK_RESPONSE)?, bulk: line(BULK_RESPONSE)?, waiting: line(BULK_RESPONSE)? };
        let _: String = redis.quick.read(&redis::cmd("PING")).await?;
        if require_aof {
            redis.refuse_forgetful().await?;
        }
        Ok(redis)
    }

    /// Returns what names this run of the server: another one answers after a restart and after a failover. Nothing
    /// where this user may not know.
    pub async fn run_id(&self) -> Result<Option<String>, StoreError> {
        match self.quick.read::<String>(redis::cmd("INFO").arg("server")).await {
            Ok(info) => Ok(field(&info, "run_id").map(str::to_owned)),
            Err(StoreError::Unavailable(source)) if is_denied(source.as_ref()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn refuse_forgetful(&self) -> Result<(), StoreError> {
        let mut info = redis::pipe();
        info.cmd("INFO").arg("persistence");
        info.cmd("INFO").arg("memory");
        let (persistence, memory): (String, String) = self.quick.pipeline(&info).await.map_err(|error| match error {
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
        })?;
        if field(&persistence, "aof_enabled") != Some("1") {
            return Err(StoreError::Refused(
                "Redis keeps no append-only file, so documents would be lost with it; set `appendonly yes` there, \
                 or accept the loss in the configuration"
                    .to_owned(),
            ));
        }
        if let Some(policy) = field(&memory, "maxmemory_policy")
            && policy.starts_with("allkeys")
        {
            return Err(StoreError::Refused(format!(
                "Redis evicts documents when memory runs out (`maxmemory-policy {policy}`); set `noeviction` or a \
                 `volatile-` policy there, or accept the loss in the configuration"
            )));
        }
        Ok(())
    }
}

impl Line {
    fn lazy(url: &str, response: Duration) -> RedisResult<Self> {
        let info = url.into_connection_info()?;
        // RESP3 tells of a lost connection at once; with RESP2 the next caller would find out.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response))
            .set_pipeline_buffer_size(QUEUE)
            // Callers wait for an attempt to connect; a failed one must fail them, not start a pause.
            .set_number_of_retries(0);
        Ok(Self { manager: ConnectionManager::new_lazy_with_config(client, config)?, limit: CONNECT_TIMEOUT + response })
    }

    /// Sends a command that changes nothing, a second time if the connection just broke.
    pub(crate) async fn read<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, StoreError> {
        self.within(async {
            match cmd.query_async(&mut self.manager.clone()).await {
                Err(error) if error.is_unrecoverable_error() => cmd.query_async(&mut self.manager.clone()).await,
                answered => answered,
            }
        })
        .await
    }

    /// Sends a pipeline; a second time only if no connection could be made to send it at all.
    ///
    /// If the connection breaks on the way, nobody knows whether the server acted.
    pub(crate) async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, StoreError> {
        self.within(async {
            match pipeline.query_async(&mut self.manager.clone()).await {
                Err(error) if error.is_connection_refusal() => pipeline.query_async(&mut self.manager.clone()).await,
                answered => answered,
            }
        })
        .await
    }

    async fn within<T>(&self, call: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(answered) => answered.map_err(StoreError::unavailable),
            Err(elapsed) => Err(StoreError::unavailable(elapsed)),
        }
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
