//! Callers who are not who they say, or stand where they may not.

use serde_json::json;

use super::{Expect, Row, World};

pub(super) fn rows(world: &World) -> Vec<Row> {
    let mut rows = keys(world);
    rows.extend(pages(world));
    rows.extend(paths(world));
    rows.extend(methods(world));
    rows
}

fn post(name: &str, expect: Expect) -> Row {
    Row::new(name, "POST", "/v1/events", expect).body(r#"{"events":[]}"#)
}

fn keys(world: &World) -> Vec<Row> {
    let missing = Expect::Problem(401, "missing_key");
    let invalid = Expect::Problem(401, "invalid_key");
    let mismatch = Expect::Problem(401, "key_mismatch");
    let exposed = Expect::Problem(401, "secret_key_exposed");
    let query = |name: &str, key: &str, expect| Row::new(name, "GET", format!("/v1/recommendations/trending?key={key}"), expect);
    let body = |name: &str, key: &str, expect| post(name, expect).body(json!({"key": key, "events": []}).to_string());
    let mut rows = vec![
        post("no key", missing),
        Row::new("no key in a question", "GET", "/v1/recommendations/trending", missing),
        Row::new("no key to the catalog", "GET", "/v1/catalog/items", missing),
        post("a revoked key", invalid).key(&world.revoked),
        query("a revoked key behind the ?", &world.revoked, invalid),
        body("a revoked key in the body", &world.revoked, invalid),
        query("a secret key behind the ?", &world.secret, exposed),
        body("a secret key in the body", &world.secret, exposed),
        body("a secret key in the body and the header", &world.secret, exposed).key(&world.secret),
        query("a secret key that is none behind the ?", "sk_x_y", exposed),
        query("header and ? differ", &world.page, mismatch).key(&world.shop_page),
        body("header and body differ", &world.page, mismatch).key(&world.shop_page),
        body("header and body are of two sites", &world.page, mismatch).key(&world.stranger_page),
        query("an empty key", "", invalid),
        query("only a prefix", "pk_", invalid),
        query("a key with too few parts", "pk_a", invalid),
        query("a key with a NUL", "pk_%00_x", invalid),
        post("a key with a letter too many", invalid).key(&format!("{}0", world.secret)),
        post("a key with a letter too few", invalid).key(&world.secret[..world.secret.len() - 1]),
        post("a key in capitals", invalid).key(&world.secret.to_uppercase()),
        post("the id with another secret", invalid).key(&format!("{}{}", &world.secret[..16], "0".repeat(32))),
        post("a publishable key that says it is secret", invalid).key(&world.page.replacen("pk_", "sk_", 1)),
        post("a very long key", invalid).key(&"k".repeat(8_000)),
        post("a token without a signature", invalid).key("eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ."),
        post("a token of nothing", invalid).key("eyJ"),
    ];
    for value in
        ["", "Bearer", "Bearer ", "bearer\u{a0}x", "Digest username=x", "Basic %%%", "Basic ", "Negotiate abc", "Basic /////w=="]
    {
        rows.push(post(&format!("Authorization: {value}"), invalid).header("Authorization", value));
    }
    let forbidden = Expect::Problem(403, "forbidden");
    for path in ["/v1/catalog/items", "/v1/catalog/items/mug", "/v1/placements", "/v1/builds"] {
        rows.push(Row::new(format!("a page asks for {path}"), "GET", path, forbidden).key(&world.page));
    }
    rows.push(Row::new("a page rolls back", "POST", "/v1/builds:rollback", forbidden).key(&world.page));
    rows.push(Row::new("a page changes an item", "PUT", "/v1/catalog/items/mug", forbidden).key(&world.page).body("{}"));
    rows.push(Row::new("a page deletes an item", "DELETE", "/v1/catalog/items/mug", forbidden).key(&world.page));
    let explain = "/v1/recommendations/trending?explain=true";
    rows.push(
        Row::new("a page wants reasons", "GET", explain, Expect::Problem(403, "explain_needs_secret_key")).key(&world.page),
    );
    rows
}

fn pages(world: &World) -> Vec<Row> {
    let refused = Expect::Problem(403, "origin_not_allowed");
    let mut rows = Vec::new();
    for origin in [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:444",
        "https://shop.example.evil.example",
        "https://SHOP.example",
        "https://shop.example/",
        "null",
        "",
        "*",
        "https://shop.example, https://evil.example",
    ] {
        rows.push(post(&format!("Origin: {origin}"), refused).key(&world.shop_page).header("Origin", origin));
    }
    rows.push(post("a page with a key without origins", refused).key(&world.page).header("Origin", "https://shop.example"));
    // Other people's things: another site's item is unknown, its cookie is nobody.
    let item = "/v1/catalog/items/mug";
    rows.push(Row::new("another site's item", "GET", item, Expect::Problem(404, "unknown_item")).key(&world.stranger));
    let gone = Expect::Problem(404, "unknown_item");
    rows.push(Row::new("deleting another site's item", "DELETE", item, gone).key(&world.stranger));
    let value = world.stranger_cookie.split_once('=').unwrap().1;
    let long = format!("rapport_default={}", "x".repeat(5_000));
    let tampered = format!("rapport_default={}", value.replacen("stranger", "default", 1));
    let renamed = format!("rapport_default={value}");
    for cookie in [&world.stranger_cookie, &renamed, &tampered, "rapport_default=", "rapport_default=%ff%00", "=;;==;", &long] {
        let name = format!("Cookie: {}", &cookie[..cookie.len().min(40)]);
        let question = Row::new(name, "GET", "/v1/recommendations/recently-viewed?count=1", Expect::Fine);
        rows.push(question.key(&world.page).header("Cookie", cookie));
    }
    rows
}

fn paths(world: &World) -> Vec<Row> {
    let nothing = Expect::Problem(404, "not_found");
    let unknown = Expect::Problem(404, "unknown_placement");
    let no_item = Expect::Problem(404, "unknown_item");
    let mut rows = Vec::new();
    for (path, expect) in [
        ("/", nothing),
        ("/v1", nothing),
        ("/v1/", nothing),
        ("/v2/events", nothing),
        ("/v1/recommendations", nothing),
        ("/v1/recommendations/", nothing),
        ("/v1/recommendations/../catalog/items", nothing),
        ("/v1/recommendations/../x", nothing),
        ("//v1/recommendations/trending", nothing),
        ("/v1//recommendations/trending", nothing),
        ("/v1/recommendations/trending/", nothing),
        ("/V1/recommendations/trending", nothing),
        ("/v1/recommendations/%2e%2e", unknown),
        ("/v1/recommendations/%00", unknown),
        ("/v1/recommendations/%2Fetc%2Fpasswd", unknown),
        ("/v1/recommendations/..%2f..%2fcatalog", unknown),
        ("/v1/recommendations/%ff%fe", unknown),
        ("/v1/recommendations/%zz", unknown),
        ("/v1/recommendations/Trending", unknown),
        ("/v1/recommendations/trending;x=1", unknown),
        ("/v1/recommendations/trending%20", unknown),
        ("/v1/catalog/items/..%2f..%2fx", no_item),
        ("/v1/catalog/items/a%2fb", no_item),
        ("/v1/catalog/items/%00", Expect::Problem(400, "invalid_request")),
        ("/v1/catalog/items/%0a", Expect::Problem(400, "invalid_request")),
        ("/v1/catalog/items/", nothing),
        ("/v1/catalog/items/a/b", nothing),
        ("/sdk/../../etc/passwd", nothing),
        ("/sdk/..%2f..%2fCargo.toml/x", nothing),
        ("/sdk/0.1.0/..%2frapport.js", nothing),
        ("/sdk/9.9.9/rapport.js", nothing),
        ("/metrics", nothing),
        ("/docs", nothing),
        ("/.env", nothing),
    ] {
        rows.push(Row::new(path, "GET", path, expect).key(&world.secret));
    }
    let long = format!("/v1/recommendations/{}", "p".repeat(20_000));
    rows.push(Row::new("a very long path", "GET", long, unknown).key(&world.secret));
    let long = format!("/v1/catalog/items/{}", "i".repeat(201));
    rows.push(Row::new("a long item id", "GET", long, Expect::Problem(400, "invalid_request")).key(&world.secret));
    for build in ["nothing", "..", "..%2f..", "%2e%2e%2fmodels", "%00", "2026-01-01T00-00Z-0000"] {
        let path = format!("/v1/builds/{build}:activate");
        rows.push(Row::new(path.clone(), "POST", path, Expect::Problem(404, "unknown_build")).key(&world.secret));
    }
    rows
}

fn methods(world: &World) -> Vec<Row> {
    let refused = Expect::Problem(405, "method_not_allowed");
    let mut rows: Vec<Row> = [
        ("GET", "/v1/events"),
        ("PUT", "/v1/events"),
        ("DELETE", "/v1/events"),
        ("PATCH", "/v1/decide"),
        ("GET", "/v1/decide"),
        ("POST", "/v1/recommendations/trending"),
        ("DELETE", "/v1/catalog/items"),
        ("POST", "/v1/catalog/items/mug"),
        ("PATCH", "/v1/catalog/items/mug"),
        ("GET", "/v1/segment/track"),
        ("TRACE", "/v1/events"),
        ("OPTIONS", "/v1/events"),
        ("BREW", "/v1/events"),
        ("post", "/v1/events"),
        ("POST", "/livez"),
        ("DELETE", "/readyz"),
        ("PUT", "/openapi.json"),
        ("GET", "/v1/builds:rollback"),
    ]
    .into_iter()
    .map(|(method, path)| Row::new(format!("{method} {path}"), method, path, refused).key(&world.secret))
    .collect();
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        // Nobody listens: it stays the POST it is.
        let row = Row::new(header, "POST", "/v1/catalog/items/mug", refused).key(&world.secret).header(header, "DELETE");
        rows.push(row.body("{}"));
    }
    rows
}
