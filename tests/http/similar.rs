//! What is like an item, from the moment the catalog names it.

use serde_json::{Value, json};

use crate::support::server::{Answer, Server};

struct Shop {
    server: Server,
    secret: String,
}

impl Shop {
    fn open(items: &Value) -> Self {
        let server = Server::start();
        let secret = server.key("secret", &[]);
        let shop = Self { server, secret };
        assert_eq!(shop.server.post("/v1/catalog/items", &shop.secret, items).json()["rejected"], 0);
        shop
    }

    /// A shop that has nothing but titles.
    fn with_titles(titles: &[&str]) -> Self {
        let items: Vec<Value> =
            titles.iter().enumerate().map(|(n, title)| json!({"item_id": format!("i{n}"), "title": title})).collect();
        Self::open(&items.into())
    }

    fn put(&self, id: &str, fields: &Value) -> Answer {
        let authorization = format!("Bearer {}", self.secret);
        let path = format!("/v1/catalog/items/{id}");
        self.server.send("PUT", &path, &[("Authorization", &authorization)], fields.to_string().as_bytes())
    }

    fn get(&self, path: &str) -> Value {
        let authorization = format!("Bearer {}", self.secret);
        let answer = self.server.send("GET", path, &[("Authorization", &authorization)], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn ask(&self, query: &str) -> Value {
        self.get(&format!("/v1/recommendations/{query}"))
    }

    /// The items that are similar to one, and nothing that only fills up.
    fn similar(&self, id: &str) -> Vec<String> {
        let answer = self.ask(&format!("similar?item_id={id}&count=20"));
        let items = answer["items"].as_array().unwrap().iter();
        items.filter(|i| i["source"] == "similar").map(|i| i["item_id"].as_str().unwrap().to_owned()).collect()
    }
}

const HOUSEHOLD: [&str; 12] = [
    "RED RETROSPOT CAKE STAND",
    "PINK SPOTTY CAKE STAND",
    "THREE TIER CAKE STAND IVORY",
    "LUNCH BAG BLACK SKULL",
    "LUNCH BAG WOODLAND",
    "LUNCH BAG APPLE DESIGN",
    "WHITE METAL LANTERN",
    "HOT WATER BOTTLE TEA AND SYMPATHY",
    "ALARM CLOCK BAKELIKE GREEN",
    "WOODEN PICTURE FRAME",
    "SILVER FISHING GNOME",
    "NAMASTE SWAGAT INCENSE",
];

#[test]
fn a_product_of_this_morning_has_neighbours_and_is_one() {
    let shop = Shop::with_titles(&HOUSEHOLD);
    assert_eq!(shop.put("new", &json!({"title": "Green spotty cake stand", "categories": ["Baking"]})).status, 200);
    let near = shop.similar("new");
    assert_eq!(near[0], "i1", "{near:?}");
    assert!(near.iter().take(3).all(|id| ["i0", "i1", "i2"].contains(&id.as_str())), "{near:?}");
    assert!(!near.contains(&"i7".to_owned()), "what has nothing in common is not called similar: {near:?}");
    for stand in ["i0", "i1", "i2"] {
        assert!(shop.similar(stand).iter().take(3).any(|id| id == "new"), "{stand}: {:?}", shop.similar(stand));
    }
    let answer = shop.ask("similar?item_id=new&count=20");
    assert_eq!(answer["served_by"], "similar");
    assert_eq!(answer["items"][0]["reasons"][0], json!({"code": "similar", "item_id": "new"}));
    // The page is filled as ever, and says where from.
    assert_eq!(answer["items"].as_array().unwrap().len(), HOUSEHOLD.len());
    assert_eq!(answer["items"][HOUSEHOLD.len() - 1]["source"], "catalog");
}

#[test]
fn another_title_has_other_neighbours_at_once() {
    let shop = Shop::with_titles(&HOUSEHOLD);
    assert!(shop.similar("i8").iter().all(|id| !["i3", "i4", "i5"].contains(&id.as_str())));
    shop.put("i8", &json!({"title": "LUNCH BAG ALARM CLOCK DESIGN"}));
    assert_eq!(shop.similar("i8")[0], "i5");
    assert!(shop.similar("i3").contains(&"i8".to_owned()));
    // What is said without words changes nothing.
    let before = shop.ask("similar?item_id=i8&count=3")["items"].clone();
    shop.put("i8", &json!({"price": 3, "stock": 8}));
    assert_eq!(shop.ask("similar?item_id=i8&count=3")["items"], before);
}

#[test]
fn titles_without_spaces_have_neighbours_too() {
    let shop = Shop::with_titles(&[
        "红色棉布连衣裙",
        "蓝色雪纺连衣裙",
        "不锈钢保温杯",
        "赤いマグカップ",
        "陶器のマグカップ",
        "折りたたみ傘",
        "빨간 머그컵",
        "도자기 머그컵",
        "나무 의자",
    ]);
    for (asked, first) in [("i0", "i1"), ("i1", "i0"), ("i3", "i4"), ("i4", "i3"), ("i6", "i7"), ("i7", "i6")] {
        assert_eq!(shop.similar(asked).first().map(String::as_str), Some(first), "{asked}");
    }
    shop.put("neu", &json!({"title": "黑色连衣裙"}));
    let mut near = shop.similar("neu");
    near.truncate(2);
    near.sort();
    assert_eq!(near, ["i0", "i1"]);
}

#[test]
fn brand_and_category_tell_apart_what_titles_do_not() {
    let shoe = |id: &str, brand: &str, category: &str| json!({"item_id": id, "title": "Classic 41", "brand": brand, "categories": [category]});
    let shop = Shop::open(&json!([
        shoe("a", "North", "Boots"),
        shoe("b", "North", "Boots"),
        shoe("c", "South", "Boots"),
        shoe("d", "South", "Sandals")
    ]));
    assert_eq!(shop.similar("a"), ["b", "c", "d"]);
}

#[test]
fn variants_of_one_product_are_not_its_neighbours() {
    let shirt = |id: &str, group: &str| json!({"item_id": id, "title": "Linen shirt", "group_id": group});
    let shop = Shop::open(&json!([shirt("s", "linen"), shirt("m", "linen"), shirt("other", "flax")]));
    assert_eq!(shop.similar("s"), ["other"]);
}

#[test]
fn the_shops_own_vectors_say_more_than_words() {
    let item = |id: &str, title: &str, vector: [f32; 3]| json!({"item_id": id, "title": title, "vector": vector});
    let shop = Shop::open(&json!([
        item("sofa", "Oslo", [3.0, 0.1, 0.0]),
        item("couch", "Bergen", [0.9, 0.0, 0.1]),
        item("lamp", "Oslo lamp", [0.0, 0.0, 5.0]),
        {"item_id": "chair", "title": "Oslo chair"},
        {"item_id": "tree", "title": "Spruce"}
    ]));
    assert_eq!(shop.similar("sofa")[0], "couch");
    assert!(shop.similar("sofa").contains(&"chair".to_owned()), "words go on counting where there is no vector");
    assert_eq!(shop.similar("tree"), [""; 0]);
    // It is kept as it was sent, and shown where one item is asked for.
    assert_eq!(shop.get("/v1/catalog/items/lamp")["vector"], json!([0.0, 0.0, 5.0]));
    assert!(shop.get("/v1/catalog/items")["items"][0]["vector"].is_null());
    shop.put("lamp", &json!({"price": 20}));
    assert_eq!(shop.get("/v1/catalog/items/lamp")["vector"], json!([0.0, 0.0, 5.0]));
    // A new item with a vector, and one that loses its own.
    assert_eq!(shop.put("bench", &json!({"title": "Stavanger", "vector": [1, 0, 0]})).status, 200);
    assert!(shop.similar("sofa").iter().take(2).any(|id| id == "bench"));
    assert_eq!(shop.put("couch", &json!({"vector": []})).json()["vector"], Value::Null);
    assert_eq!(shop.similar("couch"), [""; 0]);
}

#[test]
fn vectors_that_cannot_be_compared_are_refused() {
    let shop = Shop::open(&json!([{"item_id": "a", "vector": [1, 2, 3]}, {"item_id": "b", "title": "Without"}]));
    for (vector, word) in [
        (json!([1, 2]), "must have 3 numbers"),
        (json!([1]), "1 numbers"),
        (json!(vec![1; 1025]), "1025 numbers"),
        (json!([0, 0, 0]), "direction"),
        (json!([1, "2", 3]), "array of numbers"),
        (json!("1 2 3"), "array of numbers"),
        (json!([1, null, 3]), "array of numbers"),
    ] {
        let answer = shop.put("b", &json!({"vector": vector}));
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.json()["detail"].as_str().unwrap().contains(word), "{}", answer.text());
    }
    let lines =
        json!([{"item_id": "c", "vector": [1, 0, 0]}, {"item_id": "d", "vector": [1, 0]}, {"item_id": "e", "title": "E"}]);
    let answer = shop.server.post("/v1/catalog/items", &shop.secret, &lines).json();
    assert_eq!((&answer["stored"], &answer["rejected"]), (&json!(2), &json!(1)), "{answer}");
    assert_eq!(answer["results"][1]["result"], "rejected");
    assert_eq!(answer["results"][2]["item_id"], "e");
    // All at once, a shop may change to vectors of another length.
    let lines = json!([{"item_id": "a", "vector": [1, 0]}, {"item_id": "c", "vector": [0, 1]}]);
    assert_eq!(shop.server.post("/v1/catalog/items", &shop.secret, &lines).json()["stored"], 2);
    assert_eq!(shop.put("b", &json!({"vector": [1, 2, 3]})).status, 400);
}

#[test]
fn without_categories_titles_say_what_kind_a_thing_is() {
    let mut titles: Vec<String> = (0..40).map(|n| format!("NOTHING{n} ALIKE{n}")).collect();
    let bags = ["APPLES", "ALPHABET", "OWLS", "PAISLEY", "SUKI"];
    titles.extend(bags.iter().map(|bag| format!("JUMBO BAG {bag}")));
    titles.push("JUMBO BAG DOILY".to_owned());
    let shop = Shop::with_titles(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    // Everybody buys the first things of the catalog, some a bag, and nobody the last one, or two things together.
    let bought = (0..30).map(|n| n % 3).chain((0..10).map(|n| 40 + n % 5));
    let events: Vec<Value> = bought
        .enumerate()
        .map(|(n, item)| {
            json!({"id": format!("p{n}"), "type": "purchase", "visitor_id": format!("v{n}"), "transaction_id": format!("t{n}"),
                "currency": "EUR", "value": 2, "items": [{"item_id": format!("i{item}"), "price": 2, "quantity": 1}]})
        })
        .collect();
    let batch = json!({"consent": {"analytics": true}, "events": events});
    assert_eq!(shop.server.post("/v1/events", &shop.secret, &batch).status, 200);
    shop.server.run(&["build"]);
    shop.server.eventually("the build is served", || !shop.ask("also-bought?item_id=i45")["build"].is_null());
    let answer = shop.ask("also-bought?item_id=i45&count=6");
    assert_eq!(answer["served_by"], "popular_in_category", "{answer:#}");
    let items: Vec<(&str, &str)> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (i["item_id"].as_str().unwrap(), i["source"].as_str().unwrap()))
        .collect();
    let (kind, rest) = items.split_at(5);
    assert!(kind.iter().all(|(id, source)| *source == "popular_in_category" && id >= &"i40"), "{items:?}");
    assert_eq!(rest[0].1, "popular");
    // A guess is not the shop's word: no answer calls it a category.
    assert!(shop.get("/v1/catalog/items/i45")["categories"].as_array().is_none_or(Vec::is_empty));
}
