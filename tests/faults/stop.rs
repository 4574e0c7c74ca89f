//! SIGTERM under load: what was begun is finished, what was acknowledged is kept, and nothing is left lying about.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::{Server, rapport, succeed};

/// How a request ended.
enum End {
    Answered(Value),
    /// Nothing came back at all.
    Refused,
}

/// A connection that carries one request after the other.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Some(Self(BufReader::new(stream)))
    }

    /// Sends a request and returns how it ended; an answer that is cut off is a failure.
    fn post(&mut self, path: &str, secret: &str, body: &str, close: bool) -> End {
        let connection = if close { "close" } else { "keep-alive" };
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n\
             Connection: {connection}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        // A server that closes an idle connection may do so at this moment.
        let _ = self.0.get_mut().write_all(request.as_bytes());
        let mut status = String::new();
        match self.0.read_line(&mut status) {
            Ok(0) | Err(_) if status.is_empty() => return End::Refused,
            read => assert!(read.is_ok() && status.starts_with("HTTP/1.1 200"), "{status}"),
        }
        let mut length = None;
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "cut off in the head");
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
        let mut bytes = vec![0; length.expect("a length")];
        self.0.read_exact(&mut bytes).expect("a whole body");
        End::Answered(serde_json::from_slice(&bytes).expect("a whole body"))
    }
}

/// What the senders noted.
#[derive(Default)]
struct Notes {
    next: AtomicU64,
    kept: Mutex<HashSet<String>>,
    refused: Mutex<HashSet<String>>,
}

impl Notes {
    fn send(&self, address: SocketAddr, secret: &str, close: bool, stopped: &AtomicBool) {
        let mut connection = None;
        while !stopped.load(Ordering::SeqCst) {
            let n = self.next.fetch_add(1, Ordering::SeqCst);
            let ids: Vec<String> = (0..3).map(|i| format!("e{n}-{i}")).collect();
            let events: Vec<Value> = ids
                .iter()
                .map(|id| json!({"id": id, "type": "view_item", "visitor_id": format!("v{}", n % 7), "items": [{"item_id": "tea"}]}))
                .collect();
            let body = json!({"consent": {"analytics": true, "personalization": true}, "events": events}).to_string();
            if connection.is_none() {
                connection = Connection::open(address);
            }
            let end = connection.as_mut().map_or(End::Refused, |c| c.post("/v1/events", secret, &body, close));
            match end {
                End::Answered(answer) => {
                    assert!(ids.iter().all(|id| answer["results"][id]["result"] == "ok"), "{answer}");
                    self.kept.lock().unwrap().extend(ids);
                }
                End::Refused => {
                    self.refused.lock().unwrap().extend(ids);
                    connection = None;
                }
            }
            if close {
                connection = None;
            }
        }
    }
}

#[test]
fn a_stop_under_load_finishes_what_was_begun() {
    let mut server = Server::start();
    let secret = server.key("secret", &[]);
    let address = server.address;
    let (notes, stopped) = (Notes::default(), AtomicBool::new(false));
    let took = std::thread::scope(|scope| {
        for sender in 0..6 {
            let (notes, secret, stopped) = (&notes, &secret, &stopped);
            scope.spawn(move || notes.send(address, secret, sender % 2 == 0, stopped));
        }
        // One that says nothing must not hold up the stop.
        let idle = Connection::open(address);
        std::thread::sleep(Duration::from_millis(700));
        let began = Instant::now();
        server.stop();
        stopped.store(true, Ordering::SeqCst);
        drop(idle);
        began.elapsed()
    });
    assert!(took < Duration::from_secs(10), "stopping took {took:?}");
    assert!(!server.data_dir().join("control.sock").exists(), "the socket is left behind");

    let export = server.run(&["export", "--events"]);
    let logged: Vec<String> =
        export.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["id"].as_str().unwrap().to_owned()).collect();
    let distinct: HashSet<&String> = logged.iter().collect();
    assert_eq!(distinct.len(), logged.len(), "an event is in the log twice");
    let (kept, refused) = (notes.kept.into_inner().unwrap(), notes.refused.into_inner().unwrap());
    assert!(kept.len() > 100, "only {} events", kept.len());
    for id in &kept {
        assert!(distinct.contains(id), "{id} was acknowledged and is not in the log");
    }
    for id in &refused {
        assert!(!distinct.contains(id), "{id} was kept and its sender was told nothing");
    }
    let replayed: Value = serde_json::from_str(&server.run(&["replay", "--json"])).unwrap();
    assert_eq!(replayed["profiles"], replayed["identical"], "{replayed}");
    assert_eq!(replayed["removed"], 0, "{replayed}");
    eprintln!("{} events kept, {} refused, stopped in {took:?}", kept.len(), refused.len());
}

#[test]
fn a_replay_beside_a_busy_server_finds_nothing_to_change() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let address = server.address;
    let (notes, stopped) = (Notes::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| notes.send(address, &secret, false, &stopped));
        }
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(200));
            let replayed: Value = serde_json::from_str(&server.run(&["replay", "--json"])).unwrap();
            assert!(replayed["events"].as_u64().unwrap() > 0, "{replayed}");
            assert_eq!(replayed["profiles"], replayed["identical"], "{replayed}");
            assert_eq!((&replayed["changed"], &replayed["removed"]), (&json!(0), &json!(0)), "{replayed}");
        }
        stopped.store(true, Ordering::SeqCst);
    });
    // What came in meanwhile is in the profiles all the same.
    let replayed: Value = serde_json::from_str(&server.run(&["replay", "--json"])).unwrap();
    assert_eq!(replayed["events"], notes.kept.into_inner().unwrap().len(), "{replayed}");
    assert_eq!(replayed["profiles"], replayed["identical"], "{replayed}");
}

#[test]
fn a_server_waits_for_a_command_that_is_just_done() {
    let mut server = Server::start();
    server.stop();
    // Started at the same moment, either may be the first to have the data.
    std::thread::scope(|scope| {
        let data_dir = server.data_dir();
        let commands: Vec<_> = (0..3)
            .map(|_| {
                let data_dir = data_dir.clone();
                scope.spawn(move || succeed(rapport(&data_dir).args(["keys", "list"]).output().unwrap()))
            })
            .collect();
        server.restart();
        for command in commands {
            command.join().unwrap();
        }
    });
    assert_eq!(server.get("/readyz").status, 200);
}
