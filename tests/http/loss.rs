//! Nothing gets lost unseen: every event that comes in is counted once, and so is what never came.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::server::{Answer, Server, send};

const TALLIED: &[&str] = &["rapport_events_received_total", "rapport_events_total", "rapport_batches_refused_total"];

fn view(id: &str) -> Value {
    json!({"id": id, "type": "view_item", "items": [{"item_id": "mug"}]})
}

fn batch(events: &[Value]) -> Value {
    json!({"visitor_id": "v", "consent": {"analytics": true, "personalization": true}, "events": events})
}

/// Returns the counters of these names, as Prometheus writes them.
fn counted(server: &Server, names: &[&str]) -> BTreeMap<String, u64> {
    let text = send(server.admin, "GET", "/metrics", &[], b"").unwrap().text();
    let lines = text.lines().filter(|line| names.iter().any(|name| line.starts_with(&format!("{name}{{"))));
    lines.map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap()).collect()
}

/// What the senders of a storm know of what they sent.
#[derive(Debug, Default)]
struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    fn add(&self, name: String, times: u64) {
        *self.0.lock().unwrap().entry(name).or_default() += times;
    }

    /// Notes an answer to so many events, sent with a key of this site.
    fn note(&self, site: &str, events: usize, answer: &Answer) {
        if answer.status != 200 {
            let code = answer.problem();
            return self.add(format!("rapport_batches_refused_total{{code=\"{code}\",site=\"{site}\"}}"), 1);
        }
        let body = answer.json();
        let body = if body["placements"].is_object() { &body["events"] } else { &body };
        let named = body["results"].as_object().unwrap().values();
        let fates: Vec<(&str, &str)> = named
            .map(|fate| (fate["result"].as_str().unwrap(), fate["code"].as_str().unwrap_or_default()))
            .chain(body["errors"].as_array().unwrap().iter().map(|error| ("drop", error["code"].as_str().unwrap())))
            .collect();
        assert_eq!(fates.len(), events, "each event has one outcome: {body}");
        for (result, code) in fates {
            self.add(format!("rapport_events_total{{code=\"{code}\",result=\"{result}\",site=\"{site}\"}}"), 1);
        }
        self.add(format!("rapport_events_received_total{{site=\"{site}\"}}"), events as u64);
    }
}

/// One sender of a site.
struct Sender<'a> {
    server: &'a Server,
    tally: &'a Tally,
    site: &'a str,
    page: String,
    secret: String,
    /// The key that all senders of the site use up together.
    limited: &'a str,
    sent: std::cell::Cell<u64>,
}

