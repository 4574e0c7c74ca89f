//! From single requests to figures.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{kept::Kept, memory::Memory};
use crate::{
    report::Machine,
    run::{
        Sample,
        figures::{Quantiles, new_histogram},
    },
    schedule::Schedule,
    verify::FaultKind,
};

/// How many of each kind of fault there were.
pub(crate) type Faults = BTreeMap<FaultKind, u64>;

/// One kind of request on one side.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) faults: Faults,
    pub(crate) latency: Quantiles,
    /// Quantile and milliseconds, up to the last quantile the number of requests can tell.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// One second of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Second {
    /// Requests whose intended start lies in it, and good answers that arrived in it.
    pub(crate) intended: u64,
    pub(crate) answered: u64,
    /// Latencies of those that were meant to start in it; none where nothing was waited for.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) max_ms: Option<f64>,
    pub(crate) faults: Faults,
}

/// One side of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Side {
    pub(crate) who: &'static str,
    pub(crate) all: Kind,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) seconds: Vec<Second>,
    pub(crate) generator_lag_p99_ms: f64,
}

/// An order that was carried out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Done {
    pub(crate) seconds: f64,
    pub(crate) run: String,
    /// How long it took, and whether it ended well.
    pub(crate) took_seconds: f64,
    pub(crate) ended: String,
}

/// Everything one run found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Findings {
    pub(crate) traffic: String,
    pub(crate) description: String,
    pub(crate) target: String,
    pub(crate) machine: Machine,
    pub(crate) connections: usize,
    pub(crate) seed: u64,
    /// What was left out, and why.
    pub(crate) notes: Vec<String>,
    pub(crate) orders: Vec<Done>,
    pub(crate) sides: Vec<Side>,
    pub(crate) kept: Option<Kept>,
    pub(crate) memory: Option<Memory>,
    /// The limits that did not hold.
    pub(crate) missed: Vec<String>,
}

/// Sums up samples of one kind.
pub(crate) fn kind(name: &str, samples: impl Iterator<Item = Sample>) -> Kind {
    let mut histogram = new_histogram();
    let (mut requests, mut errors, mut faults) = (0, 0, Faults::new());
    for sample in samples {
        requests += 1;
        if let Some(fault) = sample.fault {
            errors += 1;
            *faults.entry(fault).or_default() += 1;
        }
        if counts(&sample) {
            histogram.saturating_record(u64::from(sample.micros) * 1_000);
        }
    }
    let (latency, curve) = (Quantiles::of(&histogram), curve(&histogram));
    Kind { name: name.to_owned(), requests, errors, faults, latency, curve }
}

/// Returns the latency at quantiles that come ever closer to 1, ten a decade.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let tells = 1.0 / histogram.len().max(1) as f64;
    let beyond = (0..80).map(|step| 10_f64.powf(-f64::from(step) / 10.0)).take_while(|beyond| *beyond >= tells);
    beyond.map(|beyond| (1.0 - beyond, histogram.value_at_quantile(1.0 - beyond) as f64 / 1e6)).collect()
}

/// Splits a run into its seconds.
pub(super) fn seconds(schedule: &Schedule, samples: &[Sample]) -> Vec<Second> {
    let length = schedule.duration().as_secs_f64().ceil().max(1.0) as usize;
    let mut seconds = vec![Second::default(); length];
    let mut waits: Vec<Vec<u32>> = vec![Vec::new(); length];
    for sample in samples {
        let Some(start) = schedule.start(sample.slot as usize) else {
            continue;
        };
        let second = (start.as_secs() as usize).min(length - 1);
        seconds[second].intended += 1;
        match sample.fault {
            Some(fault) => *seconds[second].faults.entry(fault).or_default() += 1,
            None => {
                let end = (start.as_secs_f64() + f64::from(sample.micros) / 1e6) as usize;
                if let Some(second) = seconds.get_mut(end) {
                    second.answered += 1;
                }
            }
        }
        if counts(sample) {
            waits[second].push(sample.micros);
        }
    }
    for (second, waits) in seconds.iter_mut().zip(&mut waits) {
        waits.sort_unstable();
        let at = |quantile: f64| {
            let rank = (waits.len() as f64 * quantile).ceil().max(1.0) as usize;
            waits.get(rank - 1).map(|micros| f64::from(*micros) / 1e3)
        };
        (second.p50_ms, second.p99_ms, second.max_ms) = (at(0.5), at(0.99), at(1.0));
    }
    seconds
}

/// Tells whether a request's time says how fast answers are: quick refusals would make it look good.
fn counts(sample: &Sample) -> bool {
    sample.fault.is_none_or(FaultKind::was_waited_for)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::schedule::Arrivals;

    #[test]
    fn seconds_belong_to_intended_starts_and_answers_to_their_arrival() {
        // Ten a second for three seconds; those of the second 1 wait until 2.5.
        let schedule = Schedule::new(10.0, Duration::ZERO, Duration::from_secs(3), Arrivals::Constant);
        let samples: Vec<Sample> = (0..30)
            .map(|slot| {
                let micros = if (10..20).contains(&slot) { 2_500_000 - slot * 100_000 } else { 1_000 };
                Sample { slot, micros, fault: (slot == 25).then_some(FaultKind::Status5xx) }
            })
            .collect();
        let seconds = seconds(&schedule, &samples);
        let counts: Vec<(u64, u64)> = seconds.iter().map(|second| (second.intended, second.answered)).collect();
        assert_eq!(counts, [(10, 10), (10, 0), (10, 19)]);
        assert_eq!((seconds[0].p99_ms, seconds[1].max_ms), (Some(1.0), Some(1500.0)));
        assert_eq!(seconds[2].faults, Faults::from([(FaultKind::Status5xx, 1)]));
    }

    #[test]
    fn a_curve_ends_where_the_requests_cannot_tell_more() {
        let samples = (0..1000).map(|n| Sample { slot: n, micros: n + 1, fault: None });
        let kind = kind("all", samples);
        let (quantile, ms) = *kind.curve.last().expect("a curve");
        assert!((quantile - 0.999).abs() < 1e-9 && (ms - 0.999).abs() < 0.01, "{quantile} {ms}");
        assert_eq!(kind.curve.len(), 31);
    }
}
