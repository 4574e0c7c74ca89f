//! Events: one fate each, kept once, told truthfully.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::server::{Answer, Server, rapport, send, succeed};

fn view(id: &str) -> Value {
    json!({"id": id, "type": "view_item", "items": [{"item_id": "mug"}]})
}

fn batch(events: &[Value]) -> Value {
    json!({"visitor_id": "v", "consent": {"analytics": true, "personalization": true}, "events": events})
}

fn exported(server: &Server) -> Vec<Value> {
    server.run(&["export", "--events"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn result(answer: &Answer, id: &str) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["results"][id]["result"].as_str().unwrap_or_default().to_owned()
}

/// Returns the counts of events by result and code.
fn counted(server: &Server) -> BTreeMap<String, f64> {
    let text = send(server.admin, "GET", "/metrics", &[], b"").unwrap().text();
    let lines = text.lines().filter_map(|l| l.strip_prefix("rapport_events_total{")?.split_once("} "));
    lines
        .map(|(labels, value)| {
            let label = |name: &str| labels.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
            (format!("{} {}", label("result"), label("code")).trim().to_owned(), value.parse::<f64>().unwrap())
        })
        .collect()
}

/// Returns microseconds since 1970 of a time in an export.
fn micros(time: &Value) -> i64 {
    rapport::event::Timestamp::parse(time.as_str().unwrap()).unwrap().0
}

#[test]
fn every_event_has_one_fate_and_the_counts_add_up() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let page = server.key("publishable", &[]);
    let purchase = json!({"id": "buy", "type": "purchase", "value": 5, "currency": "EUR", "items": [{"item_id": "mug"}]});
    let mut denied = view("denied");
    denied["consent"] = json!({"analytics": false, "personalization": false});
    let sent = [
        view("a"),
        view("b"),
        view("a"),
        json!({"id": "bad", "type": "view_item"}),
        json!({"type": "page_view"}),
        json!("nonsense"),
        json!({"id": 7, "type": "page_view"}),
        denied,
        purchase.clone(),
    ];
    let answer = server.post("/v1/events", &page, &batch(&sent));
    let body = answer.json();
    let fates: BTreeMap<&str, String> = body["results"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, r)| {
            (id.as_str(), format!("{} {}", r["result"].as_str().unwrap(), r["code"].as_str().unwrap_or("")).trim().to_owned())
        })
        .collect();
    let expected = [
        ("7", "ok"),
        ("a", "ok"),
        ("b", "ok"),
        ("bad", "drop missing_items"),
        ("buy", "ok money_unverified"),
        ("denied", "drop no_consent"),
    ];
    assert_eq!(fates, expected.map(|(id, fate)| (id, fate.to_owned())).into());
    assert_eq!((&body["errors"][0]["index"], &body["errors"][0]["code"]), (&json!(4), &json!("missing_id")));
    assert_eq!((&body["errors"][1]["index"], &body["errors"][1]["code"]), (&json!(5), &json!("invalid_json")));
    let again = server.post("/v1/events", &page, &batch(&sent));
    assert_eq!(result(&again, "a"), "duplicate");
    assert_eq!(result(&again, "bad"), "drop");
    // A server's word about money is believed; without a currency it is no money.
    let mut events = [purchase.clone(), purchase];
    events[0]["id"] = "paid".into();
    events[1]["id"] = "vague".into();
    events[1]["currency"] = Value::Null;
    let answer = server.post("/v1/events", &secret, &batch(&events)).json();
    assert_eq!(answer["results"]["paid"], json!({"result": "ok"}));
    assert_eq!(answer["results"]["vague"], json!({"result": "ok", "code": "value_without_currency"}));

    let counts = counted(&server);
    assert_eq!(counts.values().sum::<f64>(), (sent.len() * 2 + 2) as f64, "{counts:?}");
    assert_eq!(counts["duplicate"], 1.0 + 5.0, "{counts:?}");
    assert_eq!(counts["ok money_unverified"], 1.0);
    let mut ids: Vec<String> = exported(&server).iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, ["7", "a", "b", "buy", "paid", "vague"], "what was ok is in the log, once, and nothing else");
}

