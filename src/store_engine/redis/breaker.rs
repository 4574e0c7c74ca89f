//! A circuit breaker: a store that does not answer is not asked again at once.
//!
//! After a few failures in a row every call fails immediately for a moment, so that a decision loses microseconds and not its deadline.
//! Then one call at a time may try; the first that is answered lets all pass again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that open the circuit.
const FAILURES: u32 = 5;
/// How long nothing is tried.
const PAUSE: Duration = Duration::from_millis(200);
/// A call that was given up after this long counts as failed; one given up sooner says nothing of the store.
const PATIENCE: Duration = Duration::from_millis(50);

/// Says whether to try.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Nothing is tried before.
    open_until: Option<Instant>,
    /// One call is trying.
    probing: bool,
}

/// A call under way; dropped unanswered, it was given up.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    breaker: &'a Breaker,
    since: Instant,
    /// The clock for a call that is given up, as nobody hands over the time then.
    now: fn() -> Instant,
    done: bool,
}

impl Breaker {
    /// Returns the right to try, or nothing while the circuit is open.
    pub(super) fn attempt(&self, now: fn() -> Instant) -> Option<Attempt<'_>> {
        let since = now();
        let mut state = self.state();
        match state.open_until {
            Some(until) if since < until || state.probing => return None,
            Some(_) => state.probing = true,
            None => {}
        }
        Some(Attempt { breaker: self, since, now, done: false })
    }

    /// Returns whether calls fail at once.
    pub(super) fn is_open(&self) -> bool {
        self.state().open_until.is_some()
    }

    fn answered(&self) {
        *self.state() = State::default();
    }

    fn failed(&self, now: Instant) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        state.probing = false;
        if state.failures >= FAILURES {
            state.open_until = Some(now + PAUSE);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// Notes what came of it.
    pub(super) fn end(mut self, answered: bool) {
        self.done = true;
        if answered { self.breaker.answered() } else { self.breaker.failed((self.now)()) }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let now = (self.now)();
        if now.duration_since(self.since) >= PATIENCE {
            self.breaker.failed(now);
        } else {
            // Whoever asked with a deadline of a millisecond has learnt nothing about the store.
            self.breaker.state().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    fn now() -> Instant {
        NOW.get().unwrap_or_else(|| {
            let now = Instant::now();
            NOW.set(Some(now));
            now
        })
    }

    fn pass(time: Duration) {
        NOW.set(Some(now() + time));
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.attempt(now).unwrap().end(false);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::default();
        fail(&breaker, FAILURES - 1);
        breaker.attempt(now).unwrap().end(true);
        fail(&breaker, FAILURES - 1);
        assert!(!breaker.is_open(), "an answer in between starts the count anew");
        fail(&breaker, 1);
        assert!(breaker.is_open() && breaker.attempt(now).is_none());
        pass(PAUSE);
        let probe = breaker.attempt(now).unwrap();
        assert!(breaker.attempt(now).is_none(), "one at a time");
        probe.end(false);
        assert!(breaker.attempt(now).is_none(), "and another pause");
        pass(PAUSE);
        breaker.attempt(now).unwrap().end(true);
        assert!(!breaker.is_open() && breaker.attempt(now).is_some());
    }

    #[test]
    fn calls_given_up_count_only_if_they_waited() {
        let breaker = Breaker::default();
        for _ in 0..3 * FAILURES {
            drop(breaker.attempt(now));
        }
        assert!(!breaker.is_open(), "impatient callers say nothing");
        for _ in 0..FAILURES {
            let attempt = breaker.attempt(now);
            pass(PATIENCE);
            drop(attempt);
        }
        assert!(breaker.is_open());
        pass(PAUSE);
        drop(breaker.attempt(now));
        assert!(breaker.attempt(now).is_some(), "a probe given up makes room for the next");
    }
}
