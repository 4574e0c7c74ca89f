//! Refused events: kept where that was agreed to, sent again once the cause is mended, and gone when they have to be.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::server::{Answer, Server, rapport, succeed};

const DAY: i64 = 86_400;
/// An order with three lines is too long for this shop.
const SHORT: (&str, &str) = ("RAPPORT_COLLECT__MAX_ITEMS", "2");

fn all() -> Value {
    json!({"analytics": true, "personalization": true})
}

fn none() -> Value {
    json!({"analytics": false, "personalization": false})
}

/// An order of three lines.
fn order(id: &str) -> Value {
    let lines: Vec<Value> = (1..=3).map(|n| json!({"item_id": format!("{id}-{n}"), "price": 10, "quantity": 1})).collect();
    json!({"id": id, "type": "purchase", "transaction_id": format!("T-{id}"), "currency": "EUR", "value": 30, "items": lines})
}

/// Sends orders of a visitor and returns the code of each.
#[track_caller]
fn send(server: &Server, key: &str, visitor: &str, consent: &Value, events: &[Value]) -> Vec<String> {
    let answer = server.post("/v1/events", key, &json!({"visitor_id": visitor, "consent": consent, "events": events}));
    codes(&answer, events)
}

#[track_caller]
fn codes(answer: &Answer, events: &[Value]) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let code = |event: &Value| answer["results"][event["id"].as_str().unwrap()]["code"].as_str().unwrap_or("").to_owned();
    events.iter().map(code).collect()
}