#[test]
fn many_senders_of_one_event_make_one_event() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let fates: Vec<String> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| result(&server.post("/v1/events", &secret, &batch(&[view("same")])), "same")))
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert_eq!(fates.iter().filter(|fate| *fate == "ok").count(), 1, "{fates:?}");
    assert!(fates.iter().all(|fate| matches!(fate.as_str(), "ok" | "duplicate" | "retry")), "{fates:?}");
    // Who was told to retry does so until it is told that it is kept.
    assert_eq!(result(&server.post("/v1/events", &secret, &batch(&[view("same")])), "same"), "duplicate");
    assert_eq!(exported(&server).len(), 1);
}

#[test]
fn what_was_ok_survives_a_power_cut_and_stays_a_duplicate() {
    let mut server = Server::start();
    let secret = server.key("secret", &[]);
    for n in 0..20 {
        let id = format!("e{n}");
        assert_eq!(result(&server.post("/v1/events", &secret, &batch(&[view(&id)])), &id), "ok");
    }
    server.kill();
    server.restart();
    assert_eq!(exported(&server).len(), 20);
    let events: Vec<Value> = (0..21).map(|n| view(&format!("e{n}"))).collect();
    let answer = server.post("/v1/events", &secret, &batch(&events));
    for n in 0..20 {
        assert_eq!(result(&answer, &format!("e{n}")), "duplicate");
    }
    assert_eq!(result(&answer, "e20"), "ok");
    // The other shop's events are other events.
    let other = server.key("secret", &["--site", "other"]);
    assert_eq!(result(&server.post("/v1/events", &other, &batch(&[view("e1")])), "e1"), "ok");
}

#[test]
fn clocks_are_corrected() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let with = |id: &str, more: Value| {
        let mut event = view(id);
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    // The client's clock is years ahead; what counts is how long before sending it was.
    let mut body = batch(&[
        with("ten_seconds", json!({"ts": "2033-01-01T00:00:50Z"})),
        with("age_wins", json!({"ts": "2033-01-01T00:00:50Z", "age_ms": 2500})),
        with("future", json!({"ts": "2033-01-01T00:05:00Z"})),
        with("nothing_said", json!({})),
        with("own_clock", json!({"ts": 1_767_225_600_000_i64, "sent_at": "2026-01-01T00:00:03Z"})),
    ]);
    body["sent_at"] = "2033-01-01T00:01:00Z".into();
    body["session_id"] = "s".into();
    body["seq"] = 3.into();
    assert_eq!(server.post("/v1/events", &secret, &body).status, 200);
    let plain = batch(&[with("believed", json!({"ts": "2026-01-01T00:00:00Z"}))]);
    assert_eq!(server.post("/v1/events", &secret, &plain).status, 200);
    let log = exported(&server);
    let event = |id: &str| log.iter().find(|e| e["id"] == id).unwrap();
    let before = |id: &str| micros(&event(id)["received_at"]) - micros(&event(id)["ts"]);
    assert_eq!(before("ten_seconds"), 10_000_000);
    assert_eq!(before("age_wins"), 2_500_000);
    assert_eq!(before("future"), 0);
    assert_eq!(before("nothing_said"), 0);
    assert_eq!(before("own_clock"), 3_000_000);
    assert_eq!(event("believed")["ts"], "2026-01-01T00:00:00.000000Z");
    let kept = event("ten_seconds");
    assert_eq!(
        (&kept["client_ts"], &kept["sent_at"]),
        (&json!("2033-01-01T00:00:50.000000Z"), &json!("2033-01-01T00:01:00.000000Z"))
    );
    assert_eq!((&kept["session_id"], &kept["seq"]), (&json!("s"), &json!(3)));
}

#[test]
fn bodies_come_packed_and_as_beacons() {
    let server = Server::start();
    let page = server.key("publishable", &["--origin", "https://shop.example"]);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(batch(&[view("packed")]).to_string().as_bytes()).unwrap();
    let authorization = format!("Bearer {page}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Encoding", "gzip"), ("Content-Type", "application/json")];
    assert_eq!(result(&server.send("POST", "/v1/events", &headers, &packer.finish().unwrap()), "packed"), "ok");
    // navigator.sendBeacon: no headers of one's own, text/plain, the key in the body.
    let mut beacon = batch(&[view("beacon")]);
    beacon["key"] = page.as_str().into();
    let headers = [("Content-Type", "text/plain;charset=UTF-8"), ("Origin", "https://shop.example")];
    let answer = server.send("POST", "/v1/events", &headers, beacon.to_string().as_bytes());
    assert_eq!(result(&answer, "beacon"), "ok");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
}

