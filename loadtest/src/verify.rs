//! Whether an answer is what the scenario expects.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::scenario::Expect;

/// How closely answers are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Status, and acknowledgements counted by a scan of bytes: cheap enough for every request.
    Quick,
    /// The JSON is read and its shape checked.
    Full,
}

/// Why a request did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Status(u16),
    Timeout,
    Transport(String),
    /// The per-event results do not add up to the events sent.
    Unacknowledged {
        sent: usize,
        answered: usize,
    },
    Shape(String),
}

/// Kinds of faults, as reports count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    Status4xx,
    Status429,
    Status5xx,
    StatusOther,
    Transport,
    Timeout,
    Unacknowledged,
    Shape,
    /// Still waiting for a free connection when the run was over.
    Unsent,
}

impl FaultKind {
    /// Returns what people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Status4xx => "4xx",
            Self::Status429 => "429 (rate limit)",
            Self::Status5xx => "5xx",
            Self::StatusOther => "other status",
            Self::Transport => "transport",
            Self::Timeout => "no answer in time",
            Self::Unacknowledged => "not acknowledged",
            Self::Shape => "unexpected answer",
            Self::Unsent => "never sent",
        }
    }

    /// Tells whether the time it took belongs into the latencies: a quick "no" must not make the figures better.
    pub(crate) fn was_waited_for(self) -> bool {
        matches!(self, Self::Timeout | Self::Unsent)
    }
}

impl Fault {
    /// Returns its kind.
    pub(crate) fn kind(&self) -> FaultKind {
        match self {
            Self::Status(429) => FaultKind::Status429,
            Self::Status(400..=499) => FaultKind::Status4xx,
            Self::Status(500..=599) => FaultKind::Status5xx,
            Self::Status(_) => FaultKind::StatusOther,
            Self::Transport(_) => FaultKind::Transport,
            Self::Timeout => FaultKind::Timeout,
            Self::Unacknowledged { .. } => FaultKind::Unacknowledged,
            Self::Shape(_) => FaultKind::Shape,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(out, "status {status}"),
            Self::Timeout => write!(out, "no answer in time"),
            Self::Transport(what) => write!(out, "transport: {what}"),
            Self::Unacknowledged { sent, answered } => {
                write!(out, "{sent} events sent, {answered} acknowledged")
            }
            Self::Shape(what) => write!(out, "unexpected answer: {what}"),
        }
    }
}

/// How many events met which result.
pub(crate) type Results = BTreeMap<String, u64>;

/// Judges one answer; a full look also adds the events' results to `results`.
pub(crate) fn verify(
    depth: Depth,
    expect: Expect,
    events: usize,
    status: u16,
    body: &[u8],
    results: &mut Results,
) -> Result<(), Fault> {
    if status != 200 {
        return Err(Fault::Status(status));
    }
    match depth {
        Depth::Quick => acknowledged(expect, events, body),
        Depth::Full => shape(expect, events, body, results),
    }
}

/// Counts `"ok"` in the bytes: all events must be kept, or the run measured refusals.
fn acknowledged(expect: Expect, events: usize, body: &[u8]) -> Result<(), Fault> {
    match expect {
        Expect::Status | Expect::Recommendations => Ok(()),
        Expect::Decision | Expect::Results | Expect::Answered => {
            let sign: &[u8] = if expect == Expect::Answered { b"\"result\":" } else { b"\"ok\"" };
            let answered = body.windows(sign.len()).filter(|bytes| *bytes == sign).count();
            if answered < events {
                return Err(Fault::Unacknowledged { sent: events, answered });
            }
            Ok(())
        }
    }
}

fn shape(expect: Expect, events: usize, body: &[u8], results: &mut Results) -> Result<(), Fault> {
    if expect == Expect::Status {
        return Ok(());
    }
    let answer: Value = serde_json::from_slice(body).map_err(|error| Fault::Shape(format!("not JSON: {error}")))?;
    match expect {
        Expect::Status => Ok(()),
        Expect::Recommendations => {
            text(&answer, "request_id")?;
            placement(&answer)
        }
        Expect::Decision => {
            text(&answer, "request_id")?;
            let placements = answer["placements"].as_object();
            let placements = placements.ok_or_else(|| missing("placements"))?;
            if placements.is_empty() {
                return Err(missing("placements"));
            }
            placements.values().try_for_each(placement)?;
            if events > 0 {
                sum(&answer["events"], events, results)?;
            }
            Ok(())
        }
        Expect::Results | Expect::Answered => sum(&answer, events, results),
    }
}

