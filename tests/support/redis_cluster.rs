//! A real Redis Cluster on loopback: three primaries and a replica of each.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::redis_server::{RedisServer, ask, free_port};

const PRIMARIES: usize = 3;
const FORMING: Duration = Duration::from_secs(30);

/// A running Cluster; dropping it ends its processes.
#[derive(Debug)]
pub(crate) struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts one in which a dead primary is replaced within a second or two.
    pub(crate) fn start() -> Self {
        let nodes: Vec<RedisServer> = (0..2 * PRIMARIES)
            .map(|_| {
                let bus = free_port().to_string();
                RedisServer::start_with(
                    true,
                    &["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"],
                )
            })
            .collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())));
        let made = create.args(["--cluster-replicas", "1", "--cluster-yes"]).output().expect("redis-cli (Debian: redis-tools)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { nodes };
        let since = Instant::now();
        while !cluster.is_whole() {
            assert!(since.elapsed() < FORMING, "the Cluster did not form");
            sleep(Duration::from_millis(50));
        }
        cluster
    }

    /// Returns all nodes as the configuration names them.
    pub(crate) fn urls(&self) -> String {
        self.nodes.iter().map(RedisServer::url).collect::<Vec<_>>().join(",")
    }

    /// Sends a command to every primary.
    pub(crate) fn command_everywhere(&self, line: &str) {
        for node in self.primaries() {
            self.nodes[node].command(line);
        }
    }

    /// Ends a primary that has a replica the hard way; returns its number.
    pub(crate) fn kill_a_primary(&mut self) -> usize {
        let first = self.primaries()[0];
        self.nodes[first].kill();
        first
    }

    /// Starts a killed node again.
    pub(crate) fn restart(&mut self, node: usize) {
        self.nodes[node].restart();
    }

    /// Returns whether all nodes agree that every slot is served and every primary followed.
    pub(crate) fn is_whole(&self) -> bool {
        self.nodes.iter().all(|node| info(node.port(), "cluster info").contains("cluster_state:ok")) && {
            let replicas = self.nodes.iter().filter(|node| {
                let info = info(node.port(), "info replication");
                info.contains("role:slave") && info.contains("master_link_status:up")
            });
            replicas.count() == PRIMARIES
        }
    }

    fn primaries(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&node| info(self.nodes[node].port(), "info replication").contains("role:master")).collect()
    }
}

/// Returns an answer of many lines; empty where nobody answers.
fn info(port: u16, line: &str) -> String {
    if ask(port, "PING").is_none() {
        return String::new();
    }
    let asked = Command::new("redis-cli").args(["-p", &port.to_string()]).args(line.split(' ')).output().expect("redis-cli");
    String::from_utf8_lossy(&asked.stdout).into_owned()
}
