//! Swapping builds under load, and builds that are damaged in every way we could think of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::{Server, rapport, send};

const SWAPS: usize = 20;

/// A site with purchases and some builds of them, oldest first.
struct Shop {
    server: Server,
    secret: String,
    builds: Vec<String>,
}

fn purchases(from: usize, to: usize) -> Vec<Value> {
    let lines =
        |items: &[&str]| -> Vec<Value> { items.iter().map(|i| json!({"item_id": i, "price": 2.5, "quantity": 1})).collect() };
    (from..to)
        .map(|n| {
            let items = if n % 2 == 0 { lines(&["tea", "mug"]) } else { lines(&["kite", "rope"]) };
            json!({"id": format!("p{n}"), "type": "purchase", "transaction_id": format!("t{n}"), "currency": "EUR", "value": 5,
                   "items": items, "visitor_id": format!("v{n}")})
        })
        .collect()
}

impl Shop {
    fn open(builds: usize) -> Self {
        let server = Server::start();
        let secret = server.key("secret", &[]);
        let mut shop = Self { server, secret, builds: Vec::new() };
        for n in 0..builds {
            shop.sell(n * 60, (n + 1) * 60);
            let built: Value = serde_json::from_str(&shop.server.run(&["build", "--json"])).unwrap();
            assert_eq!(built["activated"], true, "{built}");
            shop.builds.push(built["build"].as_str().unwrap().to_owned());
        }
        // Items that no catalog names are shown a moment after the first event about them.
        shop.server.eventually("items are observed", || shop.recommended()["items"][0]["item_id"] == "mug");
        shop
    }

    fn sell(&self, from: usize, to: usize) {
        let consent = json!({"analytics": true, "personalization": true});
        let answer =
            self.server.post("/v1/events", &self.secret, &json!({"consent": consent, "events": purchases(from, to)})).json();
        assert!(answer["results"].as_object().unwrap().values().all(|r| r["result"] == "ok"), "{answer}");
    }

    fn models(&self) -> PathBuf {
        self.server.data_dir().join("models/default")
    }

    fn recommended(&self) -> Value {
        let path = "/v1/recommendations/also-bought?item_id=tea&count=2";
        let answer = self.server.send("GET", path, &[("Authorization", &format!("Bearer {}", self.secret))], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn serving(&self) -> String {
        self.recommended()["build"].as_str().unwrap_or_default().to_owned()
    }

    /// Runs a command that must fail, and returns what it said.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = rapport(&self.server.data_dir()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Returns what `rapport builds list` says is wrong with a build.
    fn damage(&self, build: &str) -> Option<String> {
        let listed: Value = serde_json::from_str(&self.server.run(&["builds", "list", "--json"])).unwrap();
        let builds = listed["builds"].as_array().unwrap();
        let listed = builds.iter().find(|b| b["build"] == build).unwrap_or_else(|| panic!("{build} is not listed: {listed:#}"));
        listed["damaged"].as_str().map(str::to_owned)
    }

    fn refusals(&self) -> f64 {
        self.server.metric("rapport_builds_refused_total{site=\"default\"}")
    }

    /// Writes the pointer as a program other than ours would.
    fn point_to(&self, build: &str) {
        fs::write(self.models().join("active"), format!("{build}\n")).unwrap();
    }

    /// Copies a build under another id.
    fn copy(&self, build: &str, to: &str) -> PathBuf {
        let dir = self.models().join(to);
        fs::create_dir(&dir).unwrap();
        for file in fs::read_dir(self.models().join(build)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), dir.join(file.file_name())).unwrap();
        }
        dir
    }
}