impl Sender<'_> {
    fn send(&self, path: &str, headers: &[(&str, &str)], body: &[u8], events: usize, site: &str) {
        let answer = self.server.send("POST", path, headers, body);
        if answer.status == 200 {
            self.sent.set(self.sent.get() + events as u64);
        }
        self.tally.note(site, events, &answer);
    }

    fn send_as(&self, key: &str, path: &str, body: &Value, events: usize) {
        self.send(path, &[("Authorization", &format!("Bearer {key}"))], body.to_string().as_bytes(), events, self.site);
    }

    /// Sends one of everything; `round` makes its ids.
    fn round(&self, round: &str) {
        let id = |name: &str| format!("{round}-{name}");
        let three = batch(&[view(&id("a")), view(&id("b")), json!({"id": id("c"), "type": "page_view"})]);
        self.send_as(&self.page, "/v1/events", &three, 3);
        // Sent again, alone and together with something new.
        self.send_as(&self.page, "/v1/events", &three, 3);
        self.send_as(&self.secret, "/v1/events", &batch(&[view(&id("a")), view(&id("d"))]), 2);
        // Everybody sends this one, so that copies meet in flight.
        self.send_as(&self.page, "/v1/events", &batch(&[view("everybody's")]), 1);
        // Some are wrong, with or without an id to tell it by.
        let mut refused = view(&id("refused"));
        refused["consent"] = json!({"analytics": false, "personalization": false});
        let wrong = [json!({"id": id("e"), "type": "view_item"}), json!("no event"), json!({"type": "page_view"}), refused];
        self.send_as(&self.page, "/v1/events", &batch(&wrong), 4);
        let large = json!({"id": id("f"), "type": "note", "text": "x".repeat(9_000)});
        self.send_as(&self.page, "/v1/events", &batch(&[large, view(&id("g"))]), 2);
        let many: Vec<Value> = (0..103).map(|n| json!({"id": id(&format!("h{n}")), "type": "page_view"})).collect();
        self.send_as(&self.page, "/v1/events", &batch(&many), 103);
        // A batch that says nothing of consent, and a robot.
        self.send_as(&self.page, "/v1/events", &json!({"visitor_id": "v", "events": [view(&id("i"))]}), 1);
        let robot = [("Authorization", format!("Bearer {}", self.page)), ("User-Agent", "Googlebot/2.1".to_owned())];
        let robot: Vec<(&str, &str)> = robot.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send("/v1/events", &robot, batch(&[view(&id("j"))]).to_string().as_bytes(), 1, self.site);
        // Other ways in: a decision's events, and Segment's dialect.
        let mut decide = batch(&[view(&id("k"))]);
        decide["placements"] = json!([{"id": "also-bought"}]);
        self.send_as(&self.page, "/v1/decide", &decide, 1);
        decide["placements"] = json!([{"id": "no-such-placement"}]);
        self.send_as(&self.page, "/v1/decide", &decide, 1);
        let consent = json!({"consent": {"categoryPreferences": {"analytics": true}}});
        let call = json!({"event": "Product Viewed", "messageId": id("l"), "anonymousId": "v", "context": consent,
            "properties": {"product_id": "mug"}});
        self.send_as(&self.secret, "/v1/segment/track", &call, 1);

        // What is refused as a whole: its site is known by the key, wherever that stands.
        let key = format!("Bearer {}", self.page);
        let key = [("Authorization", key.as_str())];
        self.send("/v1/events", &key, b"{\"events\":[{\"id\":", 1, self.site);
        self.send("/v1/events", &key, &vec![b' '; 70 << 10], 1, self.site);
        let largest = format!("{{\"events\":[],\"pad\":\"{}\"}}", "x".repeat(70 << 10));
        self.send("/v1/events", &key, largest.as_bytes(), 1, self.site);
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b' '; 600 << 10]).unwrap();
        let packed = [key[0], ("Content-Encoding", "gzip")];
        self.send("/v1/events", &packed, &packer.finish().unwrap(), 1, self.site);
        let mut in_the_body = three.clone();
        in_the_body["key"] = self.page.clone().into();
        in_the_body["consent"] = 7.into();
        self.send("/v1/events", &[], in_the_body.to_string().as_bytes(), 3, self.site);
        self.send("/v1/events", &[], three.to_string().as_bytes(), 3, "");
        self.send("/v1/events", &[("Authorization", "Bearer pk_nobody_s")], three.to_string().as_bytes(), 3, "");
        // More than the key may send.
        let mut beyond = batch(&[view(&id("m"))]);
        beyond["key"] = self.limited.into();
        for _ in 0..8 {
            self.send("/v1/events", &[], beyond.to_string().as_bytes(), 1, self.site);
        }
    }
}