fn listed(server: &Server, more: &[&str]) -> Vec<Value> {
    let printed = server.run(&[&["dead-letters", "list", "--json"], more].concat());
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(server: &Server, more: &[&str]) -> Vec<String> {
    listed(server, more).iter().map(|letter| letter["event"]["id"].as_str().unwrap().to_owned()).collect()
}

fn replayed(server: &Server, more: &[&str]) -> Value {
    serde_json::from_str(&server.run(&[&["dead-letters", "replay", "--json"], more].concat())).unwrap()
}

fn exported(server: &Server) -> Vec<Value> {
    server.run(&["export", "--events"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn counted(server: &Server, result: &str) -> f64 {
    server.metric(&format!("rapport_dead_letters_total{{result=\"{result}\"}}"))
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

/// Returns the files of the data directory that hold these bytes.
fn holding(server: &Server, marker: &str) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| std::fs::read(path).unwrap().windows(marker.len()).any(|bytes| bytes == marker.as_bytes());
    files_below(&server.data_dir()).into_iter().filter(holds).collect()
}

/// Returns the names in the folder of the letters that end so.
fn names(server: &Server, ending: &str) -> Vec<PathBuf> {
    let mut names = files_below(&server.data_dir().join("dead-letters"));
    names.retain(|path| path.to_str().unwrap().ends_with(ending));
    names.sort();
    names
}

#[test]
fn a_refused_order_is_sent_again_once_its_cause_is_mended() {
    let mut before = Server::start_with(&[SHORT]);
    let (key, page) = (before.key("secret", &[]), before.key("publishable", &[]));
    let mut first = order("first");
    first["ts"] = "2099-01-01T00:00:00Z".into();
    assert_eq!(send(&before, &key, "v", &all(), &[first]), ["too_many_items"]);
    let second = json!({"consent": all(), "visitor_id": "w", "events": [order("second")],
        "placements": [{"id": "recently-viewed"}]});
    assert_eq!(before.post("/v1/decide", &key, &second).json()["events"]["results"]["second"]["code"], "too_many_items");
    let products: Vec<Value> = (1..=3).map(|n| json!({"product_id": format!("s{n}"), "price": 1})).collect();
    let third = json!({"writeKey": page, "event": "Order Completed", "messageId": "third", "anonymousId": "x",
        "context": {"consent": {"categoryPreferences": {"Analytics": true, "Functional": true}}},
        "properties": {"order_id": "T-third", "currency": "EUR", "total": 3, "products": products}});
    let answer = before.send("POST", "/v1/segment/track", &[("Content-Type", "application/json")], third.to_string().as_bytes());
    assert_eq!(answer.json()["results"]["third"]["code"], "too_many_items", "{}", answer.text());

    let letters = listed(&before, &[]);
    let told: Vec<Value> =
        letters.iter().map(|l| json!([l["position"], l["site"], l["code"], l["visitor_id"], l["dialect"]])).collect();
    assert_eq!(told[0], json!([1, "default", "too_many_items", "v", "rapport"]));
    assert_eq!(told[1], json!([2, "default", "too_many_items", "w", "rapport"]));
    assert_eq!(told[2], json!([3, "default", "too_many_items", "x", "segment"]));
    assert_eq!(letters[0]["event"]["transaction_id"], "T-first");
    assert!(letters[2]["event"].get("writeKey").is_none(), "a key is not kept");
    assert_eq!(counted(&before, "kept"), 3.0);
    let text = before.run(&["dead-letters", "list"]);
    assert!(text.lines().next().unwrap().contains("too_many_items: `items` has 3 lines"), "{text}");
    assert_eq!(listed(&before, &["--code", "too_long"]).len() + listed(&before, &["--site", "other"]).len(), 0);
    assert_eq!(listed(&before, &["--from", "2", "--code", "too_many_items"]), letters[1..]);
    assert!(before.run(&["doctor"]).contains("3 too_many_items"));

    // As long as nothing was mended nothing changes.
    assert_eq!(replayed(&before, &[])["rejected"], json!({"too_many_items": 3}));
    assert_eq!(listed(&before, &[]), letters);
    assert_eq!(counted(&before, "kept"), 3.0, "what is kept is not kept twice");
    before.stop();

    let after = Server::at(&before.data_dir());
    let figures =
        |ok: u64, duplicate: u64| json!({"ok": ok, "duplicate": duplicate, "no_consent": 0, "retry": 0, "rejected": {}});
    assert_eq!(replayed(&after, &["--dry-run"]), figures(3, 0));
    assert_eq!((listed(&after, &[]).len(), exported(&after).len()), (3, 0));
    // One of them came in by another way.
    assert_eq!(send(&after, &key, "w", &all(), &[order("second")]), [""]);
    assert_eq!(replayed(&after, &["--from", "1"]), figures(2, 1));
    assert!(listed(&after, &[]).is_empty());
    let log = exported(&after);
    let mut in_log: Vec<&str> = log.iter().map(|event| event["id"].as_str().unwrap()).collect();
    in_log.sort_unstable();
    assert_eq!(in_log, ["first", "second", "third"]);
    let first = log.iter().find(|event| event["id"] == "first").unwrap();
    assert_eq!(first["received_at"], letters[0]["received_at"], "it came when it came");
    assert_eq!(first["ts"], first["received_at"], "nothing happens in the future of that");
    assert_eq!((&first["value"], &first["source"], &first["visitor_id"]), (&json!(30.0), &json!("server"), &json!("v")));
    assert_eq!(replayed(&after, &[]), figures(0, 0));
    assert_eq!(send(&after, &key, "v", &all(), &[order("first")]), [""]);
    assert_eq!(exported(&after).len(), 3, "its own second try is known");
}

#[test]
fn a_refused_event_keeps_its_number_in_the_session() {
    let mut before = Server::start_with(&[SHORT]);
    let key = before.key("secret", &[]);
    let view = |id: &str, seq: i64| json!({"id": id, "type": "view_item", "seq": seq, "items": [{"item_id": "mug"}]});
    let mut refused = order("b");
    refused["seq"] = 6.into();
    let body = json!({"visitor_id": "v", "session_id": "s", "consent": all(), "events": [view("a", 5), refused, view("c", 7)]});
    assert_eq!(before.post("/v1/events", &key, &body).status, 200);
    assert!(before.run(&["doctor"]).contains("2 with numbers, 1 missing"), "it is not in the log");
    before.stop();
    let after = Server::at(&before.data_dir());
    assert_eq!(replayed(&after, &[])["ok"], 1);
    let numbers: Vec<i64> = exported(&after).iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [5, 7, 6]);
    assert!(after.run(&["doctor"]).contains("3 with numbers, 0 missing"));
}

#[test]
fn a_replay_that_was_cut_short_keeps_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let step = dir.path().join("step");
    let mut before = Server::start_with(&[SHORT]);
    let key = before.key("secret", &[]);
    send(&before, &key, "v", &all(), &[order("a")]);
    before.stop();
    let files = names(&before, "");
    let saved: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let command = |arguments: &[&str]| {
        let mut command = rapport(&before.data_dir());
        succeed(command.args(arguments).env("RAPPORT_CLOCK_STEP", &step).output().unwrap())
    };
    assert!(command(&["dead-letters", "replay"]).starts_with("1 kept"));
    names(&before, "").iter().for_each(|path| std::fs::remove_file(path).unwrap());
    files.iter().zip(saved).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    // So much later that the last day's ids say nothing of it.
    std::fs::write(&step, (3 * DAY).to_string()).unwrap();
    assert!(command(&["dead-letters", "replay"]).starts_with("0 kept; 1 were in the log already"));
    assert_eq!(exported(&before).len(), 1);
}

#[test]
fn what_was_said_then_takes_nothing_back_now() {
    let mut before = Server::start_with(&[SHORT]);
    let key = before.key("secret", &[]);
    let view = |id: &str| json!({"id": id, "type": "view_item", "items": [{"item_id": id}]});
    send(&before, &key, "v", &json!({"analytics": true, "personalization": false}), &[order("a")]);
    assert_eq!(send(&before, &key, "v", &all(), &[view("mug")]), [""]);
    before.stop();
    let after = Server::at(&before.data_dir());
    assert_eq!(replayed(&after, &[])["ok"], 1);
    assert_eq!(send(&after, &key, "v", &json!({}), &[view("tea")]), [""]);
    let log = exported(&after);
    let told: Vec<Value> = log.iter().map(|e| json!([e["id"], e["consent"]["personalization"]])).collect();
    assert_eq!(json!(told), json!([["mug", true], ["a", false], ["tea", true]]));
}

#[test]
fn commands_work_without_a_server() {
    let mut server = Server::start_with(&[SHORT]);
    let key = server.key("secret", &[]);
    send(&server, &key, "v", &all(), &[order("a"), order("b")]);
    server.stop();
    assert_eq!(ids(&server, &[]), ["a", "b"]);
    assert!(server.run(&["dead-letters", "replay"]).contains("2 refused again: too_many_items"));
    assert_eq!(server.run(&["dead-letters", "erase", "--visitor", "v"]), "2 erased\n");
    assert!(ids(&server, &[]).is_empty());
}

#[test]
fn without_consent_only_a_count_is_left() {
    const MARKER: &str = "zq-marker-7731";
    let server = Server::start_with(&[SHORT]);
    let (key, page) = (server.key("secret", &[]), server.key("publishable", &[]));
    let own = |id: &str, consent: Value| {
        let mut event = order(id);
        event["consent"] = consent;
        event
    };
    let refused = ["too_many_items"];
    assert_eq!(send(&server, &key, MARKER, &none(), &[order(MARKER)]), refused);
    assert_eq!(send(&server, &key, MARKER, &json!({}), &[order(MARKER)]), refused, "silence");
    assert_eq!(send(&server, &key, MARKER, &json!({"marketing": true}), &[order(MARKER)]), refused);
    assert_eq!(send(&server, &key, MARKER, &all(), &[own(MARKER, none())]), refused, "its own word");
    assert_eq!(send(&server, &key, MARKER, &all(), &[own(MARKER, json!("yes"))]), ["invalid_consent"], "unreadable");
    assert_eq!(counted(&server, "no_consent"), 5.0);
    // A robot is nobody.
    let body = json!({"visitor_id": MARKER, "consent": all(), "events": [order(MARKER)]}).to_string();
    let headers = [("Authorization", format!("Bearer {page}")), ("User-Agent", "Googlebot/2.1".to_owned())];
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.push(("Content-Type", "application/json"));
    assert_eq!(codes(&server.send("POST", "/v1/events", &headers, body.as_bytes()), &[order(MARKER)]), refused);
    assert_eq!(counted(&server, "bot"), 1.0);
    // Who withdrew is not asked again by what does not say when it was agreed to.
    let view = json!({"id": "view", "type": "view_item", "items": [{"item_id": "mug"}]});
    assert_eq!(send(&server, &key, "w", &all(), &[view]), [""]);
    assert_eq!(send(&server, &key, "w", &none(), &[]), Vec::<String>::new());
    assert_eq!(send(&server, &key, "w", &all(), &[order(MARKER)]), refused);
    let dated = json!({"analytics": true, "personalization": true, "at": "2026-01-01T00:00:00Z"});
    assert_eq!(send(&server, &key, "w", &dated, &[order(MARKER)]), refused);
    assert_eq!(counted(&server, "no_consent"), 7.0);
    assert_eq!(server.metric("rapport_events_total{code=\"too_many_items\",result=\"drop\",site=\"default\"}"), 7.0);

    assert!(listed(&server, &[]).is_empty());
    assert_eq!(counted(&server, "kept"), 0.0);
    assert_eq!(holding(&server, MARKER), Vec::<PathBuf>::new());
}

#[test]
fn a_letter_cannot_be_read_on_disk() {
    const MARKER: &str = "zq-marker-7732";
    let mut server = Server::start_with(&[SHORT]);
    let key = server.key("secret", &[]);
    send(&server, &key, &format!("visitor-{MARKER}"), &all(), &[order(MARKER), json!({"id": "x", "type": MARKER})]);
    assert_eq!(listed(&server, &[]).len(), 2);
    server.stop();
    assert_eq!(holding(&server, MARKER), Vec::<PathBuf>::new());
    let files = files_below(&server.data_dir().join("dead-letters"));
    assert_eq!(files.len(), 2, "{files:?}");
    for path in files {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    // A backup has neither letters nor keys: what ends has to end everywhere.
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().join("backup");
    server.run(&["backup", to.to_str().unwrap()]);
    assert!(files_below(&to).iter().all(|path| !path.to_str().unwrap().contains("dead-letters")));
}

#[test]
fn a_visitor_is_erased() {
    let server = Server::start_with(&[SHORT]);
    let key = server.key("secret", &[]);
    let other = server.key("secret", &["--site", "other"]);
    send(&server, &key, "v", &all(), &[order("a"), order("b")]);
    send(&server, &key, "w", &all(), &[order("c")]);
    send(&server, &other, "v", &all(), &[order("d")]);
    let mut named = order("e");
    named["customer_id"] = "v".into();
    send(&server, &key, "w", &all(), &[named]);
    let keys = names(&server, ".key");
    assert_eq!(server.run(&["dead-letters", "erase", "--visitor", "v", "--site", "default"]), "3 erased\n");
    assert_eq!(ids(&server, &[]), ["c", "d"]);
    let renewed = names(&server, ".key");
    assert!(renewed.len() == 1 && renewed != keys, "copies of what was erased cannot be read either: {renewed:?}");
    assert_eq!(server.run(&["dead-letters", "erase", "--visitor", "v"]), "1 erased\n");
    assert_eq!(server.run(&["dead-letters", "erase", "--visitor", "nobody"]), "0 erased\n");
    send(&server, &key, "w", &all(), &[order("f")]);
    let positions: Vec<Value> = listed(&server, &[]).iter().map(|letter| letter["position"].clone()).collect();
    assert_eq!(positions, [3, 6], "a position is given once");
    assert_eq!(server.run(&["dead-letters", "erase", "--all"]), "2 erased\n");
    assert!(listed(&server, &[]).is_empty());
    send(&server, &key, "w", &all(), &[order("g")]);
    assert_eq!(listed(&server, &[])[0]["position"], 7);
}

#[test]
fn who_withdraws_is_erased() {
    let server = Server::start_with(&[SHORT]);
    let key = server.key("secret", &[]);
    let view = json!({"id": "view", "type": "view_item", "items": [{"item_id": "mug"}]});
    for (visitor, events) in [("stranger", vec![order("a")]), ("known", vec![view, order("b")]), ("stays", vec![order("c")])] {
        send(&server, &key, visitor, &all(), &events);
    }
    assert_eq!(ids(&server, &[]), ["a", "b", "c"]);
    send(&server, &key, "known", &none(), &[]);
    assert_eq!(ids(&server, &[]), ["a", "c"]);
    // Its own order, refused, is the only thing that says so.
    let mut said = order("d");
    said["consent"] = none();
    send(&server, &key, "stranger", &json!({}), &[said]);
    assert_eq!(ids(&server, &[]), ["c"]);
    // A batch that says nothing takes nothing back.
    send(&server, &key, "stays", &json!({}), &[order("e")]);
    assert_eq!(ids(&server, &[]), ["c"]);
}

#[test]
fn who_withdraws_on_another_node_is_erased() {
    let redis = RedisServer::start(true);
    let url = redis.url();
    let on_redis = [("RAPPORT_STORE__BACKEND", "redis"), ("RAPPORT_STORE__REDIS__URL", url.as_str()), SHORT];
    let (one, mut two) = (Server::start_with(&on_redis), Server::start_with(&on_redis));
    let key = one.key("secret", &[]);
    let view = |id: &str| json!({"id": id, "type": "view_item", "items": [{"item_id": "mug"}]});
    for visitor in ["v", "stays"] {
        assert_eq!(send(&one, &key, visitor, &all(), &[view(visitor)]), [""]);
    }
    two.eventually("the key is known", || two.post("/v1/events", &key, &json!({"events": []})).status == 200);
    send(&two, &key, "v", &all(), &[order("a")]);
    send(&two, &key, "stays", &all(), &[order("b")]);
    assert_eq!(ids(&two, &[]), ["a", "b"]);
    send(&one, &key, "v", &none(), &[]);
    two.stop();
    two.restart();
    two.eventually("the withdrawal is honoured", || ids(&two, &[]) == ["b"]);
}

#[test]
fn letters_end_with_their_days() {
    let dir = tempfile::tempdir().unwrap();
    let step = dir.path().join("step");
    let set = |seconds: i64| {
        std::fs::write(step.with_extension("new"), seconds.to_string()).unwrap();
        std::fs::rename(step.with_extension("new"), &step).unwrap();
    };
    let server = Server::start_with(&[SHORT, ("RAPPORT_CLOCK_STEP", step.to_str().unwrap())]);
    let key = server.key("secret", &[]);
    send(&server, &key, "v", &all(), &[order("old")]);
    assert_eq!(ids(&server, &[]), ["old"]);
    let first = names(&server, "");
    set(14 * DAY);
    send(&server, &key, "v", &all(), &[order("new")]);
    assert_eq!(ids(&server, &[]), ["old", "new"], "two days, each with a key of its own");
    assert_eq!(names(&server, ".key").len(), 2);
    set(15 * DAY);
    server.eventually("the first day has ended", || first.iter().all(|path| !path.exists()));
    assert_eq!(ids(&server, &[]), ["new"]);
    set(40 * DAY);
    server.eventually("all have ended", || ids(&server, &[]).is_empty());
    send(&server, &key, "v", &all(), &[order("newer")]);
    assert_eq!(listed(&server, &[])[0]["position"], 3);
}

#[test]
fn a_letter_that_was_cut_off_is_cut_away() {
    let mut server = Server::start_with(&[SHORT]);
    let key = server.key("secret", &[]);
    send(&server, &key, "v", &all(), &[order("a"), order("b"), order("c")]);
    assert_eq!(ids(&server, &[]), ["a", "b", "c"]);
    server.kill();
    let path = names(&server, ".letters").remove(0);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 7]).unwrap();
    server.restart();
    assert_eq!(ids(&server, &[]), ["a", "b"]);
    send(&server, &key, "v", &all(), &[order("d")]);
    assert_eq!(ids(&server, &[]), ["a", "b", "d"]);
    server.kill();
    server.restart();
    assert_eq!(ids(&server, &[]), ["a", "b", "d"]);
}

#[test]
fn collecting_goes_on_where_letters_cannot() {
    let view = |id: &str| json!({"id": id, "type": "view_item", "items": [{"item_id": "mug"}]});
    let server = Server::start_with(&[SHORT]);
    let key = server.key("secret", &[]);
    // A file where the folder should be: nothing can be written there.
    let place = server.data_dir().join("dead-letters");
    std::fs::write(&place, "").unwrap();
    assert_eq!(send(&server, &key, "v", &all(), &[order("a"), view("b")]), ["too_many_items", ""]);
    server.eventually("it is counted", || counted(&server, "failed") == 1.0);
    std::fs::remove_file(&place).unwrap();
    server.eventually("letters are kept again", || {
        send(&server, &key, "v", &all(), &[order("c")]);
        !listed(&server, &[]).is_empty()
    });

    let full = Server::start_with(&[SHORT, ("RAPPORT_COLLECT__DEAD_LETTER_MIB", "0")]);
    let key = full.key("secret", &[]);
    assert_eq!(send(&full, &key, "v", &all(), &[order("a"), view("b")]), ["too_many_items", ""]);
    full.eventually("it is counted", || counted(&full, "full") == 1.0);
    assert!(listed(&full, &[]).is_empty());

    let off = Server::start_with(&[SHORT, ("RAPPORT_COLLECT__DEAD_LETTER_DAYS", "0")]);
    let key = off.key("secret", &[]);
    assert_eq!(send(&off, &key, "v", &all(), &[order("a"), view("b")]), ["too_many_items", ""]);
    assert!(listed(&off, &[]).is_empty() && !off.data_dir().join("dead-letters").exists());
}
