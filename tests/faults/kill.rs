//! `kill -9` of the server or its Redis in the middle of writing, again and again: what was acknowledged is there, once, and in the profile.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::server::{Server, send};

const SENDERS: u64 = 4;
const VISITORS: u64 = 12;
/// Distinct items that are viewed; more than a page of `recently-viewed` shows.
const ITEMS: u64 = 40;
/// How many of the items viewed last are compared.
const SHOWN: usize = 15;

/// What the senders know.
#[derive(Debug, Default)]
struct Sent {
    next: AtomicU64,
    /// Everything answered `ok` or `duplicate`.
    kept: Mutex<HashMap<String, Value>>,
    /// Sent, and no answer came or `retry` did.
    open: Mutex<Vec<Value>>,
}

/// Returns the event of a number: all about it follows from the number, so that a repetition is the same event.
fn event(n: u64) -> Value {
    // Times are given, increase, and lie in the past, so that the order of views is known however they arrive.
    let ts = 1_700_000_000_000 + n * 10;
    let ts = format_ms(ts);
    let mut rng = Dice(n ^ 0x9e37_79b9_7f4a_7c15);
    let visitor = format!("visitor-{}", rng.below(VISITORS));
    let viewed = json!([{"item_id": format!("item-{}", rng.below(ITEMS)), "price": 2.5}]);
    let bought = json!([{"item_id": format!("bought-{}", rng.below(ITEMS)), "price": 2.5, "quantity": 1}]);
    match n % 5 {
        0 => {
            json!({"id": format!("e{n}"), "type": "purchase", "visitor_id": visitor, "ts": ts, "transaction_id": format!("t{n}"),
                    "currency": "EUR", "value": 2.5, "items": bought})
        }
        1 => {
            json!({"id": format!("e{n}"), "type": "add_to_cart", "visitor_id": visitor, "ts": ts, "currency": "EUR", "items": bought})
        }
        _ => {
            json!({"id": format!("e{n}"), "type": "view_item", "visitor_id": visitor, "ts": ts, "currency": "EUR", "items": viewed})
        }
    }
}

/// Writes milliseconds since 1970 as RFC 3339.
fn format_ms(ms: u64) -> String {
    jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap()).unwrap().to_string()
}

/// A little randomness that is the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

impl Sent {
    /// Sends a batch once and sorts its events by what came back.
    fn deliver(&self, address: SocketAddr, secret: &str, batch: Vec<Value>) {
        let body = json!({"consent": {"analytics": true, "personalization": true}, "events": batch}).to_string();
        let authorization = format!("Bearer {secret}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let answer = send(address, "POST", "/v1/events", &headers, body.as_bytes());
        // An answer that was cut off is none.
        let answer = answer.ok().filter(|a| a.status == 200).and_then(|a| serde_json::from_slice::<Value>(&a.body).ok());
        for event in batch {
            let id = event["id"].as_str().unwrap().to_owned();
            match answer.as_ref().map(|a| a["results"][&id]["result"].as_str().unwrap_or("missing")) {
                Some("ok" | "duplicate") => {
                    self.kept.lock().unwrap().insert(id, event);
                }
                None | Some("retry") => self.open.lock().unwrap().push(event),
                Some(other) => panic!("{id} was answered {other}: {answer:?}"),
            }
        }
    }

    /// Sends once more what was not answered for good.
    fn deliver_again(&self, address: SocketAddr, secret: &str) {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        for batch in open.chunks(100) {
            self.deliver(address, secret, batch.to_vec());
        }
    }

    fn all_answered(&self) -> bool {
        self.open.lock().unwrap().is_empty()
    }

    /// Sends until the server is gone.
    fn send_until(&self, address: SocketAddr, secret: &str, sender: u64, ended: &AtomicBool) {
        let mut dice = Dice(sender);
        while !ended.load(Ordering::SeqCst) {
            let size = 1 + dice.below(8);
            let first = self.next.fetch_add(size, Ordering::SeqCst);
            self.deliver(address, secret, (first..first + size).map(event).collect());
            // The log may grow, but not so that reading it is what takes the time.
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    /// Returns a visitor's acknowledged items, the one viewed last first.
    fn viewed(&self, visitor: &str) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let mut last: HashMap<&str, &str> = HashMap::new();
        for event in kept.values().filter(|e| e["type"] == "view_item" && e["visitor_id"] == visitor) {
            let (item, ts) = (event["items"][0]["item_id"].as_str().unwrap(), event["ts"].as_str().unwrap());
            let at = last.entry(item).or_insert(ts);
            *at = (*at).max(ts);
        }
        let mut items: Vec<_> = last.into_iter().map(|(item, ts)| (ts.to_owned(), item.to_owned())).collect();
        items.sort_by(|a, b| b.cmp(a));
        items.into_iter().map(|(_, item)| item).take(SHOWN).collect()
    }
}

fn shown(server: &Server, secret: &str, visitor: &str) -> Vec<String> {
    let path = format!("/v1/recommendations/recently-viewed?visitor_id={visitor}&count={SHOWN}");
    let answer = server.get_as(secret, &path).json();
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer:#}"));
    items.iter().map(|i| i["item_id"].as_str().unwrap().to_owned()).collect()
}

/// Every acknowledged event is in the export once, and no other id twice.
fn check_export(server: &Server, sent: &Sent) -> usize {
    let export = server.run(&["export", "--events"]);
    let mut seen = HashSet::new();
    let mut last = None;
    for line in export.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(seen.insert(event["id"].as_str().unwrap().to_owned()), "twice in the log: {line}");
        let position = event["position"].as_u64();
        assert!(position > last, "out of log order: {line}");
        last = position;
    }
    for id in sent.kept.lock().unwrap().keys() {
        assert!(seen.contains(id), "{id} was acknowledged and is not in the log");
    }
    seen.len()
}

/// How long a profile may take to catch up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Redis,
}

