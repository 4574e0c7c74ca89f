//! What never arrived: gaps in the numbers that senders give their events, and what senders say they gave up.
//!
//! A sender numbers the events of a session one by one (`seq`). [`Numbers`] knows which have arrived; what lies between the
//! first and the last of them and has not is missing. `rapport doctor` counts so over the whole log; [`Losses`] counts while
//! serving, in bounded memory, for `/metrics`.
//!
//! Neither can see what was lost before the first number that arrived or after the last. Serving sees only what this node
//! took in, and closes a session while some of it may still be on its way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::dedupe::hash_of;
use crate::clock::Steady;
use crate::event::{Event, SiteId, VisitorId};
use crate::metrics::Metrics;

/// Gaps of one session that are told apart; a session that has more is no page's.
const MOST_RUNS: usize = 256;
/// A number further away from those known is another count, not a gap.
const LARGEST_STEP: i64 = 10_000;
/// Sessions of a generation. Twice as many take some 15 MB.
const MOST_SESSIONS: usize = 50_000;
/// Most events a report is believed to have given up for one reason.
const MOST_GIVEN_UP: i64 = 100_000;

/// Why a sender gave events up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUpReason {
    /// More was waiting than may wait.
    Overflow,
    /// It could not be sent for too long.
    Expired,
    /// The server refused it.
    Rejected,
    /// It was larger than an event may be. It never had a number.
    TooLarge,
    /// It could not be written as JSON. It never had a number.
    Invalid,
    /// A reason we do not know.
    Other,
}

impl GivenUpReason {
    /// Every reason, for documentation and metrics.
    pub const ALL: &[Self] = &[Self::Overflow, Self::Expired, Self::Rejected, Self::TooLarge, Self::Invalid, Self::Other];

    /// Returns the word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::Other => "other",
        }
    }

    /// Returns the reason of that name, or [`Self::Other`].
    pub fn parse(name: &str) -> Self {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name).unwrap_or(Self::Other)
    }

    /// Returns whether such events have left a gap.
    fn had_number(self) -> bool {
        match self {
            Self::Overflow | Self::Expired | Self::Rejected | Self::Other => true,
            Self::TooLarge | Self::Invalid => false,
        }
    }
}

/// Events that their sender gave up, for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp {
    pub reason: GivenUpReason,
    pub count: u64,
}

/// A [`GivenUp`] as it is sent.
#[derive(Debug, Deserialize)]
pub struct GivenUpBody {
    reason: String,
    count: i64,
}

impl From<GivenUpBody> for GivenUp {
    fn from(body: GivenUpBody) -> Self {
        // Tabs that share a count may come to less than none.
        let count = u64::try_from(body.count.clamp(0, MOST_GIVEN_UP)).unwrap_or(0);
        Self { reason: GivenUpReason::parse(&body.reason), count }
    }
}

/// The hash a session is known by: 128 bits of (site, visitor, session).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHash(u128);

impl SessionHash {
    fn of(site: &SiteId, visitor: &VisitorId, session: &str) -> Self {
        Self(hash_of([site.as_str(), visitor.as_str(), session]))
    }
}

/// Returns the session and the number of an event that has both.
pub fn number_of(event: &Event) -> Option<(SessionHash, i64)> {
    let session = event.session.as_deref()?;
    Some((SessionHash::of(&event.site, &event.visitor, session), event.seq?))
}

/// The numbers of one session that have arrived.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// First and last of each run without a gap, ascending.
    runs: Vec<(i64, i64)>,
}

impl Numbers {
    /// Notes a number. One that is known already changes nothing.
    pub fn insert(&mut self, number: i64) {
        let at = self.runs.partition_point(|run| run.1 < number);
        let (before, after) = (at.checked_sub(1).and_then(|n| self.runs.get(n)), self.runs.get(at));
        if after.is_some_and(|run| run.0 <= number) {
            return;
        }
        let follows = before.is_some_and(|run| run.1.checked_add(1) == Some(number));
        let leads = after.is_some_and(|run| number.checked_add(1) == Some(run.0));
        let beside = [before.map(|run| run.1), after.map(|run| run.0)].into_iter().flatten();
        let near = beside.map(|known| known.abs_diff(number)).min().is_none_or(|step| step <= LARGEST_STEP.unsigned_abs());
        let last = after.map_or(number, |run| run.1);
        match (follows, leads) {
            (true, true) => {
                self.runs.remove(at);
                self.runs[at - 1].1 = last;
            }
            (true, false) => self.runs[at - 1].1 = number,
            (false, true) => self.runs[at].0 = number,
            (false, false) if near && self.runs.len() < MOST_RUNS => self.runs.insert(at, (number, number)),
            (false, false) => {}
        }
    }

