//! The catalog, as the shop's server keeps it.

use serde_json::{Value, json};

use crate::support::server::{Answer, Server};

struct Shop {
    server: Server,
    authorization: String,
}

impl Shop {
    fn open() -> Self {
        let server = Server::start();
        let authorization = format!("Bearer {}", server.key("secret", &[]));
        Self { server, authorization }
    }

    fn send(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let mut headers = vec![("Authorization", self.authorization.as_str())];
        headers.extend(more);
        self.server.send(method, path, &headers, body.as_bytes())
    }

    fn item(&self, id: &str) -> Answer {
        self.send("GET", &format!("/v1/catalog/items/{id}"), &[], "")
    }

    fn lines(&self, body: &str) -> Value {
        let answer = self.send("POST", "/v1/catalog/items", &[("Content-Type", "application/x-ndjson")], body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

fn tag(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("etag").unwrap().to_owned()
}

#[test]
fn each_line_has_its_own_result() {
    let shop = Shop::open();
    let body = "{\"item_id\":\"a\",\"title\":\"A\",\"revision\":5}\n\n{\"item_id\":\"b\",\"price\":-1}\nnonsense\n{\"item_id\":3}\n\
                {\"item_id\":\"a\",\"title\":\"older\",\"revision\":4}\n{\"item_id\":\"a\",\"stock\":7,\"revision\":6}";
    let answer = shop.lines(body);
    assert_eq!((&answer["stored"], &answer["stale"], &answer["rejected"]), (&json!(3), &json!(1), &json!(2)), "{answer}");
    let results: Vec<String> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            let text = |field: &str| r[field].as_str().unwrap_or_default().to_owned();
            format!("{} {} {} {}", r["line"], text("item_id"), text("result"), text("code")).trim().to_owned()
        })
        .collect();
    let expected = ["1 a ok", "3  rejected out_of_range", "4  rejected invalid_json", "5 3 ok", "6 a stale", "7 a ok"];
    assert_eq!(results, expected);
    assert_eq!(answer["results"][4]["current"], 5);
    let item = shop.item("a").json();
    assert_eq!((&item["title"], &item["stock"]), (&json!("A"), &json!(7)), "the late line changed nothing");
    // One item and an array are read as well; what stands twice in an array builds on itself.
    let one = shop.send("POST", "/v1/catalog/items", &[], r#"{"item_id":"c"}"#).json();
    assert_eq!(one["stored"], 1);
    let two = shop.send("POST", "/v1/catalog/items", &[], r#"[{"item_id":"c","title":"C"},{"item_id":"c","brand":"X"}]"#).json();
    assert_eq!(two["stored"], 2);
    assert_eq!(shop.item("c").json()["title"], "C");
}

#[test]
fn what_is_not_named_stays() {
    let shop = Shop::open();
    let full = json!({"title": "A mug", "description": "Holds tea.", "categories": ["Kitchen", "Mugs"], "brand": "Moor", "price": 9.5,
        "sale_price": 8, "currency": "EUR", "stock": 4, "availability": "in_stock", "image_url": "/mug.jpg", "url": "https://shop.example/mug",
        "group_id": "mugs", "attributes": {"color": "teal", "sizes": ["S"]}});
    shop.send("PUT", "/v1/catalog/items/mug", &[], &full.to_string());
    let patch = json!({"stock": 0, "title": null, "attributes": {"color": "red"}, "availability": "out_of_stock"});
    let answer = shop.send("PUT", "/v1/catalog/items/mug", &[], &patch.to_string()).json();
    let mut expected = full;
    expected["item_id"] = "mug".into();
    expected["stock"] = 0.into();
    expected["availability"] = "out_of_stock".into();
    expected["attributes"]["color"] = "red".into();
    for (field, value) in expected.as_object().unwrap() {
        if value.is_number() {
            assert_eq!(answer[field].as_f64(), value.as_f64(), "{field}");
        } else {
            assert_eq!(&answer[field], value, "{field}");
        }
    }
    assert_eq!((&answer["visible"], &answer["observed"]), (&json!(true), &json!(false)));
    assert_eq!(shop.item("mug").json(), answer);
}

#[test]
fn changes_can_depend_on_what_was_read() {
    let shop = Shop::open();
    let put = |headers: &[(&str, &str)], body: &str| shop.send("PUT", "/v1/catalog/items/mug", headers, body);
    assert_eq!(put(&[("If-Match", "\"1\"")], "{}").problem(), "precondition_failed", "there is none yet");
    let first = tag(&put(&[("If-None-Match", "*")], r#"{"title":"one"}"#));
    assert_eq!(put(&[("If-None-Match", "*")], r#"{"title":"two"}"#).problem(), "precondition_failed");
    assert_eq!(tag(&shop.item("mug")), first);
    let second = tag(&put(&[("If-Match", &first)], r#"{"title":"two"}"#));
    assert_ne!(second, first);
    assert_eq!(put(&[("If-Match", &first)], r#"{"title":"three"}"#).problem(), "precondition_failed");
    assert_eq!(shop.item("mug").json()["title"], "two");
    assert_eq!(put(&[], r#"{"title":"late","revision":3}"#).status, 200);
    assert_eq!(put(&[], r#"{"title":"later","revision":3}"#).problem(), "precondition_failed", "a feed's revision counts up");
    let third = tag(&shop.item("mug"));
    let delete = |value: &str| shop.send("DELETE", "/v1/catalog/items/mug", &[("If-Match", value)], "");
    assert_eq!(delete(&second).problem(), "precondition_failed");
    assert_eq!(delete(&third).status, 204);
    assert_eq!(shop.item("mug").problem(), "unknown_item");
    assert_eq!(delete(&third).problem(), "precondition_failed", "nothing has that revision");
    assert_eq!(shop.send("DELETE", "/v1/catalog/items/mug", &[], "").problem(), "unknown_item");
    // Made anew it begins anew, and no revision ever returns.
    let again = tag(&put(&[("If-None-Match", "*")], r#"{"brand":"Moor"}"#));
    assert!(![first, second, third].contains(&again));
    assert_eq!(shop.item("mug").json()["title"], Value::Null);
}

#[test]
fn any_id_can_be_an_address() {
    let shop = Shop::open();
    for (path, id) in [
        ("a%2Fb", "a/b"),
        ("100%25", "100%"),
        ("1%2B1", "1+1"),
        ("%C3%A9%20%F0%9F%98%80", "é 😀"),
        ("%252F", "%2F"),
        ("a:b", "a:b"),
    ] {
        let answer = shop.send("PUT", &format!("/v1/catalog/items/{path}"), &[], r#"{"title":"x"}"#);
        assert_eq!(answer.json()["item_id"], id, "{path}");
        assert_eq!(shop.item(path).json()["item_id"], id);
    }
    let listed = shop.send("GET", "/v1/catalog/items", &[], "").json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 6);
}

#[test]
fn pages_hold_every_item_once() {
    let shop = Shop::open();
    let body: String = (0..25).map(|n| format!("{{\"item_id\":\"i{n:02}\"}}\n")).collect();
    assert_eq!(shop.lines(&body)["stored"], 25);
    assert_eq!(shop.send("DELETE", "/v1/catalog/items/i03", &[], "").status, 204);
    let mut cursor = String::new();
    let mut ids = Vec::new();
    for _ in 0..10 {
        let page = shop.send("GET", &format!("/v1/catalog/items?limit=10{cursor}"), &[], "").json();
        ids.extend(page["items"].as_array().unwrap().iter().map(|i| i["item_id"].as_str().unwrap().to_owned()));
        // An item that comes meanwhile is found at the end.
        if cursor.is_empty() {
            shop.lines(r#"{"item_id":"i99"}"#);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..25).filter(|n| *n != 3).chain([99]).map(|n| format!("i{n:02}")).collect();
    assert_eq!(ids, expected);
}

#[test]
fn the_catalog_survives_a_power_cut() {
    let mut shop = Shop::open();
    shop.lines("{\"item_id\":\"a\",\"title\":\"A\",\"revision\":9}\n{\"item_id\":\"b\"}");
    shop.send("DELETE", "/v1/catalog/items/b", &[], "");
    let before = shop.item("a");
    shop.server.kill();
    shop.server.restart();
    let after = shop.item("a");
    assert_eq!((after.json(), tag(&after)), (before.json(), tag(&before)));
    assert_eq!(shop.item("b").problem(), "unknown_item");
    assert_eq!(shop.lines(r#"{"item_id":"a","revision":9}"#)["stale"], 1);
}
