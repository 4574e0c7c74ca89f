//! The only place that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::event::Timestamp;

/// Tells the time; tests set it.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Stands still until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Returns the time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
                Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
            }
            Self::Manual(micros) => Timestamp(micros.load(Ordering::Relaxed)),
        }
    }
}
