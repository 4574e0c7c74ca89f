//! One event, one effect: what was kept is not kept again.
//!
//! In two phases. An id that is being written answers `retry`, because if the write fails the sender must still have
//! it; `duplicate` is said only once it is durable. The window is a view of the event log: it is filled from the log's
//! last day when the server starts. Leases and the window are timed by the steady clock: a wall clock that is set by hours
//! forgets no id and prolongs no lease.

use foldhash::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Steady;
use crate::event::time::{DAY, MINUTE};
use crate::event::{Event, SiteId};

/// How long an id is remembered, at least; at most twice as long.
pub const WINDOW: i64 = DAY;

/// How long a write may take before its lease is void.
const LEASE: i64 = MINUTE;

/// The hash an id is remembered by, an event's or a visitor's: 128 bits of (site, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdHash(u128);

impl IdHash {
    /// Returns the hash of an id within its site.
    pub fn of(site: &SiteId, id: &str) -> Self {
        Self(hash_of([site.as_str(), id]))
    }

    /// Returns the hash of an event.
    pub fn of_event(event: &Event) -> Self {
        Self::of(&event.site, event.id.as_str())
    }

    /// Returns the bytes the hash is stored by.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// Returns 128 bits of some names, none of which holds a NUL.
pub(super) fn hash_of<const N: usize>(names: [&str; N]) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for (place, name) in names.into_iter().enumerate() {
        if place > 0 {
            hasher.update(&[0]);
        }
        hasher.update(name.as_bytes());
    }
    hasher.digest128()
}

/// What is known about an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Never seen: it is now leased to the caller.
    New,
    /// Someone is writing it.
    InFlight,
    /// It is durable.
    Duplicate,
}

/// The ids of the last day, and those being written.
#[derive(Debug)]
pub struct Dedupe {
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Ids and when the lease on them ends.
    leased: HashMap<IdHash, Steady>,
    current: HashSet<IdHash>,
    previous: HashSet<IdHash>,
    current_since: Option<Steady>,
}

impl Shard {
    /// Two generations of a window each: an id lives for one to two windows without a time of its own.
    fn turn(&mut self, now: Steady) {
        let since = *self.current_since.get_or_insert(now);
        if now.since(since) >= WINDOW {
            self.previous = std::mem::take(&mut self.current);
            if now.since(since) >= 2 * WINDOW {
                // Nobody asked for a whole generation: what is here is older than the next one would be.
                self.previous.clear();
            }
            self.current_since = Some(now);
            self.leased.retain(|_, until| *until > now);
        }
    }
}

impl Dedupe {
    /// Returns an empty window.
    pub fn new() -> Self {
        Self { shards: (0..16).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, hash: IdHash) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(hash.0 & 15).unwrap_or(0);
        // A panic while the lock was held leaves sets, which are valid at any point.
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks about an id and leases it if it is new.
    pub fn begin(&self, hash: IdHash, now: Steady) -> Seen {
        let mut shard = self.shard(hash);
        shard.turn(now);
        if shard.current.contains(&hash) || shard.previous.contains(&hash) {
            return Seen::Duplicate;
        }
        if shard.leased.get(&hash).is_some_and(|until| *until > now) {
            return Seen::InFlight;
        }
        shard.leased.insert(hash, now.plus(LEASE));
        Seen::New
    }

    /// Notes that an id is durable.
    pub fn commit(&self, hash: IdHash) {
        let mut shard = self.shard(hash);
        shard.leased.remove(&hash);
        shard.current.insert(hash);
    }

    /// Gives back the lease of an id that was not written.
    pub fn release(&self, hash: IdHash) {
        self.shard(hash).leased.remove(&hash);
    }
}

impl Default for Dedupe {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_until_durable_then_duplicate() {
        let dedupe = Dedupe::new();
        let id = IdHash::of(&SiteId::default_site(), "a");
        let now = Steady(0);
        assert_eq!(dedupe.begin(id, now), Seen::New);
        assert_eq!(dedupe.begin(id, now), Seen::InFlight);
        dedupe.release(id);
        assert_eq!(dedupe.begin(id, now), Seen::New);
        dedupe.commit(id);
        assert_eq!(dedupe.begin(id, now), Seen::Duplicate);
        assert_eq!(dedupe.begin(id, Steady(WINDOW - 1)), Seen::Duplicate);
        assert_eq!(dedupe.begin(IdHash::of(&SiteId::parse("b").unwrap(), "a"), now), Seen::New, "another site");
    }

    #[test]
    fn a_lost_lease_ends() {
        let dedupe = Dedupe::new();
        let id = IdHash::of(&SiteId::default_site(), "a");
        assert_eq!(dedupe.begin(id, Steady(0)), Seen::New);
        assert_eq!(dedupe.begin(id, Steady(LEASE)), Seen::New);
    }

    #[test]
    fn an_id_is_remembered_for_at_least_a_day_and_not_for_ever() {
        let dedupe = Dedupe::new();
        let id = |n: i64| IdHash::of(&SiteId::default_site(), &n.to_string());
        dedupe.begin(id(0), Steady(0));
        dedupe.commit(id(0));
        for step in 1..=30 {
            let now = Steady(step * WINDOW / 10);
            dedupe.begin(id(step), now);
            if step < 10 {
                assert_eq!(dedupe.begin(id(0), now), Seen::Duplicate, "step {step}");
            }
        }
        assert_eq!(dedupe.begin(id(0), Steady(4 * WINDOW)), Seen::New);
    }
}
