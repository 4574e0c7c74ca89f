//! One process and its own log.

use serde_json::{Value, json};

use super::{Shop, purchase};

use super::{POPULAR, RARE};

#[test]
fn a_pair_that_five_visitors_buy_is_shown_within_seconds() {
    let shop = Shop::open(&[]);
    assert!(shop.shown("also-bought", POPULAR, RARE).is_none_or(|shown| shown["source"] != "co_occurrence"));
    for n in 0..5 {
        shop.buy(&format!("v{n}"), &format!("o{n}"), &[POPULAR, RARE]);
    }
    let after = shop.soon("the pair is among the first ten", || {
        shop.shown("also-bought", POPULAR, RARE).is_some_and(|shown| shown["source"] == "co_occurrence")
    });
    eprintln!("shown on the only node after {after:?}");
    let [together, anchor, item, groups] = shop.support(POPULAR, RARE);
    assert!(together == 5 && item < 25 && anchor > 50 && groups == 605, "{together} {anchor} {item} {groups}");
    shop.soon("and the other way round", || shop.shown("also-bought", RARE, POPULAR).is_some());
}

#[test]
fn one_visitor_alone_pushes_nothing() {
    let shop = Shop::open(&[]);
    let facts = shop.facts();
    for n in 0..50 {
        shop.buy("eager", &format!("o{n}"), &[POPULAR, RARE]);
    }
    // Not with the shop's own key either, under which no cap holds.
    let events: Vec<Value> = (50..100).map(|n| purchase(&format!("o{n}"), &[POPULAR, RARE])).collect();
    let batch = json!({"visitor_id": "eager", "consent": {"analytics": true}, "events": events});
    assert_eq!(shop.server.post("/v1/events", &shop.secret, &batch).status, 200);
    shop.counted(facts + 100.0);
    assert!(shop.shown("also-bought", POPULAR, RARE).is_none_or(|shown| shown["source"] != "co_occurrence"));
    let capped = "rapport_fresh_left_out_total{site=\"default\",why=\"visitor_cap\"}";
    assert_eq!(shop.server.metric(capped), 94.0, "two items, three times each, of fifty");
}

#[test]
fn nothing_is_counted_without_consent_for_analytics() {
    let shop = Shop::open(&[]);
    let facts = shop.facts();
    for n in 0..5 {
        let order = purchase(&format!("o{n}"), &[POPULAR, RARE]);
        shop.send_with(&json!({"analytics": false, "personalization": true}), &format!("v{n}"), &order, "ok");
        let order = purchase(&format!("p{n}"), &[POPULAR, RARE]);
        shop.send_with(&json!({"analytics": false, "personalization": false}), &format!("w{n}"), &order, "drop");
    }
    // The log is followed in order: once this is counted, the others have passed by.
    shop.buy("last", "last", &["i1", "i2"]);
    shop.counted(facts + 1.0);
    assert_eq!(shop.facts(), facts + 1.0);
    assert!(shop.shown("also-bought", POPULAR, RARE).is_none_or(|shown| shown["source"] != "co_occurrence"));
}

