//! Questions: `/v1/recommendations/…`, `/v1/decide` and the Segment calls.

use serde_json::{Value, json};

use super::{Expect, Row, World};

/// Filters that cannot be compiled.
const FILTERS: &[&str] = &[
    "[]",
    "\"brand\"",
    "7",
    "true",
    "{}",
    r#"{"all":{}}"#,
    r#"{"any":"x"}"#,
    r#"{"all":[7]}"#,
    r#"{"not":[]}"#,
    r#"{"not":null}"#,
    r#"{"all":[],"any":[]}"#,
    r#"{"field":"colour","value":1}"#,
    r#"{"field":"attributes.","value":1}"#,
    r#"{"field":7,"value":1}"#,
    r#"{"feild":"brand","value":"x"}"#,
    r#"{"field":"brand"}"#,
    r#"{"field":"brand","op":"like","value":"x"}"#,
    r#"{"field":"brand","op":5,"value":"x"}"#,
    r#"{"field":"brand","op":"in","value":"x"}"#,
    r#"{"field":"brand","op":"in","value":[{}]}"#,
    r#"{"field":"brand","op":"eq","value":["x"]}"#,
    r#"{"field":"brand","op":"lt","value":5}"#,
    r#"{"field":"title","op":"contains","value":5}"#,
    r#"{"field":"price","op":"lt","value":"x"}"#,
    r#"{"field":"price","op":"eq","value":"cheap"}"#,
    r#"{"field":"price","op":"contains","value":"9"}"#,
    r#"{"field":"stock","op":"prefix","value":"9"}"#,
    r#"{"field":"brand","op":"exists","value":"yes"}"#,
    r#"{"all":[{"field":"brand","value":"x","extra":1}]}"#,
];

