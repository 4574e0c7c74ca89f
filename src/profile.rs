//! What is remembered of a visitor.
//!
//! A [`Profile`] is a fold over events ([`fold::fold`]), and the only code that turns events into profiles is that
//! function: live, in replay, in tests. It is *order-free*: the same events in any order give the same bytes, so that
//! late events and several nodes do no harm. Three rules make it so. Lists keep the greatest entries by (time, event),
//! and what falls off can never return. Counters are integers in buckets of a day. Everything that decays or depends
//! on order (affinities, the cart) is computed when it is read, in [`view`].

pub mod embedded;
pub mod fold;
pub mod redis;
pub mod store;
pub mod view;

use serde::{Deserialize, Serialize};

use crate::event::{Consent, ItemId, Timestamp};

/// Version of the encoding; the first byte of every stored profile.
const FORMAT: u8 = 1;

/// Items remembered per kind of interest.
pub const RECENT_ITEMS: usize = 100;
/// Purchases remembered, item by item.
pub const PURCHASES: usize = 200;
/// Cart changes remembered.
pub const CART_CHANGES: usize = 64;
/// Searches remembered.
pub const SEARCHES: usize = 20;
/// Day buckets kept for affinities, and for counters and impressions.
pub const AFFINITY_BUCKETS: usize = 96;

/// What is remembered of a visitor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// The latest word on consent.
    pub consent: Consent,
    /// How far each node's log has been folded in, by node; what lies before is not applied twice.
    watermarks: Vec<(u64, u64)>,
    /// Empty where personalization was never granted.
    pub memory: Memory,
}

/// What personalization may use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    /// Items looked at, each with its latest time, newest first.
    pub viewed: Vec<Seen>,
    /// Items put into a cart, likewise.
    pub carted: Vec<Seen>,
    /// Items bought, each time, newest first.
    pub bought: Vec<Seen>,
    /// Changes of the cart, newest first; see [`view::cart`].
    pub cart_changes: Vec<CartChange>,
    /// Interest in categories, by day.
    pub categories: Vec<Tally>,
    /// Interest in brands, by day.
    pub brands: Vec<Tally>,
    pub searches: Vec<Search>,
    /// How often each creative was on screen, by day.
    pub impressions: Vec<Tally>,
    /// How many events of each kind, by day.
    pub counts: Vec<Tally>,
}

/// An item and when it was last met. Ordered by time, then by the event's hash, then by item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    pub at: Timestamp,
    event: u64,
    pub item: ItemId,
}

/// A change of the cart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CartChange {
    pub at: Timestamp,
    event: u64,
    line: u32,
    pub what: CartOp,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CartOp {
    Add(ItemId, u32),
    Remove(ItemId, u32),
    /// A purchase empties the cart.
    Clear,
}

/// So much of something on a day. Ordered by day, then key, so that which buckets are kept does not depend on order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tally {
    pub day: i32,
    pub key: Box<str>,
    pub weight: u32,
}

/// A search and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Search {
    pub at: Timestamp,
    event: u64,
    pub term: Box<str>,
}

/// A stored profile that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a stored profile cannot be read: {0}")]
pub struct ProfileError(String);

impl Profile {
    /// Returns the profile as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        // Plain data into a growing vector: postcard has nothing to fail on.
        postcard::to_extend(self, vec![FORMAT]).unwrap_or_default()
    }

    /// Returns the profile of stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|e| ProfileError(e.to_string())),
            Some((version, _)) => Err(ProfileError(format!("format {version} is not known to this version"))),
            None => Err(ProfileError("it is empty".to_owned())),
        }
    }

    /// Returns how far `node`'s log has been folded in.
    pub fn watermark(&self, node: u64) -> Option<u64> {
        self.watermarks.iter().find(|(n, _)| *n == node).map(|(_, position)| *position)
    }

    /// Returns whether logs of other nodes have been folded in.
    pub fn has_other_watermarks(&self, node: u64) -> bool {
        self.watermarks.iter().any(|(n, _)| *n != node)
    }

    /// Notes that `node`'s log has been folded in up to and including `position`.
    pub fn set_watermark(&mut self, node: u64, position: u64) {
        match self.watermarks.binary_search_by_key(&node, |(n, _)| *n) {
            Ok(at) => self.watermarks[at].1 = self.watermarks[at].1.max(position),
            Err(at) => self.watermarks.insert(at, (node, position)),
        }
    }
}
