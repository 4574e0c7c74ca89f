//! Decoding a beacon: the batch a page or a server posts to `/v1/events`.
//!
//! The batch is read in two steps, so that one bad event costs only itself: first the frame, with each event left as
//! text, then each event.

use std::io::Read;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::collect::Decoded;
use crate::collect::loss::{GivenUp, GivenUpBody};
use crate::event::object::Object;
use crate::event::{ConsentClaim, Rejection, RejectionCode, Timestamp, json};

/// Most reasons for which a batch may say that events were given up.
const MOST_REASONS: usize = 20;

/// A batch as it was sent.
#[derive(Debug, Default)]
pub struct Beacon {
    /// The publishable key, for senders that cannot set headers.
    pub key: Option<String>,
    pub visitor_id: Option<String>,
    pub session_id: Option<String>,
    /// Which batch of the session this is.
    pub seq: Option<i64>,
    /// What the sender gave up.
    pub discarded: Vec<GivenUp>,
    pub sent_at: Option<Timestamp>,
    pub consent: ConsentClaim,
    pub events: Vec<Entry>,
}

/// One event of a batch.
#[derive(Debug)]
pub struct Entry {
    /// The event's id, wherever it could be read, so that its result can be told.
    pub id: Option<String>,
    pub decoded: Decoded,
}

/// Why nothing of a body could be read.
#[derive(Debug, thiserror::Error)]
pub enum BeaconError {
    #[error("The body is no JSON: {0}.")]
    Malformed(String),
    #[error("{0}")]
    Invalid(String),
}

/// How large things may be.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    pub events: usize,
    pub event_bytes: usize,
}

/// The frame of a batch; everything inside is still text.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    v: Option<&'a RawValue>,
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    visitor_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    seq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    discarded: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    consent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    events: Option<&'a RawValue>,
}

/// Reads a batch. The caps are asked for once the key is known, since they depend on whose it is.
pub fn decode<E: From<BeaconError>>(body: &[u8], caps: impl FnOnce(Option<&str>) -> Result<Caps, E>) -> Result<Beacon, E> {
    let text = std::str::from_utf8(body).map_err(|e| BeaconError::Malformed(format!("it is not UTF-8 ({e})")))?;
    let Object::<Frame<'_>>(frame) = serde_json::from_str(text).map_err(|e| {
        let message = e.to_string();
        if e.is_data() {
            BeaconError::Invalid(format!("The body must be one JSON object: {message}."))
        } else {
            BeaconError::Malformed(message)
        }
    })?;
    if let Some(version) = typed::<i64>("v", frame.v)?
        && version != 1
    {
        return Err(BeaconError::Invalid(format!("`v` is {version}; this server speaks version 1.")).into());
    }
    let key = typed::<String>("key", frame.key)?;
    let caps = caps(key.as_deref())?;
    let invalid = |r: Rejection| BeaconError::Invalid(r.detail);
    let sent_at = match typed::<serde_json::Value>("sent_at", frame.sent_at)? {
        Some(value) => json::time_from_value("sent_at", value).map_err(invalid)?,
        None => None,
    };
    let consent = match typed::<serde_json::Value>("consent", frame.consent)? {
        Some(value) => json::claim_from_value(value).map_err(invalid)?,
        None => ConsentClaim::default(),
    };
    let events = entries(&typed::<Vec<&RawValue>>("events", frame.events)?.unwrap_or_default(), caps);
    Ok(Beacon {
        key,
        visitor_id: id("visitor_id", frame.visitor_id)?,
        session_id: id("session_id", frame.session_id)?,
        seq: typed("seq", frame.seq)?,
        discarded: given_up(frame.discarded)?,
        sent_at,
        consent,
        events,
    })
}

/// Reads the events of a batch; those beyond the cap are refused, each by itself.
pub fn entries(events: &[&RawValue], caps: Caps) -> Vec<Entry> {
    let read = |(index, raw): (usize, &&RawValue)| {
        if index < caps.events { entry(raw.get(), caps.event_bytes) } else { Entry::beyond(caps.events, id_of(raw.get())) }
    };
    events.iter().enumerate().map(read).collect()
}

impl Entry {
    /// Returns an event that its batch has no room for.
    pub fn beyond(most: usize, id: Option<String>) -> Self {
        let detail = format!("A batch may have {most} events; send the rest in another.");
        Self { id, decoded: Err(Rejection::new(RejectionCode::BatchTooLarge, detail)) }
    }

