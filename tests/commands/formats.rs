//! What an older version wrote, read by this one.

use std::path::{Path, PathBuf};

use super::run;
use crate::support::server::Server;

/// Copies a folder of `tests/fixtures` into a data directory.
fn lay_out(name: &str, data: &Path) -> PathBuf {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    copy(&fixture, data);
    fixture
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn a_log_of_format_1_is_read_and_carried_on() {
    let data = tempfile::tempdir().unwrap();
    let fixture = lay_out("event_log_1", data.path());
    let export = ["export", "--site", "default", "--events", "--format", "events-jsonl"];
    let then = std::fs::read_to_string(fixture.join("events.jsonl")).unwrap();
    assert_eq!(run(data.path(), &export).out, then, "sealed and open parts, to the byte");

    // The import appends behind the old records, and seals the old segment together with the new ones.
    let more = data.path().join("more.jsonl");
    let line = then.lines().next().unwrap().replace(r#""id":"e1""#, r#""id":"e6""#);
    std::fs::write(&more, line).unwrap();
    let imported = run(data.path(), &["import", "--format", "events-jsonl", "--json", more.to_str().unwrap()]).json();
    assert_eq!(imported["accepted"], 1, "{imported}");
    let now = run(data.path(), &export).out;
    let (old, new) = now.split_at(then.len());
    assert_eq!(old, then);
    assert!(new.contains(r#""id":"e6""#) && new.lines().count() == 1, "{new}");
}

#[test]
fn a_backup_of_format_1_is_restored_and_served() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let server = Server::on(|data| {
        let restored = run(data, &["restore", fixtures.join("backup_1").to_str().unwrap()]);
        assert_eq!(restored.code, Some(0), "{}", restored.err);
    });
    let key = std::fs::read_to_string(fixtures.join("backup_1.key")).unwrap();
    let get = |path: &str| server.send("GET", path, &[("authorization", &format!("Bearer {}", key.trim()))], b"").json();
    // The artifact, the key, the catalog, and a profile.
    let answer = get("/v1/recommendations/also-bought?item_id=tea&count=1");
    assert_eq!((&answer["items"][0]["item_id"], &answer["build"]), (&"mug".into(), &"2026-11-25T12-44Z-52e3".into()), "{answer}");
    assert_eq!(get("/v1/catalog/items/tea")["title"], "Green tea");
    let viewed = get("/v1/recommendations/recently-viewed?visitor_id=anna&count=5");
    let viewed: Vec<_> = viewed["items"].as_array().unwrap().iter().map(|item| item["item_id"].clone()).collect();
    assert_eq!(viewed, ["kite", "tea"]);
    let replayed = run(&server.data_dir(), &["replay", "--json"]).json();
    assert_eq!((&replayed["profiles"], &replayed["identical"]), (&41.into(), &41.into()), "{replayed}");
    let export = run(&server.data_dir(), &["export", "--events"]).out;
    assert_eq!(export, std::fs::read_to_string(fixtures.join("backup_1.events.jsonl")).unwrap());
}