    /// Returns how many numbers have arrived.
    pub fn arrived(&self) -> u64 {
        self.runs.iter().map(|(first, last)| last.abs_diff(*first) + 1).sum()
    }

    /// Returns how many numbers between the first and the last have not.
    pub fn missing(&self) -> u64 {
        self.runs.windows(2).map(|pair| if let [(_, last), (next, _)] = pair { next.abs_diff(*last) - 1 } else { 0 }).sum()
    }
}

/// Counts what is missing while serving, for `/metrics`.
///
/// A session counts once it has been silent for one to two windows: it is then in neither of two generations. A number
/// that arrives later is counted as missing and as arrived.
#[derive(Debug)]
pub struct Losses {
    metrics: Metrics,
    /// Microseconds.
    window: i64,
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    recent: HashMap<SessionHash, Session>,
    before: HashMap<SessionHash, Session>,
    since: Option<Steady>,
}

#[derive(Debug)]
struct Session {
    site: SiteId,
    numbers: Numbers,
    /// Numbered events its sender said it gave up: their gaps are explained.
    given_up: u64,
}

impl Losses {
    /// Counts into these metrics; a window is given in microseconds.
    pub fn new(metrics: Metrics, window: i64) -> Self {
        Self { metrics, window, sessions: Mutex::default() }
    }

    /// Notes numbers that have arrived.
    pub fn arrived(&self, site: &SiteId, numbers: &[(SessionHash, i64)], now: Steady) {
        if numbers.is_empty() {
            return;
        }
        self.with(now, |sessions| {
            for (session, number) in numbers {
                sessions.get(*session, site).numbers.insert(*number);
            }
        });
    }

    /// Notes what a sender says it gave up, in a session of which something has arrived.
    pub fn given_up(&self, site: &SiteId, whose: Option<(&VisitorId, &str)>, reports: &[GivenUp], now: Steady) {
        for report in reports.iter().filter(|report| report.count > 0) {
            self.metrics.events_discarded.with_label_values(&[site.as_str(), report.reason.as_str()]).inc_by(report.count);
        }
        let numbered: u64 = reports.iter().filter(|report| report.reason.had_number()).map(|report| report.count).sum();
        let Some((visitor, session)) = whose.filter(|_| numbered > 0) else { return };
        let hash = SessionHash::of(site, visitor, session);
        self.with(now, |sessions| {
            if sessions.recent.contains_key(&hash) || sessions.before.contains_key(&hash) {
                let known = sessions.get(hash, site);
                known.given_up = known.given_up.saturating_add(numbered);
            }
        });
    }

    /// Counts the sessions that have ended by now.
    pub fn close(&self, now: Steady) {
        self.with(now, |_| ());
    }

    /// Does something to the sessions that go on.
    fn with(&self, now: Steady, act: impl FnOnce(&mut Sessions)) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = sessions.turn(now, self.window);
        act(&mut sessions);
        drop(sessions);
        // Many sessions end together, and nobody has to wait until they are counted.
        let mut sites: HashMap<SiteId, (u64, u64)> = HashMap::new();
        for session in ended.into_iter().flatten().flat_map(HashMap::into_values) {
            let (arrived, missing) = sites.entry(session.site).or_default();
            *arrived += session.numbers.arrived();
            *missing += session.numbers.missing().saturating_sub(session.given_up);
        }
        for (site, (arrived, missing)) in sites {
            self.metrics.events_sequenced.with_label_values(&[site.as_str()]).inc_by(arrived);
            self.metrics.events_missing.with_label_values(&[site.as_str()]).inc_by(missing);
        }
    }
}

impl Sessions {
    /// Turns the generations where it is time, and returns those that have ended.
    fn turn(&mut self, now: Steady, window: i64) -> [Option<HashMap<SessionHash, Session>>; 2] {
        let passed = now.since(*self.since.get_or_insert(now));
        if passed < window && self.recent.len() < MOST_SESSIONS {
            return [None, None];
        }
        self.since = Some(now);
        let ended = std::mem::replace(&mut self.before, std::mem::take(&mut self.recent));
        let both = passed >= window.saturating_mul(2);
        [Some(ended), both.then(|| std::mem::take(&mut self.before))]
    }