fn placement(answer: &Value) -> Result<(), Fault> {
    if answer.get("creative").is_some() {
        return Ok(());
    }
    if text(answer, "served_by")? == "unavailable" {
        return Err(Fault::Shape("served_by is `unavailable`".to_owned()));
    }
    let items = answer["items"].as_array().ok_or_else(|| missing("items"))?;
    items.iter().try_for_each(|item| text(item, "item_id").map(|_| ()))
}

fn sum(answer: &Value, sent: usize, results: &mut Results) -> Result<(), Fault> {
    let by_id = answer["results"].as_object().ok_or_else(|| missing("results"))?;
    let unread = answer["errors"].as_array().map_or(0, Vec::len);
    for result in by_id.values() {
        let name = text(result, "result")?;
        match results.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                results.insert(name.to_owned(), 1);
            }
        }
    }
    if unread > 0 {
        *results.entry("error".to_owned()).or_default() += unread as u64;
    }
    match by_id.len() + unread {
        answered if answered == sent => Ok(()),
        answered => Err(Fault::Unacknowledged { sent, answered }),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Fault> {
    value[field].as_str().ok_or_else(|| missing(field))
}

fn missing(field: &str) -> Fault {
    Fault::Shape(format!("`{field}` is missing or of another kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(expect: Expect, events: usize, body: &str) -> (Result<(), Fault>, Results) {
        let mut results = Results::new();
        let verdict = verify(Depth::Full, expect, events, 200, body.as_bytes(), &mut results);
        (verdict, results)
    }

    #[test]
    fn results_must_add_up() {
        let body = r#"{"results":{"a":{"result":"ok"},"b":{"result":"duplicate"}},"errors":[{"index":2,"code":"x"}]}"#;
        let (verdict, results) = full(Expect::Results, 3, body);
        assert_eq!(verdict, Ok(()));
        assert_eq!(format!("{results:?}"), r#"{"duplicate": 1, "error": 1, "ok": 1}"#);
        let (verdict, _) = full(Expect::Results, 4, body);
        assert_eq!(verdict, Err(Fault::Unacknowledged { sent: 4, answered: 3 }));
    }

    #[test]
    fn a_quick_look_wants_every_event_kept() {
        let body = br#"{"results":{"a":{"result":"ok"},"b":{"result":"drop"}}}"#;
        let quick = |events, status| verify(Depth::Quick, Expect::Results, events, status, body, &mut Results::new());
        assert_eq!(quick(1, 200), Ok(()));
        assert_eq!(quick(2, 200), Err(Fault::Unacknowledged { sent: 2, answered: 1 }));
        assert_eq!(quick(1, 503), Err(Fault::Status(503)));
    }

    #[test]
    fn decisions_have_items_or_a_creative() {
        let one = r#"{"request_id":"r","served_by":"co_occurrence","items":[{"item_id":"1"}]}"#;
        assert_eq!(full(Expect::Recommendations, 0, one).0, Ok(()));
        let page = format!(
            r#"{{"request_id":"r","placements":{{"a":{one},"b":{{"creative":null}}}},"events":{{"results":{{"e":{{"result":"ok"}}}}}}}}"#
        );
        assert_eq!(full(Expect::Decision, 1, &page).0, Ok(()));
        for bad in [
            "oops",
            r#"{"request_id":"r","items":[]}"#,
            r#"{"request_id":"r","served_by":"unavailable","items":[]}"#,
            r#"{"request_id":"r","served_by":"popular","items":[{}]}"#,
        ] {
            assert!(matches!(full(Expect::Recommendations, 0, bad).0, Err(Fault::Shape(_))), "{bad}");
        }
        assert!(full(Expect::Decision, 0, r#"{"request_id":"r","placements":{}}"#).0.is_err());
    }
}
