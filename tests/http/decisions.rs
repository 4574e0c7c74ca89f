//! Decisions: what is shown, and what never is.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::server::{Answer, Server};

/// A shop that has learnt a little: tea goes with mugs and spoons, kites with rope.
struct Shop {
    server: Server,
    secret: String,
    page: String,
}

const ITEMS: &[(&str, &str, f64)] = &[
    ("tea", "Kitchen", 4.5),
    ("mug", "Kitchen", 9.5),
    ("spoon", "Kitchen", 2.0),
    ("pot", "Kitchen", 30.0),
    ("kite", "Garden", 25.0),
    ("rope", "Garden", 3.0),
    ("lamp", "Garden", 60.0),
    ("seeds", "Garden", 1.0),
];

impl Shop {
    fn open(settings: &[(&str, &str)]) -> Self {
        let server = Server::start_with(settings);
        let (secret, page) = (server.key("secret", &[]), server.key("publishable", &[]));
        Self { server, secret, page }
    }

    fn with_catalog(settings: &[(&str, &str)]) -> Self {
        let shop = Self::open(settings);
        let items: Vec<Value> = ITEMS
            .iter()
            .map(|(id, category, price)| {
                json!({"item_id": id, "title": id.to_uppercase(), "categories": [category], "price": price, "currency": "EUR", "stock": 9,
                    "brand": "Moor", "attributes": {"color": "teal"}, "url": format!("/{id}")})
            })
            .collect();
        assert_eq!(shop.server.post("/v1/catalog/items", &shop.secret, &items.into()).json()["stored"], ITEMS.len());
        shop
    }

    fn learnt(settings: &[(&str, &str)]) -> Self {
        let shop = Self::with_catalog(settings);
        let baskets = [(["tea", "mug"], 20), (["tea", "spoon"], 8), (["kite", "rope"], 20), (["lamp", "seeds"], 12)];
        let mut events = Vec::new();
        for (basket, times) in baskets {
            for _ in 0..times {
                let n = events.len();
                let lines: Vec<Value> = basket.iter().map(|id| json!({"item_id": id, "price": 1, "quantity": 1})).collect();
                events.push(json!({"id": format!("p{n}"), "type": "purchase", "visitor_id": format!("v{n}"), "items": lines,
                    "transaction_id": format!("t{n}"), "currency": "EUR", "value": 2}));
            }
        }
        let batch = json!({"consent": {"analytics": true}, "events": events});
        assert_eq!(shop.server.post("/v1/events", &shop.secret, &batch).status, 200);
        let built: Value = serde_json::from_str(&shop.server.run(&["build", "--json"])).unwrap();
        assert_eq!(built["activated"], true, "{built}");
        shop.server.eventually("the build is served", || !shop.ask("also-bought?item_id=tea")["build"].is_null());
        shop
    }

    fn answer(&self, query: &str) -> Answer {
        let authorization = format!("Bearer {}", self.secret);
        self.server.send("GET", &format!("/v1/recommendations/{query}"), &[("Authorization", &authorization)], b"")
    }

