//! The vocabulary: what happened, to whom, when, and with whose consent.
//!
//! Everything here is a value. Wire formats (GA4 style beacons, the Segment API, import files) convert into a [`Draft`],
//! `collect::validate` turns a draft into an [`Event`], and from there on only `Event` is passed around. The `serde`
//! implementations of these types are the encoding of the event log (postcard, one version byte in front, see
//! `event_log::codec`); HTTP has types of its own.

pub mod consent;
pub mod draft;
pub mod fields;
pub mod ids;
pub mod json;
pub mod kind;
pub mod money;
pub mod object;
pub mod rejection;
pub mod time;

use serde::{Deserialize, Serialize};

pub use consent::{Consent, ConsentClaim, Purposes};
pub use draft::{Draft, DraftLine};
pub use ids::{CustomerId, EventId, ItemId, SiteId, VisitorId};
pub use kind::{EventKind, Signal};
pub use money::{Currency, UnitPrice};
pub use rejection::{Rejection, RejectionCode};
pub use time::Timestamp;

/// Something that happened, checked and ready to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub site: SiteId,
    pub id: EventId,
    pub kind: EventKind,
    pub visitor: VisitorId,
    /// The person, where the shop has said who it is.
    pub customer: Option<CustomerId>,
    /// The client's own session id; the server sessionizes by silence and keeps this beside it.
    pub session: Option<Box<str>>,
    /// Number of the batch within the client's session.
    pub seq: Option<i64>,
    /// When it happened by our clock: corrected for the client's (see [`time::corrected`]).
    pub ts: Timestamp,
    /// When it happened by the client's clock, where it said so.
    pub client_ts: Option<Timestamp>,
    /// When it was sent, by the client's clock.
    pub sent_at: Option<Timestamp>,
    pub received_at: Timestamp,
    /// What the visitor had agreed to when it happened; travels with the event so that a replay decides the same.
    pub consent: Consent,
    pub source: Source,
    pub items: Vec<Line>,
    pub currency: Option<Currency>,
    /// Total in minor units of `currency`.
    pub value_minor: Option<i64>,
    pub transaction_id: Option<Box<str>>,
    pub search_term: Option<Box<str>>,
    /// The creative an impression or a click is about.
    pub creative_id: Option<Box<str>>,
    /// The placement on the page.
    pub placement: Option<Box<str>>,
    /// The decision this event answers.
    pub recommendation_id: Option<Box<str>>,
    /// Every other parameter as one JSON object, or nothing.
    pub params: Option<Box<str>>,
}

/// One line of an event: an item, as many of it, at that price.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Line {
    pub item: ItemId,
    pub name: Option<Box<str>>,
    pub brand: Option<Box<str>>,
    /// From the broadest to the narrowest, at most five.
    pub categories: Vec<Box<str>>,
    pub variant: Option<Box<str>>,
    pub price: Option<UnitPrice>,
    pub quantity: Option<i64>,
    /// Position in the list it was shown in.
    pub index: Option<i64>,
}

/// Who said so: decides whether money is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A page, with a publishable key. May teach what goes together, is never revenue.
    Browser,
    /// The shop's server, with a secret key.
    Server,
    /// A file the shop gave us.
    Import,
}

impl Source {
    /// Returns the name used on the wire and in the archive.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Server => "server",
            Self::Import => "import",
        }
    }

    /// Returns the source of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "browser" => Some(Self::Browser),
            "server" => Some(Self::Server),
            "import" => Some(Self::Import),
            _ => None,
        }
    }

    /// Returns whether orders and refunds of this source count as money.
    pub fn is_trusted(self) -> bool {
        match self {
            Self::Browser => false,
            Self::Server | Self::Import => true,
        }
    }
}
