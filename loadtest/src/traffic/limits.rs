use serde::{Deserialize, Serialize};

use super::findings::Kind;
use crate::verify::FaultKind;

/// What must hold of a kind of request; what is not named may be anything.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// The 99th percentile of the latency from the intended start, at most.
    p99_ms: Option<f64>,
    /// Errors of any kind as a part of all requests, at most.
    error_share: Option<f64>,
    /// Answers with a status from 500 on, at most.
    status_5xx: Option<u64>,
}

impl Limits {
    /// Returns what was missed, a sentence each.
    pub(super) fn missed(&self, kind: &Kind) -> Vec<String> {
        let mut missed = Vec::new();
        let mut hold = |limit: Option<f64>, found: f64, what: &str| {
            if let Some(limit) = limit
                && found > limit
            {
                missed.push(format!("{}: {what} was {}, at most {limit} was allowed", kind.name, short(found)));
            }
        };
        hold(self.p99_ms, kind.latency.p99_ms, "p99 in ms");
        hold(self.error_share, kind.errors as f64 / kind.requests.max(1) as f64, "the share of errors");
        let status_5xx = kind.faults.get(&FaultKind::Status5xx).copied().unwrap_or_default();
        hold(self.status_5xx.map(|count| count as f64), status_5xx as f64, "the number of 5xx answers");
        missed
    }
}

fn short(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number}") } else { format!("{number:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{run::Sample, traffic::findings};

    #[test]
    fn each_limit_is_held_and_named_when_missed() {
        let sample = |micros, fault| Sample { slot: 0, micros, fault };
        let mut samples = vec![sample(2_000, None); 98];
        samples.extend([sample(80_000, None); 2]);
        let missed = |samples: &[Sample], limits: Limits| limits.missed(&findings::kind("for-you", samples.iter().copied()));
        let strict = Limits { p99_ms: Some(50.0), error_share: Some(0.0), status_5xx: Some(0) };
        let found = missed(&samples, strict);
        assert!(found.len() == 1 && found[0].starts_with("for-you: p99 in ms was 80"), "{found:?}");
        samples[0].fault = Some(FaultKind::Status5xx);
        let found = missed(&samples, strict);
        assert!(found.len() == 3 && found[1].contains("0.0100"), "{found:?}");
        assert!(missed(&samples, Limits::default()).is_empty());
        assert!(missed(&samples, Limits { error_share: Some(0.01), ..Limits::default() }).is_empty());
    }
}
