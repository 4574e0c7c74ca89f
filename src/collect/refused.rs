//! What was refused: whose it is and what was agreed to, read from its text as far as that goes.
//!
//! Only a batch with something wrong in it is read again for this; what is right costs nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::beacon::{self, id_from_value};
use super::segment::{self, Call};
use super::validate::Envelope;
use crate::dead_letters::Dialect;
use crate::event::{ConsentClaim, Event, Rejection, VisitorId, json};

/// What a batch came as: its refused events are taken from there.
#[derive(Debug, Clone, Copy)]
pub enum Sent<'a> {
    /// A body of `/v1/events`.
    Beacon(&'a [u8]),
    /// The events of another body.
    Events(&'a [&'a RawValue]),
    /// A body of a Segment call.
    Segment(Call, &'a [u8]),
    /// It had been refused and is sent again: what it said of consent has been heard, and if it is refused again it is kept already.
    Again,
}

/// A refused event of a batch.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Its place in the batch.
    pub index: usize,
    pub text: Cow<'a, str>,
    pub dialect: Dialect,
    /// Whose it is, where it is anybody's.
    pub visitor: Option<VisitorId>,
    /// Its own word on consent; nothing where there may be one that cannot be read.
    pub claim: Option<ConsentClaim>,
}

impl<'a> Sent<'a> {
    /// Returns the refused events of the batch.
    pub fn refused(self, envelope: &Envelope, batch: &[Result<Event, Rejection>]) -> Vec<Refused<'a>> {
        if batch.iter().all(Result::is_ok) {
            return Vec::new();
        }
        let (dialect, texts): (_, Vec<Cow<'a, str>>) = match self {
            Self::Again => return Vec::new(),
            Self::Beacon(body) => (Dialect::Rapport, beacon::events_of(body).into_iter().map(Cow::Borrowed).collect()),
            Self::Events(events) => (Dialect::Rapport, events.iter().map(|raw| Cow::Borrowed(raw.get())).collect()),
            Self::Segment(call, body) => (Dialect::Segment, segment::calls_of(call, body).into_iter().map(Cow::Owned).collect()),
        };
        let refused = texts.into_iter().enumerate().filter(|(index, _)| batch.get(*index).is_some_and(Result::is_err));
        refused
            .map(|(index, text)| {
                let own = match dialect {
                    Dialect::Rapport => own_words(&text),
                    Dialect::Segment => segment::words(&text),
                };
                // As for an event that is right, see `validate`.
                let visitor = match own.visitor_id {
                    Some(own) if envelope.source.is_trusted() || envelope.visitor.is_none() => VisitorId::new(&own).ok(),
                    Some(_) | None => envelope.visitor.clone(),
                };
                let claim = match own.consent {
                    Some(Value::Null) => Some(ConsentClaim::default()),
                    Some(value) => json::claim_from_value(value).ok(),
                    None => None,
                };
                Refused { index, text, dialect, visitor, claim }
            })
            .collect()
    }
}

/// What an event that cannot be used says of whose it is.
#[derive(Debug, Default)]
pub struct Words {
    pub visitor_id: Option<String>,
    /// What it says of consent: `null` where that is nothing, nothing where it cannot be told.
    pub consent: Option<Value>,
}

/// Reads the words of an event in our own form, even if the rest of it is beyond reading.
fn own_words(text: &str) -> Words {
    if !text.trim_start().starts_with('{') {
        // What is no object has no word of its own.
        return Words { visitor_id: None, consent: Some(Value::Null) };
    }
    let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else { return Words::default() };
    let value = |name: &str| fields.get(name).map_or(Ok(Value::Null), |raw| serde_json::from_str::<Value>(raw.get()));
    Words { visitor_id: value("visitor_id").ok().as_ref().and_then(id_from_value), consent: value("consent").ok() }
}
