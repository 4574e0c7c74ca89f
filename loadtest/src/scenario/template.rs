use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};

use super::{Expect, Scenario, VIEWED};
use crate::{client::Target, visits::Visits};

/// What the placeholders are filled with, the same for every request of a run.
#[derive(Debug, Clone)]
pub(crate) struct Fillings {
    pub(crate) key: String,
    /// One is picked for every `{item}`; an id listed twice is picked twice as often.
    pub(crate) items: Vec<String>,
    /// One moment of one of them is picked for every `"{viewed}"`.
    pub(crate) visits: Option<Arc<Visits>>,
    /// The part of all picks that is the first item.
    pub(crate) hot: f64,
    /// Needed by scenarios that do what only the shop's server may.
    pub(crate) secret: Option<String>,
    /// Decides what is picked: the same requests, in the same order, for the same seed.
    pub(crate) seed: u64,
    /// Makes event ids and sessions unlike those of any other run.
    pub(crate) run: u64,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) visitor: u64,
    /// How many batches the visitor has sent before.
    pub(crate) seq: u64,
}

/// A scenario made ready for one target: bytes with gaps.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) expect: Expect,
    pub(crate) events: usize,
    head: Vec<Piece>,
    body: Option<Vec<Piece>>,
    path_items: Vec<String>,
    body_items: Vec<String>,
    visits: Arc<Visits>,
    visitors: u64,
    hot: f64,
    seed: u64,
    run: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    Item,
    Viewed,
    Visitor,
    Session,
    EventId,
    N,
    Seq,
    SentAt,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Gap(Gap),
}

impl Template {
    /// Compiles a scenario: whatever is the same in every request is laid out once.
    pub(crate) fn new(scenario: &Scenario, target: &Target, with: &Fillings) -> Result<Self> {
        let mut head = Vec::new();
        let path_key = percent_encoded(&with.key);
        push_text(&mut head, &format!("{} {}", scenario.method, target.base));
        split(&scenario.path, &path_key, "", &mut head).context("in `path`")?;
        push_text(&mut head, &format!(" HTTP/1.1\r\nhost: {}\r\n", target.authority()));
        for (name, value) in &scenario.headers {
            if [name, value].into_iter().any(|text| text.contains(['\r', '\n'])) {
                bail!("the header `{name}` holds a line break");
            }
            push_text(&mut head, &format!("{name}: "));
            split(value, &with.key, with.secret.as_deref().unwrap_or_default(), &mut head)
                .with_context(|| format!("in header `{name}`"))?;
            push_text(&mut head, "\r\n");
        }
        let body = match &scenario.body {
            None => None,
            Some(body) => {
                let mut text = serde_json::to_string(body)?;
                if let Some(event) = &scenario.event {
                    let copies = vec![serde_json::to_string(event)?; scenario.events].join(",");
                    text = text.replace("\"{event}\"", &copies);
                }
                for number in ["{n}", "{seq}"] {
                    text = text.replace(&format!("\"{number}\""), number);
                }
                text = text.replace(VIEWED, "{viewed}");
                let mut pieces = Vec::new();
                split(&text, &json_escaped(&with.key)?, "", &mut pieces).context("in `body`")?;
                Some(pieces)
            }
        };
        if head.contains(&Piece::Gap(Gap::Viewed)) {
            bail!("`{{viewed}}` is a list and has its place in `body` only");
        }
        let asks_for = |gap| head.iter().chain(body.iter().flatten()).any(|piece| *piece == Piece::Gap(gap));
        if with.items.is_empty() && asks_for(Gap::Item) {
            bail!("`{}` needs item ids", scenario.name);
        }
        if with.visits.is_none() && asks_for(Gap::Viewed) {
            bail!("`{}` needs real visits: give a file of them with --visits", scenario.name);
        }
        Ok(Self {
            name: scenario.name.clone(),
            expect: scenario.expect,
            events: scenario.events,
            head,
            body,
            path_items: with.items.iter().map(|id| percent_encoded(id)).collect(),
            body_items: with.items.iter().map(|id| json_escaped(id)).collect::<Result<_>>()?,
            visits: with.visits.clone().unwrap_or_default(),
            visitors: scenario.visitors,
            hot: with.hot,
            seed: with.seed,
            run: with.run,
        })
    }

    /// Returns who asks when visitors take turns.
    pub(crate) fn in_turn(&self, n: u64) -> Who {
        Who { visitor: n % self.visitors, seq: n / self.visitors }
    }

    /// Tells whether it carries the visitor's batch number.
    pub(crate) fn is_numbered(&self) -> bool {
        self.body.iter().flatten().any(|piece| *piece == Piece::Gap(Gap::Seq))
    }

    /// Writes request `n` over `out`, visitors taking turns; `scratch` is kept by the caller to save allocations.
    pub(crate) fn render(&self, n: u64, now: SystemTime, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        self.render_for(n, self.in_turn(n), now, scratch, out);
    }

