//! The main road: beacons in, recommendations out.

use serde_json::{Value, json};

use crate::support::server::Server;

fn consent() -> Value {
    json!({"analytics": true, "personalization": true})
}

fn purchase(n: usize, items: &[&str]) -> Value {
    let lines: Vec<Value> = items.iter().map(|i| json!({"item_id": i, "price": 2.5, "quantity": 1})).collect();
    json!({"id": format!("p{n}"), "type": "purchase", "transaction_id": format!("t{n}"), "currency": "EUR", "value": 5, "items": lines,
           "visitor_id": format!("v{n}")})
}

#[test]
fn what_is_bought_together_is_recommended_together() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let mut events: Vec<Value> = (0..30).map(|n| purchase(n, &["tea", "mug"])).collect();
    events.extend((30..60).map(|n| purchase(n, &["kite", "rope"])));
    let answer = server.post("/v1/events", &secret, &json!({"consent": consent(), "events": events})).json();
    assert_eq!(answer["results"].as_object().unwrap().len(), 60);
    assert!(answer["results"].as_object().unwrap().values().all(|r| r["result"] == "ok"), "{answer}");

    // Before there is a build, what was counted since the log began answers, and the catalog fills up.
    server.eventually("what has happened so far is shown", || {
        let early = server
            .send(
                "GET",
                "/v1/recommendations/also-bought?item_id=tea&count=2&fields=",
                &[("Authorization", &format!("Bearer {secret}"))],
                b"",
            )
            .json();
        let items = early["items"].as_array().unwrap();
        early["build"].is_null() && items.len() == 2 && items[0]["item_id"] == "mug" && items[0]["source"] == "co_occurrence"
    });
    let built: Value = serde_json::from_str(&server.run(&["build", "--json"])).unwrap();
    assert_eq!(built["activated"], true, "{built}");
    let path = "/v1/recommendations/also-bought?item_id=tea&count=3&explain=true";
    let answer = server.send("GET", path, &[("Authorization", &format!("Bearer {secret}"))], b"").json();
    assert_eq!(answer["served_by"], "co_occurrence", "{answer:#}");
    assert_eq!(answer["build"], built["build"]);
    assert_eq!(answer["items"][0]["item_id"], "mug");
    assert_eq!(answer["items"][0]["explain"]["support"]["together"], 30);
    assert_eq!(server.metric("rapport_unavailable_shown_total"), 0.0);
}
