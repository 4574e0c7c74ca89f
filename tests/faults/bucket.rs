//! An archive in an S3-compatible bucket: conditional writes, several nodes, crashes, outages, upkeep.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bucket::BucketStore;
use crate::support::proxy::{Proxy, Weather};
use crate::support::server::{Server, send};

const CONSENT: &str = r#"{"analytics": true, "personalization": true}"#;

fn node(port: u16, more: &[(&str, &str)]) -> Server {
    let settings = BucketStore::settings(port);
    let mut all: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    all.extend(more);
    Server::start_with(&all)
}

fn batch(events: &[Value]) -> Value {
    json!({"consent": serde_json::from_str::<Value>(CONSENT).unwrap(), "events": events})
}

fn view(id: &str, visitor: usize, item: usize) -> Value {
    json!({"id": id, "type": "view_item", "visitor_id": format!("v{visitor}"), "items": [{"item_id": format!("i{item}"), "price": 1}]})
}

fn purchase(id: &str, visitor: usize, items: &[usize]) -> Value {
    let lines: Vec<Value> = items.iter().map(|i| json!({"item_id": format!("i{i}"), "price": 2.5, "quantity": 1})).collect();
    json!({"id": id, "type": "purchase", "transaction_id": id, "currency": "EUR", "value": 5, "visitor_id": format!("v{visitor}"), "items": lines})
}

fn kept(server: &Server, secret: &str, events: &[Value]) {
    let answer = server.post("/v1/events", secret, &batch(events));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let results = answer.json()["results"].clone();
    assert!(results.as_object().unwrap().values().all(|r| r["result"] == "ok"), "{results}");
}

/// Returns the ids in the logs that a node reads: its own, and what all have sealed.
fn exported(server: &Server) -> Vec<String> {
    let export = server.run(&["export", "--events"]);
    export.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["id"].as_str().unwrap().to_owned()).collect()
}

/// Closes the segment a node writes to and waits until all it has is in the bucket.
fn seal(server: &Server) {
    let none = server.data_dir().join("none.jsonl");
    std::fs::write(&none, "").unwrap();
    server.run(&["import", "--format", "events-jsonl", none.to_str().unwrap()]);
    server.eventually("the log is sealed", || {
        let files = std::fs::read_dir(server.data_dir().join("log")).unwrap().map(|f| f.unwrap());
        files.filter(|f| f.path().extension().is_some_and(|e| e == "seg")).count() == 1
    });
}

/// Returns the arrays of a build by name.
fn build(server: &Server) -> BTreeMap<String, Vec<u8>> {
    let built: Value = serde_json::from_str(&server.run(&["build", "--json"])).unwrap();
    let folder = server.data_dir().join("models/default").join(built["build"].as_str().unwrap());
    let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap());
    let files = files.map(|f| (f.file_name().into_string().unwrap(), std::fs::read(f.path()).unwrap()));
    // The manifest and the card say when the build was made.
    files.filter(|(name, _)| name != "manifest.json" && !name.starts_with("card.")).collect()
}

#[test]
fn the_store_of_these_tests_knows_conditional_writes() {
    let store = BucketStore::start();
    let put = |body: &[u8]| store.send("PUT", "/shop/once", &[("If-None-Match", "*")], body).status;
    assert_eq!((put(b"first"), put(b"second")), (200, 412));
    assert_eq!(store.send("GET", "/shop/once", &[], b"").body, b"first");
}

#[test]
fn three_nodes_in_a_bucket_learn_what_one_would() {
    let store = BucketStore::start();
    let nodes: Vec<Server> = (0..3).map(|_| node(store.port(), &[])).collect();
    let secrets: Vec<String> = nodes.iter().map(|n| n.key("secret", &[])).collect();
    let mut sent = 0;
    for round in 0..120 {
        // One visitor's clicks come through whichever node answers.
        let (at, visitor) = ((round + round / 5) % 3, round % 25);
        let events = [
            view(&format!("a{round}"), visitor, round % 7),
            view(&format!("b{round}"), visitor, (round + 1) % 9),
            purchase(&format!("p{round}"), visitor, &[round % 7, (round + 1) % 9, round % 4]),
        ];
        kept(&nodes[at], &secrets[at], &events);
        sent += events.len();
    }
    nodes.iter().for_each(seal);
    let files = store.keys();
    assert!(files.iter().filter(|key| key.ends_with(".parquet")).count() >= 3, "{files:?}");
    assert!(!nodes.iter().any(|n| has_parquet(&n.data_dir())), "nothing of it stays here");
    let all = exported(&nodes[0]);
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (sent, sent), "each event once");
    assert!(nodes.iter().all(|n| exported(n) == all), "whoever reads");

    let alone = Server::start();
    let file = alone.data_dir().join("all.jsonl");
    nodes[1].run(&["export", "--events", "--out", file.to_str().unwrap()]);
    alone.run(&["import", "--format", "events-jsonl", file.to_str().unwrap()]);
    let expected = build(&alone);
    assert!(expected.len() > 10, "{:?}", expected.keys());
    for node in &nodes {
        let built = build(node);
        assert_eq!(built.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, bytes) in &expected {
            assert!(built[name] == *bytes, "{name} differs");
        }
    }
}

