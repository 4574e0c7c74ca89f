//! `rapport keys` and `rapport token`, beside a server and without one.

use std::process::Command;

use serde_json::{Value, json};

use super::{Ran, run};
use crate::support::server::Server;

fn status(server: &Server, key: &str, path: &str) -> u16 {
    server.send("GET", path, &[("Authorization", &format!("Bearer {key}"))], b"").status
}

const DECISION: &str = "/v1/recommendations/trending";

#[test]
fn a_key_works_from_the_next_request_to_its_revocation() {
    let server = Server::start();
    let data = server.data_dir();
    let create = |arguments: &[&str]| run(&data, &[&["keys", "create", "--json"], arguments].concat()).json();
    let secret = create(&["--kind", "secret"]);
    let text = secret["key"].as_str().unwrap().to_owned();
    assert!(text.starts_with("sk_"), "{secret}");
    assert_eq!((&secret["kind"], &secret["site"]), (&json!("secret"), &json!("default")));
    assert_eq!(status(&server, &text, DECISION), 200);

    let public = create(&[
        "--site",
        "shop-de",
        "--kind",
        "publishable",
        "--origin",
        "https://shop.example",
        "--origin",
        "https://www.shop.example",
    ]);
    assert!(public["key"].as_str().unwrap().starts_with("pk_"), "{public}");
    assert_eq!(public["site"], "shop-de");
    assert_eq!(status(&server, public["key"].as_str().unwrap(), DECISION), 200);

    let listed = run(&data, &["keys", "list", "--json"]);
    let keys = listed.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 2);
    let of = |id: &Value| keys.iter().find(|k| k["id"] == *id).unwrap();
    assert_eq!(of(&public["id"])["origins"], json!(["https://shop.example", "https://www.shop.example"]));
    assert_eq!(of(&public["id"])["revoked"], false);
    assert!(of(&secret["id"])["created_at"].as_str().unwrap().ends_with('Z'));
    for key in [&secret, &public] {
        assert!(!listed.out.contains(key["key"].as_str().unwrap()), "a listed key can be used: {}", listed.out);
    }
    assert_eq!(run(&data, &["keys", "list", "--site", "shop-de", "--json"]).json()["keys"].as_array().unwrap().len(), 1);

    let id = secret["id"].as_str().unwrap();
    assert_eq!(run(&data, &["keys", "revoke", id, "--json"]).json(), json!({"id": id, "revoked": true}));
    assert_eq!(status(&server, &text, DECISION), 401);
    let again: Value = run(&data, &["keys", "list", "--json"]).json();
    assert!(again["keys"].as_array().unwrap().iter().any(|k| k["id"] == id && k["revoked"] == true), "{again}");
}

#[test]
fn keys_made_without_a_server_are_known_to_the_next_one() {
    let mut server = Server::start();
    server.stop();
    let data = server.data_dir();
    let created = run(&data, &["keys", "create", "--kind", "secret"]);
    assert_eq!(created.code, Some(0), "{created:?}");
    // For scripts: the key alone on standard output.
    let key = created.out.trim();
    assert!(key.starts_with("sk_") && !key.contains(char::is_whitespace), "{created:?}");
    server.restart();
    assert_eq!(status(&server, key, DECISION), 200);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("var");
    let ran = run(&data, &["keys", "create", "--kind", "secret", "--origin", "https://shop.example"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("secret key must never be in a page"), "{}", ran.err);
    let ran = run(&data, &["keys", "revoke", "nobody"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("there is no key nobody"), "{}", ran.err);
    for arguments in [
        &["keys", "create", "--kind", "publishable", "--origin", "shop.example/path"][..],
        &["keys", "create", "--kind", "golden"],
        &["token", "--role", "king", "--email", "a@example.com"],
    ] {
        assert_eq!(run(&data, arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_token_signs_a_person_in() {
    let server = Server::start();
    let data = server.data_dir();
    let made = run(&data, &["token", "--role", "admin", "--email", "ada@shop.example", "--json"]).json();
    assert_eq!((&made["role"], &made["email"]), (&json!("admin"), &json!("ada@shop.example")));
    let token = made["token"].as_str().unwrap();
    assert_eq!(status(&server, token, "/v1/builds"), 200);
    assert_eq!(status(&server, &format!("{token}x"), "/v1/builds"), 401);
    let public = server.key("publishable", &[]);
    assert_eq!(status(&server, &public, "/v1/builds"), 403);
    let plain = run(&data, &["token", "--role", "analyst", "--email", "a@shop.example"]);
    assert_eq!(status(&server, plain.out.trim(), "/v1/builds"), 200, "{plain:?}");
    // An analyst looks and does not touch.
    let headers = [("Authorization", &*format!("Bearer {}", plain.out.trim()))];
    assert_eq!(server.send("POST", "/v1/builds:rollback", &headers, b"").status, 403);
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("here");
    let data = data.to_str().unwrap();
    let file = dir.path().join("shop.toml");
    std::fs::write(&file, "[http]\nbind = \"127.0.0.1:0\"\n").unwrap();
    let file = file.to_str().unwrap();
    let rapport = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
        Ran::of(command.args(arguments).current_dir(dir.path()))
    };
    let create = ["keys", "create", "--kind", "secret", "--json"];
    rapport(&[&["--data-dir", data, "--config", file][..], &create].concat()).json();
    rapport(&[&create[..], &["--data-dir", data, "--config", file]].concat()).json();
    rapport(&["keys", "--config", file, "create", "--data-dir", data, "--kind", "secret", "--json"]).json();
    let listed = rapport(&["keys", "list", "--json", "--data-dir", data]).json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 3);
    assert!(!dir.path().join("var").exists(), "the default directory was used");
}