/// Returns how many kills there are; `RAPPORT_LONG_TESTS=1` makes two hundred.
fn rounds(short: u64) -> u64 {
    if std::env::var_os("RAPPORT_LONG_TESTS").is_some() { 200 } else { short }
}

/// Says that it has ended when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Kills the server, or at random the server or its Redis, again and again under load, and then reads the books.
///
/// With `forgetful`, a killed Redis also loses what it wrote to its file since the round began, as it may where the machine dies with it and the
/// file is synced every second only.
fn keep_books(rounds: u64, mut server: Server, mut redis: Option<RedisServer>, forgetful: bool) {
    let secret = server.key("secret", &[]);
    let sent = Sent::default();
    let mut dice = Dice(20_261_123);
    let mut kills = [0, 0];
    for round in 0..rounds {
        let victim = if redis.is_some() && dice.below(2) == 0 { Victim::Redis } else { Victim::Server };
        kills[usize::from(victim == Victim::Redis)] += 1;
        let file_before = redis.as_ref().map_or(0, RedisServer::file_bytes);
        let ended = AtomicBool::new(false);
        let address = server.address;
        std::thread::scope(|scope| {
            // Also where a step below fails: a scope waits for its threads.
            let _ended = Ends(&ended);
            for sender in 0..SENDERS {
                let (sent, secret, ended) = (&sent, &secret, &ended);
                scope.spawn(move || sent.send_until(address, secret, round * SENDERS + sender, ended));
            }
            std::thread::sleep(Duration::from_millis(20 + dice.below(230)));
            match (victim, &mut redis) {
                (Victim::Redis, Some(redis)) => {
                    redis.kill();
                    if forgetful {
                        redis.forget(file_before);
                    }
                    // The server takes events in all the same.
                    std::thread::sleep(Duration::from_millis(dice.below(200)));
                    redis.restart();
                    std::thread::sleep(Duration::from_millis(dice.below(100)));
                }
                _ => server.kill(),
            }
        });
        if victim == Victim::Server {
            server.restart();
        }
        // Nobody knows what became of these; sent again, each is either new or known.
        sent.deliver_again(server.address, &secret);
        // An id that a killed server had leased in Redis stays leased for a while; its sender tries again, here in later rounds.
        assert!(redis.is_some() || sent.all_answered(), "round {round}: not answered by a server that nobody disturbs");
        let visitor = format!("visitor-{}", dice.below(VISITORS));
        // Items that are new to the catalog appear within a moment; the profile itself must know at once.
        let expected = sent.viewed(&visitor);
        let since = std::time::Instant::now();
        loop {
            let shown = shown(&server, &secret, &visitor);
            if shown == expected {
                break;
            }
            assert!(since.elapsed() < PATIENCE, "round {round}, after {victim:?}: {visitor} sees {shown:?} and not {expected:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        if round % 20 == 9 {
            check_export(&server, &sent);
        }
    }
    server.eventually("every event is answered for good", || {
        sent.deliver_again(server.address, &secret);
        sent.all_answered()
    });
    let events = check_export(&server, &sent);
    let kept = sent.kept.lock().unwrap().len();
    // Everything was resent until it was answered, so the log holds no more than was acknowledged.
    assert_eq!(events, kept);
    for n in 0..VISITORS {
        let visitor = format!("visitor-{n}");
        let expected = sent.viewed(&visitor);
        server.eventually(&visitor, || shown(&server, &secret, &visitor) == expected);
    }
    let replayed: BTreeMap<String, Value> = serde_json::from_str(&server.run(&["replay", "--json"])).unwrap();
    assert_eq!(replayed["events"], kept);
    assert_eq!(replayed["profiles"], VISITORS);
    assert_eq!(replayed["identical"], VISITORS, "{replayed:?}");
    assert_eq!((&replayed["changed"], &replayed["removed"]), (&json!(0), &json!(0)), "{replayed:?}");
    eprintln!("{} kills of the server, {} of Redis, {kept} events acknowledged, none missing, none twice", kills[0], kills[1]);
}

#[test]
fn kills_lose_nothing_and_repeat_nothing() {
    keep_books(rounds(50), Server::start(), None, false);
}

#[test]
fn kills_of_server_or_redis_lose_nothing_where_redis_syncs_always() {
    let redis = RedisServer::start(true);
    keep_books(rounds(8), Server::on_redis(&redis.url()), Some(redis), false);
}

#[test]
fn kills_of_server_or_redis_lose_no_event_where_redis_syncs_every_second() {
    let redis = RedisServer::start_with(true, &["--appendfsync", "everysec"]);
    keep_books(rounds(8), Server::on_redis(&redis.url()), Some(redis), true);
}
