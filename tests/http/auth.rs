//! Who may call: keys, pages, people.

use serde_json::{Value, json};

use crate::support::server::{Answer, Server};

const ORIGIN: &str = "https://shop.example";
const QUESTION: &str = "/v1/recommendations/trending?count=1";

fn ask(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    server.send("GET", path, headers, b"")
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn create(server: &Server, arguments: &[&str]) -> Value {
    let mut all = vec!["keys", "create", "--json"];
    all.extend(arguments);
    serde_json::from_str(&server.run(&all)).unwrap()
}

#[test]
fn a_key_may_stand_in_three_places() {
    let server = Server::start();
    let (page, other) = (server.key("publishable", &[]), server.key("publishable", &[]));
    let events = |headers: &[(&str, &str)], query: &str, key: Option<&str>| {
        let body = json!({"key": key, "events": []}).to_string();
        server.send("POST", &format!("/v1/events{query}"), headers, body.as_bytes())
    };
    let (header, query) = (bearer(&page), format!("?key={page}"));
    let header = [("Authorization", header.as_str())];
    assert_eq!(events(&header, "", None).status, 200);
    assert_eq!(events(&[], &query, None).status, 200);
    assert_eq!(events(&[], "", Some(&page)).status, 200);
    assert_eq!(events(&header, &query, Some(&page)).status, 200, "the same three times is one");
    assert_eq!(events(&header, "", Some(&other)).problem(), "key_mismatch");
    assert_eq!(events(&header, &format!("?key={other}"), None).problem(), "key_mismatch");
    assert_eq!(events(&[], &query, Some(&other)).problem(), "key_mismatch");
    assert_eq!(events(&[], "", None).problem(), "missing_key");
    assert_eq!(events(&[("Authorization", &header[0].1.replace("Bearer", "bEaReR"))], "", None).status, 200);
    // A decision takes the key from its body, too.
    let body = json!({"key": page, "placements": [{"id": "trending"}]});
    assert_eq!(server.send("POST", "/v1/decide", &[("Content-Type", "text/plain")], body.to_string().as_bytes()).status, 200);
    assert_eq!(ask(&server, &format!("{QUESTION}&key={page}"), &[]).status, 200);
}

#[test]
fn pages_are_served_by_keys_that_name_them() {
    let server = Server::start();
    let page = server.key("publishable", &["--origin", ORIGIN, "--origin", "http://localhost:3000"]);
    let (anywhere, secret) = (bearer(&server.key("publishable", &[])), bearer(&server.key("secret", &[])));
    let page = bearer(&page);
    for origin in [ORIGIN, "http://localhost:3000"] {
        let answer = ask(&server, QUESTION, &[("Authorization", &page), ("Origin", origin)]);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "the cookie travels");
        assert!(answer.header("vary").unwrap().contains("Origin"));
    }
    assert_eq!(ask(&server, QUESTION, &[("Authorization", &page)]).status, 200, "callers without an Origin are no pages");
    let refused = ask(&server, QUESTION, &[("Authorization", &page), ("Origin", "https://evil.example")]);
    assert_eq!((refused.status, refused.problem().as_str()), (403, "origin_not_allowed"));
    assert_eq!(refused.header("access-control-allow-origin"), None);
    let refused = ask(&server, QUESTION, &[("Authorization", &anywhere), ("Origin", ORIGIN)]);
    assert_eq!(refused.problem(), "origin_not_allowed", "a key without origins serves no page");
    assert_eq!(refused.header("access-control-allow-origin"), Some(ORIGIN), "the page may read why");
    assert_eq!(ask(&server, QUESTION, &[("Authorization", &anywhere)]).status, 200);
    assert_eq!(ask(&server, QUESTION, &[("Authorization", &secret)]).status, 200);
    // Errors of every kind can be read by the page they are for.
    for (path, status) in
        [("/v1/recommendations/nowhere", 404), ("/v1/recommendations/trending?count=0", 400), ("/v9", 404), ("/v1/events", 405)]
    {
        let answer = ask(&server, path, &[("Authorization", &page), ("Origin", ORIGIN)]);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{path}");
        assert!(answer.header("access-control-expose-headers").unwrap().contains("Retry-After"), "{path}");
    }
    assert_eq!(ask(&server, QUESTION, &[("Origin", ORIGIN)]).header("access-control-allow-origin"), Some(ORIGIN));
}

#[test]
fn preflights_are_answered() {
    let server = Server::start();
    server.key("publishable", &["--origin", ORIGIN]);
    let preflight = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization,content-type"),
        ];
        server.send("OPTIONS", "/v1/decide", &headers, b"")
    };
    let answer = preflight(ORIGIN);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let headers = answer.header("access-control-allow-headers").unwrap().to_lowercase();
    assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    let answer = preflight("https://evil.example");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("access-control-allow-methods"), None);
}

