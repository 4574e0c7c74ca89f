//! Bodies of `/v1/events`: the frame, every field of an event and a line, and sizes.

use serde_json::json;

use super::{Expect, Row, World, gzip};

const MALFORMED: Expect = Expect::Problem(400, "malformed_json");
const INVALID: Expect = Expect::Problem(400, "invalid_batch");

/// Values of fields of a batch.
const FRAMES: &[(&str, &str)] = &[
    ("v is 2", r#""v":2"#),
    ("v is a text", r#""v":"1""#),
    ("v is 1e999", r#""v":1e999"#),
    ("key is a number", r#""key":7"#),
    ("visitor_id is an object", r#""visitor_id":{}"#),
    ("visitor_id is a boolean", r#""visitor_id":true"#),
    ("visitor_id is a fraction", r#""visitor_id":1.5"#),
    ("visitor_id is half a surrogate", r#""visitor_id":"\ud800""#),
    ("session_id is an array", r#""session_id":["a"]"#),
    ("seq is a text", r#""seq":"first""#),
    ("seq is 2^63", r#""seq":9223372036854775808"#),
    ("seq is a fraction", r#""seq":1.5"#),
    ("discarded is a number", r#""discarded":3"#),
    ("discarded is a map", r#""discarded":{"overflow":3}"#),
    ("discarded without a count", r#""discarded":[{"reason":"overflow"}]"#),
    ("discarded counts 2^63", r#""discarded":[{"reason":"overflow","count":9223372036854775808}]"#),
    ("discarded for half a surrogate", r#""discarded":[{"reason":"\ud800","count":1}]"#),
    ("sent_at is noon", r#""sent_at":"noon""#),
    ("sent_at is an object", r#""sent_at":{}"#),
    ("sent_at is in the year 100000", r#""sent_at":"+100000-01-01T00:00:00Z""#),
    ("sent_at is -2^63", r#""sent_at":-9223372036854775808"#),
    ("sent_at is before 1970", r#""sent_at":"-009999-01-01T00:00:00Z""#),
    ("consent is a number", r#""consent":1"#),
    ("consent is a text", r#""consent":"all""#),
    ("consent.analytics is yes", r#""consent":{"analytics":"yes"}"#),
    ("consent.personalization is 1", r#""consent":{"personalization":1}"#),
    ("consent.at is a boolean", r#""consent":{"analytics":true,"at":true}"#),
    ("consent is nested 100 deep", r#""consent":{"analytics":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}"#),
    ("events is an object", r#""events":{}"#),
    ("events is a text", r#""events":"[]""#),
    ("events is a number", r#""events":1"#),
    ("events is given twice", r#""events":[],"events":[]"#),
];

/// Bodies that are no JSON at all.
const NO_JSON: &[(&str, &[u8])] = &[
    ("empty body", b""),
    ("blanks", b" \n\t "),
    ("a NUL", b"\0"),
    ("a byte order mark", b"\xef\xbb\xbf{\"events\":[]}"),
    ("UTF-16", b"\xff\xfe{\0}\0"),
    ("invalid UTF-8", b"{\"visitor_id\":\"\xff\"}"),
    ("an overlong slash", b"{\"visitor_id\":\"\xc0\xaf\"}"),
    ("a surrogate in UTF-8", b"{\"visitor_id\":\"\xed\xa0\x80\"}"),
    ("a raw NUL in a text", b"{\"visitor_id\":\"a\0b\"}"),
    ("a form", b"events=%5B%5D"),
    ("XML", b"<events/>"),
    ("two objects", b"{\"events\":[]}{\"events\":[]}"),
    ("a comma too many", b"{\"events\":[],}"),
    ("single quotes", b"{'events':[]}"),
    ("a comment", b"{\"events\":[]/**/}"),
    ("NaN", b"{\"events\":[NaN]}"),
    ("Infinity", b"{\"seq\":Infinity}"),
    ("undefined", b"{\"events\":undefined}"),
    ("a bad escape", b"{\"\\x\":1}"),
    ("hexadecimal", b"{\"seq\":0x10}"),
    ("a leading zero", b"{\"seq\":01}"),
];

/// Fields of an event with the id `x`, a `view_item` of one line unless they say otherwise, and the code of its drop.
const EVENTS: &[(&str, &str, &str)] = &[
    ("no type", r#""type":null"#, "invalid_type"),
    ("type is a number", r#""type":7"#, "wrong_type"),
    ("type is empty", r#""type":"""#, "invalid_type"),
    ("type begins with a digit", r#""type":"1st""#, "invalid_type"),
    ("type has a blank", r#""type":"view item""#, "invalid_type"),
    ("type is not ASCII", r#""type":"ansehen_ä""#, "invalid_type"),
    ("type is too long", r#""type":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#, "invalid_type"),
    ("type is ours alone", r#""type":"consent_update""#, "invalid_type"),
    ("age_ms is negative", r#""age_ms":-1"#, "out_of_range"),
    ("age_ms is beyond reason", r#""age_ms":1e14"#, "out_of_range"),
    ("age_ms is 1e999", r#""age_ms":1e999"#, "invalid_json"),
    ("age_ms is NaN as text", r#""age_ms":"NaN""#, "wrong_type"),
    ("age_ms is an array", r#""age_ms":[1]"#, "wrong_type"),
    ("ts is yesterday", r#""ts":"yesterday""#, "invalid_time"),
    ("ts is the 30th of February", r#""ts":"2026-02-30T00:00:00Z""#, "invalid_time"),
    ("ts has no zone", r#""ts":"2026-02-03T00:00:00""#, "invalid_time"),
    ("ts is 2^63", r#""ts":9223372036854775808"#, "invalid_time"),
    ("ts is a fraction", r#""ts":1.5"#, "invalid_time"),
    ("ts is before 1970", r#""ts":-1"#, "invalid_time"),
    ("ts is in the year -9999", r#""ts":"-009999-01-02T00:00:00Z""#, "invalid_time"),
    ("sent_at is an object", r#""sent_at":{}"#, "invalid_time"),
    ("visitor_id is an array", r#""visitor_id":[]"#, "wrong_type"),
    ("visitor_id is empty", r#""visitor_id":"""#, "invalid_id"),
    ("visitor_id holds a NUL", r#""visitor_id":"a\u0000b""#, "invalid_id"),
    ("customer_id holds a line break", r#""customer_id":"a\nb""#, "invalid_id"),
    ("customer_id is a boolean", r#""customer_id":false"#, "wrong_type"),
    ("session_id is an object", r#""session_id":{}"#, "wrong_type"),
    ("seq is a fraction", r#""seq":0.5"#, "out_of_range"),
    ("seq is 2^63", r#""seq":9223372036854775808"#, "out_of_range"),
    ("seq is an array", r#""seq":[]"#, "wrong_type"),
    ("consent is an array", r#""consent":[]"#, "invalid_consent"),
    ("consent.analytics is maybe", r#""consent":{"analytics":"maybe"}"#, "invalid_consent"),
    ("consent.at is soon", r#""consent":{"analytics":true,"at":"soon"}"#, "invalid_consent"),
    ("value is a word", r#""value":"a lot""#, "wrong_type"),
    ("value is infinite as text", r#""value":"inf","currency":"EUR""#, "wrong_type"),
    ("value is beyond money", r#""value":1e300,"currency":"EUR""#, "out_of_range"),
    ("value is 1e999", r#""value":1e999,"currency":"EUR""#, "invalid_json"),
    ("value is an object", r#""value":{"amount":1}"#, "wrong_type"),
    ("currency is too long", r#""currency":"EURO""#, "invalid_currency"),
    ("currency is a sign", r#""currency":"€""#, "invalid_currency"),
    ("currency is a number", r#""currency":978"#, "wrong_type"),
    ("transaction_id is an array", r#""transaction_id":[1]"#, "wrong_type"),
    ("transaction_id is a fraction", r#""transaction_id":1.5"#, "wrong_type"),
    ("search_term is a number", r#""search_term":1"#, "wrong_type"),
    ("creative_id is an object", r#""creative_id":{}"#, "wrong_type"),
    ("placement is a number", r#""placement":1"#, "wrong_type"),
    ("recommendation_id is a boolean", r#""recommendation_id":true"#, "wrong_type"),
    ("half a surrogate", r#""search_term":"\ud800""#, "invalid_json"),
    ("surrogates the wrong way round", r#""search_term":"\udc00\ud800""#, "invalid_json"),
    ("items is an object", r#""items":{"item_id":"mug"}"#, "wrong_type"),
    ("items is a text", r#""items":"mug""#, "wrong_type"),
    ("items is empty", r#""items":[]"#, "missing_items"),
    ("items is null", r#""items":null"#, "missing_items"),
    ("a line is a text", r#""items":["mug"]"#, "wrong_type"),
    ("a line is null", r#""items":[null]"#, "wrong_type"),
    ("a line without item_id", r#""items":[{}]"#, "invalid_id"),
    ("item_id is empty", r#""items":[{"item_id":""}]"#, "invalid_id"),
    ("item_id is an array", r#""items":[{"item_id":["mug"]}]"#, "wrong_type"),
    ("item_id is a fraction", r#""items":[{"item_id":22386.5}]"#, "wrong_type"),
    ("item_id holds an escape", r#""items":[{"item_id":"a\u001b[31m"}]"#, "invalid_id"),
    ("item_name is a number", r#""items":[{"item_id":"mug","item_name":1}]"#, "wrong_type"),
    ("item_brand is an array", r#""items":[{"item_id":"mug","item_brand":[]}]"#, "wrong_type"),
    ("item_category is a number", r#""items":[{"item_id":"mug","item_category":3}]"#, "wrong_type"),
    ("item_variant is a number", r#""items":[{"item_id":"mug","item_variant":42}]"#, "wrong_type"),
    ("price is negative", r#""items":[{"item_id":"mug","price":-0.01}]"#, "out_of_range"),
    ("price is beyond money", r#""items":[{"item_id":"mug","price":1e300}]"#, "out_of_range"),
    ("price is a word", r#""items":[{"item_id":"mug","price":"free"}]"#, "wrong_type"),
    ("price is a boolean", r#""items":[{"item_id":"mug","price":true}]"#, "wrong_type"),
    ("quantity is a half", r#""items":[{"item_id":"mug","quantity":0.5}]"#, "out_of_range"),
    ("quantity is negative", r#""items":[{"item_id":"mug","quantity":-1}]"#, "out_of_range"),
    ("quantity is 2^63", r#""items":[{"item_id":"mug","quantity":9223372036854775808}]"#, "out_of_range"),
    ("quantity is an object", r#""items":[{"item_id":"mug","quantity":{}}]"#, "wrong_type"),
    ("index is a half", r#""items":[{"item_id":"mug","index":1.5}]"#, "out_of_range"),
];

/// Events without a readable id.
const NAMELESS: &[(&str, &str, &str)] = &[
    ("no id", r#"{"type":"page_view"}"#, "missing_id"),
    ("id is null", r#"{"id":null,"type":"page_view"}"#, "missing_id"),
    ("id is an object", r#"{"id":{},"type":"page_view"}"#, "wrong_type"),
    ("id is a fraction", r#"{"id":0.5,"type":"page_view"}"#, "wrong_type"),
    ("id is empty", r#"{"id":"","type":"page_view"}"#, "invalid_id"),
    ("an event is a text", r#""page_view""#, "invalid_json"),
    ("an event is null", "null", "invalid_json"),
    ("an event is an array", "[[]]", "invalid_json"),
];

fn batch(event: &str) -> String {
    format!(r#"{{"visitor_id":"v","consent":{{"analytics":true}},"events":[{event}]}}"#)
}

pub(super) fn rows(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, body) in NO_JSON {
        rows.push(world.events(name, *body, MALFORMED));
    }
    for body in ["[]", "7", "null", "true", "\"batch\"", "[{\"events\":[]}]"] {
        rows.push(world.events(&format!("the body is {body}"), body, INVALID));
    }
    for (name, field) in FRAMES {
        rows.push(world.events(name, format!("{{{field}}}"), INVALID));
    }
    let bad_visitor = Expect::Problem(400, "invalid_request");
    rows.push(world.events("visitor_id holds a NUL", r#"{"visitor_id":"a\u0000"}"#, bad_visitor));
    rows.push(world.events("visitor_id is too long", json!({"visitor_id": "v".repeat(201)}).to_string(), bad_visitor));
    let good = batch(r#"{"id":"x","type":"view_item","items":[{"item_id":"mug","price":1.5,"quantity":2}],"search_term":"é\n"}"#);
    for cut in (1..good.len()).step_by(9) {
        rows.push(world.events(&format!("cut off after {cut} bytes"), &good.as_bytes()[..cut], MALFORMED));
    }
    for (name, field, code) in EVENTS {
        let mut event = r#"{"id":"x""#.to_owned();
        for default in [r#""type":"view_item""#, r#""items":[{"item_id":"mug"}]"#] {
            let named = default.split(':').next().unwrap();
            if !field.starts_with(named) {
                event.push_str(&format!(",{default}"));
            }
        }
        rows.push(world.events(name, batch(&format!("{event},{field}}}")), Expect::Event("drop", code)));
    }
    for (name, event, code) in NAMELESS {
        rows.push(world.events(name, batch(event), Expect::Nameless(code)));
    }
    let own = json!({"consent": {"analytics": true}, "events": [{"id": "x", "type": "page_view"}]}).to_string();
    rows.push(world.events("nobody did it", own, Expect::Event("drop", "missing_visitor")));
    let long = json!({"id": "i".repeat(101), "type": "page_view"}).to_string();
    rows.push(world.events("id is too long", batch(&long), Expect::Fine));
    rows.extend(depths(world));
    rows.extend(sizes(world));
    rows.extend(encodings(world));
    rows
}

fn depths(world: &World) -> Vec<Row> {
    let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let param = |value: &str| batch(&format!(r#"{{"id":"x","type":"page_view","deep":{value}}}"#));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    vec![
        world.events("100,000 opening brackets", "[".repeat(100_000), INVALID),
        world.events("100,000 brackets", nest(100_000), INVALID),
        world.events(
            "100,000 brackets as events",
            format!("{{\"events\":{}}}", nest(100_000)),
            Expect::Nameless("event_too_large"),
        ),
        world.events("50,000 opening braces", "{\"a\":".repeat(50_000), MALFORMED),
        world.events("a parameter 200 deep", param(&nest(200)), Expect::Event("drop", "invalid_json")),
        world.events("a parameter of 5,000 objects", param(&objects), Expect::Event("drop", "invalid_json")),
    ]
}

fn sizes(world: &World) -> Vec<Row> {
    let page =
        |name: &str, body: Vec<u8>, expect: Expect| Row::new(name, "POST", "/v1/events", expect).key(&world.page).body(body);
    let large = Expect::Problem(413, "body_too_large");
    let padded = |bytes: usize| {
        let text = batch("");
        format!("{text}{}", " ".repeat(bytes - text.len())).into_bytes()
    };
    let event = |bytes: usize| batch(&json!({"id": "x", "type": "page_view", "pad": "p".repeat(bytes)}).to_string()).into_bytes();
    let many = |n: usize| {
        let events: Vec<String> = (0..n).map(|i| format!(r#"{{"id":"m{i}","type":5}}"#)).collect();
        batch(&format!(r#"{},{{"id":"x","type":"page_view"}}"#, events.join(","))).into_bytes()
    };
    let too_large = Expect::Event("drop", "event_too_large");
    let too_many = Expect::Event("drop", "batch_too_large");
    let lines: Vec<_> = (0..201).map(|n| json!({"item_id": n})).collect();
    let lines = batch(&json!({"id": "x", "type": "view_item", "items": lines}).to_string());
    let texts = |name: &str, field: &str, bytes: usize| {
        let mut event = json!({"id": "x", "type": "search"});
        event[field] = "t".repeat(bytes).into();
        world.events(name, batch(&event.to_string()), Expect::Event("drop", "too_long"))
    };
    vec![
        page("64 KiB and a byte from a page", padded(65_537), large),
        page("64 KiB from a page", padded(65_536), Expect::Fine),
        world.events("500 KiB and a byte from a server", padded(512_001), large),
        world.events("500 KiB from a server", padded(512_000), Expect::Fine),
        page("8 KiB event from a page", event(8_200), too_large),
        world.events("32 KiB event from a server", event(32_800), too_large),
        page("101 events from a page", many(100), too_many),
        world.events("1,001 events from a server", many(1_000), too_many),
        world.events("201 lines", lines, Expect::Event("drop", "too_many_items")),
        texts("a search term of 501 bytes", "search_term", 501),
        texts("a session of 201 bytes", "session_id", 201),
        texts("a transaction of 201 bytes", "transaction_id", 201),
        texts("a placement of 201 bytes", "placement", 201),
    ]
}

fn encodings(world: &World) -> Vec<Row> {
    let packed = gzip(batch("").as_bytes());
    let damaged = Expect::Problem(400, "damaged_gzip");
    let mut flipped = packed.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 0xff;
    let bomb = gzip(&vec![b' '; 20 << 20]);
    let nested = gzip(&gzip(&vec![b'['; 10 << 20]));
    let send =
        |name: &str, encoding: &str, body: &[u8], expect| world.events(name, body, expect).header("Content-Encoding", encoding);
    let typed = |kind: &str| {
        let row = world.events(&format!("Content-Type: {kind}"), batch(""), Expect::Problem(415, "unsupported_media_type"));
        row.header("Content-Type", kind)
    };
    let unknown = Expect::Problem(415, "unsupported_encoding");
    vec![
        send("plain JSON said to be gzip", "gzip", batch("").as_bytes(), damaged),
        send("gzip cut off", "gzip", &packed[..packed.len() / 2], damaged),
        send("gzip with a wrong checksum", "gzip", &flipped, damaged),
        send("gzip of nothing", "gzip", b"", damaged),
        send("only a gzip header", "gzip", &packed[..10], damaged),
        send("a gzip bomb", "gzip", &bomb, Expect::Problem(413, "body_too_large")),
        send("a bomb in a bomb", "gzip", &nested, MALFORMED),
        send("br", "br", b"\x0b\x02\x80{}\x03", unknown),
        send("deflate", "deflate", b"x\x9c", unknown),
        send("gzip twice", "gzip, gzip", &gzip(&packed), unknown),
        send("an encoding nobody knows", "rot13", batch("").as_bytes(), unknown),
        world.events("gzip that does not say so", packed, MALFORMED),
        typed("application/xml"),
        typed("multipart/form-data; boundary=x"),
        typed("text/html"),
        typed("json"),
    ]
}