#[test]
fn builds_take_over_and_hand_back_without_a_jump_and_a_restart_forgets_nothing() {
    let mut shop = Shop::open(&[]);
    let known = shop.also("also-bought", POPULAR)["items"][0]["item_id"].as_str().unwrap().to_owned();
    let before = shop.support(POPULAR, &known);
    let facts = shop.facts();
    for n in 0..5 {
        shop.buy(&format!("v{n}"), &format!("o{n}"), &[POPULAR, RARE, &known]);
    }
    shop.counted(facts + 5.0);
    let with = |before: [u64; 4], more: u64| before.map(|count| count + more);
    assert_eq!(shop.support(POPULAR, &known), with(before, 5));
    let pair = shop.support(POPULAR, RARE);
    let order = |shop: &Shop| -> Vec<String> {
        let answer = shop.also("also-bought", POPULAR);
        answer["items"].as_array().unwrap().iter().map(|i| i["item_id"].as_str().unwrap().to_owned()).collect()
    };
    let list = order(&shop);

    shop.server.kill();
    shop.server.restart();
    shop.soon("it is counted again after a restart", || {
        shop.also("also-bought", POPULAR)["items"].as_array().unwrap().len() == 10 && order(&shop) == list
    });
    assert_eq!((shop.support(POPULAR, &known), shop.support(POPULAR, RARE)), (with(before, 5), pair));

    // The build learns the same orders. What it kept nothing of before may have met once or twice: that now counts too.
    shop.build();
    assert_eq!(shop.support(POPULAR, &known), with(before, 5), "neither doubled nor dropped");
    let taken_over = shop.support(POPULAR, RARE);
    assert!(taken_over[0] >= pair[0] && taken_over[0] <= pair[0] + 2, "{pair:?} {taken_over:?}");
    assert_eq!(taken_over[1..], pair[1..]);
    assert_eq!(order(&shop), list, "nothing has moved");

    // What comes after it is added to it.
    let facts = shop.facts();
    shop.buy("late", "late", &[POPULAR, RARE, &known]);
    // The server says the same of an order that the build has from the browser.
    let again = json!({"visitor_id": "v0", "consent": {"analytics": true}, "events": [{"id": "server-o0", "type": "purchase",
        "transaction_id": "o0", "currency": "EUR", "value": 4, "items": [{"item_id": POPULAR, "price": 2}, {"item_id": known, "price": 2}]}]});
    assert_eq!(shop.server.post("/v1/events", &shop.secret, &again).status, 200);
    shop.counted(facts + 2.0);
    assert_eq!(shop.support(POPULAR, &known), with(before, 6));

    // Back to the build before, all six are fresh again; and forwards, one is.
    let first: Value = serde_json::from_str(&shop.server.run(&["builds", "rollback", "--json"])).unwrap();
    shop.server.eventually("the build before is served", || shop.also("also-bought", POPULAR)["build"] == first["active"]);
    assert_eq!(shop.support(POPULAR, &known), with(before, 6));
    shop.server.run(&["builds", "rollback"]);
    shop.server.eventually("the newer is served", || shop.also("also-bought", POPULAR)["build"] != first["active"]);
    assert_eq!(shop.support(POPULAR, &known), with(before, 6));
}

#[test]
fn a_product_launched_after_the_build_is_recommended() {
    let shop = Shop::open(&[]);
    let authorization = format!("Bearer {}", shop.secret);
    let fields = json!({"title": "Launched this morning", "categories": ["New"], "price": 9, "currency": "EUR", "stock": 5});
    let put =
        shop.server.send("PUT", "/v1/catalog/items/launch", &[("Authorization", &authorization)], fields.to_string().as_bytes());
    assert_eq!(put.status, 200, "{}", put.text());
    // Visits in which it does not occur: without them nothing could be said of who looks at what.
    for n in 0..8 {
        for item in ["i1", "i5"] {
            shop.send(
                &format!("w{n}"),
                &json!({"id": format!("w{n}-{item}"), "type": "view_item", "items": [{"item_id": item}]}),
            );
        }
    }
    for n in 0..5 {
        let visitor = format!("v{n}");
        for item in ["launch", POPULAR] {
            shop.send(&visitor, &json!({"id": format!("{visitor}-{item}"), "type": "view_item", "items": [{"item_id": item}]}));
        }
        shop.buy(&visitor, &format!("o{n}"), &[POPULAR, "launch"]);
    }
    for (placement, source) in [("also-bought", "co_occurrence"), ("also-viewed", "co_view")] {
        for (anchor, item) in [(POPULAR, "launch"), ("launch", POPULAR)] {
            shop.soon(&format!("{placement} shows {item} with {anchor}"), || {
                shop.shown(placement, anchor, item).is_some_and(|shown| shown["source"] == source)
            });
        }
    }
    shop.soon("it is trending", || shop.shown("trending", POPULAR, "launch").is_some_and(|shown| shown["source"] == "trending"));
}

#[test]
fn a_shop_without_a_build_learns_from_its_first_orders() {
    let server = crate::support::server::Server::start();
    let (secret, page) = (server.key("secret", &[]), server.key("publishable", &[]));
    let shop = Shop { server, secret, page };
    for n in 0..20 {
        let items = if n % 2 == 0 { ["tea", "mug"] } else { ["kite", "rope"] };
        shop.buy(&format!("v{n}"), &format!("o{n}"), &items);
    }
    shop.soon("what goes with tea", || {
        shop.shown("also-bought", "tea", "mug").is_some_and(|shown| shown["source"] == "co_occurrence")
    });
    shop.counted(20.0);
    assert_eq!(shop.support("tea", "mug"), [10, 10, 10, 20]);
    assert!(shop.also("also-bought", "tea")["build"].is_null());
    shop.build();
    assert_eq!(shop.support("tea", "mug"), [10, 10, 10, 20]);
}
