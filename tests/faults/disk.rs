//! A disk that takes nothing more.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::server::{Server, rapport};

fn batch(from: usize, to: usize) -> Value {
    let events: Vec<Value> = (from..to)
        .map(|n| json!({"id": format!("e{n}"), "type": "view_item", "visitor_id": "anna", "items": [{"item_id": format!("item-{n}"), "item_name": "x".repeat(200)}]}))
        .collect();
    json!({"consent": {"analytics": true, "personalization": true}, "events": events})
}

/// Forbids a running process files larger than this, as a full disk would.
fn limit_files(pid: u32, bytes: &str) {
    let limited = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={bytes}")]).status();
    assert!(limited.expect("prlimit of util-linux").success());
}

#[test]
fn a_full_disk_refuses_events_and_decides_on() {
    // Big files that are not the log would fail first; the log is what this is about.
    let mut server = Server::start();
    let secret = server.key("secret", &[]);
    let mut kept = Vec::new();
    let results = server.post("/v1/events", &secret, &batch(0, 10)).json()["results"].clone();
    assert!(results.as_object().unwrap().values().all(|r| r["result"] == "ok"), "{results}");
    kept.extend((0..10).map(|n| format!("e{n}")));
    let log = std::fs::read_dir(server.data_dir().join("log")).unwrap().map(|f| f.unwrap().path());
    let segment = log.filter(|p| p.extension().is_some_and(|e| e == "seg")).max().unwrap();
    let size = std::fs::metadata(&segment).unwrap().len();
    server.eventually("items are observed", || {
        let path = "/v1/recommendations/trending?count=2";
        let answer = server.send("GET", path, &[("Authorization", &format!("Bearer {secret}"))], b"");
        answer.json()["items"].as_array().unwrap().len() == 2
    });

    limit_files(server.pid(), &format!("{}", size + 2_000));
    let mut refused = None;
    for n in 0..20 {
        let answer = server.post("/v1/events", &secret, &batch(100 + n * 10, 110 + n * 10));
        if answer.status == 200 {
            let results = answer.json()["results"].clone();
            kept.extend(results.as_object().unwrap().iter().filter(|(_, r)| r["result"] == "ok").map(|(id, _)| id.clone()));
            continue;
        }
        assert_eq!((answer.status, answer.problem().as_str()), (503, "events_not_kept"), "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
        refused = Some(n);
        break;
    }
    let refused = refused.expect("the limit is reached");
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.get("/readyz").status, 503);
    let path = "/v1/recommendations/trending?count=2";
    let answer = server.send("GET", path, &[("Authorization", &format!("Bearer {secret}"))], b"");
    assert_eq!((answer.status, answer.json()["items"].as_array().unwrap().len()), (200, 2), "{}", answer.text());
    // Events that come with a question do not keep it from being answered.
    let mut decide = batch(1_000, 1_001);
    decide["placements"] = json!([{"id": "trending", "count": 2}]);
    decide["visitor_id"] = json!("anna");
    let answer = server.post("/v1/decide", &secret, &decide);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["placements"]["trending"]["items"].as_array().unwrap().len(), 2);
    assert_eq!(answer.json()["events"]["results"]["e1000"]["result"], "retry", "{}", answer.text());

    // There is room again, and what was refused may be sent again.
    server.kill();
    server.restart();
    assert_eq!(server.get("/readyz").status, 200);
    let again = batch(100 + refused * 10, 110 + refused * 10);
    let results = server.post("/v1/events", &secret, &again).json()["results"].clone();
    assert!(results.as_object().unwrap().values().all(|r| r["result"] == "ok"), "nothing of it had been kept: {results}");
    kept.extend(results.as_object().unwrap().keys().cloned());
    let export = server.run(&["export", "--events"]);
    let mut logged: Vec<String> =
        export.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["id"].as_str().unwrap().to_owned()).collect();
    logged.sort();
    kept.sort();
    assert_eq!(logged, kept);
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_start_with_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("var");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("log"), "a file where the folder should be").unwrap();
    let output = rapport(&data).arg("serve").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&data.join("log").display().to_string()), "{said}");
}