#[test]
fn in_a_storm_the_counts_are_what_the_senders_sent() {
    let server = Server::start_with(&[("RAPPORT_RATE_LIMIT__REQUESTS_PER_SECOND", "1"), ("RAPPORT_RATE_LIMIT__BURST", "250")]);
    let tally = Tally::default();
    let sites = ["default", "other"];
    let limited = sites.map(|site| server.key("publishable", &["--site", site]));
    let sent: BTreeMap<&str, u64> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|n| {
                let (site, limited) = (sites[n % 2], &limited[n % 2]);
                let [page, secret] = ["publishable", "secret"].map(|kind| server.key(kind, &["--site", site]));
                let (server, tally) = (&server, &tally);
                scope.spawn(move || {
                    let sender = Sender { server, tally, site, page, secret, limited, sent: 0.into() };
                    // Each has to use more than its share of the limited key's allowance.
                    for round in 0..15 {
                        sender.round(&format!("{n}-{round}"));
                    }
                    (site, sender.sent.get())
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).fold(BTreeMap::new(), |mut all, (site, sent)| {
            *all.entry(site).or_default() += sent;
            all
        })
    });

    let seen = counted(&server, TALLIED);
    assert_eq!(seen, *tally.0.lock().unwrap());
    for site in sites {
        let of_site = |name: &str| -> u64 {
            let site = format!("site=\"{site}\"");
            seen.iter().filter(|(line, _)| line.starts_with(name) && line.contains(&site)).map(|(_, count)| count).sum()
        };
        assert_eq!(of_site("rapport_events_total{"), sent[site], "each event in one outcome");
        assert_eq!(of_site("rapport_events_received_total{"), sent[site]);
        for code in ["malformed_json", "body_too_large", "invalid_batch", "unknown_placement", "rate_limited"] {
            let refused = of_site(&format!("rapport_batches_refused_total{{code=\"{code}\""));
            assert!(refused >= if code == "rate_limited" { 1 } else { 60 }, "{site} {code}: {refused}");
        }
        for code in ["no_consent", "bot", "missing_items", "invalid_json", "missing_id", "event_too_large", "batch_too_large"] {
            assert!(of_site(&format!("rapport_events_total{{code=\"{code}\"")) >= 60, "{site} {code}");
        }
    }
    // What the log holds is what was `ok`.
    let kept = |site: &str| server.run(&["export", "--events", "--site", site]).lines().count() as u64;
    let ok = |site: &str| seen[&format!("rapport_events_total{{code=\"\",result=\"ok\",site=\"{site}\"}}")];
    assert_eq!(sites.map(kept), sites.map(ok));
}

#[test]
fn who_hangs_up_is_counted_too() {
    let server = Server::start();
    let page = server.key("publishable", &[]);
    for n in 0..200 {
        let body = batch(&[view(&format!("{n}-a")), view(&format!("{n}-b"))]).to_string();
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {page}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        // Closes the connection.
        drop(stream);
    }
    assert_eq!(server.post("/v1/events", &page, &batch(&[view("last")])).status, 200);
    server.eventually("every event that came in has its outcome", || {
        let received = counted(&server, &["rapport_events_received_total"]).values().sum::<u64>();
        let outcomes = counted(&server, &["rapport_events_total"]).values().sum::<u64>();
        received > 100 && received == outcomes
    });
}

#[test]
fn what_cannot_be_kept_is_counted_by_event_and_reports_wait() {
    let dir = tempfile::tempdir().unwrap();
    let fault = dir.path().join("fault");
    let server = Server::start_with(&[("RAPPORT_FAULTS", fault.to_str().unwrap())]);
    let page = server.key("publishable", &[]);
    let mut body = batch(&[view("a"), view("b")]);
    body["discarded"] = json!([{"reason": "expired", "count": 1}]);
    let names = [TALLIED, &["rapport_events_discarded_total"]].concat();
    std::fs::write(&fault, "write fail").unwrap();
    assert_eq!(server.post("/v1/events", &page, &body).problem(), "events_not_kept");
    let retried = "rapport_events_total{code=\"log_unavailable\",result=\"retry\",site=\"default\"}".to_owned();
    let received = "rapport_events_received_total{site=\"default\"}".to_owned();
    assert_eq!(counted(&server, &names), [(retried.clone(), 2), (received.clone(), 2)].into());
    std::fs::remove_file(&fault).unwrap();
    server.eventually("the log goes on", || server.post("/v1/events", &page, &body).status == 200);
    let seen = counted(&server, &names);
    assert_eq!(seen["rapport_events_discarded_total{reason=\"expired\",site=\"default\"}"], 1);
    assert_eq!(seen["rapport_events_total{code=\"\",result=\"ok\",site=\"default\"}"], 2);
    assert_eq!(seen[&received], seen[&retried] + 2);
}

