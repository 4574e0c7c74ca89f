//! Segment's calls, as its libraries send them.

use serde_json::{Value, json};

use crate::support::server::{Answer, Server};

const CONSENT: &str = r#"{"consent":{"categoryPreferences":{"Analytics":true,"Functional":true,"Advertising":false}}}"#;

/// Returns the header of HTTP Basic with a write key for a user name and no password.
fn basic(key: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for chunk in format!("{key}:").as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn call(server: &Server, name: &str, key: &str, body: &Value) -> Answer {
    let headers = [("Authorization", basic(key)), ("Content-Type", "application/json".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    server.send("POST", &format!("/v1/segment/{name}"), &headers, body.to_string().as_bytes())
}

fn context() -> Value {
    serde_json::from_str(CONSENT).unwrap()
}

fn exported(server: &Server) -> Vec<Value> {
    server.run(&["export", "--events"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn calls_become_events() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let track = json!({"event": "Product Viewed", "messageId": "m1", "anonymousId": "anon", "context": context(),
        "originalTimestamp": "2026-01-01T00:00:00Z", "sentAt": "2026-01-01T00:00:02Z",
        "properties": {"product_id": "mug", "name": "A mug", "category": "Kitchen", "price": 9.5, "currency": "EUR"}});
    let answer = call(&server, "track", &secret, &track).json();
    assert_eq!((&answer["success"], &answer["results"]["m1"]["result"]), (&json!(true), &json!("ok")), "{answer}");
    let identify = json!({"messageId": "m2", "anonymousId": "anon", "userId": "u7", "context": context(), "traits": {"email": "a@b.example"}});
    assert_eq!(call(&server, "identify", &secret, &identify).json()["results"]["m2"]["result"], "ok");
    let page = json!({"messageId": "m3", "anonymousId": "anon", "context": context(), "properties": {"path": "/mugs"}});
    assert_eq!(call(&server, "page", &secret, &page).json()["results"]["m3"]["result"], "ok");
    let batch = json!({"sentAt": "2026-01-01T00:00:02Z", "batch": [
        {"type": "track", "event": "Order Completed", "messageId": "m4", "userId": "u7", "anonymousId": "anon", "context": context(),
         "properties": {"order_id": "o1", "total": 19, "currency": "EUR", "products": [{"product_id": "mug", "price": 9.5, "quantity": 2}]}},
        {"type": "screen", "messageId": "m5", "userId": "u8", "context": context()},
        {"type": "track", "event": "Video Played", "messageId": "m6", "anonymousId": "other", "context": context()},
        {"type": "group", "messageId": "m7", "anonymousId": "anon"},
        {"type": "track", "event": "Product Viewed", "messageId": "m1", "anonymousId": "anon", "context": context(), "properties": {"sku": "mug"}},
        {"type": "page", "messageId": "m8", "anonymousId": "silent"},
    ]});
    let answer = call(&server, "batch", &secret, &batch).json();
    let fate = |id: &str| answer["results"][id]["result"].as_str().unwrap();
    assert_eq!(
        [fate("m4"), fate("m5"), fate("m6"), fate("m7"), fate("m1"), fate("m8")],
        ["ok", "ok", "ok", "drop", "duplicate", "drop"]
    );
    assert_eq!(answer["results"]["m4"], json!({"result": "ok"}), "a server's money is believed");

    let log = exported(&server);
    let seen: Vec<[&str; 3]> = log.iter().map(|e| ["id", "type", "visitor_id"].map(|field| e[field].as_str().unwrap())).collect();
    let expected = [
        ["m1", "view_item", "anon"],
        ["m2", "login", "anon"],
        ["m3", "page_view", "anon"],
        ["m4", "purchase", "anon"],
        ["m5", "page_view", "u8"],
        ["m6", "video_played", "other"],
    ];
    assert_eq!(seen, expected);
    assert_eq!(log[0]["items"], json!([{"item_id": "mug", "item_name": "A mug", "item_category": "Kitchen", "price": 9.5}]));
    assert_eq!((&log[1]["customer_id"], &log[1]["traits"]), (&json!("u7"), &Value::Null), "traits are not kept");
    assert_eq!(log[2]["path"], "/mugs");
    assert_eq!(
        (&log[3]["transaction_id"], &log[3]["value"], &log[3]["items"][0]["quantity"]),
        (&json!("o1"), &json!(19.0), &json!(2))
    );
    let lag =
        |event: &Value| ["received_at", "ts"].map(|f| rapport::event::Timestamp::parse(event[f].as_str().unwrap()).unwrap().0);
    assert_eq!(lag(&log[0])[0] - lag(&log[0])[1], 2_000_000, "the clock is corrected");
}

#[test]
fn a_page_sends_its_write_key_in_the_body() {
    let server = Server::start();
    let page = server.key("publishable", &["--origin", "https://shop.example"]);
    let mut body = json!({"writeKey": page, "type": "track", "event": "Order Completed", "messageId": "m1", "anonymousId": "anon",
        "context": context(), "properties": {"total": 5, "currency": "EUR", "products": [{"product_id": "mug"}]}});
    let headers = [("Content-Type", "text/plain"), ("Origin", "https://shop.example")];
    let answer = server.send("POST", "/v1/segment/track", &headers, body.to_string().as_bytes());
    assert_eq!(answer.json()["results"]["m1"], json!({"result": "ok", "code": "money_unverified"}));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(call(&server, "track", "pk_no_such_key", &body).problem(), "key_mismatch");
    body["writeKey"] = Value::Null;
    assert_eq!(call(&server, "track", &page, &body).json()["results"]["m1"]["result"], "duplicate");
    assert_eq!(server.send("POST", "/v1/segment/track", &headers, body.to_string().as_bytes()).problem(), "missing_key");
    body["writeKey"] = server.key("secret", &[]).into();
    assert_eq!(server.send("POST", "/v1/segment/track", &headers, body.to_string().as_bytes()).problem(), "secret_key_exposed");
}

#[test]
fn the_caps_of_the_key_hold() {
    let server = Server::start();
    let (page, secret) = (server.key("publishable", &[]), server.key("secret", &[]));
    let many: Vec<Value> = (0..101)
        .map(|n| json!({"type": "page", "messageId": format!("m{n}"), "anonymousId": "a", "context": context()}))
        .collect();
    let answer = call(&server, "batch", &page, &json!({"batch": many})).json();
    assert_eq!(answer["results"]["m99"]["result"], "ok");
    assert_eq!(
        answer["results"]["m100"],
        json!({"result": "drop", "code": "batch_too_large", "detail": answer["results"]["m100"]["detail"]})
    );
    let large = json!({"messageId": "large", "anonymousId": "a", "context": context(), "properties": {"pad": "p".repeat(9_000)}});
    assert_eq!(call(&server, "page", &page, &large).json()["results"]["large"]["code"], "event_too_large");
    assert_eq!(call(&server, "page", &secret, &large).json()["results"]["large"]["result"], "ok");
    let larger = json!({"batch": [], "pad": "p".repeat(66_000)});
    assert_eq!(call(&server, "batch", &page, &larger).problem(), "body_too_large");
    assert_eq!(call(&server, "batch", &secret, &larger).status, 200);
}
