//! Bad input is answered, never obeyed, and harms nobody else: hundreds of malformed requests against one server.

mod batches;
mod callers;
mod catalog_items;
mod mutations;
mod questions;
mod raw;

use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::server::{Answer, Server, send};

/// What a request must be answered with.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// A problem with this status and code.
    Problem(u16, &'static str),
    /// 200, where the event `x` has this result and code.
    Event(&'static str, &'static str),
    /// 200, where the first of the events without a readable id has this code.
    Nameless(&'static str),
    /// 200, where the first line of a bulk upsert has this result and code.
    Line(&'static str),
    /// It is odd, but means something: 200.
    Fine,
}

/// One request that should not have been sent.
#[derive(Debug)]
struct Row {
    name: String,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    expect: Expect,
}

impl Row {
    fn new(name: impl Into<String>, method: &'static str, path: impl Into<String>, expect: Expect) -> Self {
        Self { name: name.into(), method, path: path.into(), headers: Vec::new(), body: Vec::new(), expect }
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn key(self, key: &str) -> Self {
        self.header("Authorization", format!("Bearer {key}"))
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and says what was wrong with the answer.
    fn check(&self, server: &Server) -> Result<(), String> {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let answer = send(server.address, self.method, &self.path, &headers, &self.body)
            .map_err(|error| format!("{}: no answer ({error})", self.name))?;
        let seen = format!("{} {}", answer.status, shortened(&answer.text()));
        let parsed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let right = match self.expect {
            Expect::Problem(status, code) => {
                answer.status == status
                    && answer.header("content-type") == Some("application/problem+json")
                    && parsed["code"] == code
                    && parsed["status"] == status
                    && parsed["detail"].is_string()
            }
            Expect::Event(result, code) => {
                let event = &parsed["results"]["x"];
                answer.status == 200 && event["result"] == result && event["code"].as_str().unwrap_or_default() == code
            }
            Expect::Nameless(code) => answer.status == 200 && parsed["errors"][0]["code"] == code,
            Expect::Line(code) => {
                let line = &parsed["results"][0];
                answer.status == 200 && line["result"] == "rejected" && line["code"] == code
            }
            Expect::Fine => answer.status == 200,
        };
        if right { Ok(()) } else { Err(format!("{}: expected {:?}, got {seen}", self.name, self.expect)) }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

/// The keys and cookies of two shops.
#[derive(Debug)]
struct World {
    server: Server,
    /// Publishable, without origins.
    page: String,
    /// Publishable, for pages of `https://shop.example`.
    shop_page: String,
    secret: String,
    revoked: String,
    /// Secret, of another site.
    stranger: String,
    stranger_page: String,
    /// `name=value`, signed for the other site.
    stranger_cookie: String,
}

impl World {
    fn start() -> Self {
        let server = Server::start();
        let created: Value = serde_json::from_str(&server.run(&["keys", "create", "--kind", "publishable", "--json"])).unwrap();
        server.run(&["keys", "revoke", created["id"].as_str().unwrap()]);
        let stranger_page = server.key("publishable", &["--site", "stranger"]);
        let batch = json!({"consent": {"analytics": true}, "events": [{"id": "s", "type": "page_view"}]});
        let answer = server.post("/v1/events", &stranger_page, &batch);
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let world = Self {
            page: server.key("publishable", &[]),
            shop_page: server.key("publishable", &["--origin", "https://shop.example"]),
            secret: server.key("secret", &[]),
            revoked: created["key"].as_str().unwrap().to_owned(),
            stranger: server.key("secret", &["--site", "stranger"]),
            stranger_page,
            stranger_cookie: cookie,
            server,
        };
        let item = json!({"item_id": "mug", "title": "A mug", "price": 9.5});
        assert_eq!(world.server.post("/v1/catalog/items", &world.secret, &item).status, 200);
        world
    }

    /// Returns a batch of one event to `/v1/events` with the secret key.
    fn events(&self, name: &str, body: impl Into<Vec<u8>>, expect: Expect) -> Row {
        Row::new(name, "POST", "/v1/events", expect).key(&self.secret).body(body)
    }

    fn accepts_a_good_event(&self, id: &str) -> Answer {
        let batch = json!({"visitor_id": "v", "consent": {"analytics": true},
            "events": [{"id": id, "type": "view_item", "items": [{"item_id": "mug"}]}]});
        self.server.post("/v1/events", &self.secret, &batch)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn bad_input_is_refused_and_harms_nobody() {
    let world = World::start();
    let pid = world.server.pid();
    let mut rows = batches::rows(&world);
    rows.extend(callers::rows(&world));
    rows.extend(questions::rows(&world));
    rows.extend(catalog_items::rows(&world));
    let wrong: Vec<String> = rows.iter().filter_map(|row| row.check(&world.server).err()).collect();
    let garbage = raw::rows();
    let wrong_raw: Vec<String> =
        garbage.iter().filter_map(|(name, bytes)| raw::check(&world.server, name, bytes).err()).collect();
    let count = rows.len() + garbage.len();
    assert!(wrong.is_empty() && wrong_raw.is_empty(), "of {count}:\n{}\n{}", wrong.join("\n"), wrong_raw.join("\n"));
    assert!(count >= 150, "only {count} rows");

    assert_eq!(world.server.get("/readyz").status, 200);
    let answer = world.accepts_a_good_event("good").json();
    assert_eq!(answer["results"]["good"]["result"], "ok", "{answer}");
    assert_eq!(world.server.pid(), pid);
    assert_eq!(world.server.metric("rapport_problems_total{code=\"internal\"}"), 0.0);
    assert_eq!(world.server.metric("rapport_unavailable_shown_total"), 0.0);
    // A handler that panics closes the connection without an answer, which fails above; and what is refused is counted.
    let problems = rows.iter().filter(|row| matches!(row.expect, Expect::Problem(400, "malformed_json"))).count();
    assert_eq!(world.server.metric("rapport_problems_total{code=\"malformed_json\"}"), problems as f64);
    // Nothing of it all was kept: what `x` did is in no log but where the table says so.
    let exported = world.server.run(&["export", "--events"]);
    let kept = exported.lines().filter(|line| line.contains("\"id\":\"x\"")).count();
    assert_eq!(kept, 0, "{exported}");
}
