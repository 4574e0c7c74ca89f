//! `rapport backup` and `rapport restore`.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::run;
use crate::support::server::Server;

fn ids(server: &Server) -> BTreeSet<String> {
    let lines = server.run(&["export", "--events"]);
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    let ids: Vec<String> = lines.lines().map(id).collect();
    let distinct: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), distinct.len(), "an event is in the log twice");
    distinct
}

fn send(server: &Server, key: &str, batch: u32) -> Vec<String> {
    let events: Vec<Value> = (0..20)
        .map(|n| json!({"id": format!("{batch}-{n}"), "type": "purchase", "transaction_id": format!("t{batch}-{n}"), "currency": "EUR", "value": 5,
             "items": [{"item_id": "tea", "price": 2.5, "quantity": 1}, {"item_id": "mug", "price": 2.5, "quantity": 1}]}))
        .collect();
    let consent = json!({"analytics": true, "personalization": true});
    let visitor = format!("v{}", batch % 7);
    let answer = server.post("/v1/events", key, &json!({"visitor_id": visitor, "consent": consent, "events": events})).json();
    answer["results"].as_object().unwrap().iter().filter(|(_, r)| r["result"] == "ok").map(|(id, _)| id.clone()).collect()
}

#[test]
fn a_backup_taken_under_load_holds_everything_acknowledged_before_it() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    server.send(
        "PUT",
        "/v1/catalog/items/tea",
        &[("authorization", &format!("Bearer {secret}"))],
        br#"{"title":"Green tea","price":2.5,"currency":"EUR"}"#,
    );
    let mut acknowledged: Vec<String> = (0..20).flat_map(|batch| send(&server, &secret, batch)).collect();
    server.run(&["build"]);
    acknowledged.extend((20..30).flat_map(|batch| send(&server, &secret, batch)));

    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    let stop = AtomicBool::new(false);
    let (made, meanwhile) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                sent += send(&server, &secret, 1_000 + sent / 20).len() as u32;
            }
            sent
        });
        let made = run(&server.data_dir(), &["backup", to.to_str().unwrap(), "--json"]).json();
        stop.store(true, Ordering::Relaxed);
        (made, load.join().unwrap())
    });
    assert!(made["files"].as_u64().unwrap() > 5 && meanwhile > 0, "{made} {meanwhile}");

    let mut restored = Server::on(|data| {
        let put_back = run(data, &["restore", to.to_str().unwrap(), "--json"]).json();
        assert_eq!(put_back["files"], made["files"]);
    });
    let kept = ids(&restored);
    assert!(acknowledged.iter().all(|id| kept.contains(id)), "{} of {} are there", kept.len(), acknowledged.len());
    let answer =
        restored.get(&format!("/v1/recommendations/also-bought?item_id=tea&key={}", restored.key("publishable", &[]))).json();
    assert!(answer["build"].is_string() && answer["items"][0]["item_id"] == "mug", "{answer}");
    let item = restored.get_as(&secret, "/v1/catalog/items/tea").json();
    assert_eq!(item["title"], "Green tea", "the key and the catalog are back");
    let replayed = run(&restored.data_dir(), &["replay", "--json"]).json();
    assert_eq!(
        (&replayed["profiles"], &replayed["changed"], &replayed["removed"]),
        (&json!(7), &json!(0), &json!(0)),
        "{replayed}"
    );
    // A client that never saw its answer sends again, to the restored node.
    let again = acknowledged[0].split('-').next().unwrap().parse().unwrap();
    assert!(send(&restored, &secret, again).is_empty(), "known ids are duplicates there too");
    restored.stop();
}

#[test]
fn what_is_damaged_or_would_write_over_something_is_refused() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    send(&server, &secret, 1);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    let text = to.to_str().unwrap();
    server.run(&["backup", text]);
    assert!(run(&server.data_dir(), &["backup", text]).err.contains("is not empty"), "a backup is never written over");
    assert!(run(&server.data_dir(), &["restore", text]).err.contains("is not empty"), "nor is a data directory");

    let fresh = dir.path().join("fresh");
    let segment = to.join("log/00000000000000000000.seg");
    let whole = fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&segment, damaged).unwrap();
    let refused = run(&fresh, &["restore", text]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("00000000000000000000.seg") && refused.err.contains("nothing was restored"), "{}", refused.err);
    assert_eq!(fs::read_dir(&fresh).unwrap().count(), 0, "nothing half restored lies there");

    fs::write(&segment, whole).unwrap();
    fs::rename(to.join("backup.json"), to.join("elsewhere")).unwrap();
    assert!(run(&fresh, &["restore", text]).err.contains("is no backup"));
}