    fn get(&mut self, hash: SessionHash, site: &SiteId) -> &mut Session {
        let before = &mut self.before;
        self.recent.entry(hash).or_insert_with(|| {
            before.remove(&hash).unwrap_or_else(|| Session { site: site.clone(), numbers: Numbers::default(), given_up: 0 })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::event::time::MINUTE;

    fn numbers(arrived: &[i64]) -> (u64, u64) {
        let mut numbers = Numbers::default();
        arrived.iter().for_each(|number| numbers.insert(*number));
        (numbers.arrived(), numbers.missing())
    }

    #[test]
    fn a_gap_is_what_lies_between() {
        assert_eq!(numbers(&[]), (0, 0));
        assert_eq!(numbers(&[7]), (1, 0), "what came before the first is not known");
        assert_eq!(numbers(&[0, 1, 3, 4, 7]), (5, 3));
        assert_eq!(numbers(&[7, 4, 3, 1, 0, 4, 4]), (5, 3), "in any order, and once each");
        assert_eq!(numbers(&[0, 1, 3, 2]), (4, 0));
    }

    #[test]
    fn numbers_of_another_kind_are_no_gaps() {
        assert_eq!(numbers(&[1, 2, 1_764_000_000, 3]), (3, 0));
        assert_eq!(numbers(&[i64::MIN, i64::MAX, i64::MAX - 1, i64::MIN + 1]), (2, 0));
        let scattered: Vec<i64> = (0..5_000).map(|n| n * 3).collect();
        assert_eq!(numbers(&scattered), (MOST_RUNS as u64, 2 * (MOST_RUNS as u64 - 1)));
    }

    proptest! {
        #[test]
        fn runs_are_the_set(arrived in prop::collection::vec(0..60i64, 0..80)) {
            let set: BTreeSet<i64> = arrived.iter().copied().collect();
            let span = set.last().zip(set.first()).map_or(0, |(last, first)| last - first + 1);
            prop_assert_eq!(numbers(&arrived), (set.len() as u64, span as u64 - set.len() as u64));
        }
    }

    struct Shop {
        losses: Losses,
        metrics: Metrics,
        site: SiteId,
        visitor: VisitorId,
    }

    impl Shop {
        fn new() -> Self {
            let metrics = Metrics::new();
            let losses = Losses::new(metrics.clone(), 15 * MINUTE);
            Self { losses, metrics, site: SiteId::default_site(), visitor: VisitorId::new("v").unwrap() }
        }

        fn arrive(&self, session: &str, numbers: &[i64], minute: i64) {
            let hash = SessionHash::of(&self.site, &self.visitor, session);
            let numbers: Vec<_> = numbers.iter().map(|number| (hash, *number)).collect();
            self.losses.arrived(&self.site, &numbers, Steady(minute * MINUTE));
        }

        fn give_up(&self, session: &str, reason: &str, count: i64, minute: i64) {
            let report = GivenUpBody { reason: reason.to_owned(), count }.into();
            self.losses.given_up(&self.site, Some((&self.visitor, session)), &[report], Steady(minute * MINUTE));
        }

        /// Returns what has been counted as arrived and as missing by then.
        fn counted(&self, minute: i64) -> (u64, u64) {
            self.losses.close(Steady(minute * MINUTE));
            let site = [self.site.as_str()];
            let (arrived, missing) = (&self.metrics.events_sequenced, &self.metrics.events_missing);
            (arrived.with_label_values(&site).get(), missing.with_label_values(&site).get())
        }
    }

    #[test]
    fn a_session_counts_once_it_is_silent() {
        let shop = Shop::new();
        shop.arrive("a", &[1, 2], 0);
        shop.arrive("a", &[5], 14);
        assert_eq!(shop.counted(16), (0, 0));
        // It goes on in the second window: what was late is not missing.
        shop.arrive("a", &[4], 20);
        assert_eq!(shop.counted(32), (0, 0));
        assert_eq!(shop.counted(48), (4, 1));
        assert_eq!(shop.counted(200), (4, 1), "and once");
    }

    #[test]
    fn what_the_sender_gave_up_is_not_missing() {
        let shop = Shop::new();
        shop.arrive("a", &[1, 5], 0);
        shop.arrive("b", &[1, 3], 0);
        shop.give_up("a", "overflow", 2, 1);
        // Neither explains a gap: one had no number, of the other session nothing is known.
        shop.give_up("b", "too_large", 1, 1);
        shop.give_up("c", "overflow", 1, 1);
        // More than there are gaps.
        shop.arrive("d", &[1, 2], 1);
        shop.give_up("d", "odd", 70, 1);
        shop.give_up("d", "rejected", -3, 1);
        assert_eq!(shop.counted(100), (6, 2));
        let told = |reason: &str| shop.metrics.events_discarded.with_label_values(&["default", reason]).get();
        assert_eq!([told("overflow"), told("too_large"), told("other"), told("rejected")], [3, 1, 70, 0]);
    }

    #[test]
    fn memory_is_bounded() {
        let shop = Shop::new();
        for n in 0..(MOST_SESSIONS * 2 + 10) {
            shop.arrive(&n.to_string(), &[1, 3], 0);
        }
        let sessions = shop.losses.sessions.lock().unwrap();
        assert!(sessions.recent.len() <= MOST_SESSIONS && sessions.before.len() <= MOST_SESSIONS);
        drop(sessions);
        assert_eq!(shop.counted(0).0, 2 * MOST_SESSIONS as u64, "the oldest were closed early");
    }
}
