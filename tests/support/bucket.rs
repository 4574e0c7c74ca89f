//! An S3-compatible store of one test: `moto_server` on a free loopback port, with a bucket.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::redis_server::free_port;
use super::server::{Answer, send};

/// Any signature will do; without one it keeps objects but knows no conditions.
const SIGNED: (&str, &str) = ("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request");

/// A running store; dropping it ends the process, and with it all it held.
#[derive(Debug)]
pub(crate) struct BucketStore {
    child: Child,
    address: SocketAddr,
}

impl BucketStore {
    pub(crate) fn start() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/moto/bin/moto_server");
        let program = if installed.exists() { installed } else { "moto_server".into() };
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}; scripts/test installs it", program.display()));
        let store = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "moto_server does not answer");
            sleep(Duration::from_millis(50));
        }
        let made = store.send("PUT", "/shop", &[], b"");
        assert_eq!(made.status, 200, "{}", made.text());
        store
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the settings of a node that archives there, through whatever listens on a port.
    pub(crate) fn settings(port: u16) -> Vec<(String, String)> {
        let settings = [
            ("RAPPORT_EVENTS__ARCHIVE__URL", "s3://shop/rapport"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
            ("RAPPORT_EVENTS__SEAL_SECONDS", "1"),
        ];
        let mut settings: Vec<_> = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        settings.push(("AWS_ENDPOINT_URL".to_owned(), format!("http://127.0.0.1:{port}")));
        settings
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut headers = headers.to_vec();
        headers.extend([SIGNED, ("Content-Type", "application/octet-stream")]);
        send(self.address, method, path, &headers, body).unwrap()
    }

    /// Returns the keys of all objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listed = self.send("GET", "/shop?list-type=2&max-keys=1000", &[], b"").text();
        listed.split("<Key>").skip(1).filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect()
    }
}

impl Drop for BucketStore {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
