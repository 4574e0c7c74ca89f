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
    let limited = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:")]).status();
    assert!(limited.expect("prlimit of util-linux").success());
}

#[test]
fn a_full_disk_refuses_events_and_decides_on() {
    // Big files that are not the log would fail first; the log is what this is about.
    let server = Server::start();
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
        let answer = server.get_as(&secret, path);
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
    let answer = server.get_as(&secret, path);
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
    limit_files(server.pid(), "unlimited");
    server.eventually("it goes on without a restart", || server.get("/readyz").status == 200);
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

/// Sends batches until stopped; returns ids of what was kept, how often it was refused, and checks that decisions go on.
fn under(server: &Server, secret: &str, kind: &str, rounds: usize, prefix: &str) -> (Vec<String>, usize) {
    let (mut kept, mut refused) = (Vec::new(), 0);
    for n in 0..rounds {
        let id = format!("{prefix}-{n}");
        let mut event =
            json!({"id": id, "type": kind, "visitor_id": "anna", "items": [{"item_id": "tea", "price": 1, "quantity": 1}]});
        if kind == "purchase" {
            event["transaction_id"] = json!(id);
        }
        let answer = server.post(
            "/v1/events",
            secret,
            &json!({"consent": {"analytics": true, "personalization": true}, "events": [event]}),
        );
        match answer.status {
            200 => {
                assert_eq!(answer.json()["results"][&id]["result"], "ok", "{}", answer.text());
                kept.push(id);
            }
            503 => {
                assert!(answer.header("retry-after").is_some());
                refused += 1;
            }
            other => panic!("{other} {}", answer.text()),
        }
        let path = "/v1/recommendations/trending?count=2";
        assert_eq!(server.get_as(secret, path).status, 200);
    }
    (kept, refused)
}

fn logged(server: &Server) -> Vec<String> {
    let export = server.run(&["export", "--events"]);
    let mut ids: Vec<String> =
        export.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn writes_and_syncs_fail_halfway_and_slowly() {
    let faults = tempfile::NamedTempFile::new().unwrap();
    let mut server = Server::start_with(&[("RAPPORT_FAULTS", faults.path().to_str().unwrap())]);
    let secret = server.key("secret", &[]);
    let (mut kept, _) = under(&server, &secret, "view_item", 5, "before");
    for (n, fault) in ["write fail", "write short", "sync fail", "sync slow 50", "write slow 50"].into_iter().enumerate() {
        std::fs::write(faults.path(), fault).unwrap();
        let (kept_meanwhile, refused) = under(&server, &secret, "view_item", 5, &format!("during-{n}"));
        assert_eq!(kept_meanwhile.is_empty(), !fault.contains("slow"), "{fault}: {kept_meanwhile:?}");
        assert_eq!(refused == 0, fault.contains("slow"), "{fault}");
        if refused > 0 {
            assert_eq!(server.get("/readyz").status, 503, "{fault}");
        }
        std::fs::write(faults.path(), "").unwrap();
        server.eventually("it goes on without a restart", || server.get("/readyz").status == 200);
        kept.extend(kept_meanwhile);
        let (after, refused) = under(&server, &secret, "view_item", 5, &format!("after-{n}"));
        assert_eq!(refused, 0, "{fault}");
        kept.extend(after);
    }
    kept.sort();
    assert_eq!(logged(&server), kept, "what was acknowledged is in the log, once, and nothing else");
    server.kill();
    server.restart();
    assert_eq!(logged(&server), kept, "also for the next process");
    let replayed: Value = serde_json::from_str(&server.run(&["replay", "--json"])).unwrap();
    assert_eq!((&replayed["changed"], &replayed["identical"]), (&json!(0), &json!(1)), "{replayed}");
}

#[test]
fn purchases_and_withdrawals_are_shed_last() {
    let faults = tempfile::NamedTempFile::new().unwrap();
    let server = Server::start_with(&[
        ("RAPPORT_FAULTS", faults.path().to_str().unwrap()),
        ("RAPPORT_EVENTS__QUEUE", "8"),
        ("RAPPORT_RATE_LIMIT__BURST", "1000000"),
    ]);
    let secret = server.key("secret", &[]);
    // A commit takes what has queued; at two a second, what forty senders have in flight does not all find room.
    std::fs::write(faults.path(), "sync slow 500").unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (bought, shed_views, withdrawn) = std::thread::scope(|scope| {
        let views: Vec<_> = (0..40)
            .map(|n| {
                let (server, secret, stop) = (&server, &secret, &stop);
                scope.spawn(move || {
                    let mut refused = 0;
                    for round in 0.. {
                        if stop.load(std::sync::atomic::Ordering::Relaxed) {
                            break;
                        }
                        refused += under(server, secret, "view_item", 1, &format!("view-{n}-{round}")).1;
                    }
                    refused
                })
            })
            .collect();
        let (bought, _) = under(&server, &secret, "purchase", 4, "order");
        let withdrawal = json!({"visitor_id": "anna", "consent": {"analytics": false, "personalization": false, "at": "2030-01-01T00:00:00Z"}, "events": []});
        let withdrawn = server.post("/v1/events", &secret, &withdrawal).status;
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (bought, views.into_iter().map(|v| v.join().unwrap()).sum::<usize>(), withdrawn)
    });
    assert_eq!((bought.len(), withdrawn), (4, 200), "{shed_views} views were shed");
    assert!(shed_views > 0);
    assert!(server.metric("rapport_events_shed_total{lane=\"browse\"}") > 0.0);
    assert_eq!(server.metric("rapport_events_shed_total{lane=\"binding\"}"), 0.0);
}

/// A file system of a few megabytes, where this may be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=160m", "tmpfs"]).arg(dir.path()).output();
        if !mounted.is_ok_and(|m| m.status.success()) {
            eprintln!("skipped: a tmpfs cannot be mounted here (it takes root)");
            return None;
        }
        Some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_that_is_really_full_is_used_again_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let data = disk.0.path().join("var");
    let server = Server::at(&data);
    let secret = server.key("secret", &[]);
    let (mut kept, _) = under(&server, &secret, "view_item", 5, "before");
    // To the last page, again and again: the store gives room back when it turns its journal over, and events are small.
    let ballast = disk.0.path().join("ballast");
    let mut refused = 0;
    for round in 0..100 {
        let mut fill = Command::new("dd");
        fill.args(["if=/dev/zero", "bs=4k", "oflag=append", "conv=notrunc"]).arg(format!("of={}", ballast.display()));
        assert!(!fill.output().unwrap().status.success(), "it is full");
        let (meanwhile, now) = under(&server, &secret, "view_item", 20, &format!("during-{round}"));
        kept.extend(meanwhile);
        refused += now;
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "{} were kept on a full disk", kept.len());
    std::fs::remove_file(&ballast).unwrap();
    server.eventually("it goes on without a restart", || server.get("/readyz").status == 200);
    let (after, refused) = under(&server, &secret, "view_item", 5, "after");
    assert_eq!((after.len(), refused), (5, 0));
    kept.extend(after);
    kept.sort();
    assert_eq!(logged(&server), kept);
    server.eventually("the profile has all of it", || {
        // While the store is behind the log, the command says so and fails.
        let replayed = rapport(&data).args(["replay", "--json"]).output().unwrap();
        replayed.status.success() && serde_json::from_slice::<Value>(&replayed.stdout).unwrap()["changed"] == 0
    });
}
