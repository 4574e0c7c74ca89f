//! What a storefront sends: sessions as batches of events.

use serde_json::{Value, json};

/// One visit, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionScript {
    pub visitor_id: String,
    pub session_id: String,
    pub batches: Vec<Batch>,
}

/// Events sent together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Counts the batches of a session, from 1.
    pub seq: u32,
    /// When it is sent, after the start of the session. Always 0 for the past.
    pub offset_ms: u64,
    pub events: Vec<Value>,
    /// The product whose page is open after these events, to ask recommendations for.
    pub viewing: Option<String>,
    /// What the cart holds after these events.
    pub cart: Vec<String>,
}

impl Batch {
    /// Returns the body for `POST /v1/events`.
    ///
    /// `sent_at` (microseconds since 1970) is the sender's clock now: the server corrects by it, and the past stays past.
    /// The key may also travel in a header; then it is `None` here.
    pub fn body(&self, session: &SessionScript, key: Option<&str>, sent_at: i64) -> String {
        let mut body = json!({
            "v": 1,
            "visitor_id": session.visitor_id,
            "session_id": session.session_id,
            "seq": self.seq,
            "sent_at": timestamp(sent_at),
            "consent": { "analytics": true, "personalization": true },
            "events": self.events,
        });
        if let Some(key) = key {
            body["key"] = key.into();
        }
        body.to_string()
    }
}

/// Returns RFC 3339 with microseconds, the way the wire has times.
pub(super) fn timestamp(micros: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.6}")
}
