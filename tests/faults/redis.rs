//! Profiles and documents in Redis: the whole road, an outage, and two servers that share one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::redis_server::{RedisServer, free_port};
use crate::support::server::{Answer, Server, rapport};

fn server(redis: &RedisServer) -> Server {
    Server::on_redis(&redis.url())
}

fn get(server: &Server, secret: &str, path: &str) -> Answer {
    server.get_as(secret, path)
}

/// Sends views of a visitor, one per item, each later than the one before; all must be kept.
#[track_caller]
fn view(server: &Server, secret: &str, visitor: &str, first: u64, items: &[&str]) {
    let events: Vec<Value> = (first..)
        .zip(items)
        .map(|(n, item)| {
            let ts = format!("2024-01-01T00:{:02}:{:02}Z", n / 60, n % 60);
            json!({"id": format!("{visitor}-{n}"), "type": "view_item", "visitor_id": visitor, "ts": ts, "items": [{"item_id": item}]})
        })
        .collect();
    let answer =
        server.post("/v1/events", secret, &json!({"consent": {"analytics": true, "personalization": true}, "events": events}));
    let results = answer.json()["results"].clone();
    assert!(results.as_object().is_some_and(|r| r.len() == items.len() && r.values().all(|r| r["result"] == "ok")), "{results}");
}

