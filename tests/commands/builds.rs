//! `rapport builds`

use serde_json::{Value, json};

use super::run;
use crate::support::server::Server;

#[test]
fn every_build_has_a_card() {
    let server = Server::start();
    let data = server.data_dir();
    let none = run(&data, &["builds", "card"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.err.contains("no build is active"), "{}", none.err);

    let secret = server.key("secret", &[]);
    let events: Vec<Value> = (0..30)
        .map(|n| {
            json!({"id": format!("p{n}"), "type": "purchase", "transaction_id": format!("t{n}"), "currency": "EUR", "value": 5, "visitor_id": format!("v{n}"),
                   "items": [{"item_id": "<b>tea", "price": 2.5, "quantity": 1}, {"item_id": "mug", "price": 2.5, "quantity": 1}]})
        })
        .collect();
    let consent = json!({"analytics": true, "personalization": true});
    server.post("/v1/events", &secret, &json!({"consent": consent, "events": events}));
    let built: Value = serde_json::from_str(&server.run(&["build", "--json"])).unwrap();
    let id = built["build"].as_str().unwrap();

    let card = server.run(&["builds", "card"]);
    assert!(card.starts_with("# Model card: default") && card.contains("&lt;b&gt;tea"), "{card}");
    assert_eq!(server.run(&["builds", "card", id]), card, "it is the active one");
    let page = server.run(&["builds", "card", "--html"]);
    assert!(page.starts_with("<!doctype html>") && page.contains("<svg") && !page.contains("<b>tea"), "{page}");
    let json = run(&data, &["builds", "card", "--json"]).json();
    assert_eq!((&json["build"], &json["card"]), (&built["build"], &json!(card)));

    let missing = run(&data, &["builds", "card", "2026-01-01T00-00Z-beef"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("does not exist"), "{}", missing.err);
}