fn has_parquet(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries
        .into_iter()
        .any(|path| if path.is_dir() { has_parquet(&path) } else { path.extension().is_some_and(|e| e == "parquet") })
}

#[test]
fn kills_while_sealing_lose_nothing_and_repeat_nothing() {
    let store = BucketStore::start();
    let mut server = node(store.port(), &[]);
    let secret = server.key("secret", &[]);
    let acknowledged = Mutex::new(BTreeSet::new());
    let rounds = if std::env::var_os("RAPPORT_LONG_TESTS").is_some() { 50 } else { 6 };
    for round in 0..rounds {
        let (address, stop) = (server.address, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                    let id = format!("e-{round}-{n}");
                    let authorization = format!("Bearer {secret}");
                    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
                    let body = batch(&[view(&id, n % 9, n % 5)]).to_string();
                    let answer = send(address, "POST", "/v1/events", &headers, body.as_bytes());
                    if answer.is_ok_and(|a| a.status == 200 && a.json()["results"][&id]["result"] == "ok") {
                        acknowledged.lock().unwrap().insert(id);
                    }
                }
            });
            // Segments are sealed once a second, each in some tens of milliseconds.
            std::thread::sleep(Duration::from_millis(1_000 + 37 * round % 500));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        server.restart();
    }
    seal(&server);
    let acknowledged = acknowledged.into_inner().unwrap();
    let other = node(store.port(), &[]);
    for reader in [&server, &other] {
        let found = exported(reader);
        let once: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(found.len(), once.len(), "an event twice");
        assert!(acknowledged.is_subset(&once), "{:?}", acknowledged.difference(&once).collect::<Vec<_>>());
    }
}

#[test]
fn a_bucket_that_is_away_is_told_and_segments_wait_for_it() {
    let store = BucketStore::start();
    let proxy = Proxy::before(store.port());
    proxy.set(Weather::Cut);
    let server = node(proxy.port(), &[]);
    let secret = server.key("secret", &[]);
    kept(&server, &secret, &[view("e1", 1, 1)]);
    let archive = || server.get("/readyz").json()["checks"].as_array().unwrap().iter().find(|c| c["check"] == "archive").cloned();
    server.eventually("it is told", || archive().unwrap()["status"] == "degraded");
    let told = server.get("/readyz");
    assert_eq!((told.status, &told.json()["status"]), (200, &json!("degraded")));
    assert!(archive().unwrap()["detail"].as_str().unwrap().contains("s3://shop/rapport"), "{}", told.text());
    assert!(server.metric("rapport_archive_failures_total") > 0.0);
    kept(&server, &secret, &[view("e2", 1, 2)]);
    assert_eq!(server.get_as(&secret, "/v1/recommendations/trending?count=2").status, 200);
    assert!(store.keys().is_empty());
    proxy.set(Weather::Fair);
    server.eventually("it is well again", || archive().unwrap()["status"] == "ok");
    seal(&server);
    assert_eq!(exported(&node(store.port(), &[])), ["e1", "e2"]);
}

#[test]
fn days_that_are_over_become_one_file_and_old_ones_are_deleted() {
    let store = BucketStore::start();
    let dir = tempfile::tempdir().unwrap();
    let step = dir.path().join("step");
    let settings = [("RAPPORT_CLOCK_STEP", step.to_str().unwrap()), ("RAPPORT_EVENTS__RETENTION_DAYS", "3")];
    let mut server = node(store.port(), &settings);
    let secret = server.key("secret", &[]);
    let parquet = || store.keys().into_iter().filter(|key| key.ends_with(".parquet")).count();
    let days = |days: i64| std::fs::write(&step, (days * 86_400).to_string()).unwrap();
    for day in 0..2 {
        days(day);
        for n in 0..3 {
            kept(&server, &secret, &[view(&format!("{day}-{n}"), n, n)]);
            seal(&server);
        }
    }
    let all = exported(&server);
    assert_eq!((all.len(), parquet()), (6, 6));
    // Upkeep is done at the start, and once an hour.
    let after = |server: &mut Server, day: i64| {
        days(day);
        server.kill();
        server.restart();
    };
    after(&mut server, 2);
    let patient = Server::start();
    patient.eventually("past days are merged", || parquet() == 2);
    after(&mut server, 4);
    patient.eventually("the first day is deleted", || parquet() == 1);
    let left = exported(&server);
    assert_eq!(left, all[3..]);
    after(&mut server, 5);
    patient.eventually("so is the second", || parquet() == 0);
    assert!(exported(&server).is_empty());
    assert!(exported(&node(store.port(), &[])).is_empty());
}
