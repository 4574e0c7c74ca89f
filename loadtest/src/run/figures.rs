use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    schedule::Schedule,
    verify::{Fault, FaultKind, Results},
};

/// Microsecond to an hour, three digits.
const BOUNDS: (u64, u64, u8) = (1_000, 3_600_000_000_000, 3);

/// Returns an empty histogram of nanoseconds.
pub(crate) fn new_histogram() -> Histogram<u64> {
    let (low, high, digits) = BOUNDS;
    Histogram::new_with_bounds(low, high, digits).expect("the bounds above are valid")
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What went wrong, by kind.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) status_4xx: u64,
    pub(crate) status_429: u64,
    pub(crate) status_5xx: u64,
    pub(crate) status_other: u64,
    pub(crate) transport: u64,
    pub(crate) timeout: u64,
    pub(crate) unacknowledged: u64,
    pub(crate) shape: u64,
    /// Still waiting for a free connection when the run was over.
    pub(crate) unsent: u64,
    pub(crate) first_fault: Option<String>,
}

impl Tally {
    /// Returns how many requests failed in any way.
    pub(crate) fn total(&self) -> u64 {
        self.status_4xx
            + self.status_429
            + self.status_5xx
            + self.status_other
            + self.transport
            + self.timeout
            + self.unacknowledged
            + self.shape
            + self.unsent
    }

    fn count(&mut self, fault: &Fault) {
        let counter = match fault.kind() {
            FaultKind::Status429 => &mut self.status_429,
            FaultKind::Status4xx => &mut self.status_4xx,
            FaultKind::Status5xx => &mut self.status_5xx,
            FaultKind::StatusOther => &mut self.status_other,
            FaultKind::Transport => &mut self.transport,
            FaultKind::Timeout => &mut self.timeout,
            FaultKind::Unacknowledged => &mut self.unacknowledged,
            FaultKind::Shape => &mut self.shape,
            FaultKind::Unsent => &mut self.unsent,
        };
        *counter += 1;
        if self.first_fault.is_none() {
            self.first_fault = Some(fault.to_string());
        }
    }

    fn add(&mut self, other: &Self) {
        self.status_4xx += other.status_4xx;
        self.status_429 += other.status_429;
        self.status_5xx += other.status_5xx;
        self.status_other += other.status_other;
        self.transport += other.transport;
        self.timeout += other.timeout;
        self.unacknowledged += other.unacknowledged;
        self.shape += other.shape;
        self.unsent += other.unsent;
        if self.first_fault.is_none() {
            self.first_fault.clone_from(&other.first_fault);
        }
    }
}

/// One request of a run: small, as a run has millions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Its place in the schedule.
    pub(crate) slot: u32,
    /// From the intended start to the end of the answer.
    pub(crate) micros: u32,
    pub(crate) fault: Option<FaultKind>,
}

impl Sample {
    /// Returns the sample of a request; times beyond an hour are cut.
    pub(super) fn new(slot: usize, latency: Duration, fault: Option<FaultKind>) -> Self {
        let cut = |number: u128| u32::try_from(number).unwrap_or(u32::MAX);
        Self { slot: cut(slot as u128), micros: cut(latency.as_micros()), fault }
    }
}

/// What one run, or several merged, measured.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// From the intended start to the end of the answer.
    pub(crate) latency: Histogram<u64>,
    /// From the actual start: what a closed loop would have called latency.
    pub(crate) service: Histogram<u64>,
    /// How late the generator itself released requests.
    pub(crate) lag: Histogram<u64>,
    pub(crate) tally: Tally,
    pub(crate) results: Results,
    /// Good answers that arrived within the measured time, whenever they were asked for.
    pub(crate) completed_in_window: u64,
    /// Every measured request, where the load wants them kept; in no order.
    pub(crate) samples: Vec<Sample>,
    offered: u64,
    seconds: f64,
}

impl Measured {
    /// Returns the empty measurement of a schedule.
    pub(super) fn new(schedule: &Schedule) -> Self {
        Self {
            latency: new_histogram(),
            service: new_histogram(),
            lag: new_histogram(),
            tally: Tally::default(),
            results: BTreeMap::new(),
            completed_in_window: 0,
            samples: Vec::new(),
            offered: schedule.measured() as u64,
            seconds: schedule.duration().as_secs_f64(),
        }
    }

    /// Takes up one request.
    ///
    /// Failures that took no time are left out of the histograms: a quick "no" must not make the
    /// figures better. Time-outs are in, with the time that was waited.
    pub(super) fn record(&mut self, latency: Duration, service: Duration, verdict: Result<Results, Fault>) {
        let keep = match verdict {
            Ok(results) => {
                for (name, count) in results {
                    *self.results.entry(name).or_default() += count;
                }
                true
            }
            Err(fault) => {
                self.tally.count(&fault);
                fault.kind().was_waited_for()
            }
        };
        if keep {
            self.latency.saturating_record(nanos(latency));
            self.service.saturating_record(nanos(service));
        }
    }

    /// Takes up a request that never got a connection: it waited at least this long.
    pub(super) fn unsent(&mut self, waited: Duration) {
        self.tally.unsent += 1;
        self.latency.saturating_record(nanos(waited));
    }

    /// Takes in what another connection of the same run measured.
    pub(super) fn add(&mut self, part: &Self) {
        self.latency += &part.latency;
        self.service += &part.service;
        self.lag += &part.lag;
        self.tally.add(&part.tally);
        self.completed_in_window += part.completed_in_window;
        self.samples.extend_from_slice(&part.samples);
        for (name, count) in &part.results {
            *self.results.entry(name.clone()).or_default() += count;
        }
    }

    /// Takes in another run at the same rate.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other);
        self.offered += other.offered;
        self.seconds += other.seconds;
    }

    /// Tells whether the offered rate was borne: 99 % of it answered in time, the 99th percentile
    /// within `bound`, and not one error.
    pub(crate) fn sustained(&self, bound: Duration) -> bool {
        // One request of slack for where the window's edges fall.
        let answered = (self.completed_in_window + 1) as f64;
        self.tally.total() == 0 && answered >= 0.99 * self.offered as f64 && self.latency.value_at_quantile(0.99) <= nanos(bound)
    }

    /// Returns the figures people read.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            offered_per_second: self.offered as f64 / self.seconds,
            achieved_per_second: self.completed_in_window as f64 / self.seconds,
            requests: self.offered,
            latency: Quantiles::of(&self.latency),
            service: Quantiles::of(&self.service),
            generator_lag_p99_ms: millis(self.lag.value_at_quantile(0.99)),
            errors: self.tally.total(),
            tally: self.tally.clone(),
            results: self.results.clone(),
        }
    }
}

/// One row of a report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) offered_per_second: f64,
    pub(crate) achieved_per_second: f64,
    pub(crate) requests: u64,
    pub(crate) latency: Quantiles,
    pub(crate) service: Quantiles,
    pub(crate) generator_lag_p99_ms: f64,
    pub(crate) errors: u64,
    pub(crate) tally: Tally,
    pub(crate) results: Results,
}

/// Where a distribution lies, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

impl Quantiles {
    /// Reads them off a histogram of nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| millis(histogram.value_at_quantile(quantile));
        Self {
            mean_ms: histogram.mean() / 1e6,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: millis(histogram.max()),
        }
    }
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
