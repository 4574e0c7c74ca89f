//! The real binary, serving a data directory of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `rapport serve`; killed when dropped.
#[derive(Debug)]
pub struct Server {
    dir: TempDir,
    /// Where it keeps its data, if not in `dir`.
    elsewhere: Option<PathBuf>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body as JSON; a body that is none is a failure.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Returns the problem's code, after checking that it is one.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{} {}", self.status, self.text());
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

impl Server {
    /// Starts on a fresh data directory.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts on a data directory that `prepare` makes.
    pub fn on(prepare: impl FnOnce(&Path)) -> Self {
        let mut server = Self::down(&[]);
        prepare(&server.data_dir());
        server.restart();
        server
    }

    /// Starts with profiles and documents in Redis, named as the configuration names it.
    pub fn on_redis(urls: &str) -> Self {
        Self::start_with(&[("RAPPORT_STORE__BACKEND", "redis"), ("RAPPORT_STORE__REDIS__URL", urls)])
    }

    /// Starts on a data directory of the caller's.
    pub fn at(data: &Path) -> Self {
        let mut server = Self::down(&[]);
        server.elsewhere = Some(data.to_owned());
        server.restart();
        server
    }

    /// Starts with settings, such as `("RAPPORT_CONSENT__ANALYTICS", "true")`.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut server = Self::down(environment);
        server.restart();
        server
    }

    fn down(environment: &[(&str, &str)]) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            elsewhere: None,
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            child: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.elsewhere.clone().unwrap_or_else(|| self.dir.path().join("var"))
    }

    /// Starts again on the same data, after [`Server::kill`] or [`Server::stop`].
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the server runs");
        let mut command = self.command(&["serve"]);
        command.env("RAPPORT_HTTP__BIND", "127.0.0.1:0").env("RAPPORT_HTTP__ADMIN_BIND", "127.0.0.1:0");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if std::env::var_os("RAPPORT_TEST_LOG").is_some() {
                    eprintln!("{line}");
                }
                // Read to the end, so that the server never waits for a reader.
                let _ = sender.send(line);
            }
        });
        self.child = Some(child);
        let mut seen = Vec::new();
        let mut after = |word: &str| -> SocketAddr {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let Ok(line) = lines.recv_timeout(left) else { panic!("the server did not start:\n{}", seen.join("\n")) };
                let found = line.contains(word).then(|| line.split("http://").nth(1)).flatten();
                let address = found.and_then(|rest| rest.split(['/', ' ', '\u{1b}']).next()).and_then(|a| a.parse().ok());
                seen.push(line);
                if let Some(address) = address {
                    return address;
                }
            }
        };
        self.address = after("Listening on");
        self.admin = after("documentation on");
    }

    /// Ends the process at once, as a power cut would end it, but for what the kernel holds.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks the process to stop and waits until it has, of its own accord and content.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
            assert!(killed.success());
            let deadline = Instant::now() + PATIENCE;
            let ended = loop {
                if let Some(ended) = child.try_wait().unwrap() {
                    break ended;
                }
                assert!(Instant::now() < deadline, "the server does not stop");
                std::thread::sleep(Duration::from_millis(10));
            };
            assert!(ended.success(), "the server stopped with {ended}");
        }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = rapport(&self.data_dir());
        command.args(arguments).envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Runs a command on the server's data and returns what it printed; it must succeed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        succeed(self.command(arguments).output().unwrap())
    }

    /// Creates a key.
    #[track_caller]
    pub fn key(&self, kind: &str, more: &[&str]) -> String {
        let mut arguments = vec!["keys", "create", "--kind", kind, "--json"];
        arguments.extend(more);
        let created: Value = serde_json::from_str(&self.run(&arguments)).unwrap();
        created["key"].as_str().unwrap().to_owned()
    }

    /// Sends a request on a connection of its own.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        send(self.address, method, path, headers, body).unwrap()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// Asks with a key in the header.
    #[track_caller]
    pub fn get_as(&self, key: &str, path: &str) -> Answer {
        self.send("GET", path, &[("Authorization", &format!("Bearer {key}"))], b"")
    }

    #[track_caller]
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }

    /// Returns the value of a metric with these labels (`name{label="x"}` as Prometheus writes it); 0 where it is not there.
    pub fn metric(&self, line_start: &str) -> f64 {
        let text = send(self.admin, "GET", "/metrics", &[], b"").unwrap().text();
        let line = text.lines().find(|l| l.strip_prefix(line_start).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|l| l.rsplit(' ').next()).map_or(0.0, |v| v.parse().unwrap())
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "never happened: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the binary on a data directory, with none of the caller's settings.
pub fn rapport(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RAPPORT_")) {
        command.env_remove(name);
    }
    command.arg("--data-dir").arg(data_dir).stdin(Stdio::null());
    command
}

/// Returns what a command printed; it must have succeeded.
#[track_caller]
pub fn succeed(output: Output) -> String {
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the real data, if it is here; says so if it is not.
pub fn shared_data(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RAPPORT_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = root.join(file);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not here", path.display());
        return None;
    }
    Some(path)
}

/// Sends raw bytes and returns the answer to them.
pub fn send_raw(address: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A server that has refused the head may close before the body is through.
    let _ = stream.write_all(request);
    read_answer(&mut stream)
}

/// Sends a request and returns its answer.
pub fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" || method == "PUT" {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    send_raw(address, &bytes)
}

fn read_answer(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).or_else(|e| if bytes.is_empty() { Err(e) } else { Ok(0) })?;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(|| std::io::Error::other("no answer"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
    let named: HashMap<String, String> = headers.iter().map(|(n, v)| (n.to_lowercase(), v.clone())).collect();
    let mut body = bytes.split_off(end + 4);
    if named.get("transfer-encoding").is_some_and(|v| v == "chunked") {
        body = unchunk(&body);
    }
    Ok(Answer { status: status.ok_or_else(|| std::io::Error::other("no status"))?, headers, body })
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap().trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}