    /// Returns an event that is larger than allowed.
    pub fn too_large(bytes: usize, most: usize, id: Option<String>) -> Self {
        let detail = format!("The event has {bytes} bytes; at most {most} are allowed.");
        Self { id, decoded: Err(Rejection::new(RejectionCode::EventTooLarge, detail)) }
    }
}

/// Returns the text of each event of a body, in order; of a body that cannot be read none.
pub fn events_of(body: &[u8]) -> Vec<&str> {
    let Ok(Object::<Frame<'_>>(frame)) = serde_json::from_slice(body) else { return Vec::new() };
    let events = typed::<Vec<&RawValue>>("events", frame.events).ok().flatten().unwrap_or_default();
    events.into_iter().map(RawValue::get).collect()
}

/// Reads one event of a batch.
pub fn entry(text: &str, max_bytes: usize) -> Entry {
    if text.len() > max_bytes {
        return Entry::too_large(text.len(), max_bytes, id_of(text));
    }
    match json::draft_from_str(text) {
        Ok(draft) => Entry { id: readable(draft.id.clone()), decoded: Ok(draft) },
        Err(rejection) => Entry { id: id_of(text), decoded: Err(rejection) },
    }
}

/// Returns the id of an event that is otherwise unreadable, where it has one.
pub fn id_of(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Id {
        id: serde_json::Value,
    }
    let Object(Id { id }) = serde_json::from_str(text).ok()?;
    id_from_value(&id)
}

/// Returns the id a value is, where it is one.
pub fn id_from_value(id: &serde_json::Value) -> Option<String> {
    match id {
        serde_json::Value::String(id) => readable(id.clone()),
        serde_json::Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    }
}

/// The id of a result is a key of the answer: bounded like every id.
fn readable(id: String) -> Option<String> {
    (!id.is_empty() && id.len() <= crate::event::ids::MAX_ID_BYTES).then_some(id)
}

/// Reads what the sender gave up.
fn given_up(raw: Option<&RawValue>) -> Result<Vec<GivenUp>, BeaconError> {
    let reports = typed::<Vec<Object<GivenUpBody>>>("discarded", raw)?.unwrap_or_default();
    if reports.len() > MOST_REASONS {
        return Err(BeaconError::Invalid(format!("`discarded` may name {MOST_REASONS} reasons.")));
    }
    Ok(reports.into_iter().map(|Object(report)| report.into()).collect())
}

fn typed<'a, T: Deserialize<'a>>(name: &str, raw: Option<&'a RawValue>) -> Result<Option<T>, BeaconError> {
    match raw {
        None => Ok(None),
        Some(raw) => serde_json::from_str::<Option<T>>(raw.get())
            .map_err(|e| BeaconError::Invalid(format!("`{name}` is not as documented: {e}."))),
    }
}

/// An id may be written as a whole number.
fn id(name: &str, raw: Option<&RawValue>) -> Result<Option<String>, BeaconError> {
    match typed::<serde_json::Value>(name, raw)? {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text)),
        Some(serde_json::Value::Number(n)) if n.is_i64() || n.is_u64() => Ok(Some(n.to_string())),
        Some(_) => Err(BeaconError::Invalid(format!("`{name}` must be a string."))),
    }
}

/// Why a compressed body was not unpacked.
#[derive(Debug, PartialEq, Eq)]
pub enum GunzipError {
    /// It grows beyond the cap.
    TooLarge,
    Damaged,
}