fn viewed(server: &Server, secret: &str, visitor: &str) -> Vec<String> {
    let answer = get(server, secret, &format!("/v1/recommendations/recently-viewed?visitor_id={visitor}&count=20"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"].as_array().unwrap().iter().map(|i| i["item_id"].as_str().unwrap().to_owned()).collect()
}

fn replay(server: &Server) -> Value {
    serde_json::from_str(&server.run(&["replay", "--json"])).unwrap()
}

#[test]
fn the_whole_road_leads_through_redis() {
    let redis = RedisServer::start(true);
    let mut server = server(&redis);
    let secret = server.key("secret", &[]);
    let items: String = ["tea", "mug", "pot"]
        .map(|id| json!({"item_id": id, "title": format!("A {id}"), "availability": "in_stock"}).to_string() + "\n")
        .concat();
    let file = server.data_dir().join("items.jsonl");
    std::fs::write(&file, items).unwrap();
    let imported: Value =
        serde_json::from_str(&server.run(&["import", "--format", "catalog-jsonl", "--json", file.to_str().unwrap()])).unwrap();
    assert_eq!(imported["accepted"], 3, "{imported}");
    assert_eq!(get(&server, &secret, "/v1/catalog/items/tea").json()["title"], "A tea");

    view(&server, &secret, "anna", 0, &["tea", "mug", "pot"]);
    assert_eq!(viewed(&server, &secret, "anna"), ["pot", "mug", "tea"]);
    let orders: Vec<Value> = (0..30)
        .map(|n| {
            json!({"id": format!("p{n}"), "type": "purchase", "visitor_id": format!("v{n}"), "transaction_id": format!("t{n}"),
                   "currency": "EUR", "value": 5, "items": [{"item_id": "tea", "price": 2.5}, {"item_id": if n % 3 == 0 { "pot" } else { "mug" }, "price": 2.5}]})
        })
        .chain((30..60).map(|n| {
            json!({"id": format!("p{n}"), "type": "purchase", "visitor_id": format!("v{n}"), "transaction_id": format!("t{n}"),
                   "currency": "EUR", "value": 5, "items": [{"item_id": "kite", "price": 2.5}, {"item_id": "rope", "price": 2.5}]})
        }))
        .collect();
    let answer =
        server.post("/v1/events", &secret, &json!({"consent": {"analytics": true, "personalization": true}, "events": orders}));
    assert_eq!(answer.status, 200);
    let built: Value = serde_json::from_str(&server.run(&["build", "--json"])).unwrap();
    assert_eq!(built["activated"], true);
    let answer = get(&server, &secret, "/v1/recommendations/also-bought?item_id=tea&count=1").json();
    assert_eq!((&answer["items"][0]["item_id"], &answer["served_by"]), (&json!("mug"), &json!("co_occurrence")), "{answer:#}");

    // All of it is still there for a new process.
    server.kill();
    server.restart();
    assert_eq!(viewed(&server, &secret, "anna"), ["pot", "mug", "tea"]);
    assert_eq!(get(&server, &secret, "/v1/recommendations/also-bought?item_id=tea&count=1").json()["build"], built["build"]);
    let replayed = replay(&server);
    assert_eq!(
        (&replayed["profiles"], &replayed["identical"], &replayed["shared"]),
        (&json!(61), &json!(61), &json!(0)),
        "{replayed}"
    );
}

#[test]
fn an_outage_costs_memory_for_its_length_and_nothing_else() {
    let mut redis = RedisServer::start(true);
    let server = server(&redis);
    let secret = server.key("secret", &[]);
    let public = server.key("publishable", &[]);
    view(&server, &secret, "anna", 0, &["tea", "mug"]);
    server.eventually("items are observed", || viewed(&server, &secret, "anna") == ["mug", "tea"]);

    redis.kill();
    for n in 0..5 {
        let since = Instant::now();
        view(&server, &secret, "anna", 10 + n, &[["kite", "rope", "hat", "scarf", "glove"][usize::try_from(n).unwrap()]]);
        view(&server, &secret, &format!("new-{n}"), 0, &["tea"]);
        // A browser's batch asks for the consent on record, which is not to be had.
        let batch = json!({"visitor_id": format!("browser-{n}"), "consent": {"analytics": true, "personalization": true},
                           "events": [{"id": format!("b{n}"), "type": "view_item", "items": [{"item_id": "tea"}]}]});
        let answer = server.post("/v1/events", &public, &batch);
        assert_eq!(answer.json()["results"][format!("b{n}")]["result"], "ok", "{}", answer.text());
        assert!(viewed(&server, &secret, "anna").is_empty(), "a profile out of nowhere");
        let answer = get(&server, &secret, "/v1/recommendations/for-you?visitor_id=anna&count=2");
        assert_eq!((answer.status, answer.json()["items"].as_array().unwrap().len()), (200, 2), "{}", answer.text());
        let decide =
            json!({"visitor_id": "anna", "context": {"item_id": "tea"}, "placements": [{"id": "also-bought", "count": 1}]});
        let answer = server.post("/v1/decide", &secret, &decide);
        assert_eq!(answer.json()["placements"]["also-bought"]["items"][0]["item_id"], "mug", "{}", answer.text());
        assert!(since.elapsed() < Duration::from_secs(5), "six requests took {:?}", since.elapsed());
    }
    assert!(server.metric("rapport_profiles_unavailable_total") >= 5.0);
    assert_eq!(server.get("/readyz").status, 200, "events can be kept");
    let refused = server_command(&server, &redis, &["replay", "--json"]);
    assert_eq!(refused.0, Some(1), "{}", refused.1);
    assert!(refused.1.contains("behind the log"), "{}", refused.1);

    redis.restart();
    let expected = ["glove", "scarf", "hat", "rope", "kite", "mug", "tea"];
    server.eventually("the profile has caught up", || viewed(&server, &secret, "anna") == expected);
    server.eventually("all profiles have caught up", || server_command(&server, &redis, &["replay", "--json"]).0 == Some(0));
    let replayed = replay(&server);
    assert_eq!(
        (&replayed["profiles"], &replayed["identical"], &replayed["removed"]),
        (&json!(11), &json!(11), &json!(0)),
        "{replayed}"
    );
    view(&server, &secret, "anna", 30, &["tea"]);
    assert_eq!(viewed(&server, &secret, "anna")[0], "tea");
}

/// Runs a command on the server's data and returns its exit code and what it said.
fn server_command(server: &Server, redis: &RedisServer, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = rapport(&server.data_dir());
    command.env("RAPPORT_STORE__BACKEND", "redis").env("RAPPORT_STORE__REDIS__URL", redis.url());
    let output = command.args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_redis_forgot_in_its_crash_is_folded_again() {
    let mut redis = RedisServer::start(true);
    let mut server = server(&redis);
    let secret = server.key("secret", &[]);
    view(&server, &secret, "anna", 0, &["tea", "mug"]);
    server.eventually("items are observed", || viewed(&server, &secret, "anna") == ["mug", "tea"]);
    // An append-only file that is synced every second loses the last one when the machine goes down, and nobody here
    // writes while it is away.
    redis.command("DEL rapport:{default:anna}:p");
    assert!(viewed(&server, &secret, "anna").is_empty());
    redis.kill();
    redis.restart();
    server.eventually("the profile is back", || viewed(&server, &secret, "anna") == ["mug", "tea"]);

    // The same where both went down together.
    redis.command("DEL rapport:{default:anna}:p");
    server.kill();
    server.restart();
    server.eventually("the profile is back", || viewed(&server, &secret, "anna") == ["mug", "tea"]);
    let replayed = replay(&server);
    assert_eq!((&replayed["profiles"], &replayed["identical"]), (&json!(1), &json!(1)), "{replayed}");
}

#[test]
fn a_redis_that_forgets_is_refused_unless_that_is_accepted() {
    let redis = RedisServer::start(false);
    let dir = tempfile::tempdir().unwrap();
    let mut command = rapport(&dir.path().join("var"));
    command.env("RAPPORT_STORE__BACKEND", "redis").env("RAPPORT_STORE__REDIS__URL", redis.url());
    command.env("RAPPORT_HTTP__BIND", "127.0.0.1:0").env("RAPPORT_HTTP__ADMIN_BIND", "127.0.0.1:0");
    let output = command.arg("serve").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("append-only file") && said.contains("appendonly yes"), "{said}");
    assert!(said.contains("accept"), "it says how to start all the same: {said}");

    let server = Server::start_with(&[
        ("RAPPORT_STORE__BACKEND", "redis"),
        ("RAPPORT_STORE__REDIS__URL", &redis.url()),
        ("RAPPORT_STORE__REDIS__ACCEPT_DATA_LOSS", "I accept losing documents when Redis restarts"),
    ]);
    let secret = server.key("secret", &[]);
    view(&server, &secret, "anna", 0, &["tea"]);
}

#[test]
fn a_redis_that_is_not_there_stops_the_start_with_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = rapport(&dir.path().join("var"));
    // Port 9 is discard, and nobody runs it.
    command.env("RAPPORT_STORE__BACKEND", "redis").env("RAPPORT_STORE__REDIS__URL", "redis://:hunter2@127.0.0.1:9");
    let output = command.arg("serve").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.to_lowercase().contains("refused"), "{said}");
    assert!(!said.contains("hunter2"), "the password is in the message: {said}");
}