#[test]
fn keys_come_and_go_beside_the_running_server() {
    let mut server = Server::start();
    let created = create(&server, &["--kind", "secret"]);
    let (id, key) = (created["id"].as_str().unwrap(), created["key"].as_str().unwrap());
    assert_eq!((&created["kind"], &created["site"]), (&json!("secret"), &json!("default")));
    let header = bearer(key);
    let header = [("Authorization", header.as_str())];
    assert_eq!(ask(&server, QUESTION, &header).status, 200, "valid on the next request");
    let listed: Value = serde_json::from_str(&server.run(&["keys", "list", "--json"])).unwrap();
    assert!(!listed.to_string().contains(key), "the text is kept nowhere");
    server.run(&["keys", "revoke", id]);
    assert_eq!(ask(&server, QUESTION, &header).problem(), "invalid_key", "and stops at once");
    server.kill();
    server.restart();
    assert_eq!(ask(&server, QUESTION, &header).problem(), "invalid_key");
    server.stop();
    // Commands open the stores themselves when no server runs.
    let key = server.key("publishable", &["--origin", ORIGIN]);
    server.restart();
    assert_eq!(ask(&server, QUESTION, &[("Authorization", &bearer(&key)), ("Origin", ORIGIN)]).status, 200);
}

#[test]
fn an_allowance_that_is_used_up_says_when_to_come_back() {
    let settings = [("RAPPORT_RATE_LIMIT__BURST", "5"), ("RAPPORT_RATE_LIMIT__REQUESTS_PER_SECOND", "1")];
    let server = Server::start_with(&settings);
    let page = bearer(&server.key("publishable", &["--origin", ORIGIN]));
    let headers = [("Authorization", page.as_str()), ("Origin", ORIGIN)];
    let answers: Vec<Answer> = (0..8).map(|_| ask(&server, QUESTION, &headers)).collect();
    assert!(answers[..5].iter().all(|a| a.status == 200));
    let refused = answers.last().unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (429, "rate_limited"));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert!(refused.header("ratelimit").is_some());
    assert!(refused.header("access-control-expose-headers").unwrap().contains("Retry-After"));
    assert!(server.metric("rapport_rate_limited_total") >= 2.0);
    // The allowance is the key's own.
    let other = bearer(&server.key("publishable", &[]));
    assert_eq!(ask(&server, QUESTION, &[("Authorization", &other)]).status, 200);
    std::thread::sleep(std::time::Duration::from_secs(seconds));
    assert_eq!(ask(&server, QUESTION, &headers).status, 200, "who waits as told is served");
}

#[test]
fn people_hold_tokens_with_roles() {
    let mut server = Server::start();
    server.key("secret", &["--site", "other"]);
    let token = |server: &Server, role: &str| server.run(&["token", "--role", role, "--email", "a@b.example"]).trim().to_owned();
    let with = |server: &Server, token: &str, method: &str, path: &str| {
        server.send(method, path, &[("Authorization", &bearer(token))], b"")
    };
    let (analyst, merchandiser, admin) = (token(&server, "analyst"), token(&server, "merchandiser"), token(&server, "admin"));
    for token in [&analyst, &merchandiser, &admin] {
        assert_eq!(with(&server, token, "GET", "/v1/placements").status, 200);
        assert_eq!(with(&server, token, "GET", "/v1/builds").status, 200);
        assert_eq!(with(&server, token, "GET", "/v1/recommendations/trending?explain=true").status, 200);
        assert_eq!(with(&server, token, "GET", "/v1/catalog/items").problem(), "forbidden", "that is the server's");
        let events = server.post("/v1/events", token, &json!({"events": []}));
        assert_eq!(events.problem(), "forbidden", "people send no events");
    }
    assert_eq!(with(&server, &analyst, "POST", "/v1/builds:rollback").problem(), "forbidden");
    for token in [&merchandiser, &admin] {
        assert_eq!(with(&server, token, "POST", "/v1/builds:rollback").problem(), "unknown_build");
    }
    assert_eq!(with(&server, &admin, "GET", "/v1/builds?site=other").status, 200);
    assert_eq!(with(&server, &admin, "GET", "/v1/builds?site=nowhere").problem(), "not_found");
    assert_eq!(with(&server, &admin, "GET", "/v1/builds?site=..%2f..").problem(), "invalid_request");
    // Another install's token, and one letter changed in any part.
    let strange = token(&Server::start(), "admin");
    assert_eq!(with(&server, &strange, "GET", "/v1/builds").problem(), "invalid_key");
    let dots: Vec<usize> = analyst.match_indices('.').map(|(at, _)| at).collect();
    for at in [5, dots[0] + 5, dots[1] + 5] {
        let mut tampered = analyst.clone().into_bytes();
        tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert_eq!(with(&server, &tampered, "GET", "/v1/builds").problem(), "invalid_key", "{at}");
    }
    // The payload of an administrator under the signature of an analyst.
    let part = |token: &str, n: usize| token.split('.').nth(n).unwrap().to_owned();
    let spliced = format!("{}.{}.{}", part(&analyst, 0), part(&admin, 1), part(&analyst, 2));
    assert_eq!(with(&server, &spliced, "GET", "/v1/builds").problem(), "invalid_key");
    // Tokens survive a restart, and expire.
    server.stop();
    let expired = expired_token(&server);
    server.restart();
    assert_eq!(with(&server, &analyst, "GET", "/v1/builds").status, 200);
    assert_eq!(with(&server, &expired, "GET", "/v1/builds").problem(), "invalid_key");
}