/// Asks without pause until told to stop; every answer must be a good one.
fn ask(shop: &Shop, known: &BTreeSet<&str>, stop: &AtomicBool, asked: &AtomicU64, failed: &Mutex<Vec<String>>) {
    let authorization = format!("Bearer {}", shop.secret);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let body =
        json!({"context": {"item_id": "tea"}, "placements": [{"id": "also-bought", "count": 2}, {"id": "trending", "count": 2}]});
    let body = body.to_string();
    while !stop.load(Ordering::SeqCst) {
        let single = send(shop.server.address, "GET", "/v1/recommendations/also-bought?item_id=kite&count=2", &headers, b"");
        let several = send(shop.server.address, "POST", "/v1/decide", &headers, body.as_bytes());
        let check = || -> Result<(), String> {
            let (single, several) = (single.map_err(|e| e.to_string())?, several.map_err(|e| e.to_string())?);
            if single.status != 200 || several.status != 200 {
                return Err(format!("{} {}\n{} {}", single.status, single.text(), several.status, several.text()));
            }
            let (single, several) = (single.json(), several.json());
            let placements = &several["placements"];
            for placement in [&single, &placements["also-bought"], &placements["trending"]] {
                if !placement["build"].as_str().is_some_and(|b| known.contains(b)) {
                    return Err(format!("of no known build: {placement}"));
                }
            }
            // One request is answered from one snapshot.
            if placements["also-bought"]["build"] != placements["trending"]["build"] {
                return Err(format!("of two builds: {several}"));
            }
            if single["items"][0]["item_id"] != "rope" || placements["also-bought"]["items"][0]["item_id"] != "mug" {
                return Err(format!("wrong items: {single} {several}"));
            }
            Ok(())
        };
        asked.fetch_add(2, Ordering::SeqCst);
        if let Err(why) = check() {
            failed.lock().unwrap().push(why);
        }
    }
}

#[test]
fn twenty_swaps_under_load_fail_no_request() {
    let shop = Shop::open(3);
    let known: BTreeSet<&str> = shop.builds.iter().map(String::as_str).collect();
    assert_eq!(known.len(), 3);
    let (stop, asked, failed) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Vec::new()));
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| ask(&shop, &known, &stop, &asked, &failed));
        }
        for n in 0..SWAPS {
            let arguments = match n % 4 {
                3 => vec!["builds", "rollback", "--json"],
                n => vec!["builds", "activate", shop.builds[n % 3].as_str(), "--json"],
            };
            let said: Value = serde_json::from_str(&shop.server.run(&arguments)).unwrap();
            let active = said["active"].as_str().unwrap().to_owned();
            let since = Instant::now();
            while shop.serving() != active {
                assert!(since.elapsed() < Duration::from_secs(1), "{active} is not served a second after it was activated");
            }
            slowest = slowest.max(since.elapsed());
        }
        stop.store(true, Ordering::SeqCst);
    });
    let failed = failed.into_inner().unwrap();
    let asked = asked.into_inner();
    assert!(failed.is_empty(), "{} of {asked} requests failed, the first: {}", failed.len(), failed[0]);
    assert!(asked > 200, "only {asked} requests");
    eprintln!("{SWAPS} swaps, {asked} requests, served after {slowest:?} at the latest");
}

