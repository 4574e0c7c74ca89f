//! Reading on in the event log, so that what happens shows between builds.
//!
//! The log is the queue: whoever follows it is never in the way of an acknowledgement, misses nothing by being slow, and
//! a start is the same as going on. Reading begins where the active build stopped, or not much before; only what is
//! durable is read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::{error, warn};

use super::fact::{Fact, Pseudonyms};
use super::ledger::LeftOut;
use crate::event::SiteId;
use crate::event_log::{Archive, Committed, EventLog, LogError, Position, Reader};
use crate::metrics::Metrics;
use crate::site::Site;

/// Events read at a time, so that nobody who makes a snapshot waits long.
const CHUNK: usize = 2_000;
/// Bytes of the log before the build's end that are read too: orders and visits that the build knows the beginning of.
const LOOK_BACK: u64 = 8 << 20;
/// Bytes of the log that are read at most; some half a million events, more than a ledger keeps.
const MOST_BYTES: u64 = 128 << 20;

/// Where the log is, and whose it is.
#[derive(Debug, Clone)]
pub struct Log {
    pub log: EventLog,
    pub log_dir: PathBuf,
    pub archive: Archive,
    pub node: u64,
    pub names: Pseudonyms,
}

impl Log {
    /// Returns the position to read from in order to have everything after `learnt`, as far as that is affordable.
    fn start(&self, learnt: u64) -> u64 {
        learnt.saturating_sub(LOOK_BACK).max(self.affordable())
    }

    /// Returns the earliest position that is not too far back.
    fn affordable(&self) -> u64 {
        self.log.end().0.saturating_sub(MOST_BYTES)
    }
}

/// The durable events of the log, one after the other.
#[derive(Debug)]
struct Tail {
    reader: Reader,
    /// Read, but not known to be durable yet.
    held: Option<Committed>,
    /// Where the log ended when all of it was read.
    done: Option<Position>,
}

impl Tail {
    fn open(log: &Log, from: u64) -> Result<Self, LogError> {
        Ok(Self { reader: Reader::open(&log.log_dir, &log.archive, Position(from))?, held: None, done: None })
    }

    fn position(&self) -> u64 {
        self.held.as_ref().map_or_else(|| self.reader.position().0, |held| held.position.0)
    }

    /// Returns up to `CHUNK` events that lie before `end`.
    fn read(&mut self, end: Position) -> Vec<Committed> {
        let mut events = Vec::new();
        while events.len() < CHUNK && self.done != Some(end) {
            match self.held.take().map_or_else(|| self.reader.next().transpose(), |held| Ok(Some(held))) {
                Ok(Some(committed)) if committed.position >= end => {
                    self.held = Some(committed);
                    self.done = Some(end);
                }
                Ok(Some(committed)) => events.push(committed),
                Ok(None) => self.done = Some(end),
                Err(error @ (LogError::Corrupt { .. } | LogError::Missing { .. })) => {
                    error!(%error, "What is damaged in the event log does not count for recommendations until a build says so");
                }
                Err(error) => {
                    warn!(%error, "The event log cannot be followed just now; it is tried again");
                    break;
                }
            }
        }
        events
    }
}

/// Follows this process's own log.
#[derive(Debug)]
pub struct Follower {
    log: Log,
    metrics: Metrics,
    tail: Option<Tail>,
}

impl Follower {
    /// Begins nowhere; the first step looks what the sites need.
    pub fn new(log: Log, metrics: Metrics) -> Self {
        Self { log, metrics, tail: None }
    }

    /// Takes in a part of what is new in the log. Returns whether there is more. Blocking.
    pub fn step(&mut self, sites: &[Arc<Site>]) -> Result<bool, LogError> {
        let mut from = None;
        for site in sites {
            if let Some(learnt) = site.live.unread_from() {
                let start = self.log.start(learnt);
                site.live.read_from(start);
                from = Some(from.map_or(start, |from: u64| from.min(start)));
            }
        }
        if let Some(from) = from {
            // A site that needs no more than before ignores what it was told already.
            self.tail = Some(Tail::open(&self.log, from.min(self.tail.as_ref().map_or(u64::MAX, Tail::position)))?);
        }
        let Some(tail) = &mut self.tail else { return Ok(false) };
        let events = tail.read(self.log.log.end());
        let more = events.len() >= CHUNK;
        let facts = by_site(&events, &self.log);
        for site in sites {
            if let Some(facts) = facts.get(&site.id) {
                let left_out = site.live.learn(facts);
                count(&self.metrics, &site.id, "own", facts.len(), left_out);
            }
            site.live.show();
        }
        Ok(more)
    }
}

/// Notes what was counted.
pub(super) fn count(metrics: &Metrics, site: &SiteId, from: &str, facts: usize, left_out: LeftOut) {
    metrics.fresh_facts.with_label_values(&[site.as_str(), from]).inc_by(facts as u64);
    for (why, times) in [("visitor_cap", left_out.capped), ("no_room", left_out.no_room)] {
        if times > 0 {
            metrics.fresh_left_out.with_label_values(&[site.as_str(), why]).inc_by(times);
        }
    }
}

fn by_site(events: &[Committed], log: &Log) -> BTreeMap<SiteId, Vec<Fact>> {
    let mut facts: BTreeMap<SiteId, Vec<Fact>> = BTreeMap::new();
    for committed in events {
        if let Some(fact) = Fact::of(committed, log.node, &log.names) {
            facts.entry(committed.event.site.clone()).or_default().push(fact);
        }
    }
    facts
}

/// Follows the log a second time, for the other nodes; it falls behind while they cannot be reached.
#[derive(Debug)]
pub struct Outgoing {
    log: Log,
    tail: Option<Tail>,
}

impl Outgoing {
    pub(super) fn new(log: Log) -> Self {
        Self { log, tail: None }
    }

    pub(super) fn node(&self) -> u64 {
        self.log.node
    }

    /// Returns the next facts of every site and the position everything before which they cover, or nothing where there
    /// is nothing new. `shared` is where to begin. Blocking.
    pub(super) fn read(&mut self, shared: u64, metrics: &Metrics) -> Result<Option<Batch>, LogError> {
        let end = self.log.log.end();
        let from = self.tail.as_ref().map_or(shared, Tail::position);
        let affordable = self.log.affordable();
        if from < affordable {
            metrics.fresh_unshared_bytes.inc_by(affordable - from);
        }
        if self.tail.is_none() || from < affordable {
            self.tail = Some(Tail::open(&self.log, from.max(affordable))?);
        }
        let Some(tail) = &mut self.tail else { return Ok(None) };
        let events = tail.read(end);
        let Some(through) = events.last().map(|committed| committed.position.after().0) else { return Ok(None) };
        Ok(Some(Batch { facts: by_site(&events, &self.log), through }))
    }
}

/// Facts to be shared.
#[derive(Debug)]
pub struct Batch {
    pub facts: BTreeMap<SiteId, Vec<Fact>>,
    /// They are all there are before this position of the node's log.
    pub through: u64,
}
