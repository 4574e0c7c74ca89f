//! What one event teaches between builds, small enough to be shared by all nodes, and without saying who it was.

use rapport_models::interactions::MAX_GROUP;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::build::groups::{BUY, CART, VIEW};
use crate::event::consent::{Analytics, Granted};
use crate::event::{Event, ItemId, Signal, SiteId, Timestamp};
use crate::event_log::{Committed, Position};

/// First byte of an encoded fact, so that nodes of two versions do not misread each other.
const VERSION: u8 = 1;

/// Items that somebody looked at or bought together, at a place in a node's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Whose log holds the event.
    pub node: u64,
    pub position: Position,
    pub at: Timestamp,
    /// Who it was, as a keyed hash: the same visitor is the same number on every node, and no more can be read from it.
    pub who: u64,
    /// The shop's server said so; then no cap holds.
    pub trusted: bool,
    pub what: What,
    pub items: Vec<ItemId>,
}

/// What was done with the items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// Looked at, or put into the cart: part of a visit, worth so much for popularity.
    Look { weight: f32 },
    /// Bought: part of the basket with this key.
    Buy { basket: u64 },
}

impl What {
    /// Returns what it is worth for popularity.
    pub fn weight(self) -> f32 {
        match self {
            Self::Look { weight } => weight,
            Self::Buy { .. } => BUY,
        }
    }
}

/// Makes numbers of names that cannot be turned back without the install's secret.
#[derive(Clone)]
pub struct Pseudonyms {
    key: [u8; 32],
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms(…)")
    }
}

impl Pseudonyms {
    /// Hashes with a key that all nodes of the install share.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    fn of(&self, site: &SiteId, kind: &str, parts: [&str; 2]) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        for part in [site.as_str(), kind].into_iter().chain(parts) {
            hasher.update(part.as_bytes());
            // Ids hold no control characters, so this ends a part unmistakably.
            hasher.update([0]);
        }
        let digest = hasher.finalize();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl Fact {
    /// Returns what an event teaches; nothing where it teaches nothing or may not be learnt from.
    ///
    /// What makes a basket is decided as in `build::groups`: a transaction, else a visitor's client session, else the
    /// event by itself.
    pub fn of(committed: &Committed, node: u64, names: &Pseudonyms) -> Option<Self> {
        let event = &committed.event;
        let granted = event.consent.purposes.analytics()?;
        let what = match event.kind.signal()? {
            Signal::View => What::Look { weight: VIEW },
            Signal::Cart => What::Look { weight: CART },
            Signal::Purchase => What::Buy { basket: basket(event, names) },
        };
        (!event.items.is_empty()).then(|| Self::granted(committed, node, names, what, granted))
    }

    fn granted(committed: &Committed, node: u64, names: &Pseudonyms, what: What, _granted: Granted<Analytics>) -> Self {
        let event = &committed.event;
        Self {
            node,
            position: committed.position,
            at: event.ts,
            who: names.of(&event.site, "visitor", [event.visitor.as_str(), ""]),
            trusted: event.source.is_trusted(),
            what,
            // A wholesale order is sampled evenly, as a build samples it: what it says of any one pair is little.
            items: event
                .items
                .iter()
                .step_by(event.items.len().div_ceil(MAX_GROUP).max(1))
                .map(|line| line.item.clone())
                .collect(),
        }
    }

    /// Returns the form that nodes send each other.
    pub fn encode(&self) -> Vec<u8> {
        // Plain fields: there is nothing that postcard cannot hold.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// Reads what [`Fact::encode`] wrote; nothing where another version wrote it or it is damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = bytes.split_first()? else { return None };
        postcard::from_bytes(rest).ok()
    }
}

fn basket(event: &Event, names: &Pseudonyms) -> u64 {
    match (&event.transaction_id, &event.session) {
        (Some(transaction), _) => names.of(&event.site, "transaction", [transaction, ""]),
        (None, Some(session)) => names.of(&event.site, "session", [event.visitor.as_str(), session]),
        (None, None) => names.of(&event.site, "event", [event.id.as_str(), ""]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_survives_the_wire_and_other_bytes_are_no_fact() {
        let fact = Fact {
            node: 7,
            position: Position(99),
            at: Timestamp(5),
            who: 3,
            trusted: true,
            what: What::Buy { basket: 8 },
            items: vec![ItemId::new("tea").unwrap()],
        };
        assert_eq!(Fact::decode(&fact.encode()), Some(fact.clone()));
        assert_eq!(Fact::decode(&[]), None);
        assert_eq!(Fact::decode(b"\x02rest"), None);
        let whole = fact.encode();
        for end in 0..whole.len() {
            assert_eq!(Fact::decode(&whole[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn names_depend_on_the_key_the_site_and_every_part() {
        let (one, two) = (Pseudonyms::new([1; 32]), Pseudonyms::new([2; 32]));
        let (shop, other) = (SiteId::parse("shop").unwrap(), SiteId::parse("other").unwrap());
        let anna = one.of(&shop, "visitor", ["anna", ""]);
        assert_eq!(anna, one.of(&shop, "visitor", ["anna", ""]));
        let others = [
            two.of(&shop, "visitor", ["anna", ""]),
            one.of(&other, "visitor", ["anna", ""]),
            one.of(&shop, "session", ["anna", ""]),
            one.of(&shop, "visitor", ["ann", "a"]),
        ];
        assert!(!others.contains(&anna));
    }
}
