//! Valid requests with something broken in them, at random.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::{Server, gzip};

const BATCH: &str = r#"{"v":1,"visitor_id":"v-1","session_id":"s-1","seq":7,"sent_at":"2026-01-23T10:00:00.000Z","consent":{"analytics":true,"personalization":true,"at":1769162400000},"events":[{"id":"a-1","type":"view_item","age_ms":120,"items":[{"item_id":"22386","item_name":"Jumbo bag","price":1.95}],"currency":"GBP"},{"id":"a-2","type":"purchase","age_ms":0,"transaction_id":"536365","value":15.3,"currency":"GBP","items":[{"item_id":"85123A","quantity":6,"price":2.55}]}]}"#;
const QUESTION: &str = r#"{"visitor_id":"v-1","consent":{"analytics":true},"context":{"item_id":"22386","cart":["85123A"]},"events":[{"id":"a-3","type":"view_item","items":[{"item_id":"22386"}]}],"placements":[{"id":"also-bought","count":8,"filter":{"all":[{"field":"price","op":"lt","value":5}]},"exclude_ids":["x"],"fields":["title"]},{"id":"home-hero"}],"explain":true,"deadline_ms":50}"#;
const ITEM: &str =
    r#"{"item_id":"22386","title":"Jumbo bag","categories":["Bags"],"price":1.95,"stock":5,"attributes":{"color":"red"}}"#;

#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, prop::sample::Index),
    /// Puts a copy of one part somewhere else.
    Splice(prop::sample::Index, prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        let span = |a: &prop::sample::Index, b: &prop::sample::Index| {
            let (a, b) = (a.index(len), b.index(len));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Flip(at, mask) => bytes[at.index(len)] ^= mask,
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Remove(a, b) => drop(bytes.drain(span(a, b))),
            Self::Splice(a, b, to) => {
                let part = bytes[span(a, b)].to_vec();
                let to = to.index(len);
                bytes.splice(to..to, part);
            }
            Self::Insert(at, what) => {
                let at = at.index(len);
                bytes.splice(at..at, what.iter().copied());
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    let token = prop::sample::select(vec![
        "null",
        "true",
        "-0",
        "1e999",
        "9223372036854775808",
        "\"",
        "\\ud800",
        "\\u0000",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\u{feff}",
        "NaN",
    ]);
    prop_oneof![
        (index(), 1u8..).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        index().prop_map(Damage::Cut),
        (index(), index()).prop_map(|(a, b)| Damage::Remove(a, b)),
        (index(), index(), index()).prop_map(|(a, b, to)| Damage::Splice(a, b, to)),
        (index(), token).prop_map(|(at, token)| Damage::Insert(at, token.into())),
        (index(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

#[test]
fn whatever_is_sent_the_answer_is_json_and_never_an_error_of_ours() {
    let server = Server::start();
    let authorization = format!("Bearer {}", server.key("secret", &[]));
    let pid = server.pid();
    let mut runner =
        TestRunner::new(Config { cases: 400, max_shrink_iters: 200, failure_persistence: None, ..Config::default() });
    let target = prop::sample::select(vec![
        ("/v1/events", BATCH),
        ("/v1/events", BATCH),
        ("/v1/decide", QUESTION),
        ("/v1/catalog/items", ITEM),
        ("/v1/segment/batch", BATCH),
    ]);
    let cases = (target, prop::collection::vec(damage(), 1..5), any::<bool>());
    let result = runner.run(&cases, |((path, valid), damages, packed)| {
        let mut body = if packed { gzip(valid.as_bytes()) } else { valid.as_bytes().to_vec() };
        for damage in &damages {
            damage.apply(&mut body);
        }
        let mut headers = vec![("Authorization", authorization.as_str())];
        if packed {
            headers.push(("Content-Encoding", "gzip"));
        }
        let answer = server.send("POST", path, &headers, &body);
        prop_assert!(answer.status < 500 || answer.status == 503, "{} {}", answer.status, answer.text());
        let kind = answer.header("content-type").unwrap_or_default();
        prop_assert!(matches!(kind, "application/json" | "application/problem+json"), "{} as {kind}", answer.status);
        prop_assert_eq!(kind == "application/problem+json", answer.status >= 400, "{}", answer.status);
        prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok(), "{}", answer.text());
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.pid(), pid);
    assert_eq!(server.metric("rapport_problems_total{code=\"internal\"}"), 0.0);
}
