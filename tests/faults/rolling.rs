//! Stopping on purpose: what load balancers are told, what is finished, and two servers on one Redis that are restarted one after the other.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::server::{Server, send};

fn batch(id: &str, visitor: &str) -> Value {
    json!({"consent": {"analytics": true, "personalization": true},
        "events": [{"id": id, "type": "view_item", "visitor_id": visitor, "items": [{"item_id": "tea"}]}]})
}

fn logged(server: &Server) -> Vec<String> {
    let export = server.run(&["export", "--events"]);
    export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect()
}

fn head(secret: &str, connection: &str, length: usize) -> String {
    format!(
        "POST /v1/events HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n\
         Connection: {connection}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Reads what comes until an event's outcome has come or the connection ends.
fn answer(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut text, mut bytes) = (String::new(), [0; 4_096]);
    while !text.contains("\"result\"") {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&bytes[..read])),
        }
    }
    text
}

#[test]
fn readiness_says_of_each_part_how_it_is() {
    let server = Server::start();
    let ready = server.get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.text());
    let ready = ready.json();
    let checks: Vec<&str> = ready["checks"].as_array().unwrap().iter().map(|c| c["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["log", "store", "disk", "archive", "build"], "{ready}");
    assert!(ready["checks"][2]["free_mib"].is_u64(), "{ready}");
}

#[test]
fn a_redis_that_is_away_is_told_and_is_no_reason_to_send_requests_elsewhere() {
    let mut redis = RedisServer::start(true);
    let server = Server::on_redis(&redis.url());
    let status = || server.get("/readyz").json()["checks"][1]["status"].clone();
    assert_eq!(status(), "ok");
    redis.kill();
    server.eventually("the store is said to be away", || status() == "degraded");
    assert_eq!(server.get("/readyz").status, 200);
    redis.restart();
    server.eventually("and to be back", || status() == "ok");
}

#[test]
fn a_stop_is_announced_and_what_was_begun_is_finished() {
    let faults = tempfile::NamedTempFile::new().unwrap();
    let mut server =
        Server::start_with(&[("RAPPORT_HTTP__DRAIN_SECONDS", "2"), ("RAPPORT_FAULTS", faults.path().to_str().unwrap())]);
    let secret = server.key("secret", &[]);
    let address = server.address;
    // One is in the middle of its body.
    let body = batch("half", "anna").to_string();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(head(&secret, "close", body.len()).as_bytes()).unwrap();
    half.write_all(&body.as_bytes()[..40]).unwrap();
    // One keeps its connection.
    let mut kept = TcpStream::connect(address).unwrap();
    let first = batch("first", "bert").to_string();
    kept.write_all((head(&secret, "keep-alive", first.len()) + &first).as_bytes()).unwrap();
    assert!(answer(&mut kept).contains("\"ok\""));
    // One waits for the disk, which takes longer than the announcement (where the build can do that on purpose).
    std::fs::write(faults.path(), "sync slow 3000").unwrap();
    let mut waiting = TcpStream::connect(address).unwrap();
    let slow = batch("slow", "cleo").to_string();
    waiting.write_all((head(&secret, "close", slow.len()) + &slow).as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(300));

    thread::scope(|scope| {
        let pid = server.pid();
        let stopping = scope.spawn(|| server.stop());
        let mut announced = None;
        for _ in 0..150 {
            // Once connections are refused it has been announced, or it never was.
            let Ok(ready) = send(address, "GET", "/readyz", &[], b"") else { break };
            if ready.status == 503 {
                announced = Some(ready);
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let announced = announced.unwrap_or_else(|| panic!("process {pid} stopped without a word"));
        assert_eq!(announced.problem(), "not_ready");
        assert!(announced.text().contains("about to stop"), "{}", announced.text());
        std::fs::write(faults.path(), "").unwrap();
        // Requests are answered meanwhile, on a connection that was there already too.
        let second = batch("second", "bert").to_string();
        kept.write_all((head(&secret, "keep-alive", second.len()) + &second).as_bytes()).unwrap();
        let text = answer(&mut kept);
        assert!(text.contains("\"ok\""), "{text}");
        // The rest of the body comes when no more connections are taken.
        while TcpStream::connect(address).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        half.write_all(&body.as_bytes()[40..]).unwrap();
        for (name, stream) in [("half", &mut half), ("slow", &mut waiting)] {
            let text = answer(stream);
            assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"ok\""), "{name}: {text}");
        }
        stopping.join().unwrap();
    });
    let mut ids = logged(&server);
    ids.sort();
    assert_eq!(ids, ["first", "half", "second", "slow"]);
}

#[test]
fn two_servers_restarted_one_after_the_other_lose_nothing() {
    const VISITORS: u64 = 10;
    let redis = RedisServer::start(true);
    let start = || {
        let url = redis.url();
        let settings =
            [("RAPPORT_STORE__BACKEND", "redis"), ("RAPPORT_STORE__REDIS__URL", &*url), ("RAPPORT_HTTP__DRAIN_SECONDS", "1")];
        Server::start_with(&settings)
    };
    let mut servers = [start(), start()];
    let secret = servers[0].key("secret", &[]);
    let knows = |server: &Server| server.post("/v1/events", &secret, &json!({"events": []})).status != 401;
    servers[1].eventually("the other server knows the key", || knows(&servers[1]));
    // What a load balancer has in rotation.
    let rotation = RwLock::new([servers[0].address, servers[1].address].to_vec());
    let (stop, next, kept) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(HashSet::new()));
    thread::scope(|scope| {
        for sender in 0..4 {
            let (rotation, secret, stop, next, kept) = (&rotation, &secret, &stop, &next, &kept);
            scope.spawn(move || {
                let authorization = format!("Bearer {secret}");
                let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
                while !stop.load(Ordering::SeqCst) {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let id = format!("e{n}");
                    let body = batch(&id, &format!("v{}", n % VISITORS)).to_string();
                    for attempt in 0.. {
                        assert!(attempt < 1_000, "{id} was never kept");
                        let address = {
                            let rotation = rotation.read().unwrap();
                            rotation[(sender + attempt) % rotation.len()]
                        };
                        let answer = send(address, "POST", "/v1/events", &headers, body.as_bytes()).ok();
                        let result = answer.filter(|a| a.status == 200).map(|a| a.json()["results"][&id]["result"].clone());
                        if result.is_some_and(|result| result == "ok" || result == "duplicate") {
                            kept.lock().unwrap().insert(id);
                            break;
                        }
                        thread::sleep(Duration::from_millis(50));
                    }
                }
            });
        }
        for server in &mut servers {
            thread::sleep(Duration::from_millis(500));
            let address = server.address;
            thread::scope(|scope| {
                scope.spawn(|| {
                    // The load balancer looks at /readyz and takes it out.
                    while send(address, "GET", "/readyz", &[], b"").is_ok_and(|ready| ready.status == 200) {
                        thread::sleep(Duration::from_millis(50));
                    }
                    rotation.write().unwrap().retain(|other| *other != address);
                });
                server.stop();
            });
            server.restart();
            rotation.write().unwrap().push(server.address);
        }
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::SeqCst);
    });
    let ids: Vec<String> = servers.iter().flat_map(logged).collect();
    let distinct: HashSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), distinct.len(), "an event is kept twice");
    assert_eq!(distinct, kept.into_inner().unwrap());
    eprintln!("{} events through two restarts", ids.len());
}
