//! What people who come back are shown: what they buy next, what is due again, what goes with their basket.

use serde_json::{Value, json};

use crate::support::server::Server;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

struct Shop {
    server: Server,
    secret: String,
}

impl Shop {
    /// Forty customers, each with six orders: half of them of coffee and filters, half of litter and cat food. The first order also has what nobody buys
    /// twice. One of the coffee drinkers bought that last of all.
    fn learnt() -> Self {
        let mut events = Vec::new();
        let server = Server::start();
        let secret = server.key("secret", &[]);
        let shop = Self { server, secret };
        for customer in 0..40 {
            let (often, once) =
                if customer % 2 == 0 { (["coffee", "filter"], "kettle") } else { (["litter", "catfood"], "basket") };
            for round in 0..6 {
                let mut items = often.to_vec();
                if round == 0 && customer != 0 {
                    items.push(once);
                }
                events.push(purchase(&format!("c{customer}"), &items, (6 - round) * 10 * DAY + customer * HOUR));
            }
        }
        events.push(purchase("c0", &["kettle"], HOUR));
        let consent = json!({"analytics": true, "personalization": true});
        for batch in events.chunks(50) {
            let answer = shop.server.post("/v1/events", &shop.secret, &json!({"consent": consent, "events": batch}));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        shop.server.run(&["build"]);
        shop.server.eventually("the build is served", || !shop.ask("also-bought?item_id=coffee")["build"].is_null());
        shop
    }

    #[track_caller]
    fn ask(&self, query: &str) -> Value {
        let authorization = format!("Bearer {}", self.secret);
        let answer = self.server.send("GET", &format!("/v1/recommendations/{query}"), &[("Authorization", &authorization)], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

fn purchase(visitor: &str, items: &[&str], age: u64) -> Value {
    let id = format!("{visitor}-{age}");
    let lines: Vec<Value> = items.iter().map(|id| json!({"item_id": id, "price": 3, "quantity": 1})).collect();
    json!({"id": id, "type": "purchase", "visitor_id": visitor, "transaction_id": id, "age_ms": age, "currency": "EUR", "value": 3,
        "items": lines})
}

fn ids(placement: &Value) -> Vec<&str> {
    placement["items"].as_array().unwrap().iter().map(|item| item["item_id"].as_str().unwrap()).collect()
}

#[test]
fn who_comes_back_is_shown_what_is_bought_next() {
    let shop = Shop::learnt();
    shop.server.eventually("the catalog knows what was bought", || !ids(&shop.ask("for-you?visitor_id=c0&count=2")).is_empty());
    // Before anything was looked at, what was bought decides.
    let answer = shop.ask("for-you?visitor_id=c0&count=2");
    assert_eq!(answer["served_by"], "next_purchase", "{answer:#}");
    let mut first = ids(&answer);
    first.sort_unstable();
    assert_eq!(first, ["coffee", "filter"]);
    assert_eq!(answer["items"][0]["reasons"][0]["code"], "likely_next");
    let answer = shop.ask("for-you?visitor_id=c1&count=2");
    assert!(ids(&answer).iter().all(|id| ["litter", "catfood"].contains(id)), "{answer:#}");
    // From then on what this visit looks at comes first.
    let view = json!({"visitor_id": "c0", "context": {"viewed": ["litter"]}, "placements": [{"id": "for-you", "count": 1}]});
    let answer = shop.server.post("/v1/decide", &shop.secret, &view).json();
    assert_eq!(answer["placements"]["for-you"]["served_by"], "session", "{answer:#}");
    // Of a stranger nothing of the kind is known.
    assert_ne!(shop.ask("for-you?visitor_id=stranger")["served_by"], "next_purchase");

    // The kettle was bought last, but who would need another one?
    let answer = shop.ask("buy-again?visitor_id=c0");
    let again = ids(&answer);
    assert_eq!((again.len(), again.last()), (3, Some(&"kettle")), "{answer:#}");

    // Beside a basket, even a stranger's, the model of baskets speaks, and says what pair it agrees with.
    let basket = json!({"context": {"cart": ["coffee"]}, "placements": [{"id": "bought-together", "count": 1}]});
    let answer = shop.server.post("/v1/decide", &shop.secret, &basket).json();
    let together = &answer["placements"]["bought-together"];
    assert_eq!((together["served_by"].as_str(), ids(together)), (Some("next_purchase"), vec!["filter"]), "{answer:#}");
    assert_eq!(together["items"][0]["reasons"][0]["item_id"], "coffee");
    // An item that merely lies on the page is no basket.
    assert_eq!(shop.ask("bought-together?item_id=coffee")["served_by"], "co_occurrence");
}