/// Returns what the doctor says of a site: events with numbers, missing numbers, and missing in a million.
fn losses(server: &Server, site: &str) -> (u64, u64, f64) {
    let seen: Value = serde_json::from_str(&server.run(&["doctor", "--json"])).unwrap();
    let of_site = seen["losses"].as_array().unwrap().iter().find(|loss| loss["site"] == site).cloned().unwrap_or_default();
    (
        of_site["sequenced"].as_u64().unwrap(),
        of_site["missing"].as_u64().unwrap(),
        (of_site["loss_rate"].as_f64().unwrap() * 1e6).round(),
    )
}

fn in_session(visitor: &str, session: &str, numbers: &[i64]) -> Value {
    let events: Vec<Value> = numbers
        .iter()
        .map(|n| {
            let mut event = view(&format!("{visitor}-{session}-{n}"));
            event["seq"] = (*n).into();
            event
        })
        .collect();
    let mut body = batch(&events);
    body["visitor_id"] = visitor.into();
    body["session_id"] = session.into();
    body
}

#[test]
fn gaps_in_the_numbers_of_a_session_are_missing_events() {
    // A session counts at the next look.
    let server = Server::start_with(&[("RAPPORT_COLLECT__SESSION_SILENCE_MINUTES", "0")]);
    let secret = server.key("secret", &[]);
    let batch = in_session("v", "s", &[0, 1, 3, 4, 7]);
    for _ in 0..3 {
        assert_eq!(server.post("/v1/events", &secret, &batch).status, 200);
    }
    let served = |name: &str| server.metric(&format!("rapport_events_{name}_total{{site=\"default\"}}"));
    assert_eq!((served("sequenced"), served("missing")), (5.0, 3.0));
    assert_eq!(losses(&server, "default"), (5, 3, 375_000.0));
    assert!(server.run(&["doctor"]).contains("events of site default: 5 with numbers, 3 missing (37.50 %)"));

    // Other sessions and visitors count for themselves, and what comes late is not missing any more.
    let other = server.key("secret", &["--site", "other"]);
    for (key, body) in [
        (&secret, in_session("v", "t", &[100])),
        (&secret, in_session("w", "s", &[5, 6])),
        (&secret, in_session("v", "s", &[2])),
        (&other, in_session("v", "s", &[1, 2])),
    ] {
        assert_eq!(server.post("/v1/events", key, &body).status, 200);
    }
    assert_eq!(losses(&server, "default"), (9, 2, 181_818.0));
    assert_eq!(losses(&server, "other"), (2, 0, 0.0));
}

#[test]
fn a_batch_numbers_its_events_and_says_what_it_gave_up() {
    let server = Server::start();
    let page = server.key("publishable", &[]);
    let mut body = batch(&[view("a"), view("b"), view("c")]);
    body["session_id"] = "s".into();
    body["seq"] = 7.into();
    body["events"][1]["seq"] = 20.into();
    body["discarded"] = json!([{"reason": "overflow", "count": 3}, {"reason": "the moon", "count": 2}]);
    assert_eq!(server.post("/v1/events", &page, &body).status, 200);
    let log = server.run(&["export", "--events"]);
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: BTreeMap<&str, i64> =
        events.iter().map(|event| (event["id"].as_str().unwrap(), event["seq"].as_i64().unwrap())).collect();
    assert_eq!(numbers, [("a", 7), ("b", 20), ("c", 7)].into());
    // A batch that is refused says it again.
    body["consent"] = 7.into();
    assert_eq!(server.post("/v1/events", &page, &body).problem(), "invalid_batch");
    let told: Vec<(String, u64)> = counted(&server, &["rapport_events_discarded_total"]).into_iter().collect();
    let line = |reason: &str| format!("rapport_events_discarded_total{{reason=\"{reason}\",site=\"default\"}}");
    assert_eq!(told, [(line("other"), 2), (line("overflow"), 3)]);
}