    /// Writes request `n` of a visitor over `out`.
    pub(crate) fn render_for(&self, n: u64, who: Who, now: SystemTime, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        out.clear();
        scratch.clear();
        self.fill(&self.head, &self.path_items, n, who, now, out);
        match &self.body {
            None => out.extend_from_slice(b"\r\n"),
            Some(body) => {
                self.fill(body, &self.body_items, n, who, now, scratch);
                out.extend_from_slice(b"content-length: ");
                push_number(out, scratch.len() as u64);
                out.extend_from_slice(b"\r\n\r\n");
                out.extend_from_slice(scratch);
            }
        }
    }

    fn fill(&self, pieces: &[Piece], items: &[String], n: u64, who: Who, now: SystemTime, out: &mut Vec<u8>) {
        let visitor = who.visitor;
        for (index, piece) in (0_u64..).zip(pieces) {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Gap(Gap::Item) => {
                    let drawn = self.drawn(n, index);
                    // Another draw decides whether it is the item everybody looks at: the first.
                    let is_hot = ((mixed(drawn) >> 11) as f64) < self.hot * (1_u64 << 53) as f64;
                    let item = if is_hot { 0 } else { (drawn % items.len() as u64) as usize };
                    out.extend_from_slice(items[item].as_bytes());
                }
                Piece::Gap(Gap::Viewed) => self.visits.write(self.drawn(n, index), out),
                Piece::Gap(Gap::Visitor) => {
                    out.extend_from_slice(b"load-");
                    push_number(out, visitor);
                }
                Piece::Gap(Gap::Session) => {
                    push_hex(out, self.run);
                    out.push(b'-');
                    push_number(out, visitor);
                }
                Piece::Gap(Gap::EventId) => {
                    push_hex(out, self.run);
                    out.push(b'-');
                    push_number(out, n);
                    out.push(b'-');
                    push_number(out, index);
                }
                Piece::Gap(Gap::N) => push_number(out, n),
                Piece::Gap(Gap::Seq) => push_number(out, who.seq),
                Piece::Gap(Gap::SentAt) => out.extend_from_slice(rfc3339(now).as_bytes()),
            }
        }
    }

    /// Returns a number for the gap at `index` of request `n`, the same for the same seed.
    fn drawn(&self, n: u64, index: u64) -> u64 {
        mixed(self.seed ^ mixed(n) ^ index)
    }
}

/// What a placeholder stands for.
enum Filled<'a> {
    Text(&'a str),
    Later(Gap),
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(before)) => before.push_str(text),
        Some(Piece::Gap(_)) | None => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// Cuts a text at its placeholders. JSON's own braces are followed by a quote, never by a name.
fn split(text: &str, key: &str, secret: &str, pieces: &mut Vec<Piece>) -> Result<()> {
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        push_text(pieces, &rest[..open]);
        let after = &rest[open + 1..];
        let length = after.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(after.len());
        if length == 0 || !after[length..].starts_with('}') {
            push_text(pieces, "{");
            rest = after;
            continue;
        }
        let gap = match &after[..length] {
            "key" => Filled::Text(key),
            "secret" if !secret.is_empty() => Filled::Text(secret),
            "secret" => bail!("`{{secret}}` needs --secret-key, and has its place in `headers` only"),
            "item" => Filled::Later(Gap::Item),
            "viewed" => Filled::Later(Gap::Viewed),
            "visitor" => Filled::Later(Gap::Visitor),
            "session" => Filled::Later(Gap::Session),
            "event_id" => Filled::Later(Gap::EventId),
            "n" => Filled::Later(Gap::N),
            "seq" => Filled::Later(Gap::Seq),
            "sent_at" => Filled::Later(Gap::SentAt),
            unknown => {
                bail!("`{{{unknown}}}` is none of key, secret, item, viewed, visitor, session, event_id, n, seq, sent_at, event")
            }
        };
        match gap {
            Filled::Later(gap) => pieces.push(Piece::Gap(gap)),
            Filled::Text(text) => push_text(pieces, text),
        }
        rest = &after[length + 1..];
    }
    push_text(pieces, rest);
    Ok(())
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn json_escaped(text: &str) -> Result<String> {
    let quoted = serde_json::to_string(text)?;
    Ok(quoted[1..quoted.len() - 1].to_owned())
}

/// Spreads a number over 64 bits (the finisher of SplitMix64): cheap, and the same every time.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

fn push_hex(out: &mut Vec<u8>, number: u64) {
    out.extend((0..16).rev().map(|nibble| b"0123456789abcdef"[(number >> (nibble * 4)) as usize & 15]));
}

