/// How close the highest good and the lowest bad rate must come.
const PRECISION: f64 = 1.04;
const LOWEST: f64 = 5.0;

/// The search for the highest rate that passes: doubling, then halving the gap.
#[derive(Debug, Clone)]
pub(super) struct Search {
    passed: Option<f64>,
    failed: Option<f64>,
    first: f64,
    cap: f64,
}

impl Search {
    /// Starts by trying `first`.
    pub(super) fn from(first: f64, cap: f64) -> Self {
        let first = first.min(cap);
        Self { passed: None, failed: None, first, cap }
    }

    /// Starts above a rate that is known to pass.
    pub(super) fn above(passed: f64, cap: f64) -> Self {
        Self { passed: Some(passed), failed: None, first: passed, cap: cap.max(passed) }
    }

    /// Returns the rate to try next, or `None` when the answer is known.
    pub(super) fn next_rate(&self) -> Option<f64> {
        match (self.passed, self.failed) {
            (None, None) => Some(self.first),
            (Some(passed), None) if passed < self.cap => Some((passed * 2.0).min(self.cap)),
            (Some(_), None) => None,
            (None, Some(failed)) if failed > LOWEST => Some((failed / 2.0).max(LOWEST).round()),
            (None, Some(_)) => None,
            (Some(passed), Some(failed)) if failed > passed * PRECISION && failed - passed > 2.0 => {
                Some(((passed + failed) / 2.0).round())
            }
            (Some(_), Some(_)) => None,
        }
    }

    /// Takes note of how a rate went.
    pub(super) fn record(&mut self, rate: f64, passed: bool) {
        if passed {
            self.passed = Some(rate);
        } else {
            self.failed = Some(rate);
        }
    }

    /// Returns the highest rate that passed.
    pub(super) fn result(&self) -> Option<f64> {
        self.passed
    }

    /// Tells whether the search ended at the cap and not at a limit.
    pub(super) fn is_capped(&self) -> bool {
        self.failed.is_none() && self.passed.is_some_and(|passed| passed >= self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(mut search: Search, limit: f64) -> (Option<f64>, u32) {
        let mut steps = 0;
        while let Some(rate) = search.next_rate() {
            search.record(rate, rate <= limit);
            steps += 1;
            assert!(steps < 40, "no end: {search:?}");
        }
        (search.result(), steps)
    }

    #[test]
    fn limits_are_found_from_below_and_from_above() {
        for limit in [7.0, 90.0, 1_000.0, 12_345.0, 99_000.0] {
            for search in [Search::from(1_000.0, 200_000.0), Search::from(64.0, 200_000.0)] {
                let (rate, steps) = found(search, limit);
                let rate = rate.expect("found");
                assert!(rate <= limit && rate >= limit / PRECISION - 3.0, "{rate} of {limit}");
                assert!(steps <= 18, "{steps} steps for {limit}");
            }
        }
        let (rate, _) = found(Search::above(4_000.0, 200_000.0), 5_000.0);
        assert!(rate.is_some_and(|rate| (4_800.0..=5_000.0).contains(&rate)), "{rate:?}");
    }

    #[test]
    fn nothing_and_everything_have_an_end() {
        assert_eq!(found(Search::from(1_000.0, 200_000.0), 0.0).0, None);
        let mut search = Search::from(1_000.0, 8_000.0);
        while let Some(rate) = search.next_rate() {
            search.record(rate, true);
        }
        assert_eq!(search.result(), Some(8_000.0));
        assert!(search.is_capped());
    }
}
