//! Beacons and decisions that go on while something is done to the server.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::server::Server;

/// How long profiles may take to catch up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many visitors take turns.
const VISITORS: u64 = 12;

/// What was answered.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// By visitor: the items of acknowledged views, oldest first.
    pub(crate) kept: BTreeMap<String, Vec<String>>,
    /// Beacons refused with 503 and a time to wait.
    pub(crate) refused: u64,
    pub(crate) decisions: u64,
}

impl Answered {
    pub(crate) fn views(&self) -> usize {
        self.kept.values().map(Vec::len).sum()
    }
}

/// Runs `fault` under load of the given servers, which share what they keep. Every decision must be answered with 200, every beacon be kept or
/// be refused as documented.
#[track_caller]
pub(crate) fn under_load(servers: &[&Server], secret: &str, fault: impl FnOnce()) -> Answered {
    let (stop, number) = (AtomicBool::new(false), AtomicU64::new(0));
    let answered = Mutex::new(Answered::default());
    thread::scope(|scope| {
        for server in servers {
            // Two senders, so that a visitor's beacons are on their way at the same time.
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        send(server, secret, number.fetch_add(1, Ordering::Relaxed), &answered);
                    }
                });
            }
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let visitor = number.load(Ordering::Relaxed) % VISITORS;
                    for placement in ["recently-viewed", "for-you", "also-bought"] {
                        let path = format!("/v1/recommendations/{placement}?visitor_id=v{visitor}&item_id=item-1&count=4");
                        let answer = server.get_as(secret, &path);
                        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                    }
                    answered.lock().unwrap().decisions += 3;
                }
            });
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(fault));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
    answered.into_inner().unwrap()
}

fn send(server: &Server, secret: &str, number: u64, answered: &Mutex<Answered>) {
    let (visitor, item) = (format!("v{}", number % VISITORS), format!("item-{number}"));
    let ts = format!(
        "2024-01-01T{:02}:{:02}:{:02}.{:03}Z",
        number / 3_600_000,
        number / 60_000 % 60,
        number / 1_000 % 60,
        number % 1_000
    );
    let event = json!({"id": item, "type": "view_item", "visitor_id": visitor, "ts": ts, "items": [{"item_id": item}]});
    let batch = json!({"consent": {"analytics": true, "personalization": true}, "events": [event]});
    // As a client does it: the same event again, until it is known to be kept.
    loop {
        let answer = server.post("/v1/events", secret, &batch);
        match answer.status {
            200 => {
                let result = answer.json()["results"][&item]["result"].clone();
                if result == "ok" || result == "duplicate" {
                    answered.lock().unwrap().kept.entry(visitor).or_default().push(item);
                    return;
                }
                assert_eq!(result, "retry", "{}", answer.text());
            }
            503 => {
                assert!(answer.header("retry-after").is_some(), "{}", answer.text());
                answered.lock().unwrap().refused += 1;
            }
            other => panic!("{other} {}", answer.text()),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until every profile holds what was acknowledged, newest first.
#[track_caller]
pub(crate) fn settles(server: &Server, secret: &str, answered: &Answered) {
    for (visitor, items) in &answered.kept {
        let mut latest: Vec<&String> = items.iter().collect();
        latest.sort_by_key(|item| std::cmp::Reverse(item.trim_start_matches("item-").parse::<u64>().unwrap()));
        latest.truncate(20);
        let since = Instant::now();
        let shown = loop {
            let answer =
                server.get_as(secret, &format!("/v1/recommendations/recently-viewed?visitor_id={visitor}&count=20")).json();
            let items = answer["items"].as_array().unwrap().iter();
            let shown: Vec<String> = items.map(|item| item["item_id"].as_str().unwrap().to_owned()).collect();
            if shown.iter().eq(latest.iter().copied()) || since.elapsed() > PATIENCE {
                break shown;
            }
            thread::sleep(Duration::from_millis(20));
        };
        assert!(
            shown.iter().eq(latest.iter().copied()),
            "the profile of {visitor} holds {shown:?}, acknowledged were {latest:?}"
        );
    }
}
