//! `rapport export`: flat lines, in log order, that `rapport import` reads back.

use serde_json::{Value, json};

use super::{Ran, run};
use crate::support::server::{Server, rapport};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A server that was sent a few events of every sort.
fn busy() -> Server {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let consent = json!({"analytics": true, "personalization": true, "marketing": false, "sale_share": false, "at": "2024-05-01T10:00:00Z"});
    let batch = json!({"v": 1, "visitor_id": "anna", "session_id": "s-1", "seq": 7, "sent_at": "2024-05-01T10:00:10Z", "consent": consent, "events": [
        {"id": "e1", "type": "view_item", "ts": "2024-05-01T10:00:00Z", "currency": "GBP", "campaign": "spring",
         "items": [{"item_id": "22386", "item_name": "Bag", "item_brand": "B", "item_category": "Bags", "price": 1.95, "index": 3}]},
        {"id": "e2", "type": "purchase", "ts": "2024-05-01T10:00:05Z", "transaction_id": "536365", "value": 15.3, "currency": "GBP",
         "items": [{"item_id": "85123A", "quantity": 6, "price": 2.55, "item_variant": "red"}]},
        {"id": "e3", "type": "search", "age_ms": 0, "search_term": "päper \"chain\""},
        {"id": "e4", "type": "refund", "age_ms": 0, "transaction_id": "536365", "value": 2.55, "currency": "GBP", "items": [{"item_id": "85123A", "price": 2.55}]}]});
    let answer = server.post("/v1/events", &secret, &batch).json();
    assert!(answer["results"].as_object().unwrap().values().all(|r| r["result"] == "ok"), "{answer}");
    server
}

#[test]
fn every_line_is_flat_and_says_all() {
    let server = busy();
    let exported = lines(&server.run(&["export", "--site", "default", "--events", "--format", "events-jsonl"]));
    assert_eq!(exported.iter().map(|e| e["id"].as_str().unwrap()).collect::<Vec<_>>(), ["e1", "e2", "e3", "e4"]);
    let first = &exported[0];
    for field in ["id", "site", "type", "visitor_id", "session_id", "seq", "ts", "sent_at", "received_at", "consent", "position"]
    {
        assert!(first.get(field).is_some(), "{field} is missing: {first}");
    }
    assert_eq!((&first["site"], &first["type"], &first["visitor_id"]), (&json!("default"), &json!("view_item"), &json!("anna")));
    assert_eq!((&first["session_id"], &first["seq"]), (&json!("s-1"), &json!(7)));
    assert_eq!(first["sent_at"], "2024-05-01T10:00:10.000000Z");
    assert_eq!(first["consent"]["personalization"], true);
    assert_eq!(first["campaign"], "spring", "parameters stand beside the fields");
    assert_eq!(first["items"][0]["item_category"], "Bags");
    assert_eq!((&exported[1]["value"], &exported[1]["transaction_id"]), (&json!(15.3), &json!("536365")));
    assert_eq!(exported[2]["search_term"], "päper \"chain\"");
    let positions: Vec<u64> = exported.iter().map(|e| e["position"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    // The client's clock was two years off; all three times are there.
    let (ts, received) = (first["ts"].as_str().unwrap(), first["received_at"].as_str().unwrap());
    assert!(ts < received && ts > "2024-06", "{first}");

    assert_eq!(run(&server.data_dir(), &["export", "--site", "nobody", "--events"]).out, "");
    assert_eq!(run(&server.data_dir(), &["export"]).code, Some(2), "what to export is not said");
}

#[test]
fn what_is_exported_can_be_imported() {
    let server = busy();
    let dir = tempfile::tempdir().unwrap();
    let (file, elsewhere) = (dir.path().join("events.jsonl"), dir.path().join("var"));
    let written = server.run(&["export", "--events", "--out", file.to_str().unwrap()]);
    assert_eq!(written, "");
    let imported = run(&elsewhere, &["import", "--format", "events-jsonl", "--json", file.to_str().unwrap()]).json();
    assert_eq!((&imported["accepted"], &imported["rejected"]), (&json!(4), &json!({})), "{imported}");
    let there = lines(&run(&elsewhere, &["export", "--events"]).out);
    let here = lines(&std::fs::read_to_string(&file).unwrap());
    for (mut a, mut b) in here.into_iter().zip(there) {
        // The place in the log is the log's own.
        a.as_object_mut().unwrap().remove("position");
        b.as_object_mut().unwrap().remove("position");
        assert_eq!(a, b);
    }
    // Where it came from, all of it is known.
    let again: Value =
        serde_json::from_str(&server.run(&["import", "--format", "events-jsonl", "--json", file.to_str().unwrap()])).unwrap();
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(4)), "{again}");
}

#[test]
fn sealed_or_not_the_export_is_the_same() {
    let server = busy();
    let before = server.run(&["export", "--events"]);
    // The end of an import closes the segment and turns it into Parquet.
    let file = server.data_dir().join("none.jsonl");
    std::fs::write(&file, "").unwrap();
    server.run(&["import", "--format", "events-jsonl", file.to_str().unwrap()]);
    server.eventually("the log is sealed", || server.data_dir().join("archive/site=default").exists());
    assert_eq!(server.run(&["export", "--events"]), before);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    use std::io::Read;
    let server = busy();
    let mut child =
        rapport(&server.data_dir()).args(["export", "--events"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut byte = [0];
    child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
    assert!(child.wait().unwrap().success());
    let ran = Ran::of(rapport(&server.data_dir()).args(["export", "--events", "--out", "/nowhere/events.jsonl"]));
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("/nowhere/events.jsonl"), "{}", ran.err);
}
