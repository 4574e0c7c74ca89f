//! Several processes that share a Redis.

use std::time::{Duration, Instant};

use super::{POPULAR, RARE, SOON, Shop};
use crate::support::redis_server::RedisServer;
use crate::support::server::Server;

const PAIR: [&str; 2] = [POPULAR, RARE];

fn second(redis: &RedisServer, first: &Shop) -> Shop {
    let server = Server::start_with(&[("RAPPORT_STORE__BACKEND", "redis"), ("RAPPORT_STORE__REDIS__URL", &redis.url())]);
    // Keys are shared, builds are copied by whoever runs the nodes.
    let models = first.server.data_dir().join("models/default");
    let to = server.data_dir().join("models/default");
    copy(&models, &to);
    let shop = Shop { server, secret: first.secret.clone(), page: first.page.clone() };
    let build = first.also("also-bought", "i0")["build"].clone();
    shop.server.eventually("the copied build is served", || shop.also("also-bought", "i0")["build"] == build);
    shop
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn shows(shop: &Shop, item: &str) -> bool {
    shop.shown("also-bought", PAIR[0], item).is_some_and(|shown| shown["source"] == "co_occurrence")
}

#[test]
fn every_node_shows_it_and_counts_it_once() {
    let mut redis = RedisServer::start(true);
    let settings = [("RAPPORT_STORE__BACKEND", "redis"), ("RAPPORT_STORE__REDIS__URL", &*redis.url())];
    let one = Shop::open(&settings);
    let mut two = second(&redis, &one);
    assert!(!shows(&one, PAIR[1]) && !shows(&two, PAIR[1]));
    // What the build knows of the first node's log is not added on the second.
    let known = two.also("also-bought", PAIR[0])["items"][0]["item_id"].as_str().unwrap().to_owned();
    assert_eq!(two.support(PAIR[0], &known), one.support(PAIR[0], &known));

    // Some of the five buy here, some there.
    for n in 0..5 {
        let shop = if n % 2 == 0 { &one } else { &two };
        shop.buy(&format!("v{n}"), &format!("o{n}"), &PAIR);
    }
    let since = Instant::now();
    for (name, shop) in [("first", &one), ("second", &two)] {
        shop.soon("the pair is among the first ten", || shows(shop, PAIR[1]));
        shop.soon("all five count", || shop.support(PAIR[0], PAIR[1])[3] == 605);
        eprintln!("shown on the {name} node after {:?}", since.elapsed());
    }
    assert!(since.elapsed() < SOON);
    assert_eq!(one.support(PAIR[0], PAIR[1]), two.support(PAIR[0], PAIR[1]));

    // A node that was away catches up, with its own and with the others'.
    two.server.kill();
    for n in 5..8 {
        one.buy(&format!("v{n}"), &format!("o{n}"), &PAIR);
    }
    two.server.restart();
    two.soon("it knows all eight", || shows(&two, PAIR[1]) && two.support(PAIR[0], PAIR[1])[3] == 608);

    // Redis goes away. Nothing waits for it, and what happens meanwhile is told afterwards.
    redis.kill();
    for n in 8..10 {
        let asked = Instant::now();
        one.buy(&format!("v{n}"), &format!("o{n}"), &PAIR);
        // Profiles are in the same Redis, and looking for them takes the time it may.
        assert!(asked.elapsed() < Duration::from_secs(3), "acknowledged after {:?}", asked.elapsed());
    }
    one.soon("it counts where it happened", || one.support(PAIR[0], PAIR[1])[3] == 610);
    redis.restart();
    two.server.eventually("it is told", || two.support(PAIR[0], PAIR[1])[3] == 610);
    // Each of the ten is one basket, whichever way it came.
    assert_eq!(one.support(PAIR[0], PAIR[1]), two.support(PAIR[0], PAIR[1]));
}
