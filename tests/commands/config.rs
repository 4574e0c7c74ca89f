//! `rapport check-config`, and how settings are said.

use std::path::PathBuf;

use tempfile::TempDir;

use super::Ran;
use crate::support::server::rapport;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, content: &str) -> PathBuf {
        let path = self.dir.path().join("shop.toml");
        std::fs::write(&path, content).unwrap();
        path
    }

    fn check(&self, content: &str, environment: &[(&str, &str)]) -> Ran {
        let mut command = rapport(&self.dir.path().join("var"));
        command.envs(environment.iter().copied()).arg("--config").arg(self.file(content)).args(["check-config", "--show"]);
        Ran::of(&mut command)
    }
}

#[test]
fn sound_settings_are_sound_and_leave_no_trace() {
    let place = Place::new();
    let ran = place.check("[http]\nbind = \"127.0.0.1:4711\"\n[sites.shop-de.consent]\nanalytics = true\n", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("127.0.0.1:4711") && ran.out.contains("sound"), "{}", ran.out);
    assert!(!place.dir.path().join("var").exists(), "checking makes no data directory");
}

#[test]
fn a_mistake_names_its_place_and_the_nearest_key() {
    let place = Place::new();
    for (content, words) in [
        ("[http]\nbnid = \"x\"\n", &["shop.toml", "`http.bnid`", "`http.bind`"][..]),
        ("[event]\nqueue = 1\n", &["shop.toml", "event", "events"]),
        ("[store.redis]\nulr = \"x\"\n", &["shop.toml", "`store.redis.ulr`", "`store.redis.url`"]),
        ("[sites.de.consent]\nanalitics = true\n", &["shop.toml", "analitics", "analytics"]),
        ("[store]\nbackend = \"mongo\"\n", &["store.backend", "mongo", "embedded", "redis"]),
        ("[events]\nqueue = \"many\"\n", &["events.queue", "many"]),
        ("[http\n", &["shop.toml"]),
    ] {
        let ran = place.check(content, &[]);
        assert_eq!(ran.code, Some(1), "{content}: {ran:?}");
        for word in words {
            assert!(ran.err.contains(word), "{content} should name {word}: {}", ran.err);
        }
    }
    let missing = Ran::of(rapport(place.dir.path()).args(["--config", "nowhere.toml", "check-config"]));
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("nowhere.toml"), "{}", missing.err);
}

#[test]
fn the_environment_wins_over_the_file() {
    let place = Place::new();
    let file = "[http]\nbind = \"127.0.0.1:4711\"\nworkers = 3\n";
    // Only names with two underscores are settings; others may belong to anyone.
    let ran = place.check(file, &[("RAPPORT_HTTP__BIND", "127.0.0.1:4712"), ("RAPPORT_HOME", "/nowhere")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("127.0.0.1:4712") && !ran.out.contains("4711"), "{}", ran.out);
    assert!(ran.out.contains("workers: 3"), "{}", ran.out);

    let ran = place.check(file, &[("RAPPORT_HTTP__BNID", "x")]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("RAPPORT_HTTP__BNID") && ran.err.contains("`http.bind`"), "{}", ran.err);
    let ran = place.check(file, &[("RAPPORT_STORE__BACKEND", "redis")]);
    assert_eq!(ran.code, Some(1), "a store without an address: {ran:?}");
    assert!(ran.err.contains("store.redis.url"), "{}", ran.err);
}

#[test]
fn passwords_are_not_shown() {
    let place = Place::new();
    let redis = [("RAPPORT_STORE__BACKEND", "redis"), ("RAPPORT_STORE__REDIS__URL", "redis://shop:hunter2@db.example:6379/0")];
    let ran = place.check("", &redis);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.out.contains("hunter2"), "{}", ran.out);
}

#[test]
fn usage_errors_are_told_apart_from_failures() {
    let place = Place::new();
    let data = place.dir.path().join("var");
    for arguments in
        [&["import"][..], &["nonsense"], &["keys", "create"], &["import", "--format", "xml", "f"], &["builds", "activate"]]
    {
        let ran = super::run(&data, arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{ran:?}");
    }
    assert_eq!(super::run(&data, &["--version"]).code, Some(0));
    assert_eq!(super::run(&data, &["builds", "rollback"]).code, Some(1));
}