#[test]
fn a_swap_by_another_process_is_noticed_within_a_second() {
    let shop = Shop::open(2);
    shop.point_to(&shop.builds[0]);
    let since = Instant::now();
    while shop.serving() != shop.builds[0] {
        assert!(since.elapsed() < Duration::from_secs(1), "not noticed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Changes a build in its folder.
type Harm = fn(&Path);

/// Returns the largest array of a build.
fn largest(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).filter(|p| !p.ends_with("manifest.json"));
    files.max_by_key(|p| fs::metadata(p).unwrap().len()).unwrap()
}

fn flip_a_byte(dir: &Path) {
    let file = largest(dir);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&file, bytes).unwrap();
}

fn truncate(dir: &Path) {
    let file = largest(dir);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
}

fn delete_a_file(dir: &Path) {
    fs::remove_file(largest(dir)).unwrap();
}

fn write_garbage_into_the_manifest(dir: &Path) {
    fs::write(dir.join("manifest.json"), b"\x00\xffnot a manifest").unwrap();
}

fn delete_the_manifest(dir: &Path) {
    fs::remove_file(dir.join("manifest.json")).unwrap();
}

fn raise_the_format_version(dir: &Path) {
    let path = dir.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(manifest["format_version"].is_u64(), "{manifest:#}");
    manifest["format_version"] = json!(4711);
    fs::write(&path, manifest.to_string()).unwrap();
}

/// What is done to a build, and a word that must be in every complaint about it.
const HARMS: &[(&str, Harm)] = &[
    ("checksum", flip_a_byte),
    ("bytes where the manifest says", truncate),
    ("is missing", delete_a_file),
    ("not a readable manifest", write_garbage_into_the_manifest),
    ("manifest", delete_the_manifest),
    ("format version 4711", raise_the_format_version),
];

#[test]
fn a_damaged_build_is_refused_and_the_one_before_goes_on() {
    let shop = Shop::open(1);
    let sound = shop.builds[0].clone();
    for (n, (complaint, harm)) in HARMS.iter().enumerate() {
        let id = format!("2026-01-0{}T00-00Z-bad{n}", n + 1);
        harm(&shop.copy(&sound, &id));
        let refusals = shop.refusals();

        // A command does not activate it,
        let message = shop.refused(&["builds", "activate", &id]);
        assert!(message.contains(complaint), "{complaint}: {message}");
        assert_eq!(fs::read_to_string(shop.models().join("active")).unwrap().trim(), sound);
        // nor does the server serve it when the pointer names it all the same.
        shop.point_to(&id);
        shop.server.eventually("the build is refused", || shop.refusals() > refusals);
        let answer = shop.recommended();
        assert_eq!((&answer["build"], &answer["items"][0]["item_id"]), (&json!(sound), &json!("mug")), "{complaint}: {answer:#}");
        assert_eq!(shop.server.get("/readyz").status, 200, "{complaint}");

        let damage = shop.damage(&id).unwrap_or_else(|| panic!("{complaint}: builds list knows of no damage"));
        assert!(damage.contains(complaint), "{complaint}: {damage}");
        let output = rapport(&shop.server.data_dir()).args(["doctor", "--json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{complaint}: the doctor sees nothing");
        let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = diagnosis["findings"].as_array().unwrap();
        let finding = findings.iter().find(|f| f["what"].as_str().unwrap().contains(&id)).unwrap();
        assert_eq!(finding["ok"], false, "{finding}");
        assert!(finding["detail"].as_str().unwrap().contains(complaint), "{complaint}: {finding}");

        // It is counted once, however often the pointer is looked at.
        std::thread::sleep(Duration::from_millis(1_100));
        assert_eq!(shop.refusals(), refusals + 1.0, "{complaint}");
        shop.point_to(&sound);
        fs::remove_dir_all(shop.models().join(&id)).unwrap();
    }

    // Nothing of this stands in the way of the next build.
    shop.sell(1_000, 1_060);
    let built: Value = serde_json::from_str(&shop.server.run(&["build", "--json"])).unwrap();
    assert_eq!(built["activated"], true);
    assert_eq!(shop.serving(), built["build"].as_str().unwrap());
}

#[test]
fn pointers_to_nothing_and_half_written_drafts_change_nothing() {
    let shop = Shop::open(2);
    let sound = shop.serving();
    let draft = shop.models().join(".draft-12345");
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join("items.bytes"), b"half").unwrap();
    for pointer in ["2026-01-01T00-00Z-beef", "no build at all", "", "../../etc", "\u{0}"] {
        let refusals = shop.refusals();
        shop.point_to(pointer);
        shop.server.eventually(&format!("`{pointer:?}` is refused"), || shop.refusals() > refusals);
        assert_eq!(shop.serving(), sound);
        assert_eq!(shop.server.get("/readyz").status, 200);
        let listed: Value = serde_json::from_str(&shop.server.run(&["builds", "list", "--json"])).unwrap();
        assert_eq!(listed["builds"].as_array().unwrap().len(), 2, "the draft is no build: {listed:#}");
        let diagnosis = rapport(&shop.server.data_dir()).args(["doctor", "--json"]).output().unwrap();
        assert_eq!(diagnosis.status.code(), Some(1), "`{pointer:?}`: the doctor sees nothing");
        // Somebody sets it right, and it counts anew when it goes wrong again.
        let said = shop.server.run(&["builds", "activate", &sound]);
        assert!(said.contains(&sound));
    }
    // Neither pointer keeps the next build from being made and served.
    for pointer in ["active", "previous"] {
        fs::write(shop.models().join(pointer), "no build at all").unwrap();
        let built: Value = serde_json::from_str(&shop.server.run(&["build", "--json"])).unwrap();
        assert_eq!(shop.serving(), built["build"].as_str().unwrap(), "with a damaged {pointer}");
    }
    let message = shop.refused(&["builds", "activate", "2026-01-01T00-00Z-beef"]);
    assert!(message.contains("there is no build"), "{message}");
    let message = shop.refused(&["builds", "activate", "../../etc"]);
    assert!(message.contains("is not a build id"), "{message}");
}

#[test]
fn a_rollback_to_a_damaged_build_is_refused() {
    let shop = Shop::open(2);
    flip_a_byte(&shop.models().join(&shop.builds[0]));
    let message = shop.refused(&["builds", "rollback"]);
    assert!(message.contains("checksum"), "{message}");
    assert_eq!(shop.serving(), shop.builds[1]);
}

#[test]
fn a_mended_build_is_served_when_it_is_activated_again() {
    let shop = Shop::open(2);
    let manifest = shop.models().join(&shop.builds[0]).join("manifest.json");
    let whole = fs::read(&manifest).unwrap();
    fs::write(&manifest, b"{").unwrap();
    shop.point_to(&shop.builds[0]);
    shop.server.eventually("it is refused", || shop.refusals() > 0.0);
    fs::write(&manifest, whole).unwrap();
    shop.server.run(&["builds", "activate", &shop.builds[0]]);
    assert_eq!(shop.serving(), shop.builds[0]);
}

#[test]
fn a_server_starts_on_a_damaged_build_and_answers_from_log_and_catalog() {
    let mut shop = Shop::open(1);
    shop.server.stop();
    flip_a_byte(&shop.models().join(&shop.builds[0]));
    shop.server.restart();
    let answer = shop.recommended();
    assert_eq!(answer["build"], Value::Null, "{answer:#}");
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    // The log is read from its beginning, since no build says that it knows anything of it.
    shop.server.eventually("what the log says is shown", || {
        let answer = shop.recommended();
        answer["served_by"] == "co_occurrence" && answer["items"][0]["item_id"] == "mug"
    });
    assert_eq!(shop.server.get("/livez").status, 200);
    assert_eq!(shop.server.get("/readyz").status, 503);
    assert_eq!(shop.refusals(), 1.0);
    let built: Value = serde_json::from_str(&shop.server.run(&["build", "--json"])).unwrap();
    assert_eq!(built["activated"], true, "{built}");
    assert_eq!(shop.serving(), built["build"].as_str().unwrap());
    assert_eq!(shop.server.get("/readyz").status, 200);
}

#[test]
fn the_same_log_gives_the_same_bytes() {
    let shop = Shop::open(1);
    let again: Value = serde_json::from_str(&shop.server.run(&["build", "--json"])).unwrap();
    let arrays = |build: &str| -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(shop.models().join(build)).unwrap().map(|f| f.unwrap());
        let files = files.map(|f| (f.file_name().into_string().unwrap(), fs::read(f.path()).unwrap()));
        // The manifest and the card say when the build was made, and what it was compared with.
        files.filter(|(name, _)| name != "manifest.json" && !name.starts_with("card.")).collect()
    };
    let (first, second) = (arrays(&shop.builds[0]), arrays(again["build"].as_str().unwrap()));
    assert!(first.len() > 10, "{:?}", first.keys());
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(second[name] == *bytes, "{name} differs");
    }
}
