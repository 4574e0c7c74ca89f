//! A connection that comes back: to one server, to the primary that Sentinels watch, or to a Cluster.
//!
//! The client's own manager goes on with a connection whose answers it cannot read any more, as after one that was cut off in the middle; here a
//! connection that fails in any way of its own is given up, and the next call makes another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline, ProtocolVersion};
use redis::{PushInfo, PushKind, RedisError, RedisFuture, RedisResult, TlsMode, Value};
use tokio::sync::Mutex;

use super::address::{Address, Sentinels};

/// Requests that may queue before senders wait; the client's own 50 is less than one busy worker.
const QUEUE: usize = 1_024;

/// Where connections come from, and the one in use.
#[derive(Clone)]
pub(super) struct Road {
    held: Arc<Held>,
    pub(super) is_cluster: bool,
}

struct Held {
    /// One at a time connects.
    source: Mutex<Source>,
    current: RwLock<Option<Connection>>,
    connect: Duration,
    response: Duration,
    made: AtomicU64,
}

enum Source {
    Server(Client),
    Sentinels(SentinelClient),
    Cluster(ClusterClient),
}

/// A connection in use, and what tells it from the one after it.
#[derive(Clone)]
pub(super) struct Connection {
    kind: Kind,
    number: u64,
    /// The server hung up.
    closed: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Kind {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Road {
    /// Returns the road to what `address` names; nothing is connected yet.
    pub(super) fn to(address: &Address, connect: Duration, response: Duration) -> RedisResult<Self> {
        if address.is_tls() {
            crate::tls::choose_cryptography();
        }
        let source = match address {
            Address::One(url) => {
                let info = url.as_str().into_connection_info()?;
                // RESP3 tells of a lost connection at once; with RESP2 the next caller would find out.
                let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
                Source::Server(Client::open(info.set_redis_settings(settings))?)
            }
            Address::Sentinel(sentinels) => Source::Sentinels(watch(sentinels)?),
            Address::Cluster(urls) => Source::Cluster(
                ClusterClient::builder(urls.iter().map(String::as_str))
                    .use_protocol(ProtocolVersion::RESP3)
                    .connection_timeout(connect)
                    .response_timeout(response)
                    .retries(8)
                    .min_retry_wait(5)
                    .max_retry_wait(100)
                    .build()?,
            ),
        };
        let is_cluster = matches!(source, Source::Cluster(_));
        let held = Held { source: Mutex::new(source), current: RwLock::default(), connect, response, made: AtomicU64::new(0) };
        Ok(Self { held: Arc::new(held), is_cluster })
    }

    /// Returns the connection in use, or makes one.
    pub(super) async fn connection(&self) -> RedisResult<Connection> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let mut source = self.held.source.lock().await;
        // Whoever waited for another's attempt uses what came of it.
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let closed = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&closed);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.held.connect))
            .set_response_timeout(Some(self.held.response))
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    noted.store(true, Ordering::Relaxed);
                }
                Ok::<(), ()>(())
            });
        let kind = match &mut *source {
            Source::Server(client) => Kind::Server(client.get_multiplexed_async_connection_with_config(&config).await?),
            // They are asked each time: after a failover they name another.
            Source::Sentinels(client) => Kind::Server(client.get_async_connection_with_config(&config).await?),
            Source::Cluster(client) => Kind::Cluster(client.get_async_connection().await?),
        };
        let connection = Connection { kind, number: self.held.made.fetch_add(1, Ordering::Relaxed), closed };
        *self.held.current.write().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
        Ok(connection)
    }

    /// Gives a connection up, if it is still the one in use and the error says that it is of no more use.
    pub(super) fn judge(&self, connection: &Connection, error: &RedisError) {
        if !connection.is_spoilt_by(error) {
            return;
        }
        let mut current = self.held.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|current| current.number == connection.number) {
            *current = None;
        }
    }

    fn current(&self) -> Option<Connection> {
        let current = self.held.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|connection| !connection.closed.load(Ordering::Relaxed)).cloned()
    }
}

impl Connection {
    /// Returns the connection to a Cluster, if it is one.
    pub(super) fn cluster(&self) -> Option<ClusterConnection> {
        match &self.kind {
            Kind::Cluster(connection) => Some(connection.clone()),
            Kind::Server(_) => None,
        }
    }

    fn is_spoilt_by(&self, error: &RedisError) -> bool {
        let unreadable = matches!(error.kind(), ErrorKind::Parse | ErrorKind::UnexpectedReturnType);
        match &self.kind {
            // It mends itself, unless what it reads makes no sense.
            Kind::Cluster(_) => unreadable,
            // The last three: it is not, or no longer, the one to write to.
            Kind::Server(_) => error.code().is_none_or(|code| matches!(code, "READONLY" | "MASTERDOWN" | "LOADING")),
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.kind {
            Kind::Server(connection) => connection.req_packed_command(cmd),
            Kind::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(&'a mut self, cmd: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.kind {
            Kind::Server(connection) => connection.req_packed_commands(cmd, offset, count),
            Kind::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.kind {
            Kind::Server(connection) => connection.get_db(),
            Kind::Cluster(connection) => connection.get_db(),
        }
    }
}

fn watch(sentinels: &Sentinels) -> RedisResult<SentinelClient> {
    let hosts = sentinels.hosts.iter().map(|(host, port)| ConnectionAddr::Tcp(host.clone(), *port));
    let mut builder = SentinelClientBuilder::new(hosts, &sentinels.master, SentinelServerType::Master)?
        .set_client_to_redis_db(sentinels.db)
        .set_client_to_redis_protocol(ProtocolVersion::RESP3);
    if sentinels.tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(user) = &sentinels.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &sentinels.password {
        builder = builder.set_client_to_redis_password(password);
    }
    builder.build()
}
