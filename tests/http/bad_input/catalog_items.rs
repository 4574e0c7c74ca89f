//! Items that are none, and conditions that mean nothing.

use serde_json::json;

use super::{Expect, Row, World};

/// Fields of the item `broken` and the code its line is rejected with.
const ITEMS: &[(&str, &str)] = &[
    (r#""title":7"#, "wrong_type"),
    (r#""description":[]"#, "wrong_type"),
    (r#""brand":{}"#, "wrong_type"),
    (r#""categories":7"#, "wrong_type"),
    (r#""categories":[1]"#, "wrong_type"),
    (r#""categories":[""]"#, "wrong_type"),
    (r#""categories":["a","b","c","d","e","f"]"#, "out_of_range"),
    (r#""price":"cheap""#, "wrong_type"),
    (r#""price":"NaN""#, "wrong_type"),
    (r#""price":-1"#, "out_of_range"),
    (r#""price":1e300"#, "out_of_range"),
    (r#""price":true"#, "wrong_type"),
    (r#""sale_price":-0.01"#, "out_of_range"),
    (r#""currency":"EURO""#, "invalid_currency"),
    (r#""currency":978"#, "wrong_type"),
    (r#""stock":1.5"#, "out_of_range"),
    (r#""stock":"many""#, "wrong_type"),
    (r#""stock":9223372036854775808"#, "out_of_range"),
    (r#""availability":"soon""#, "wrong_type"),
    (r#""availability":true"#, "wrong_type"),
    (r#""visible":"yes""#, "wrong_type"),
    (r#""visible":0"#, "wrong_type"),
    (r#""recommendable":1"#, "wrong_type"),
    (r#""image_url":"javascript:alert(1)""#, "wrong_type"),
    (r#""url":"data:text/html,x""#, "wrong_type"),
    (r#""group_id":"""#, "invalid_id"),
    (r#""group_id":[]"#, "wrong_type"),
    (r#""attributes":[]"#, "wrong_type"),
    (r#""attributes":"red""#, "wrong_type"),
    (r#""revision":-1"#, "out_of_range"),
    (r#""revision":"seven""#, "wrong_type"),
    (r#""availabilty":"in_stock""#, "wrong_type"),
    (r#""__proto__":{}"#, "wrong_type"),
];

pub(super) fn rows(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    let bulk =
        |name: String, body: String, expect| Row::new(name, "POST", "/v1/catalog/items", expect).key(&world.secret).body(body);
    for (field, code) in ITEMS {
        rows.push(bulk(format!("item {field}"), format!(r#"{{"item_id":"broken",{field}}}"#), Expect::Line(code)));
    }
    for (item, code) in [
        ("{}", "invalid_id"),
        (r#"{"item_id":""}"#, "invalid_id"),
        (r#"{"item_id":1.5}"#, "wrong_type"),
        (r#"{"item_id":"a\u0000"}"#, "invalid_id"),
        ("[7]", "invalid_json"),
        ("7", "invalid_json"),
        ("null", "invalid_json"),
    ] {
        rows.push(bulk(format!("item {item}"), item.to_owned(), Expect::Line(code)));
    }
    let texts = [("title", 1_001), ("description", 20_001), ("url", 2_049), ("item_id", 201)];
    for (field, bytes) in texts {
        let mut item = json!({"item_id": "broken"});
        item[field] = format!("/{}", "t".repeat(bytes - 1)).into();
        let code = if field == "item_id" { "invalid_id" } else { "too_long" };
        rows.push(bulk(format!("{field} of {bytes} bytes"), item.to_string(), Expect::Line(code)));
    }
    let large = json!({"item_id": "broken", "attributes": {"a": "b".repeat(33_000)}}).to_string();
    rows.push(bulk("attributes of 33 kB".into(), large, Expect::Line("too_long")));
    let malformed = Expect::Problem(400, "malformed_json");
    for body in ["", "{", "[{]", "item_id: mug", "{\"item_id\":\"\u{0}\"}", "{\"item_id\":\"broken\",\"price\":1e999}"] {
        rows.push(bulk(format!("bulk {body:?}"), body.to_owned(), malformed));
    }
    let bytes = Row::new("bulk of invalid UTF-8", "POST", "/v1/catalog/items", malformed).key(&world.secret);
    rows.push(bytes.body(b"{\"item_id\":\"\xff\"}".as_slice()));
    let deep = format!(r#"{{"item_id":"broken","attributes":{{"a":{}"#, "[".repeat(100_000));
    rows.push(bulk("100,000 brackets".into(), deep, malformed));
    rows.push(
        bulk("XML".into(), "<item/>".into(), Expect::Problem(415, "unsupported_media_type")).header("Content-Type", "text/xml"),
    );
    let lines = bulk(
        "lines, the first of them broken".into(),
        "{\"item_id\":\n{\"item_id\":\"mug\"}\n".into(),
        Expect::Line("invalid_json"),
    );
    rows.push(lines.header("Content-Type", "application/x-ndjson"));
    rows.extend(single(world));
    rows
}

fn single(world: &World) -> Vec<Row> {
    let invalid = Expect::Problem(400, "invalid_request");
    let failed = Expect::Problem(412, "precondition_failed");
    let put =
        |name: &str, body: &str, expect| Row::new(name, "PUT", "/v1/catalog/items/mug", expect).key(&world.secret).body(body);
    let mut rows = vec![
        put("put nothing", "", Expect::Problem(400, "malformed_json")),
        put("put an array", "[]", invalid),
        put("put null", "null", invalid),
        put("put another id", r#"{"item_id":"cup"}"#, invalid),
        put("put a number as id", r#"{"item_id":7}"#, invalid),
        put("put a price that is none", r#"{"price":"x"}"#, invalid),
        put("put a misspelt field", r#"{"prize":1}"#, invalid),
        put("put over an item that is there", "{}", failed).header("If-None-Match", "*"),
        put("put with a stale ETag", "{}", failed).header("If-Match", "\"999\""),
        Row::new("delete with a stale ETag", "DELETE", "/v1/catalog/items/mug", failed)
            .key(&world.secret)
            .header("If-Match", "\"999\""),
        Row::new("delete what is not there", "DELETE", "/v1/catalog/items/cup", Expect::Problem(404, "unknown_item"))
            .key(&world.secret),
        Row::new("put with a gzip that is none", "PUT", "/v1/catalog/items/mug", Expect::Problem(400, "damaged_gzip"))
            .key(&world.secret)
            .header("Content-Encoding", "gzip")
            .body("{}"),
    ];
    let large = format!(r#"{{"description":"{}"}}"#, "d".repeat(1 << 20));
    rows.push(put("put a megabyte", &large, Expect::Problem(413, "body_too_large")));
    for value in ["", "nonsense", "\"\"", "\"1", "W/\"x\"", "\"1\", \"2\"", "-1", "1.0", "\"18446744073709551616\""] {
        rows.push(put(&format!("If-Match: {value}"), "{}", invalid).header("If-Match", value));
    }
    for (query, expect) in [
        ("limit=x", invalid),
        ("limit=-1", invalid),
        ("cursor=x", invalid),
        ("cursor=-1", invalid),
        ("cursor=18446744073709551616", invalid),
        ("cursor=18446744073709551615", Expect::Fine),
        ("limit=18446744073709551615", Expect::Fine),
        ("limit=0", Expect::Fine),
    ] {
        rows.push(Row::new(format!("list {query}"), "GET", format!("/v1/catalog/items?{query}"), expect).key(&world.secret));
    }
    rows
}
