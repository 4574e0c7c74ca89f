//! What happens between builds shows in the next decisions, once, on every node, and stays when the next build takes over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::Server;

mod nodes;
mod one_node;

/// How soon it must show.
const SOON: Duration = Duration::from_secs(5);
/// Items of the shop, from the most to the least sold; each has some that it is really bought with.
const ITEMS: u64 = 40;
/// An item of a hundred baskets, and one of fewer than 20, which were never bought together.
const POPULAR: &str = "i3";
const RARE: &str = "i22";

/// A shop with some hundred orders and a build of them.
struct Shop {
    server: Server,
    secret: String,
    page: String,
}

/// Returns an order of the history: skewed, and with pairs that belong together.
fn order(n: u64) -> Value {
    let hash = |salt: u64| (n * 31 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    let popular = |salt| hash(salt) % ITEMS * (hash(salt + 1) % ITEMS) / ITEMS;
    let first = popular(1);
    let mut items = vec![first, popular(5)];
    if hash(9) % 3 > 0 {
        items.push((first ^ 1) % ITEMS);
    }
    let lines: Vec<Value> = items.iter().map(|item| json!({"item_id": format!("i{item}"), "price": 2, "quantity": 1})).collect();
    json!({"id": format!("h{n}"), "type": "purchase", "visitor_id": format!("h{n}"), "transaction_id": format!("h{n}"),
        "currency": "EUR", "value": 5, "items": lines, "ts": format!("2026-01-{:02}T10:00:00Z", 1 + n % 28)})
}

impl Shop {
    /// Imports the history and builds.
    fn open(settings: &[(&str, &str)]) -> Self {
        let server = Server::start_with(settings);
        let (secret, page) = (server.key("secret", &[]), server.key("publishable", &[]));
        let shop = Self { server, secret, page };
        let file = shop.server.data_dir().join("history.jsonl");
        let lines: String = (0..600).map(|n| order(n).to_string() + "\n").collect();
        std::fs::write(&file, lines).unwrap();
        let arguments = ["import", "--format", "events-jsonl", "--consent", "analytics,personalization", "--json"];
        let imported = shop.server.run(&[&arguments[..], &[file.to_str().unwrap()]].concat());
        assert_eq!(serde_json::from_str::<Value>(&imported).unwrap()["accepted"], 600, "{imported}");
        shop.build();
        shop
    }

    fn build(&self) -> String {
        let built: Value = serde_json::from_str(&self.server.run(&["build", "--json"])).unwrap();
        assert_eq!(built["activated"], true, "{built}");
        let build = built["build"].as_str().unwrap().to_owned();
        self.server.eventually("the build is served", || self.also("also-bought", "i0")["build"] == *build);
        build
    }

    fn also(&self, placement: &str, item: &str) -> Value {
        let path = format!("/v1/recommendations/{placement}?item_id={item}&count=10&explain=true");
        let answer = self.server.send("GET", &path, &[("Authorization", &format!("Bearer {}", self.secret))], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Returns an item of a placement, if it is there.
    fn shown(&self, placement: &str, anchor: &str, item: &str) -> Option<Value> {
        let answer = self.also(placement, anchor);
        answer["items"].as_array().unwrap().iter().find(|shown| shown["item_id"] == item).cloned()
    }

    /// Returns the support that is shown for a pair: together, anchor, item, groups.
    #[track_caller]
    fn support(&self, anchor: &str, item: &str) -> [u64; 4] {
        let Some(shown) = self.shown("also-bought", anchor, item) else { panic!("{item} is not shown with {anchor}") };
        assert_eq!(shown["source"], "co_occurrence", "{shown}");
        ["together", "anchor", "item", "groups"].map(|word| shown["explain"]["support"][word].as_u64().unwrap())
    }

    /// Sends an event of one visitor's browser.
    #[track_caller]
    fn send(&self, visitor: &str, event: &Value) {
        let consent = json!({"analytics": true, "personalization": true});
        self.send_with(&consent, visitor, event, "ok");
    }

    #[track_caller]
    fn send_with(&self, consent: &Value, visitor: &str, event: &Value, result: &str) {
        let batch = json!({"visitor_id": visitor, "consent": consent, "events": [event]});
        let answer = self.server.post("/v1/events", &self.page, &batch).json();
        assert_eq!(answer["results"][event["id"].as_str().unwrap()]["result"], result, "{answer}");
    }

    fn buy(&self, visitor: &str, order: &str, items: &[&str]) {
        self.send(visitor, &purchase(order, items));
    }

    /// Waits for something to show and returns how long that took.
    #[track_caller]
    fn soon(&self, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
        let since = Instant::now();
        while !holds() {
            assert!(since.elapsed() < SOON, "not within {SOON:?}: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
        since.elapsed()
    }

    /// Waits until everything sent so far has been counted.
    fn counted(&self, facts: f64) {
        let own = "rapport_fresh_facts_total{from=\"own\",site=\"default\"}";
        self.soon("everything is counted", || self.server.metric(own) >= facts);
    }

    fn facts(&self) -> f64 {
        self.server.metric("rapport_fresh_facts_total{from=\"own\",site=\"default\"}")
    }
}

fn purchase(order: &str, items: &[&str]) -> Value {
    let lines: Vec<Value> = items.iter().map(|item| json!({"item_id": item, "price": 2, "quantity": 1})).collect();
    json!({"id": order, "type": "purchase", "transaction_id": order, "currency": "EUR", "value": 4, "items": lines})
}
