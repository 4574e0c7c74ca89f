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

/// A stretch of time over which the rate changes evenly, or stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) seconds: f64,
    /// Requests a second where it begins, and where it ends.
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Stretch {
    /// Returns how many requests fall into it.
    fn area(self) -> f64 {
        (self.from + self.to) / 2.0 * self.seconds
    }

    /// Returns after how many seconds `count` of its requests have begun.
    fn time_of(self, count: f64) -> f64 {
        if count <= 0.0 {
            return 0.0;
        }
        let slope = (self.to - self.from) / self.seconds;
        // The root of `from·t + slope·t²/2 = count` in the form that does not cancel where the slope is small.
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        (2.0 * count / (self.from + root)).min(self.seconds)
    }
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
        let whole = Stretch { seconds: (warmup + duration).as_secs_f64(), from: rate, to: rate };
        Self { starts: starts(&[whole], arrivals), warmup, duration }
    }

    /// Returns the starts over several stretches, one after another; all of them count.
    pub(crate) fn over(stretches: &[Stretch], arrivals: Arrivals) -> Self {
        let seconds = stretches.iter().map(|stretch| stretch.seconds).sum();
        Self { starts: starts(stretches, arrivals), warmup: Duration::ZERO, duration: Duration::from_secs_f64(seconds) }
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

/// Places the requests so that as many have begun at any time as the rates up to it add up to: request `n` where that
/// sum is `n`, or, as shoppers come, where a Poisson process of rate 1 has its `n`th point (time-rescaling).
fn starts(stretches: &[Stretch], arrivals: Arrivals) -> Vec<Duration> {
    let whole: f64 = stretches.iter().map(|stretch| stretch.area()).sum();
    let mut starts = Vec::with_capacity(whole as usize + 16);
    // What lies before the stretch at hand.
    let (mut stretches, mut seconds, mut sum) = (stretches.iter().copied().peekable(), 0.0, 0.0);
    let mut place = |count: f64| {
        while let Some(stretch) = stretches.peek().copied() {
            if count - sum < stretch.area() {
                return Some(Duration::from_secs_f64(seconds + stretch.time_of(count - sum)));
            }
            seconds += stretch.seconds;
            sum += stretch.area();
            stretches.next();
        }
        None
    };
    match arrivals {
        // By whole numbers, not by adding up gaps: no drift over long runs.
        Arrivals::Constant => starts.extend((0_u32..).map_while(|n| place(f64::from(n)))),
        Arrivals::Poisson { seed } => {
            let mut random = StdRng::seed_from_u64(seed);
            let mut count = 0.0_f64;
            let unit = || {
                count -= (1.0 - random.random::<f64>()).ln();
                count
            };
            starts.extend(std::iter::repeat_with(unit).map_while(place));
        }
    }
    starts
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
    fn ramps_and_steps_have_as_many_starts_as_their_rates_add_up_to() {
        let stretches = [(10.0, 100.0, 100.0), (10.0, 100.0, 500.0), (2.0, 1000.0, 1000.0), (10.0, 500.0, 0.0)];
        let stretches = stretches.map(|(seconds, from, to)| Stretch { seconds, from, to });
        for arrivals in [Arrivals::Constant, Arrivals::Poisson { seed: 3 }] {
            let schedule = Schedule::over(&stretches, arrivals);
            assert_eq!(schedule.end(), 32 * SECOND);
            assert!(schedule.starts.is_sorted());
            let begun = |second: u32| schedule.starts.partition_point(|start| *start < second * SECOND) as f64;
            // The sums of the rates; Poisson's standard deviation is the root of them.
            for (second, sum) in [(10, 1000.0), (15, 2000.0), (20, 4000.0), (21, 5000.0), (22, 6000.0), (32, 8500.0_f64)] {
                let slack = if arrivals == Arrivals::Constant { 1.0 } else { 4.0 * sum.sqrt() };
                assert!((begun(second) - sum).abs() <= slack, "{arrivals:?}: {} of {sum}", begun(second));
            }
        }
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
