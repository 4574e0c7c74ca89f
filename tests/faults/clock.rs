//! A clock that is set by hours while serving.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::server::Server;

const HOUR: i64 = 3_600;

/// A server whose clock can be set.
struct Shop {
    server: Server,
    key: String,
    step: PathBuf,
    _dir: tempfile::TempDir,
}

impl Shop {
    fn start(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let step = dir.path().join("step");
        let mut environment = vec![("RAPPORT_CLOCK_STEP", step.to_str().unwrap())];
        environment.extend(settings);
        let server = Server::start_with(&environment);
        let key = server.key("secret", &[]);
        Self { server, key, step, _dir: dir }
    }

    /// Sets the clock so many seconds away from the true time.
    fn set(&self, seconds: i64) {
        // A reader sees the old step or the new one.
        let aside = self.step.with_extension("new");
        std::fs::write(&aside, seconds.to_string()).unwrap();
        std::fs::rename(aside, &self.step).unwrap();
    }

    /// Sends a view and returns what became of it.
    fn view(&self, id: &str, granted: bool) -> String {
        let body = json!({"visitor_id": "v", "consent": {"analytics": granted, "personalization": granted},
            "events": [{"id": id, "type": "view_item", "items": [{"item_id": "tea"}]}]});
        let answer = self.server.post("/v1/events", &self.key, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["results"][id]["result"].as_str().unwrap().to_owned()
    }

    fn exported(&self) -> Vec<Value> {
        let text = self.server.run(&["export", "--site", "default", "--events", "--format", "events-jsonl"]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn an_id_is_known_however_the_clock_is_set() {
    let shop = Shop::start(&[]);
    assert_eq!(shop.view("a", true), "ok");
    for hours in [5, -5, 60, 200, -200, 0] {
        shop.set(hours * HOUR);
        assert_eq!(shop.view("a", true), "duplicate", "{hours} h");
        assert_eq!(shop.view(&format!("at {hours}"), true), "ok", "{hours} h");
    }
    let ids: Vec<Value> = shop.exported().into_iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids, ["a", "at 5", "at -5", "at 60", "at 200", "at -200", "at 0"]);
}

#[test]
fn a_key_is_not_locked_out_by_a_step_back() {
    let shop = Shop::start(&[("RAPPORT_RATE_LIMIT__REQUESTS_PER_SECOND", "50"), ("RAPPORT_RATE_LIMIT__BURST", "5")]);
    shop.set(5 * HOUR);
    shop.view("ahead", true);
    for hours in [0, -5] {
        shop.set(hours * HOUR);
        shop.view(&format!("back {hours}"), true);
    }
}

#[test]
fn a_withdrawal_counts_after_a_step_back() {
    let shop = Shop::start(&[]);
    shop.set(5 * HOUR);
    assert_eq!(shop.view("ahead", true), "ok");
    shop.set(0);
    assert_eq!(shop.view("denied", false), "drop");
    // What was granted before cannot be told from what is granted now, until the clock has caught up.
    assert_eq!(shop.view("too early", true), "drop");
    shop.set(6 * HOUR);
    assert_eq!(shop.view("granted anew", true), "ok");
    let kinds: Vec<Value> = shop.exported().into_iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["view_item", "consent_update", "view_item"]);
}
