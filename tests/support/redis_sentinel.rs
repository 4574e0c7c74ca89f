//! A real primary with a replica, watched by three Sentinels.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::redis_server::{RedisServer, ask, free_port};

const PATIENCE: Duration = Duration::from_secs(30);
/// The name the Sentinels know the primary by.
const MASTER: &str = "shop";

/// Servers and Sentinels; dropping it ends all processes.
#[derive(Debug)]
pub(crate) struct Watched {
    primary: RedisServer,
    replica: RedisServer,
    sentinels: Vec<(u16, Child)>,
    _dir: TempDir,
}

impl Watched {
    /// Starts them; a dead primary is replaced within a second or two.
    pub(crate) fn start() -> Self {
        let primary = RedisServer::start(true);
        let replica = RedisServer::start_with(true, &["--replicaof", "127.0.0.1", &primary.port().to_string()]);
        let dir = tempfile::tempdir().expect("a folder");
        let sentinels = (0..3)
            .map(|number| {
                let port = free_port();
                let file = dir.path().join(format!("sentinel-{number}.conf"));
                let text = format!(
                    "port {port}\nbind 127.0.0.1\ndir {}\nlogfile sentinel-{number}.log\nsentinel monitor {MASTER} 127.0.0.1 {} 2\n\
                     sentinel down-after-milliseconds {MASTER} 700\nsentinel failover-timeout {MASTER} 3000\n",
                    dir.path().display(),
                    primary.port()
                );
                fs::write(&file, text).expect("a configuration");
                let child = Command::new("redis-server")
                    .arg(&file)
                    .arg("--sentinel")
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("redis-server");
                (port, child)
            })
            .collect();
        let watched = Self { primary, replica, sentinels, _dir: dir };
        let since = Instant::now();
        while !watched.sees_all() {
            assert!(since.elapsed() < PATIENCE, "the Sentinels did not find one another");
            sleep(Duration::from_millis(50));
        }
        watched
    }

    /// Returns the address as the configuration names it.
    pub(crate) fn urls(&self) -> String {
        self.sentinels.iter().map(|(port, _)| format!("redis+sentinel://127.0.0.1:{port}/{MASTER}")).collect::<Vec<_>>().join(",")
    }

    /// Ends the primary the hard way.
    pub(crate) fn kill_primary(&mut self) {
        self.primary.kill();
    }

    /// Returns whether each Sentinel knows the two others and the replica, which holds what the primary does.
    fn sees_all(&self) -> bool {
        let replicates = Command::new("redis-cli").args(["-p", &self.replica.port().to_string(), "info", "replication"]).output();
        replicates.is_ok_and(|asked| String::from_utf8_lossy(&asked.stdout).contains("master_link_status:up"))
            && self.sentinels.iter().all(|(port, _)| {
                let asked = Command::new("redis-cli").args(["-p", &port.to_string(), "sentinel", "master", MASTER]).output();
                let text = asked.map(|asked| String::from_utf8_lossy(&asked.stdout).into_owned()).unwrap_or_default();
                let value = |name: &str| text.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
                ask(*port, "PING").is_some()
                    && value("num-other-sentinels").as_deref() == Some("2")
                    && value("num-slaves").as_deref() == Some("1")
            })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for (_, child) in &mut self.sentinels {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
