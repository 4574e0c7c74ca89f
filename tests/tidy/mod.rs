//! What must hold of the tree itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().is_some_and(|p| p.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns what a file uses: its lines without comments, up to its unit tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// (folder, what may not be named there, except in these files)
const BOUNDARIES: &[(&str, &[&str], &[&str])] = &[
    ("src", &["actix_web"], &["src/http.rs", "src/http/"]),
    (
        "src",
        &["redis::"],
        &[
            "src/profile/redis.rs",
            "src/documents/redis.rs",
            "src/store_engine/redis.rs",
            "src/store_engine/redis/address.rs",
            "src/store_engine/redis/line.rs",
            "src/store_engine/redis/road.rs",
            "src/live/redis.rs",
            "src/collect.rs",
            "src/collect/redis.rs",
            "src/live/share.rs",
            "src/profile/store.rs",
            "src/documents.rs",
            "src/app.rs",
            "src/cli/doctor.rs",
            "src/store_engine.rs",
        ],
    ),
    (
        "src",
        &["fjall"],
        &["src/store_engine/embedded.rs", "src/store_engine.rs", "src/profile/embedded.rs", "src/documents/embedded.rs"],
    ),
    ("src", &["SystemTime"], &["src/clock.rs"]),
    ("src", &["crate::http"], &["src/http.rs", "src/http/", "src/cli/"]),
    ("src/decide", &["crate::collect", "crate::event_log", "crate::build"], &[]),
    ("src/collect", &["crate::decide", "crate::live", "crate::build"], &[]),
    ("src/build", &["crate::live", "crate::decide", "crate::http", "crate::profile"], &[]),
    ("src/profile", &["crate::collect", "crate::http", "crate::event_log"], &[]),
    ("src/event", &["crate::collect", "crate::profile", "crate::http", "crate::config"], &[]),
    ("models/src", &["hnsw_rs"], &["models/src/neighbors/grow.rs"]),
    ("models/src", &["actix", "redis", "fjall", "tokio", "SystemTime", "Instant::now"], &[]),
];

#[test]
fn arrows_never_turn_back() {
    let mut broken = Vec::new();
    for (folder, forbidden, except) in BOUNDARIES {
        for path in files(folder, ".rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if except.iter().any(|allowed| name.starts_with(allowed)) || name.ends_with("tests.rs") {
                continue;
            }
            let code = code(&path);
            broken.extend(forbidden.iter().filter(|word| code.contains(*word)).map(|word| format!("{name} names {word}")));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_test_file_is_listed() {
    for path in files("tests", ".rs") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let parent = path.parent().unwrap();
        if name == "main" {
            continue;
        }
        let (listed_in, module) = if name == "mod" {
            let above = parent.parent().unwrap();
            let file = if above == root().join("tests") { above.join("main.rs") } else { above.join("mod.rs") };
            (file, parent.file_name().unwrap().to_str().unwrap())
        } else if parent.join("mod.rs").exists() {
            (parent.join("mod.rs"), name)
        } else {
            (parent.with_extension("rs"), name)
        };
        let text = std::fs::read_to_string(&listed_in).unwrap();
        assert!(text.contains(&format!("mod {module};")), "{} is not listed in {}", path.display(), listed_in.display());
    }
}

#[test]
fn the_built_snippet_is_that_of_its_sources() {
    let sdk = root().join("sdk-js");
    let mut sources: BTreeSet<(String, PathBuf)> = BTreeSet::new();
    for path in files("sdk-js/src", ".ts") {
        let name = path.strip_prefix(&sdk).unwrap().to_str().unwrap().replace('\\', "/");
        sources.insert((name, path));
    }
    let mut hasher = Sha256::new();
    for (name, path) in &sources {
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update(std::fs::read(path).unwrap());
    }
    let hash: String = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let stored = std::fs::read_to_string(sdk.join("dist/sources.sha256")).unwrap();
    assert!(stored.contains(&hash), "sdk-js/dist is stale: run `npm run build` in sdk-js");
}

#[test]
fn files_keep_to_one_subject() {
    let long: Vec<String> = ["src", "models/src", "loadtest/src"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .filter_map(|path| {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            (lines > 600).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn unsafe_stands_in_one_file() {
    let unsafe_files: Vec<PathBuf> = ["src", "models/src", "loadtest/src"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .filter(|path| code(path).contains("unsafe {"))
        .collect();
    assert_eq!(unsafe_files, [root().join("models/src/artifact/map.rs")]);
}
