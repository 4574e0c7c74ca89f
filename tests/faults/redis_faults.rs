//! Redis in every trouble it can be in, under load: decisions go on, nothing acknowledged is lost, and all of it passes without a restart.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::load::{settles, under_load};
use crate::support::proxy::{Proxy, Weather};
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_sentinel::Watched;
use crate::support::redis_server::RedisServer;
use crate::support::server::Server;

/// A moment of load before, during and after.
const MOMENT: Duration = Duration::from_millis(700);

#[track_caller]
fn replays_the_same(server: &Server) {
    let replayed: Value = serde_json::from_str(&server.run(&["replay", "--json"])).unwrap();
    assert_eq!((&replayed["changed"], &replayed["removed"]), (&json!(0), &json!(0)), "{replayed}");
    assert_eq!(replayed["identical"], replayed["profiles"], "{replayed}");
}

#[test]
fn a_primary_of_a_cluster_is_killed() {
    let mut cluster = RedisCluster::start();
    let server = Server::on_redis(&cluster.urls());
    let secret = server.key("secret", &[]);
    let answered = under_load(&[&server], &secret, || {
        sleep(MOMENT);
        let dead = cluster.kill_a_primary();
        // Longer than it takes the others to agree on its successor.
        sleep(Duration::from_secs(4));
        cluster.restart(dead);
        server.eventually("the Cluster is whole again", || cluster.is_whole());
        sleep(MOMENT);
    });
    assert!(answered.views() > 100 && answered.decisions > 100, "{answered:?}");
    settles(&server, &secret, &answered);
    replays_the_same(&server);
}

#[test]
fn sentinels_name_another_primary() {
    let mut watched = Watched::start();
    let server = Server::on_redis(&watched.urls());
    let secret = server.key("secret", &[]);
    let answered = under_load(&[&server], &secret, || {
        sleep(MOMENT);
        watched.kill_primary();
        sleep(Duration::from_secs(5));
    });
    assert!(answered.views() > 100, "{answered:?}");
    settles(&server, &secret, &answered);
    replays_the_same(&server);
}

#[test]
fn the_way_to_redis_is_slow_silent_cut_and_torn() {
    let redis = RedisServer::start(true);
    let proxy = Proxy::before(redis.port());
    let server = Server::on_redis(&format!("redis://127.0.0.1:{}", proxy.port()));
    let secret = server.key("secret", &[]);
    let mut cut = false;
    let answered = under_load(&[&server], &secret, || {
        sleep(MOMENT);
        for weather in [Weather::Slow(Duration::from_millis(30)), Weather::Silent, Weather::Cut, Weather::Truncated] {
            proxy.set(weather);
            sleep(2 * MOMENT);
            cut |= server.metric("rapport_store_cut") > 0.0;
            proxy.set(Weather::Fair);
            sleep(MOMENT);
        }
    });
    assert!(cut, "a Redis that is silent is not asked by every request");
    settles(&server, &secret, &answered);
    server.eventually("the circuit is closed again", || server.metric("rapport_store_cut") == 0.0);
    replays_the_same(&server);
}

#[test]
fn redis_is_full_then_read_only_then_gone() {
    let mut redis = RedisServer::start(true);
    let server = Server::on_redis(&redis.url());
    let secret = server.key("secret", &[]);
    let answered = under_load(&[&server], &secret, || {
        sleep(MOMENT);
        redis.command("CONFIG SET maxmemory 1");
        sleep(MOMENT);
        redis.command("CONFIG SET maxmemory 0");
        sleep(MOMENT);
        // A replica of nobody: it refuses writes, as a primary does that lost its place.
        redis.command("REPLICAOF 127.0.0.1 9");
        sleep(MOMENT);
        redis.command("REPLICAOF NO ONE");
        sleep(MOMENT);
        redis.kill();
        sleep(MOMENT);
        redis.restart();
        sleep(MOMENT);
    });
    settles(&server, &secret, &answered);
    replays_the_same(&server);
}
