//! An event as its sender described it: typed, but nothing else checked.

use super::consent::ConsentClaim;
use super::time::ClientTime;
use super::{EventKind, Source, Timestamp};

/// What a sender says happened. `collect::validate` makes an `Event` of it or says why not.
///
/// Amounts are decimals as on the wire; the validator turns them into integers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Draft {
    pub id: String,
    /// The event's name; see [`EventKind`].
    pub kind: String,
    /// Who it was, where the event says so itself (imports, Segment); else the batch does.
    pub visitor_id: Option<String>,
    pub customer_id: Option<String>,
    pub session_id: Option<String>,
    pub seq: Option<i64>,
    pub time: ClientTime,
    /// The event's own consent, which wins over its batch's.
    pub consent: Option<ConsentClaim>,
    pub items: Vec<DraftLine>,
    pub currency: Option<String>,
    pub value: Option<f64>,
    pub transaction_id: Option<String>,
    pub search_term: Option<String>,
    pub creative_id: Option<String>,
    pub placement: Option<String>,
    pub recommendation_id: Option<String>,
    /// Every parameter without a field of its own.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// What was recorded when the event was first kept; believed only from files the shop imports.
    pub recorded: Recorded,
}

/// The circumstances of an event that was kept before, as an export gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recorded {
    pub source: Option<Source>,
    pub received_at: Option<Timestamp>,
    pub client_ts: Option<Timestamp>,
}

/// One line of a [`Draft`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DraftLine {
    pub item_id: String,
    pub name: Option<String>,
    pub brand: Option<String>,
    pub categories: Vec<String>,
    pub variant: Option<String>,
    pub price: Option<f64>,
    pub quantity: Option<i64>,
    pub index: Option<i64>,
}

impl Draft {
    /// Returns a draft of that kind with nothing else said.
    pub fn new(id: impl Into<String>, kind: &EventKind) -> Self {
        Self { id: id.into(), kind: kind.as_str().to_owned(), ..Self::default() }
    }
}
