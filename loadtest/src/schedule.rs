//! When each request is meant to start, decided before the first one is sent.
//!
//! The schedule never looks at the server: a slow answer makes later requests late, and that
//! lateness is part of their latency. This is what a closed loop leaves out.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// How the starts are spread over the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrivals {
    /// Evenly, one every `1 / rate` seconds.
    Constant,
    /// As independent shoppers come: exponential gaps, repeatable by the seed.
    Poisson { seed: u64 },
}

/// The intended starts of one run, as offsets from its beginning, in order.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    starts: Vec<Duration>,
    warmup: Duration,
    duration: Duration,
}

impl Schedule {
    /// Returns the starts for `warmup + duration` at `rate` requests a second.
    pub(crate) fn new(rate: f64, warmup: Duration, duration: Duration, arrivals: Arrivals) -> Self {
        let whole = (warmup + duration).as_secs_f64();
        let starts = match arrivals {
            Arrivals::Constant => {
                // By multiplication, not by adding up gaps: no drift over long runs.
                let count = (whole * rate).round() as usize;
                (0..count).map(|n| Duration::from_secs_f64(n as f64 / rate)).collect()
            }
            Arrivals::Poisson { seed } => {
                let mut random = StdRng::seed_from_u64(seed);
                let mut at = 0.0_f64;
                let mut starts = Vec::with_capacity((whole * rate) as usize + 16);
                loop {
                    at -= (1.0 - random.random::<f64>()).ln() / rate;
                    if at >= whole {
                        break starts;
                    }
                    starts.push(Duration::from_secs_f64(at));
                }
            }
        };
        Self { starts, warmup, duration }
    }

    /// Returns how many requests are meant to be sent, warm-up included.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Returns the intended start of request `n`, or `None` behind the last.
    pub(crate) fn start(&self, n: usize) -> Option<Duration> {
        self.starts.get(n).copied()
    }

    /// Tells whether a request meant for `start` counts, or only warms up.
    pub(crate) fn is_measured(&self, start: Duration) -> bool {
        start >= self.warmup
    }

    /// Returns how many requests count.
    pub(crate) fn measured(&self) -> usize {
        self.starts.len() - self.starts.partition_point(|start| *start < self.warmup)
    }

    /// Returns where the measured part begins.
    pub(crate) fn warmup(&self) -> Duration {
        self.warmup
    }

    /// Returns how long the measured part is.
    pub(crate) fn duration(&self) -> Duration {
        self.duration
    }

    /// Returns where the last start may lie.
    pub(crate) fn end(&self) -> Duration {
        self.warmup + self.duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn constant_starts_are_evenly_spaced_and_do_not_drift() {
        let schedule = Schedule::new(3000.0, SECOND, 9 * SECOND, Arrivals::Constant);
        assert_eq!(schedule.len(), 30_000);
        assert_eq!(schedule.measured(), 27_000);
        assert_eq!(schedule.start(0), Some(Duration::ZERO));
        assert_eq!(schedule.start(27_000), Some(9 * SECOND));
        assert_eq!(schedule.start(30_000), None);
    }

    #[test]
    fn warmup_ends_where_measuring_begins() {
        let schedule = Schedule::new(10.0, SECOND, SECOND, Arrivals::Constant);
        let counted: Vec<bool> =
            (0..schedule.len()).filter_map(|n| schedule.start(n)).map(|start| schedule.is_measured(start)).collect();
        assert_eq!(counted.iter().filter(|counts| **counts).count(), 10);
        assert!(!counted[9] && counted[10]);
    }

    #[test]
    fn poisson_has_the_rate_the_spread_and_the_seed() {
        let arrivals = Arrivals::Poisson { seed: 7 };
        let schedule = Schedule::new(2000.0, Duration::ZERO, 20 * SECOND, arrivals);
        assert!((39_000..41_000).contains(&schedule.len()), "{}", schedule.len());
        let gaps: Vec<f64> = schedule.starts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // An exponential's standard deviation equals its mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05);

        let again = Schedule::new(2000.0, Duration::ZERO, 20 * SECOND, arrivals);
        assert_eq!(schedule.starts, again.starts);
        let other = Arrivals::Poisson { seed: 8 };
        let other = Schedule::new(2000.0, Duration::ZERO, 20 * SECOND, other);
        assert_ne!(schedule.starts, other.starts);
    }
}