#[test]
fn two_servers_share_keys_catalog_and_profiles() {
    let redis = RedisServer::start(true);
    let (one, two) = (server(&redis), server(&redis));
    // Soon is 2 seconds; a key of a site that the other server has never heard of is the hard case.
    let soon = |what: &str, holds: &mut dyn FnMut() -> bool| {
        let since = Instant::now();
        while !holds() {
            assert!(since.elapsed() < Duration::from_secs(2), "not within 2 seconds: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    for site in ["default", "shop-two"] {
        let secret = one.key("secret", &["--site", site]);
        soon("the key works on the other server", &mut || {
            get(&two, &secret, "/v1/recommendations/trending?count=1").status == 200
        });
        let item = json!({"item_id": "tea", "title": "Tea", "availability": "in_stock"}).to_string();
        let authorization = format!("Bearer {secret}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let put = |server: &Server, body: &str| server.send("PUT", "/v1/catalog/items/tea", &headers, body.as_bytes());
        let answer = put(&one, &item);
        assert!(answer.status < 300, "{} {}", answer.status, answer.text());
        soon("an item is known to the other server", &mut || {
            let answer = get(&two, &secret, "/v1/recommendations/trending?count=1");
            answer.json()["items"][0]["item_id"] == "tea"
        });
        let answer = put(&two, &item.replace("in_stock", "out_of_stock"));
        assert!(answer.status < 300, "{} {}", answer.status, answer.text());
        soon("an item that is sold out is not shown by either", &mut || {
            get(&one, &secret, "/v1/recommendations/trending?count=1").json()["items"].as_array().unwrap().is_empty()
        });

        view(&one, &secret, "anna", 0, &["kite", "rope"]);
        view(&two, &secret, "anna", 10, &["mug", "hat"]);
        view(&one, &secret, "anna", 20, &["scarf"]);
        view(&two, &secret, "bert", 0, &["mug"]);
        for server in [&one, &two] {
            server.eventually("both nodes' events are in one profile", || {
                viewed(server, &secret, "anna") == ["scarf", "hat", "mug", "rope", "kite"]
            });
        }
    }
    // One node's log is half the truth: its replay leaves alone what the other had a part in.
    for server in [&one, &two] {
        let replayed = replay(server);
        assert_eq!((&replayed["changed"], &replayed["removed"]), (&json!(0), &json!(0)), "{replayed}");
        assert_eq!(replayed["shared"], 1, "{replayed}");
        let secret = server.key("secret", &[]);
        assert_eq!(viewed(server, &secret, "anna"), ["scarf", "hat", "mug", "rope", "kite"]);
        assert_eq!(viewed(server, &secret, "bert"), ["mug"]);
    }
}

#[test]
fn two_servers_at_once_write_one_profile() {
    let redis = RedisServer::start(true);
    let (one, two) = (server(&redis), server(&redis));
    let secret = one.key("secret", &[]);
    two.eventually("the key is known", || get(&two, &secret, "/v1/recommendations/trending?count=1").status == 200);
    let names: Vec<String> = (0..40).map(|n| format!("item-{n:02}")).collect();
    std::thread::scope(|scope| {
        for (half, server) in [(0, &one), (1, &two)] {
            let (names, secret) = (&names, &secret);
            scope.spawn(move || {
                for n in (0..40).filter(|n| n % 2 == half) {
                    view(server, secret, "anna", n, &[names[usize::try_from(n).unwrap()].as_str()]);
                }
            });
        }
    });
    let expected: Vec<&String> = names.iter().rev().take(20).collect();
    for server in [&one, &two] {
        server.eventually("no view is lost", || viewed(server, &secret, "anna").iter().collect::<Vec<_>>() == expected);
    }
}

/// A certificate for 127.0.0.1, its key, and the certificate of the authority that signed it, as files in a folder.
fn certificates(dir: &std::path::Path) {
    let openssl = |arguments: &str| {
        let made = std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output();
        let made = made.expect("openssl (Debian: apt-get install openssl)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"));
    openssl(&format!("req {key} -subj /CN=redis -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out request.pem"));
    openssl("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out cert.pem");
}

#[test]
fn a_redis_is_spoken_to_by_tls() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (port, cert, key, ca) = (free_port().to_string(), file("cert.pem"), file("key.pem"), file("ca.pem"));
    let tls = ["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let mut settings = tls.to_vec();
    settings.extend(["--tls-auth-clients", "no"]);
    let redis = RedisServer::start_with(true, &settings);
    let url = format!("rediss://127.0.0.1:{port}");
    let on_redis = [("RAPPORT_STORE__BACKEND", "redis"), ("RAPPORT_STORE__REDIS__URL", url.as_str())];

    // A certificate that nobody vouches for is refused.
    let mut stranger = rapport(&dir.path().join("var"));
    let refused = stranger.arg("serve").envs(on_redis).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("certificate"), "{said}");

    let server = Server::start_with(&[on_redis[0], on_redis[1], ("SSL_CERT_FILE", &ca)]);
    let secret = server.key("secret", &[]);
    let body = json!({"consent": {"analytics": true, "personalization": true},
        "events": [{"id": "e1", "type": "view_item", "visitor_id": "anna", "items": [{"item_id": "tea"}]}]});
    let answer = server.post("/v1/events", &secret, &body);
    assert_eq!(answer.json()["results"]["e1"]["result"], "ok", "{}", answer.text());
    assert_ne!(redis.command("DBSIZE"), ":0");
}