#[test]
fn robots_are_not_counted_and_people_are() {
    let server = Server::start();
    let (page, secret) = (server.key("publishable", &[]), server.key("secret", &[]));
    let from = |key: &str, agent: Option<&str>, id: &str| {
        let authorization = format!("Bearer {key}");
        let mut headers = vec![("Authorization", authorization.as_str())];
        headers.extend(agent.map(|agent| ("User-Agent", agent)));
        let answer = server.send("POST", "/v1/events", &headers, batch(&[view(id)]).to_string().as_bytes());
        format!("{} {}", result(&answer, id), answer.json()["results"][id]["code"].as_str().unwrap_or_default())
    };
    assert_eq!(from(&page, Some("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), "a"), "drop bot");
    assert_eq!(from(&page, Some("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0"), "b"), "drop bot");
    assert_eq!(from(&page, None, "c"), "ok ", "no User-Agent is no robot");
    assert_eq!(from(&page, Some(""), "d"), "ok ");
    assert_eq!(from(&page, Some("Mozilla/5.0 (Windows NT 10.0) Chrome/126.0 Safari/537.36"), "e"), "ok ");
    // What the shop's own server calls itself is not what its visitors are.
    assert_eq!(from(&secret, Some("python-requests/2.32"), "f"), "ok ");
    assert_eq!(exported(&server).len(), 4);
}

#[test]
fn an_export_imported_elsewhere_exports_the_same() {
    let server = Server::start();
    let (page, secret) = (server.key("publishable", &[]), server.key("secret", &[]));
    let rich = json!({"id": "rich", "type": "purchase", "age_ms": 1234, "session_id": "s1", "seq": 9, "transaction_id": "t-1",
        "currency": "KWD", "value": 1.234, "coupon": "SPRING", "deep": {"a": [1, null, "é\u{1F600}"]}, "recommendation_id": "r-1",
        "placement": "also-bought", "creative_id": "c", "search_term": "two words", "customer_id": "c-7",
        "items": [{"item_id": "a\"b,c", "item_name": "A \"mug\"", "item_brand": "B", "item_category": "One", "item_category2": "Two",
            "item_variant": "XL", "price": 0.001, "quantity": 3, "index": 2}, {"item_id": 22386}]});
    let vague = json!({"id": "vague", "type": "purchase", "value": 3.5, "items": [{"item_id": "mug"}]});
    let own = json!({"id": "own", "type": "Custom_Event", "visitor_id": "w", "ts": "2026-01-01T00:00:00.123456Z",
        "sent_at": 1_767_225_601_000_i64, "consent": {"analytics": true, "marketing": true, "at": "2026-01-01T00:00:00Z"}});
    assert_eq!(server.post("/v1/events", &secret, &batch(&[rich, vague, own])).status, 200);
    assert_eq!(server.post("/v1/events", &page, &batch(&[view("page")])).status, 200);
    // A withdrawal is part of what is known, too.
    let denied = json!({"visitor_id": "v", "consent": {"analytics": false, "personalization": false}});
    assert_eq!(server.post("/v1/events", &secret, &denied).status, 200);

    let text = server.run(&["export", "--events", "--format", "events-jsonl"]);
    assert_eq!(text.lines().count(), 5, "{text}");
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("events.jsonl");
    std::fs::write(&file, &text).unwrap();
    let there = || rapport(&elsewhere.path().join("var"));
    let import = || {
        let report = there().args(["import", "--json", "--format", "events-jsonl"]).arg(&file).output().unwrap();
        serde_json::from_str::<Value>(&succeed(report)).unwrap()
    };
    let report = import();
    assert_eq!(report["accepted"], 5, "{report}");
    let without_position = |text: &str| -> Vec<Value> {
        let line = |line: &str| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            event.as_object_mut().unwrap().remove("position").unwrap();
            event
        };
        text.lines().map(line).collect()
    };
    let exported = || succeed(there().args(["export", "--events"]).output().unwrap());
    assert_eq!(without_position(&exported()), without_position(&text));
    // And importing it twice changes nothing.
    assert_eq!(import()["accepted"], 0);
    assert_eq!(without_position(&exported()), without_position(&text));
}