/// Bodies of `/v1/decide` with a field that is not as documented.
const DECIDE: &[(&str, &str)] = &[
    ("placements is missing", "{}"),
    ("placements is empty", r#"{"placements":[]}"#),
    ("placements is an object", r#"{"placements":{"id":"trending"}}"#),
    ("placements holds a number", r#"{"placements":[7]}"#),
    ("a placement is an array", r#"{"placements":[["trending"]]}"#),
    ("a placement's id is a number", r#"{"placements":[{"id":7}]}"#),
    ("a placement twice", r#"{"placements":[{"id":"trending"},{"id":"trending"}]}"#),
    ("count is 0", r#"{"placements":[{"id":"trending","count":0}]}"#),
    ("count is 101", r#"{"placements":[{"id":"trending","count":101}]}"#),
    ("count is -1", r#"{"placements":[{"id":"trending","count":-1}]}"#),
    ("count is 1.5", r#"{"placements":[{"id":"trending","count":1.5}]}"#),
    ("count is a text", r#"{"placements":[{"id":"trending","count":"8"}]}"#),
    ("count is 2^64", r#"{"placements":[{"id":"trending","count":18446744073709551616}]}"#),
    ("fields names what there is not", r#"{"placements":[{"id":"trending","fields":["margin"]}]}"#),
    ("fields is a text", r#"{"placements":[{"id":"trending","fields":"title"}]}"#),
    ("diversity is 1.1", r#"{"placements":[{"id":"trending","diversity":1.1}]}"#),
    ("diversity is a text", r#"{"placements":[{"id":"trending","diversity":"much"}]}"#),
    ("min_relevance is negative", r#"{"placements":[{"id":"trending","min_relevance":-0.1}]}"#),
    ("exclude_ids is a text", r#"{"placements":[{"id":"trending","exclude_ids":"mug"}]}"#),
    ("exclude_ids holds null", r#"{"placements":[{"id":"trending","exclude_ids":[null]}]}"#),
    ("exclude_ids holds an empty id", r#"{"placements":[{"id":"trending","exclude_ids":[""]}]}"#),
    ("context is an array", r#"{"placements":[{"id":"trending"}],"context":["mug"]}"#),
    ("context.item_id is an object", r#"{"placements":[{"id":"trending"}],"context":{"item_id":{}}}"#),
    ("context.item_id is empty", r#"{"placements":[{"id":"trending"}],"context":{"item_id":""}}"#),
    ("context.item_id holds a NUL", r#"{"placements":[{"id":"trending"}],"context":{"item_id":"\u0000"}}"#),
    ("context.cart is a text", r#"{"placements":[{"id":"trending"}],"context":{"cart":"mug"}}"#),
    ("context.cart holds an object", r#"{"placements":[{"id":"trending"}],"context":{"cart":[{"item_id":"mug"}]}}"#),
    ("context.viewed is a number", r#"{"placements":[{"id":"trending"}],"context":{"viewed":3}}"#),
    ("consent is a text", r#"{"placements":[{"id":"trending"}],"consent":"yes"}"#),
    ("consent.analytics is 1", r#"{"placements":[{"id":"trending"}],"consent":{"analytics":1}}"#),
    ("sent_at is noon", r#"{"placements":[{"id":"trending"}],"sent_at":"noon"}"#),
    ("seq is a text", r#"{"placements":[{"id":"trending"}],"seq":"1"}"#),
    ("events is an object", r#"{"placements":[{"id":"trending"}],"events":{}}"#),
    ("explain is a text", r#"{"placements":[{"id":"trending"}],"explain":"yes"}"#),
    ("deadline_ms is 0", r#"{"placements":[{"id":"trending"}],"deadline_ms":0}"#),
    ("deadline_ms is negative", r#"{"placements":[{"id":"trending"}],"deadline_ms":-5}"#),
    ("visitor_id is an array", r#"{"placements":[{"id":"trending"}],"visitor_id":[]}"#),
    ("visitor_id holds a NUL", r#"{"placements":[{"id":"trending"}],"visitor_id":"\u0000"}"#),
    ("key is a number", r#"{"placements":[{"id":"trending"}],"key":1}"#),
    ("the body is an array", "[7]"),
    ("the body is null", "null"),
];

const MALFORMED: &[&str] = &[
    "",
    "{",
    r#"{"placements":[{"id":"trending"}]"#,
    r#"{"placements":[{"id":"trending","count":1e999}]}"#,
    r#"{"placements":[{"id":"\ud800"}]}"#,
    r#"{"placements":NaN}"#,
    "\u{feff}{}",
];

pub(super) fn rows(world: &World) -> Vec<Row> {
    let mut rows = questions(world);
    let invalid = Expect::Problem(400, "invalid_request");
    let decide = |name: &str, body: String, expect| Row::new(name, "POST", "/v1/decide", expect).key(&world.secret).body(body);
    for (name, body) in DECIDE {
        rows.push(decide(&format!("decide: {name}"), (*body).to_owned(), invalid));
    }
    for body in MALFORMED {
        rows.push(decide(&format!("decide: {body}"), (*body).to_owned(), Expect::Problem(400, "malformed_json")));
    }
    for filter in FILTERS {
        let body = format!(r#"{{"placements":[{{"id":"trending","filter":{filter}}}]}}"#);
        rows.push(decide(&format!("decide: filter {filter}"), body, Expect::Problem(400, "invalid_filter")));
    }
    let deep = (0..60).fold(json!({"field": "brand", "value": "x"}), |inner, _| json!({"not": inner}));
    let wide: Vec<Value> = (0..300).map(|n| json!({"field": "brand", "value": n})).collect();
    for (name, filter) in [("deep", deep), ("wide", json!({"any": wide}))] {
        let body = json!({"placements": [{"id": "trending", "filter": filter}]}).to_string();
        rows.push(decide(&format!("decide: a {name} filter"), body, Expect::Problem(400, "invalid_filter")));
    }
    let nested = format!(r#"{{"placements":[{{"id":"trending","filter":{}"#, r#"{"not":"#.repeat(50_000));
    rows.push(decide("decide: 50,000 nested filters", nested, Expect::Problem(400, "malformed_json")));
    let unknown = Expect::Problem(404, "unknown_placement");
    for id in ["", "Trending", "trending ", "../trending", "\\u0000", "no-such-placement"] {
        rows.push(decide(&format!("decide: placement `{id}`"), format!(r#"{{"placements":[{{"id":"{id}"}}]}}"#), unknown));
    }
    let many: Vec<Value> = (0..21).map(|n| json!({"id": format!("p{n}")})).collect();
    rows.push(decide("decide: 21 placements", json!({"placements": many}).to_string(), invalid));
    let ids: Vec<String> = (0..501).map(|n| n.to_string()).collect();
    let body = json!({"placements": [{"id": "trending", "exclude_ids": ids}]}).to_string();
    rows.push(decide("decide: 501 excluded ids", body, invalid));
    let body = json!({"placements": [{"id": "trending"}], "context": {"cart": ids}}).to_string();
    rows.push(decide("decide: a cart of 501", body, invalid));
    let explain = r#"{"placements":[{"id":"trending"}],"explain":true}"#;
    let refused = Expect::Problem(403, "explain_needs_secret_key");
    rows.push(Row::new("decide: a page wants reasons", "POST", "/v1/decide", refused).key(&world.page).body(explain));
    let large = format!(r#"{{"placements":[{{"id":"trending"}}]}}{}"#, " ".repeat(70_000));
    let too_large = Expect::Problem(413, "body_too_large");
    rows.push(Row::new("decide: 70 kB from a page", "POST", "/v1/decide", too_large).key(&world.page).body(large));
    rows.extend(segment(world));
    rows
}

fn questions(world: &World) -> Vec<Row> {
    let invalid = Expect::Problem(400, "invalid_request");
    let filter = Expect::Problem(400, "invalid_filter");
    let long = format!("visitor_id={}", "v".repeat(201));
    let deep = format!("filter={}", "%5B".repeat(1_000));
    [
        ("count=0", invalid),
        ("count=101", invalid),
        ("count=-1", invalid),
        ("count=x", invalid),
        ("count=", invalid),
        ("count=1.5", invalid),
        ("count=1e999", invalid),
        ("count=18446744073709551616", invalid),
        ("count=%00", invalid),
        ("fields=margin", invalid),
        ("fields=title,,nothing", invalid),
        ("explain=maybe", invalid),
        ("diversity=2", invalid),
        ("diversity=NaN", invalid),
        ("min_relevance=", invalid),
        ("min_relevance=inf", invalid),
        ("item_id=%00", invalid),
        ("item_id=a%0d%0aSet-Cookie:x", invalid),
        ("exclude_ids=a%07b", invalid),
        ("cart=%1b", invalid),
        ("visitor_id=%00", invalid),
        (long.as_str(), invalid),
        ("filter=brand", filter),
        ("filter=%7B", filter),
        ("filter=%7B%22field%22:%22nothing%22%7D", filter),
        (deep.as_str(), filter),
        ("item_id=never-heard-of&count=1", Expect::Fine),
        ("count=1&count=x", Expect::Fine),
        ("%=%&&&==", Expect::Fine),
    ]
    .into_iter()
    .map(|(query, expect)| {
        let name: String = query.chars().take(60).collect();
        Row::new(name, "GET", format!("/v1/recommendations/trending?{query}"), expect).key(&world.secret)
    })
    .collect()
}

fn segment(world: &World) -> Vec<Row> {
    let call = |call: &str, body: &str, expect| {
        Row::new(format!("segment {call}: {body}"), "POST", format!("/v1/segment/{call}"), expect).key(&world.secret).body(body)
    };
    let malformed = Expect::Problem(400, "malformed_json");
    let invalid = Expect::Problem(400, "invalid_batch");
    let drop = |code| Expect::Event("drop", code);
    vec![
        call("track", "", malformed),
        call("track", "{", malformed),
        call("track", r#"{"value":1e999}"#, malformed),
        call("track", "[]", invalid),
        call("batch", "{}", invalid),
        call("batch", r#"{"batch":{}}"#, invalid),
        call("batch", r#"{"batch":"x"}"#, invalid),
        call("batch", r#"{"batch":[7]}"#, Expect::Nameless("invalid_json")),
        call("batch", r#"{"batch":[{"type":"group","messageId":"x"}]}"#, drop("invalid_type")),
        call("track", r#"{"messageId":"x"}"#, drop("invalid_type")),
        call("track", r#"{"messageId":"x","event":7}"#, drop("invalid_type")),
        call("track", r#"{"messageId":"x","event":"Product Viewed","anonymousId":"a"}"#, drop("missing_items")),
        call("track", r#"{"messageId":"x","event":"A","anonymousId":{}}"#, drop("wrong_type")),
        call("track", r#"{"messageId":"x","event":"A","anonymousId":"a","timestamp":"never"}"#, drop("invalid_time")),
        call("page", r#"{"messageId":"x"}"#, drop("missing_visitor")),
        call("page", r#"{"anonymousId":"a"}"#, Expect::Nameless("missing_id")),
        Row::new("segment alias", "POST", "/v1/segment/alias", Expect::Problem(404, "not_found")).key(&world.secret).body("{}"),
    ]
}
