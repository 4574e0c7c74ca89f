//! One connection to Redis, of whichever kind, and the time a call on it may take.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use tokio::task::JoinSet;

use super::address::Address;
use super::breaker::Breaker;
use super::road::Road;
use crate::store_engine::StoreError;

/// Commands whose keys lie on one slot of a Cluster, in this order.
pub(crate) type Group = Vec<Cmd>;

/// A way to Redis.
#[derive(Clone)]
pub(crate) struct Line {
    road: Road,
    breaker: Arc<Breaker>,
    /// Includes connecting, being sent elsewhere, and a second try.
    limit: Duration,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

impl Line {
    /// Returns a way to what `address` names; calls on it give up after `connect` and `response` together.
    pub(super) fn new(address: &Address, connect: Duration, response: Duration) -> RedisResult<Self> {
        Ok(Self { road: Road::to(address, connect, response)?, breaker: Arc::default(), limit: connect + response })
    }

    /// Returns whether keys are spread over servers.
    pub(crate) fn is_cluster(&self) -> bool {
        self.road.is_cluster
    }

    /// Returns whether calls fail at once, because the last ones did.
    pub(crate) fn is_cut(&self) -> bool {
        self.breaker.is_open()
    }

    /// Sends a command that changes nothing, a second time if the connection just broke.
    pub(crate) async fn read<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, StoreError> {
        self.within(async {
            match self.command(cmd).await {
                Err(error) if error.is_unrecoverable_error() => self.command(cmd).await,
                answered => answered,
            }
        })
        .await
    }

    /// Runs a script on keys of one slot. The server may have forgotten it, or never known it.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &super::Script,
        arguments: &[Vec<u8>],
        keys: &[String],
    ) -> Result<T, StoreError> {
        let mut call = script.call(self);
        call.arg(keys.len()).arg(keys).arg(arguments);
        let mut answers = self.stages(vec![script.load(self), vec![vec![call]]]).await?;
        let answer = answers.pop().ok_or_else(|| StoreError::corrupt("the answer to a script"))?;
        T::from_redis_value(answer).map_err(StoreError::unavailable)
    }

    /// Runs stages one after the other and returns the answers in the order of the commands. Within a stage the groups may run at the
    /// same time; within a group commands follow one another.
    ///
    /// On one server all of it is one round trip, and nothing is sent twice; on a Cluster each stage is one. If a connection breaks on the way,
    /// nobody knows whether the server acted.
    pub(crate) async fn stages(&self, stages: Vec<Vec<Group>>) -> Result<Vec<Value>, StoreError> {
        if !self.is_cluster() {
            let pipeline = piped(stages.into_iter().flatten().flatten());
            return if pipeline.is_empty() { Ok(Vec::new()) } else { self.pipeline(&pipeline).await };
        }
        let mut answers = Vec::new();
        for stage in stages {
            // One limit for all of it would let the last of many groups starve; each has its own.
            let mut running = JoinSet::new();
            for (place, group) in stage.into_iter().enumerate().filter(|(_, group)| !group.is_empty()) {
                let (line, pipeline) = (self.clone(), piped(group));
                running.spawn(async move { (place, line.pipeline::<Vec<Value>>(&pipeline).await) });
            }
            let mut done = Vec::new();
            while let Some(joined) = running.join_next().await {
                let (place, answered) = joined.map_err(StoreError::unavailable)?;
                done.push((place, answered?));
            }
            done.sort_unstable_by_key(|(place, _)| *place);
            answers.extend(done.into_iter().flat_map(|(_, values)| values));
        }
        Ok(answers)
    }

    /// Sends a pipeline of one slot; a second time only if no connection could be made to send it at all.
    async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, StoreError> {
        self.within(async {
            match self.send(pipeline).await {
                Err(error) if error.is_connection_refusal() => self.send(pipeline).await,
                answered => answered,
            }
        })
        .await
    }

    /// Returns a section of INFO of every primary.
    pub(super) async fn info(&self, section: &str) -> Result<Vec<String>, StoreError> {
        let mut info = redis::cmd("INFO");
        info.arg(section);
        if self.is_cluster() {
            let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
            let asked = async {
                let Some(mut connection) = self.road.connection().await?.cluster() else {
                    return Err(RedisError::from((redis::ErrorKind::Client, "not a Cluster")));
                };
                connection.route_command(info, everywhere).await
            };
            let answer = self.within(Box::pin(asked)).await?;
            let mut by_node: Vec<(String, String)> = FromRedisValue::from_redis_value(answer).map_err(StoreError::unavailable)?;
            by_node.sort_unstable();
            return Ok(by_node.into_iter().map(|(_, text)| text).collect());
        }
        Ok(vec![self.read::<String>(&info).await?])
    }

    async fn command<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        let mut connection = self.road.connection().await?;
        cmd.query_async(&mut connection).await.inspect_err(|error| self.road.judge(&connection, error))
    }

    async fn send<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut connection = self.road.connection().await?;
        pipeline.query_async(&mut connection).await.inspect_err(|error| self.road.judge(&connection, error))
    }

    async fn within<T>(&self, call: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
        let Some(attempt) = self.breaker.attempt(Instant::now) else {
            return Err(StoreError::unavailable("Redis has not answered lately; it is tried again in a moment"));
        };
        match tokio::time::timeout(self.limit, call).await {
            Ok(answered) => {
                // A server that answers with an error of its own is there.
                attempt.end(answered.as_ref().err().is_none_or(|error| error.code().is_some()));
                answered.map_err(StoreError::unavailable)
            }
            Err(elapsed) => {
                attempt.end(false);
                Err(StoreError::unavailable(elapsed))
            }
        }
    }
}

fn piped(commands: impl IntoIterator<Item = Cmd>) -> Pipeline {
    let mut pipeline = redis::pipe();
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}
