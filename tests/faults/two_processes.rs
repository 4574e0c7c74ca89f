//! Two servers on one Redis: whatever the interleaving, each profile is what one process would have made of all events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rapport::event_log::{Archive, Position, Reader};
use rapport::profile::fold::fold;
use rapport::profile::redis::RedisProfiles;
use rapport::profile::store::ProfileStore;
use rapport::profile::{Memory, Profile};
use rapport::store_engine::{Address, Redis};
use serde_json::json;

use crate::support::redis_server::RedisServer;
use crate::support::server::Server;

const VISITORS: u64 = 1_000;
const SENDERS: u64 = 8;

/// How many beacons are sent; `RAPPORT_LONG_TESTS=1` sends a hundred thousand.
fn beacons() -> u64 {
    if std::env::var_os("RAPPORT_LONG_TESTS").is_some() { 100_000 } else { 8_000 }
}

#[test]
fn concurrent_beacons_of_one_visitor_lose_no_update() {
    let redis = RedisServer::start(true);
    let url = redis.url();
    let server = || {
        Server::start_with(&[
            ("RAPPORT_STORE__BACKEND", "redis"),
            ("RAPPORT_STORE__REDIS__URL", &url),
            ("RAPPORT_RATE_LIMIT__REQUESTS_PER_SECOND", "1000000"),
            ("RAPPORT_RATE_LIMIT__BURST", "10000000"),
        ])
    };
    let servers = [server(), server()];
    let secret = servers[0].key("secret", &[]);
    servers[1].eventually("the other server knows the key", || {
        servers[1].get_as(&secret, "/v1/recommendations/trending").status == 200
    });
    let (next, all) = (AtomicU64::new(0), beacons());
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (servers, secret, next) = (&servers, &secret, &next);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= all {
                        return;
                    }
                    let kind = ["view_item", "add_to_cart", "purchase", "view_item", "remove_from_cart"][(n % 5) as usize];
                    let ts = format!("2024-01-01T{:02}:{:02}:{:02}Z", n % 24, n / 24 % 60, n / 1_440 % 60);
                    let mut event = json!({"id": format!("e{n}"), "type": kind, "ts": ts,
                        "items": [{"item_id": format!("item-{}", n % 137), "item_category": format!("c{}", n % 11), "quantity": 1}]});
                    if kind == "purchase" {
                        event["transaction_id"] = json!(format!("t{n}"));
                    }
                    // Runs of eight beacons belong to one visitor, so that both servers write one profile at the same time.
                    let visitor = format!("v{}", n / SENDERS % VISITORS);
                    let batch = json!({"visitor_id": visitor, "consent": {"analytics": true, "personalization": true}, "events": [event]});
                    let answer = servers[(sender % 2) as usize].post("/v1/events", secret, &batch);
                    assert_eq!(answer.json()["results"][format!("e{n}")]["result"], "ok", "{}", answer.text());
                }
            });
        }
    });

    let mut expected: BTreeMap<String, Memory> = BTreeMap::new();
    let mut events = 0;
    for server in &servers {
        let data = server.data_dir();
        for committed in Reader::open(&data.join("log"), &Archive::own(&data.join("archive")), Position::START).unwrap() {
            let event = committed.unwrap().event;
            let mut profile = Profile::default();
            profile.memory = expected.remove(event.visitor.as_str()).unwrap_or_default();
            let profile = fold(profile, &event);
            expected.insert(event.visitor.as_str().to_owned(), profile.memory);
            events += 1;
        }
    }
    assert_eq!(events, all, "each beacon is in one log, once");
    let found = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let address = Address::parse(&[redis.url()]).unwrap();
        let profiles = RedisProfiles::new(Redis::connect(&address, true).await.unwrap(), 0);
        profiles.scan("default", None, usize::MAX).await.unwrap()
    });
    let found: BTreeMap<String, Memory> =
        found.into_iter().map(|(visitor, stored)| (visitor, Profile::decode(&stored.blob).unwrap().memory)).collect();
    assert_eq!(found.len() as u64, VISITORS.min(all / SENDERS));
    for (visitor, memory) in &expected {
        assert_eq!(found.get(visitor), Some(memory), "{visitor}");
    }
}

#[test]
fn a_second_try_on_the_other_server_is_known_there() {
    let mut redis = RedisServer::start(true);
    let url = redis.url();
    let (one, two) = (Server::on_redis(&url), Server::on_redis(&url));
    let secret = one.key("secret", &[]);
    two.eventually("the other server knows the key", || two.get_as(&secret, "/v1/recommendations/trending").status == 200);
    let send = |server: &Server, ids: &[&str]| {
        let events: Vec<_> = ids
            .iter()
            .map(|id| json!({"id": id, "type": "view_item", "visitor_id": "anna", "items": [{"item_id": "tea"}]}))
            .collect();
        let answer = server.post(
            "/v1/events",
            &secret,
            &json!({"consent": {"analytics": true, "personalization": true}, "events": events}),
        );
        let answer = answer.json();
        ids.iter().map(|id| answer["results"][*id]["result"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(send(&one, &["a", "b"]), ["ok", "ok"]);
    // Whose mark is still on its way is being written as far as others know.
    two.eventually("what one keeps is known to the other", || send(&two, &["a", "b"]) == ["duplicate", "duplicate"]);
    assert_eq!(send(&two, &["a", "c"]), ["duplicate", "ok"], "also without asking again");
    one.eventually("and the other way round", || send(&one, &["c"]) == ["duplicate"]);

    redis.kill();
    assert_eq!(send(&one, &["d"]), ["ok"], "a window that cannot be asked loses nothing");
    assert!(one.metric("rapport_ids_unshared_total") >= 1.0);
}