/// Writes a time as RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Howard Hinnant's civil_from_days, for days after 1970 only.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;
    use crate::scenario::BUILT_IN;

    fn fillings() -> Fillings {
        let items = vec!["A 1".to_owned(), "B\"2".to_owned(), "Ü/3".to_owned()];
        let visits = Some(Arc::new(Visits::parse("a b c\nd e").expect("visits")));
        Fillings { key: "pk_a&b".to_owned(), items, visits, hot: 0.0, secret: Some("sk_1".to_owned()), seed: 1, run: 0xabcd }
    }

    fn built_in(name: &str) -> &'static str {
        BUILT_IN.iter().find(|(known, _)| *known == name).expect(name).1
    }

    fn rendered(scenario: &str, n: u64) -> (String, String) {
        let scenario = Scenario::parse(scenario).expect("a scenario");
        let target: Target = "http://127.0.0.1:8080/base".parse().expect("a target");
        let template = Template::new(&scenario, &target, &fillings()).expect("compiles");
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        template.render(n, SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123), &mut scratch, &mut out);
        let text = String::from_utf8(out).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn a_get_is_one_line_and_headers() {
        let (head, body) = rendered(BUILT_IN[0].1, 3);
        let first = head.lines().next().expect("a line");
        assert!(first.starts_with("GET /base/v1/recommendations/also-bought?item_id="), "{first}");
        assert!(first.ends_with("&count=8&key=pk_a%26b HTTP/1.1"), "{first}");
        assert!(["=A%201&", "=B%222&", "=%C3%9C%2F3&"].iter().any(|id| first.contains(id)), "{first}");
        assert!(head.contains("\r\nhost: 127.0.0.1:8080\r\n"));
        assert_eq!(body, "");
    }

    #[test]
    fn every_shipped_body_is_json_with_the_promised_events() {
        for (name, text) in BUILT_IN {
            let events = Scenario::parse(text).expect(name).events;
            let (head, body) = rendered(text, 40_007);
            if body.is_empty() || name == "catalog-upsert" {
                continue;
            }
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
            let body: Value = serde_json::from_str(&body).expect(name);
            assert_eq!(body["visitor_id"], "load-7");
            assert_eq!(body["session_id"], "000000000000abcd-7");
            let sent = body["events"].as_array().map_or(0, Vec::len);
            assert_eq!(sent, events, "{name}");
            if name.starts_with("beacon") {
                assert_eq!(body["seq"], 2);
                assert_eq!(body["sent_at"], "2023-11-14T22:13:20.123Z");
                assert_eq!(body["key"], "pk_a&b");
            }
        }
    }

    #[test]
    fn event_ids_are_never_repeated_and_items_vary() {
        let (mut ids, mut items) = (HashSet::new(), HashSet::new());
        for n in 0..200 {
            let (_, body) = rendered(built_in("beacon-20"), n);
            let body: Value = serde_json::from_str(&body).expect("JSON");
            for event in body["events"].as_array().expect("events") {
                assert!(ids.insert(event["id"].to_string()), "{event}");
                items.insert(event["items"][0]["item_id"].to_string());
            }
        }
        assert_eq!(ids.len(), 4_000);
        assert_eq!(items.len(), 3);
    }

    #[test]
    fn viewed_are_real_pages_newest_first_and_the_same_for_a_seed() {
        let viewed = |n| {
            let (_, body) = rendered(built_in("for-you-visits"), n);
            let body: Value = serde_json::from_str(&body).expect("JSON");
            body["context"]["viewed"].to_string()
        };
        let seen: HashSet<String> = (0..200).map(viewed).collect();
        let moments = [r#"["a"]"#, r#"["b","a"]"#, r#"["c","b","a"]"#, r#"["d"]"#, r#"["e","d"]"#];
        assert_eq!(seen, moments.map(str::to_owned).into());
        assert_eq!(viewed(7), viewed(7));

        let target: Target = "http://127.0.0.1:1".parse().expect("a target");
        let scenario = Scenario::parse(built_in("for-you-visits")).expect("a scenario");
        assert!(scenario.needs_visits());
        let error = Template::new(&scenario, &target, &Fillings { visits: None, ..fillings() }).expect_err("no visits");
        assert!(format!("{error:#}").contains("--visits"), "{error:#}");
    }

    #[test]
    fn unknown_placeholders_and_missing_items_are_errors() {
        let target: Target = "http://127.0.0.1:1".parse().expect("a target");
        let misspelt = BUILT_IN[0].1.replace("{item}", "{itme}");
        let scenario = Scenario::parse(&misspelt).expect("a scenario");
        let error = Template::new(&scenario, &target, &fillings()).expect_err("misspelt");
        assert!(format!("{error:#}").contains("{itme}"));
        let scenario = Scenario::parse(BUILT_IN[0].1).expect("a scenario");
        let nothing = Fillings { items: Vec::new(), ..fillings() };
        assert!(Template::new(&scenario, &target, &nothing).is_err());
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