/// Makes a token as the install would have made it two hours ago, for one hour.
fn expired_token(server: &Server) -> String {
    use rapport::documents::{Documents, embedded::EmbeddedDocuments};
    use rapport::event::{Timestamp, time::HOUR};
    use rapport::secrets::{Role, Secrets, install_crypto};

    install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = rapport::store_engine::Embedded::open(&server.data_dir().join("store")).unwrap();
    let documents = Documents::Embedded(EmbeddedDocuments::new(store));
    let secrets = runtime.block_on(Secrets::open(&documents, &mut rand::make_rng::<rand::rngs::StdRng>())).unwrap();
    let now: Timestamp = rapport::clock::Clock::System.now();
    secrets.token("a@b.example", Role::Admin, now.plus(-2 * HOUR), now.plus(-HOUR)).unwrap()
}

#[test]
fn a_key_decides_which_shop() {
    let server = Server::start();
    let keys: Vec<(String, String)> = ["one", "two"]
        .iter()
        .map(|site| (server.key("secret", &["--site", site]), server.key("publishable", &["--site", site])))
        .collect();
    for (n, (secret, _)) in keys.iter().enumerate() {
        let item = json!({"item_id": "mug", "title": format!("of shop {n}")});
        assert_eq!(server.post("/v1/catalog/items", secret, &item).json()["stored"], 1);
        assert_eq!(server.post("/v1/catalog/items", secret, &json!({"item_id": format!("only-{n}")})).json()["stored"], 1);
        let event = json!({"id": "same", "type": "view_item", "items": [{"item_id": "mug"}]});
        let batch =
            json!({"visitor_id": "v", "consent": {"analytics": true, "personalization": true}, "events": [event], "site": "two"});
        assert_eq!(server.post("/v1/events", secret, &batch).json()["results"]["same"]["result"], "ok", "ids are a site's own");
    }
    for (n, (secret, page)) in keys.iter().enumerate() {
        let title = ask(&server, "/v1/catalog/items/mug", &[("Authorization", &bearer(secret))]).json();
        assert_eq!(title["title"], format!("of shop {n}"));
        let answer = ask(&server, "/v1/recommendations/trending?site=one&count=50", &[("Authorization", &bearer(page))]).json();
        let shown = answer.to_string();
        assert!(shown.contains(&format!("only-{n}")) && !shown.contains(&format!("only-{}", 1 - n)), "{shown}");
        let site = ["one", "two"][n];
        let log = server.run(&["export", "--events", "--site", site]);
        assert_eq!(log.lines().count(), 1);
        assert!(log.contains(&format!("\"site\":\"{site}\"")), "{log}");
        // The other shop's visitor of the same name is somebody else.
        let path = "/v1/recommendations/recently-viewed?visitor_id=v&fields=title";
        let answer = ask(&server, path, &[("Authorization", &bearer(secret))]).json();
        assert_eq!(answer["items"][0]["title"], format!("of shop {n}"));
    }
    assert_eq!(server.run(&["export", "--events"]), "");
    // A cookie of one shop is nobody at the other.
    let batch = json!({"consent": {"analytics": true, "personalization": true},
        "events": [{"id": "c", "type": "view_item", "items": [{"item_id": "mug"}]}]});
    let answer = server.post("/v1/events", &keys[0].1, &batch);
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for cookie in [cookie.clone(), cookie.replacen("rapport_one", "rapport_two", 1)] {
        let headers = [("Authorization", bearer(&keys[1].1)), ("Cookie", cookie)];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_eq!(ask(&server, "/v1/recommendations/recently-viewed", &headers).json()["items"], json!([]));
    }
}