    #[track_caller]
    fn ask(&self, query: &str) -> Value {
        let answer = self.answer(query);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    #[track_caller]
    fn decide(&self, key: &str, body: &Value) -> Value {
        let answer = self.server.post("/v1/decide", key, body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn put(&self, id: &str, fields: &Value) {
        let authorization = format!("Bearer {}", self.secret);
        let path = format!("/v1/catalog/items/{id}");
        let answer = self.server.send("PUT", &path, &[("Authorization", &authorization)], fields.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn ids(placement: &Value) -> Vec<String> {
    placement["items"].as_array().unwrap().iter().map(|i| i["item_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_is_shown_twice_on_a_page() {
    let shop = Shop::learnt(&[]);
    let names = ["also-bought", "also-viewed", "bought-together", "similar", "for-you", "trending", "recently-viewed"];
    let placements: Vec<Value> = names.iter().map(|id| json!({"id": id, "count": 2})).collect();
    let body = json!({"context": {"item_id": "tea", "cart": ["pot"], "viewed": ["kite"]}, "placements": placements});
    let answer = shop.decide(&shop.page, &body);
    let mut seen = HashSet::from(["tea".to_owned(), "pot".to_owned()]);
    for name in names {
        for (n, id) in ids(&answer["placements"][name]).into_iter().enumerate() {
            assert!(seen.insert(id.clone()), "{id} is shown twice, or is the page's own: {answer:#}");
            assert_eq!(answer["placements"][name]["items"][n]["position"], n + 1);
        }
    }
    assert_eq!(ids(&answer["placements"]["also-bought"]), ["mug", "spoon"], "who comes first chooses first");
    // All there is, is shown, and then there is nothing left.
    let rest: Vec<Value> = ["trending", "for-you"].iter().map(|id| json!({"id": id, "count": 100})).collect();
    let answer = shop.decide(&shop.page, &json!({"placements": rest}));
    assert_eq!(ids(&answer["placements"]["trending"]).len(), ITEMS.len());
    assert_eq!(answer["placements"]["for-you"]["items"], json!([]));
    assert_eq!(answer["placements"]["for-you"]["served_by"], "empty");
}

#[test]
fn a_request_chooses_and_excludes() {
    let shop = Shop::learnt(&[]);
    assert_eq!(ids(&shop.ask("also-bought?item_id=tea&count=2")), ["mug", "spoon"]);
    assert_eq!(ids(&shop.ask("also-bought?item_id=tea&count=1&exclude_ids=mug,kite")), ["spoon"]);
    let cheap = r#"{"all":[{"field":"price","op":"lt","value":5},{"not":{"field":"item_id","value":"seeds"}}]}"#;
    let cheap_query: String = cheap.bytes().map(|b| format!("%{b:02x}")).collect();
    let found: HashSet<String> = ids(&shop.ask(&format!("trending?filter={cheap_query}&count=50"))).into_iter().collect();
    assert_eq!(found, HashSet::from(["tea", "spoon", "rope"].map(str::to_owned)));
    let filter: Value = serde_json::from_str(cheap).unwrap();
    let body = json!({"placements": [{"id": "trending", "filter": filter, "count": 50, "exclude_ids": ["tea"]}]});
    let found: HashSet<String> = ids(&shop.decide(&shop.page, &body)["placements"]["trending"]).into_iter().collect();
    assert_eq!(found, HashSet::from(["spoon", "rope"].map(str::to_owned)));
    for count in [1, 3, 8] {
        assert_eq!(ids(&shop.ask(&format!("trending?count={count}"))).len(), count);
    }
    let fields = |query: &str| -> HashSet<String> {
        let item = &shop.ask(&format!("trending?count=1{query}"))["items"][0];
        let always = ["item_id", "position", "score", "source", "reasons", "rules", "pinned"];
        item.as_object().unwrap().keys().filter(|k| !always.contains(&k.as_str())).cloned().collect()
    };
    assert_eq!(fields(""), HashSet::from(["title", "price", "currency", "url"].map(str::to_owned)));
    assert_eq!(fields("&fields="), HashSet::new());
    assert_eq!(fields("&fields=brand,attributes,stock"), HashSet::from(["brand", "attributes", "stock"].map(str::to_owned)));
}

#[test]
fn a_request_asks_for_variety_or_for_what_matters_only() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let items = [
        ("green tea sencha", "tea"),
        ("green tea bancha", "tea"),
        ("green tea gunpowder", "tea"),
        ("enamel saucepan", "kitchen"),
        ("wool blanket", "home"),
    ];
    // A shop of some size, so that the words of teas tell them from the rest.
    let others =
        ["brass lamp", "oak stool", "linen apron", "glass jar", "rattan basket", "wax candle", "tin whistle", "felt slippers"];
    let catalog: Vec<Value> = (0..)
        .zip(items.into_iter().chain(others.map(|title| (title, title))))
        .map(|(n, (title, kind))| json!({"item_id": format!("i{n}"), "title": title, "categories": [kind], "availability": "in_stock"}))
        .collect();
    assert_eq!(server.post("/v1/catalog/items", &secret, &json!(catalog)).json()["rejected"], 0);
    // The more tea-like, the more often it is bought: 10, 9, 8, 7 and 1 times.
    let mut orders = Vec::new();
    for (item, times) in [(0, 10), (1, 9), (2, 8), (3, 7), (4, 1)] {
        for n in 0..times {
            let line = json!({"item_id": format!("i{item}"), "price": 1, "quantity": 1});
            orders.push(json!({"id": format!("o{item}-{n}"), "type": "purchase", "transaction_id": format!("o{item}-{n}"),
                "currency": "EUR", "value": 1, "visitor_id": format!("v{item}-{n}"), "items": [line]}));
        }
    }
    let consent = json!({"analytics": true, "personalization": true});
    let sent = server.post("/v1/events", &secret, &json!({"consent": consent, "events": orders}));
    assert_eq!(sent.status, 200, "{}", sent.text());
    let ask = |query: &str| -> Vec<String> {
        let answer = server.get_as(&secret, &format!("/v1/recommendations/trending?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        ids(&answer.json())
    };
    server.eventually("they are ranked", || ask("count=5") == ["i0", "i1", "i2", "i3", "i4"]);
    assert_eq!(ask("count=3&diversity=0"), ["i0", "i1", "i2"]);
    let varied = ask("count=3&diversity=0.6");
    assert_eq!(
        (&*varied[0], varied.contains(&"i1".to_owned()) && varied.contains(&"i2".to_owned())),
        ("i0", false),
        "{varied:?}"
    );
    assert!(varied.contains(&"i3".to_owned()), "{varied:?}");
    // What is sold once is no tenth of what is sold most: the rest of the ladder has no more to offer.
    let relevant = ask("count=5&min_relevance=0.5");
    assert_eq!(relevant, ["i0", "i1", "i2", "i3"]);
    let body = json!({"explain": true, "placements": [{"id": "trending", "min_relevance": 0.5, "diversity": 1.0, "count": 4}]});
    let answer = server.post("/v1/decide", &secret, &body).json();
    let displaced = &answer["placements"]["trending"]["explain"]["displaced"];
    assert!(displaced.as_array().unwrap().contains(&json!({"item_id": "i4", "because": "below_min_relevance"})), "{answer:#}");
}

#[test]
fn reasons_are_for_the_shop() {
    let shop = Shop::learnt(&[]);
    let answer = shop.ask("also-bought?item_id=tea&count=1&explain=true&exclude_ids=spoon");
    let support = &answer["items"][0]["explain"]["support"];
    assert_eq!((&support["together"], &support["anchor"], &support["item"]), (&json!(20), &json!(28), &json!(20)));
    assert!(answer["items"][0]["explain"]["lift"].as_f64().unwrap() > 1.0);
    assert_eq!(answer["items"][0]["reasons"], json!([{"code": "bought_together", "item_id": "tea"}]));
    assert_eq!(answer["explain"]["ladder"][0]["rung"], "co_occurrence");
    assert!(shop.ask("also-bought?item_id=tea&count=1")["items"][0]["explain"].is_null(), "only where it is asked for");
    let body = json!({"explain": true, "placements": [{"id": "trending"}]});
    assert_eq!(shop.server.post("/v1/decide", &shop.page, &body).problem(), "explain_needs_secret_key");
    let token = shop.server.run(&["token", "--role", "analyst", "--email", "a@b.example"]);
    assert!(shop.decide(token.trim(), &body)["placements"]["trending"]["explain"].is_object());
}

#[test]
fn what_cannot_be_bought_is_never_shown() {
    let shop = Shop::learnt(&[]);
    let all = || -> HashSet<String> {
        let names = ["also-bought", "also-viewed", "similar", "for-you", "trending"];
        let shown = names.iter().flat_map(|name| ids(&shop.ask(&format!("{name}?item_id=tea&count=100"))));
        shown.chain(ids(&shop.ask("recently-viewed?viewed=mug,kite&count=100"))).collect()
    };
    assert!(all().contains("mug"));
    for (gone, back) in [
        (json!({"stock": 0}), json!({"stock": 3})),
        (json!({"stock": -1}), json!({"stock": 3})),
        (json!({"availability": "out_of_stock"}), json!({"availability": "in_stock"})),
        (json!({"visible": false}), json!({"visible": true})),
        (json!({"recommendable": false}), json!({"recommendable": true})),
    ] {
        shop.put("mug", &gone);
        assert!(!all().contains("mug"), "{gone}");
        assert_eq!(ids(&shop.ask("also-bought?item_id=tea&count=1")), ["spoon"], "its place is filled");
        shop.put("mug", &back);
        assert_eq!(ids(&shop.ask("also-bought?item_id=tea&count=1")), ["mug"], "{back}");
    }
    shop.put("mug", &json!({"stock": 0, "availability": "backorder"}));
    assert!(all().contains("mug"), "orders are taken");
    let authorization = format!("Bearer {}", shop.secret);
    shop.server.send("DELETE", "/v1/catalog/items/mug", &[("Authorization", &authorization)], b"");
    assert!(!all().contains("mug"));
    assert_eq!(shop.server.metric("rapport_unavailable_shown_total"), 0.0);
    assert!(shop.server.metric("rapport_unavailable_withheld_total") > 0.0);
}

#[test]
fn only_an_authoritative_catalog_keeps_strangers_out() {
    for authoritative in ["false", "true"] {
        let shop = Shop::open(&[("RAPPORT_CATALOG__AUTHORITATIVE", authoritative)]);
        let event = |item: &str| json!({"id": item, "type": "view_item", "items": [{"item_id": item, "item_name": "Seen"}]});
        let batch = json!({"visitor_id": "v", "consent": {"analytics": true}, "events": [event("stranger"), event("known")]});
        assert_eq!(shop.server.post("/v1/events", &shop.secret, &batch).status, 200);
        shop.put("known", &json!({"title": "Named"}));
        let shown = || ids(&shop.ask("trending?count=10"));
        if authoritative == "false" {
            shop.server.eventually("what events named is shown", || shown().len() == 2);
        } else {
            shop.server.eventually("it is observed", || {
                shop.server.metric("rapport_unavailable_withheld_total") > 0.0 || {
                    assert_eq!(shown(), ["known"]);
                    false
                }
            });
            assert_eq!(shown(), ["known"]);
        }
    }
}

#[test]
fn there_is_always_an_answer() {
    let empty = Shop::open(&[]);
    for name in
        ["also-bought", "also-viewed", "bought-together", "similar", "for-you", "recently-viewed", "buy-again", "trending"]
    {
        let answer = empty.ask(&format!("{name}?item_id=never-heard-of"));
        assert_eq!((&answer["items"], &answer["served_by"]), (&json!([]), &json!("empty")), "{name}");
        assert_eq!((&answer["placement"], &answer["build"]), (&json!(name), &Value::Null));
        assert_eq!(answer["in_holdout"], false);
        assert!(answer["request_id"].is_string() && answer["recommendation_id"].is_string());
    }
    let hero = empty.decide(&empty.page, &json!({"placements": [{"id": "home-hero"}]}));
    assert_eq!(hero["placements"]["home-hero"]["kind"], "creative");
    assert_eq!(hero["placements"]["home-hero"].get("creative"), Some(&Value::Null));
    // A fresh shop answers from its catalog.
    let fresh = Shop::with_catalog(&[]);
    for name in ["also-bought", "similar", "for-you", "trending"] {
        let answer = fresh.ask(&format!("{name}?item_id=tea&count=3"));
        assert_eq!((ids(&answer).len(), &answer["served_by"]), (3, &json!("catalog")), "{name}");
        assert!(!ids(&answer).contains(&"tea".to_owned()));
    }
    assert_eq!(ids(&fresh.ask("also-bought?item_id=never-heard-of&count=3")).len(), 3);
    assert_eq!(fresh.server.metric("rapport_placements_served_total{placement=\"trending\",served_by=\"catalog\"}"), 1.0);
}

#[test]
fn each_rung_says_its_name() {
    let shop = Shop::learnt(&[]);
    for (query, served_by) in [
        ("also-bought?item_id=tea", "co_occurrence"),
        ("bought-together?cart=kite", "co_occurrence"),
        ("also-bought?item_id=never-heard-of", "popular"),
        ("also-bought?item_id=pot", "popular_in_category"),
        ("for-you?viewed=kite", "session"),
        ("recently-viewed?viewed=kite", "history"),
        ("buy-again", "empty"),
    ] {
        let answer = shop.ask(query);
        assert_eq!(answer["served_by"], served_by, "{query}: {answer:#}");
        if served_by != "empty" {
            assert_eq!(answer["items"][0]["source"], served_by);
        }
        // What fills the rest says so item by item.
        let sources: HashSet<&str> = answer["items"].as_array().unwrap().iter().map(|i| i["source"].as_str().unwrap()).collect();
        assert!(!sources.contains("empty"));
    }
}

#[test]
fn the_page_just_made_counts_at_once() {
    let shop = Shop::learnt(&[]);
    let view = |id: &str, item: &str| json!({"id": id, "type": "view_item", "items": [{"item_id": item}]});
    // Without consent nothing is kept, and yet this page's own events count for its own answer.
    let body = json!({"events": [view("a", "kite")], "placements": [{"id": "for-you", "count": 1}, {"id": "recently-viewed"}]});
    let answer = shop.decide(&shop.page, &body);
    assert_eq!(ids(&answer["placements"]["for-you"]), ["rope"], "{answer:#}");
    assert_eq!(answer["events"]["results"]["a"]["code"], "no_consent");
    // With consent they are kept and say what became of them.
    let consent = json!({"analytics": true, "personalization": true});
    let body = json!({"visitor_id": "v", "consent": consent, "events": [view("b", "lamp"), view("c", "pot"), {"id": "d"}, 7],
        "placements": [{"id": "recently-viewed"}]});
    let answer = shop.decide(&shop.secret, &body);
    assert_eq!(ids(&answer["placements"]["recently-viewed"]), ["pot", "lamp"], "the latest first");
    let results = &answer["events"]["results"];
    assert_eq!(
        (&results["b"]["result"], &results["c"]["result"], &results["d"]["code"]),
        (&json!("ok"), &json!("ok"), &json!("invalid_type"))
    );
    assert_eq!(answer["events"]["errors"][0]["code"], "invalid_json");
    let kept = shop.server.run(&["export", "--events"]);
    assert!(kept.contains("\"id\":\"b\"") && !kept.contains("\"id\":\"a\""));
    let again = shop.decide(&shop.secret, &body);
    assert_eq!(again["events"]["results"]["b"]["result"], "duplicate");
    // Too many events cost only themselves; the page is answered.
    let many: Vec<Value> = (0..101).map(|n| view(&format!("m{n}"), "tea")).collect();
    let answer = shop.decide(&shop.page, &json!({"events": many, "placements": [{"id": "trending"}]}));
    assert_eq!(answer["events"]["results"]["m100"]["code"], "batch_too_large");
    assert!(!ids(&answer["placements"]["trending"]).is_empty());
    // Later visits remember: in order of time, each once, wherever it was last seen.
    let aged =
        |id: &str, item: &str, age: u64| json!({"id": id, "type": "view_item", "age_ms": age, "items": [{"item_id": item}]});
    let events = [aged("e", "lamp", 0), aged("f", "seeds", 9_000), aged("g", "mug", 5_000), aged("h", "seeds", 20_000)];
    shop.server.post("/v1/events", &shop.secret, &json!({"visitor_id": "w", "consent": consent, "events": events}));
    assert_eq!(ids(&shop.ask("recently-viewed?visitor_id=w")), ["lamp", "mug", "seeds"]);
    let bought = json!({"id": "i", "type": "purchase", "items": [{"item_id": "rope"}]});
    shop.server.post("/v1/events", &shop.secret, &json!({"visitor_id": "w", "consent": consent, "events": [bought]}));
    assert_eq!(ids(&shop.ask("buy-again?visitor_id=w")), ["rope"]);
}

#[test]
fn the_same_question_has_the_same_answer() {
    let mut shop = Shop::learnt(&[]);
    let placements = json!([{"id": "also-bought"}, {"id": "for-you"}, {"id": "similar"}, {"id": "trending"}]);
    let body = json!({"context": {"item_id": "tea", "cart": ["lamp"], "viewed": ["kite", "mug"]}, "placements": placements});
    let plain = |shop: &Shop| {
        let mut answer = shop.decide(&shop.page, &body)["placements"].clone();
        for placement in answer.as_object_mut().unwrap().values_mut() {
            placement.as_object_mut().unwrap().remove("recommendation_id").unwrap();
            for item in placement["items"].as_array_mut().unwrap() {
                // Popularity fades with the clock; the order is what is the same.
                item.as_object_mut().unwrap().remove("score");
            }
        }
        answer
    };
    let first = plain(&shop);
    for _ in 0..1_000 {
        assert_eq!(plain(&shop), first);
    }
    shop.server.kill();
    shop.server.restart();
    assert_eq!(plain(&shop), first);
}
