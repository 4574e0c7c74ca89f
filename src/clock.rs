//! The only place that reads a clock.
//!
//! The wall clock says when something happened, and may be set by hours while we serve. How long something takes is asked of [`Clock::steady`],
//! which nobody can set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::event::Timestamp;

/// Tells the time; tests set it.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Stands still until it is moved.
    Manual(Arc<AtomicI64>),
}

/// A moment since the process began, in microseconds: comparable within the process, meaningless outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Steady(pub i64);

impl Steady {
    /// Returns the moment so many microseconds later.
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Returns the microseconds since an earlier moment.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Clock {
    /// Returns the time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
                Timestamp(i64::try_from(micros).unwrap_or(i64::MAX)).plus(step())
            }
            Self::Manual(micros) => Timestamp(micros.load(Ordering::Relaxed)),
        }
    }

    /// Returns the moment now, for leases, windows and allowances, which a clock that is set must neither end nor prolong.
    pub fn steady(&self) -> Steady {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        match self {
            Self::System => Steady(i64::try_from(BEGAN.elapsed().as_micros()).unwrap_or(i64::MAX)),
            Self::Manual(micros) => Steady(micros.load(Ordering::Relaxed)),
        }
    }
}

/// Returns by how many microseconds a test has set the clock: as many seconds as stand in the file `RAPPORT_CLOCK_STEP` names.
///
/// Only builds with debug assertions have it.
#[cfg(debug_assertions)]
fn step() -> i64 {
    static FILE: LazyLock<Option<std::ffi::OsString>> = LazyLock::new(|| std::env::var_os("RAPPORT_CLOCK_STEP"));
    let text = FILE.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    let seconds: i64 = text.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    seconds.saturating_mul(1_000_000)
}

#[cfg(not(debug_assertions))]
fn step() -> i64 {
    0
}
