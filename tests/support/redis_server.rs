//! A real `redis-server` of one test, on a free loopback port, with a folder of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server; dropping it ends the process and removes its files.
#[derive(Debug)]
pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    with_aof: bool,
    /// Settings beside the common ones.
    more: Vec<String>,
    dir: TempDir,
}

impl RedisServer {
    /// Starts a server that answers; with `with_aof` each write is on disk before its answer.
    pub(crate) fn start(with_aof: bool) -> Self {
        Self::start_with(with_aof, &[])
    }

    /// Starts a server with settings of its own, such as `["--cluster-enabled", "yes"]`.
    pub(crate) fn start_with(with_aof: bool, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder for redis-server");
        let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
        // Between choosing a port and using it someone else may take it.
        for _ in 0..10 {
            let port = free_port();
            let mut child = spawn(port, with_aof, &more, &dir);
            if answers(&mut child, port) {
                return Self { child, port, with_aof, more, dir };
            }
        }
        panic!("redis-server did not start; see redis.log in a run of your own");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the address for a user that `ACL SETUSER` made.
    pub(crate) fn url_as(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}", self.port)
    }

    /// Ends the process the hard way.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("redis-server to be killed");
        self.child.wait().expect("redis-server to end");
    }

    /// Starts it again after `kill`: same port, same files.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, self.with_aof, &self.more, &self.dir);
        let up = answers(&mut self.child, self.port);
        assert!(up, "redis-server did not come back on port {}", self.port);
    }

    /// Returns the size of the append-only file that is being written.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file().map_or(0, |file| file.metadata().expect("its size").len())
    }

    /// Cuts the append-only file of a killed server, as a power cut does with what was not synced.
    pub(crate) fn forget(&self, bytes: u64) {
        let file = self.file().expect("an append-only file");
        std::fs::OpenOptions::new().write(true).open(file).expect("to open it").set_len(bytes).expect("to cut it");
    }

    fn file(&self) -> Option<std::path::PathBuf> {
        let folder = std::fs::read_dir(self.dir.path().join("appendonlydir")).ok()?;
        folder.map(|entry| entry.expect("an entry").path()).find(|path| path.to_string_lossy().ends_with(".incr.aof"))
    }

    /// Sends one command of words without spaces and returns the first line of the answer.
    pub(crate) fn command(&self, line: &str) -> String {
        ask(self.port, line).expect("redis-server to answer")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a port nobody listens on, below those that the system gives to outgoing connections: one of these could take it
/// while the server it is for is down.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 20_000).expect("less than 20,000");
    let ports = std::iter::repeat_with(|| 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000) % 20_000);
    ports.take(20_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

fn spawn(port: u16, with_aof: bool, more: &[String], dir: &TempDir) -> Child {
    let aof = if with_aof { "yes" } else { "no" };
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", aof, "--appendfsync", "always"])
        .args(["--daemonize", "no", "--logfile", "redis.log"])
        .arg("--dir")
        .arg(dir.path())
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "these tests run against a real redis-server, which cannot be started: {error}. \
                 Install it so that it is on the PATH (Debian: apt-get install redis-server)."
            )
        })
}

fn answers(child: &mut Child, port: u16) -> bool {
    let started = Instant::now();
    while started.elapsed() < START_TIMEOUT {
        if ask(port, "PING").is_some_and(|answer| answer == "+PONG") {
            // Another server may have taken the port first; then ours has ended.
            sleep(Duration::from_millis(10));
            return child.try_wait().expect("its state").is_none();
        }
        if child.try_wait().expect("its state").is_some() {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

pub(super) fn ask(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).ok()?;
    Some(answer.trim_end().to_owned())
}