/// Unpacks a gzip body, which never grows beyond `most` bytes in memory.
pub fn gunzip(body: &[u8], most: usize) -> Result<Vec<u8>, GunzipError> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::MultiGzDecoder::new(body).take(limit).read_to_end(&mut unpacked).map_err(|_| GunzipError::Damaged)?;
    if unpacked.len() > most { Err(GunzipError::TooLarge) } else { Ok(unpacked) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPS: Caps = Caps { events: 3, event_bytes: 500 };

    fn read(body: &str) -> Result<Beacon, BeaconError> {
        decode(body.as_bytes(), |_| Ok(CAPS))
    }

    #[track_caller]
    fn codes(body: &str) -> Vec<(Option<String>, Option<RejectionCode>)> {
        read(body).unwrap().events.into_iter().map(|e| (e.id, e.decoded.err().map(|r| r.code))).collect()
    }

    #[test]
    fn one_bad_event_costs_only_itself() {
        let events = codes(
            r#"{"events":[{"id":"a","type":"view_item","items":[{"item_id":1}]},{"id":"b","type":7},"x",{"id":"d","type":"page_view"}]}"#,
        );
        assert_eq!(events[0], (Some("a".into()), None));
        assert_eq!(events[1], (Some("b".into()), Some(RejectionCode::WrongType)));
        assert_eq!(events[2], (None, Some(RejectionCode::InvalidJson)));
        assert_eq!(events[3], (Some("d".into()), Some(RejectionCode::BatchTooLarge)));
    }

    #[test]
    fn a_number_beyond_all_numbers_costs_only_its_event() {
        let events = codes(r#"{"events":[{"id":"a","type":"purchase","value":1e999},{"id":"b","type":"page_view"}]}"#);
        assert_eq!(events[0].1, Some(RejectionCode::InvalidJson));
        assert_eq!(events[1].1, None);
    }

    #[test]
    fn depth_is_no_weapon() {
        let deep = format!(r#"{{"events":[{{"id":"a","type":"page_view","x":{}{}}}]}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(codes(&deep)[0].1, Some(RejectionCode::InvalidJson));
        let deeper = "[".repeat(100_000);
        assert!(read(&deeper).is_err());
    }

    #[test]
    fn what_is_no_batch_says_so() {
        for body in [
            "",
            "{",
            "[]",
            "7",
            "null",
            "{\"events\":{}}",
            "{\"v\":2}",
            "{\"seq\":\"x\"}",
            "{\"discarded\":3}",
            "{\"discarded\":[{\"reason\":\"overflow\"}]}",
            "{\"discarded\":[{\"reason\":\"overflow\",\"count\":1.5}]}",
            "{\"consent\":1}",
            "{\"sent_at\":\"noon\"}",
        ] {
            assert!(read(body).is_err(), "{body}");
        }
        assert!(decode(b"{\"events\":[\xff]}", |_| Ok::<_, BeaconError>(CAPS)).is_err());
    }

    #[test]
    fn what_was_given_up_is_counted_by_known_reasons() {
        let reports = |body: &str| -> Vec<(&str, u64)> {
            read(body).unwrap().discarded.into_iter().map(|r| (r.reason.as_str(), r.count)).collect()
        };
        let told = reports(
            r#"{"discarded":[{"reason":"overflow","count":3},{"reason":"moon","count":1},{"reason":"expired","count":-2},{"reason":"invalid","count":1000000000,"more":1}]}"#,
        );
        assert_eq!(told, [("overflow", 3), ("other", 1), ("expired", 0), ("invalid", 100_000)]);
        for none in ["{}", r#"{"discarded":null}"#, r#"{"discarded":[]}"#] {
            assert!(reports(none).is_empty(), "{none}");
        }
        let many = vec![r#"{"reason":"x","count":1}"#; MOST_REASONS + 1].join(",");
        assert!(read(&format!(r#"{{"discarded":[{many}]}}"#)).is_err());
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        use std::io::Write as _;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b' '; 10_000_000]).unwrap();
        let bomb = packer.finish().unwrap();
        assert_eq!(gunzip(&bomb, 100_000), Err(GunzipError::TooLarge));
        assert_eq!(gunzip(b"not gzip", 100), Err(GunzipError::Damaged));
        assert_eq!(gunzip(&bomb, 10_000_000).unwrap().len(), 10_000_000);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes, |_| Ok::<_, BeaconError>(CAPS));
        }

        #[test]
        fn any_json_like_text_decodes_or_is_refused(text in r#"[{}\[\]",:a-z0-9.eE+\\-]{0,120}"#) {
            let _ = read(&text);
            let _ = read(&format!(r#"{{"events":[{text}]}}"#));
            let _ = entry(&text, 1000);
        }

        #[test]
        fn any_value_in_any_known_field_is_no_panic(
            field in prop::sample::select(vec!["id","type","ts","age_ms","sent_at","items","consent","value","currency","seq","session_id","visitor_id","search_term","params"]),
            value in prop::sample::select(vec!["null","true","-1","1e308","-0.0","\"\"","\"\\ud800\"","\"\\u0000\"","[]","[[]]","{}","{\"item_id\":1}","9223372036854775808","\"2026-13-45\""]),
        ) {
            let text = format!(r#"{{"id":"x","type":"view_item","items":[{{"item_id":"1"}}],"{field}":{value}}}"#);
            let _ = entry(&text, 1000);
        }
    }
}
