//! What is no HTTP: refused, or the connection is closed; nothing hangs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::{Server, shortened};

pub(super) fn rows() -> Vec<(&'static str, Vec<u8>)> {
    let post = "POST /v1/events HTTP/1.1\r\nHost: x\r\n";
    let headers: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let rows: Vec<(&'static str, String)> = vec![
        ("one word", "nonsense\r\n\r\n".into()),
        ("no version", "GET /livez\r\n\r\n".into()),
        ("an unknown version", "GET /livez HTTP/9.9\r\nHost: x\r\n\r\n".into()),
        ("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        ("a blank in the address", "GET /li vez HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a NUL in the address", "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a NUL in a header", "GET /livez HTTP/1.1\r\nHost: x\0y\r\n\r\n".into()),
        ("a header without a colon", "GET /livez HTTP/1.1\r\nHost x\r\n\r\n".into()),
        ("a blank before the colon", format!("{post}Content-Length : 2\r\n\r\n{{}}")),
        ("a folded header", "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n".into()),
        ("a bare line feed in a name", "GET /livez HTTP/1.1\r\nX\nY: z\r\n\r\n".into()),
        ("two lengths that differ", format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} ")),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n")),
        ("a length with a sign", format!("{post}Content-Length: +2\r\n\r\n{{}}")),
        ("a length that is no number", format!("{post}Content-Length: two\r\n\r\n{{}}")),
        ("a length beyond all numbers", format!("{post}Content-Length: 99999999999999999999999\r\n\r\n{{}}")),
        ("a length in a list", format!("{post}Content-Length: 2, 2\r\n\r\n{{}}")),
        ("a body that never comes", format!("{post}Content-Length: 1000\r\n\r\n{{")),
        ("a terabyte announced", format!("{post}Content-Length: 1099511627776\r\n\r\n{{}}")),
        ("chunks and a length", format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("an unknown transfer encoding", format!("{post}Transfer-Encoding: rot13\r\n\r\n{{}}")),
        ("a chunk of no size", format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n")),
        ("a chunk of a negative size", format!("{post}Transfer-Encoding: chunked\r\n\r\n-2\r\n{{}}\r\n0\r\n\r\n")),
        ("a chunk beyond all sizes", format!("{post}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{{}}")),
        ("a chunk cut off", format!("{post}Transfer-Encoding: chunked\r\n\r\nff\r\n{{")),
        ("200 headers", format!("GET /livez HTTP/1.1\r\nHost: x\r\n{headers}\r\n")),
        ("a header of a megabyte", format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n", "a".repeat(1 << 20))),
        ("an address of a megabyte", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20))),
        ("a header that never ends", "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a".into()),
        ("a proxy's request", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n".into()),
    ];
    let mut rows: Vec<(&'static str, Vec<u8>)> = rows.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    rows.push(("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03random bytes".to_vec()));
    rows.push((
        "high bytes in a header",
        b"GET /v1/recommendations/trending HTTP/1.1\r\nHost: x\r\nAuthorization: \xff\xfe\r\n\r\n".to_vec(),
    ));
    rows.push(("only high bytes", vec![0xff; 1000]));
    rows
}

/// Sends bytes and checks that they are refused: a 4xx, or an end without an answer, soon.
pub(super) fn check(server: &Server, name: &str, bytes: &[u8]) -> Result<(), String> {
    let started = Instant::now();
    let mut stream = TcpStream::connect(server.address).map_err(|e| format!("{name}: {e}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    // Who refuses the head may close before the rest is through.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    if started.elapsed() > Duration::from_secs(15) {
        return Err(format!("{name}: it hung"));
    }
    let text = String::from_utf8_lossy(&answer);
    // Of several answers on one connection each counts.
    let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).filter_map(|part| part.get(..3)).collect();
    if statuses.iter().all(|status| status.starts_with('4')) {
        Ok(())
    } else {
        Err(format!("{name}: answered {statuses:?}: {}", shortened(&text)))
    }
}
