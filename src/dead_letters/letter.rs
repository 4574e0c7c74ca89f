//! One letter: a refused event and all that is needed to send it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::collect::beacon::id_from_value;
use crate::collect::validate::Envelope;
use crate::config::SitePolicy;
use crate::event::{ConsentClaim, Rejection, SiteId, Source, Timestamp, VisitorId};

/// What an event is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    Rapport,
    Segment,
}

/// A refused event, as it is kept and listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Letter {
    /// Its number, given when it is kept.
    pub position: u64,
    pub received_at: Timestamp,
    pub site: SiteId,
    /// Whose it is, where that could be told.
    pub visitor: Option<VisitorId>,
    /// Why it was refused; see [`crate::event::RejectionCode`].
    pub code: String,
    pub detail: String,
    pub source: Source,
    pub dialect: Dialect,
    /// What its batch said.
    pub batch: Batch,
    /// The event as it came.
    pub event: String,
}

/// The words of a batch that hold for a letter of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Batch {
    /// The visitor of the batch; the letter's own may be another.
    pub visitor: Option<VisitorId>,
    pub session: Option<String>,
    /// The number of the batch, which the event has where it does not say its own.
    pub seq: Option<i64>,
    pub sent_at: Option<Timestamp>,
    pub consent: ConsentClaim,
    pub gpc: bool,
}

/// Members of an event, in any dialect, that name somebody.
const PEOPLE: [&str; 4] = ["visitor_id", "customer_id", "anonymousId", "userId"];

impl Letter {
    /// Returns a letter that has no position yet.
    pub fn new(envelope: &Envelope, visitor: Option<VisitorId>, rejection: &Rejection, dialect: Dialect, event: String) -> Self {
        Self {
            position: 0,
            received_at: envelope.received_at,
            site: envelope.site.clone(),
            visitor,
            code: rejection.code.to_string(),
            detail: rejection.detail.clone(),
            source: envelope.source,
            dialect,
            batch: Batch {
                visitor: envelope.visitor.clone(),
                session: envelope.session.clone(),
                seq: envelope.seq,
                sent_at: envelope.sent_at,
                consent: envelope.consent,
                gpc: envelope.gpc,
            },
            event,
        }
    }

    /// Returns the envelope it came in, under what holds now.
    pub fn envelope(&self, policy: SitePolicy, max_items: usize) -> Envelope {
        Envelope {
            site: self.site.clone(),
            policy,
            source: self.source,
            visitor: self.batch.visitor.clone(),
            session: self.batch.session.clone(),
            seq: self.batch.seq,
            discarded: Vec::new(),
            sent_at: self.batch.sent_at,
            received_at: self.received_at,
            consent: self.batch.consent,
            gpc: self.batch.gpc,
            max_items,
        }
    }

    /// Returns roughly how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.event.len() + self.detail.len() + 1_024
    }

    /// Returns everybody it is of or names, so that it is found when one of them is to be erased.
    pub fn people(&self) -> Vec<String> {
        let mut people: Vec<String> = self.visitor.iter().map(|visitor| visitor.as_str().to_owned()).collect();
        // An event that is no object names nobody.
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(&self.event).unwrap_or_default();
        let values = PEOPLE.iter().filter_map(|name| serde_json::from_str::<Value>(fields.get(*name)?.get()).ok());
        // A text may be longer than an id may be, and still be asked for.
        people.extend(values.filter_map(|value| value.as_str().map(str::to_owned).or_else(|| id_from_value(&value))));
        people
    }

    /// Returns whether it is of somebody or names them, on that site or on any.
    pub fn is_of(&self, site: Option<&SiteId>, person: &str) -> bool {
        site.is_none_or(|site| *site == self.site) && self.people().iter().any(|other| other == person)
    }
}
