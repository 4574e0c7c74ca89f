//! Scores of a pair from its 2 × 2 table.

use super::{Options, Score};

/// Returns Dunning's G² of the 2 × 2 table, or 0 where the items meet no more often than by chance.
///
/// `both` groups hold both items, `a` and `b` hold each, of `n` in all. With the cells `k`, their row sums `r` and column sums `s`,
/// `G² = 2·(Σ k ln k − Σ r ln r − Σ s ln s + n ln n)`. Counts that make no table (more both than each, more each than all) give 0.
pub fn log_likelihood_ratio(both: u32, a: u32, b: u32, n: u32) -> f64 {
    let (c, a, b, n) = (u64::from(both), u64::from(a), u64::from(b), u64::from(n));
    if c > a || c > b || a + b > n + c || c * n <= a * b {
        return 0.0;
    }
    g_squared(c, a, b, n, x_ln_x(a) + x_ln_x(n - a), x_ln_x(b) + x_ln_x(n - b), x_ln_x(n), x_ln_x)
}

/// Returns how many times more often two items meet than by chance: `both·n / (a·b)`; 0 without occurrences.
pub fn lift(both: u32, a: u32, b: u32, n: u32) -> f64 {
    if a == 0 || b == 0 { 0.0 } else { f64::from(both) * f64::from(n) / (f64::from(a) * f64::from(b)) }
}

/// Scores one pair from its counts as [`super::neighbors`] would, or returns nothing where it is below a floor.
///
/// For counts that are put together elsewhere, such as those of a build and of what came since. `both` groups hold both items, `a` and `b` hold each,
/// of `n` in all; counts that make no table have no score.
pub fn pair_score(options: &Options, both: u32, a: u32, b: u32, n: u32) -> Option<f32> {
    if both < options.min_support || both > a || both > b {
        return None;
    }
    let mut g = 0.0;
    if options.score == Score::LogLikelihood || options.min_llr > 0.0 {
        g = log_likelihood_ratio(both, a, b, n);
        if g < options.min_llr {
            return None;
        }
    }
    let (c, a, b, n) = (f64::from(both), f64::from(a), f64::from(b), f64::from(n));
    let damping = if options.shrinkage > 0.0 { c / (c + options.shrinkage) } else { 1.0 };
    let score = match options.score {
        Score::LogLikelihood => g,
        Score::Cosine => c * (a.sqrt().recip() * b.sqrt().recip()) * damping,
        Score::Jaccard => c / (a + b - c) * damping,
        Score::Lift => c * n / (a * b) * damping,
    } as f32;
    (score > 0.0).then_some(score)
}

/// The one formula; the margins do not depend on the pair, so callers may keep them.
#[expect(clippy::too_many_arguments, reason = "the table and its margins")]
#[inline]
fn g_squared(c: u64, a: u64, b: u64, n: u64, margin_a: f64, margin_b: f64, whole: f64, x_ln_x: impl Fn(u64) -> f64) -> f64 {
    let cells = x_ln_x(c) + x_ln_x(a - c) + x_ln_x(b - c) + x_ln_x(n + c - a - b);
    // Rounding can leave a hair below zero where the association is nil.
    (2.0 * (cells - margin_a - margin_b + whole)).max(0.0)
}

fn x_ln_x(x: u64) -> f64 {
    if x == 0 { 0.0 } else { x as f64 * (x as f64).ln() }
}

/// Logarithms kept; half a megabyte, above which a lookup is no cheaper than the logarithm.
const TABLE: usize = 1 << 16;

/// Scores pairs of classes, which are items that equally many groups hold, with everything that depends on one class worked out beforehand.
#[derive(Debug)]
pub(super) struct Scorer<'a> {
    options: &'a Options,
    counts: &'a [u32],
    n: u32,
    /// `1/√count` for cosine, the margin of G² where that is needed.
    inverse_root: Vec<f64>,
    margin: Vec<f64>,
    whole: f64,
    table: Vec<f64>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(options: &'a Options, counts: &'a [u32], n: u32) -> Self {
        let needs_g = options.score == Score::LogLikelihood || options.min_llr > 0.0;
        let most = counts.iter().copied().max().unwrap_or(0) as usize;
        let table = if needs_g { (0..=most.min(TABLE)).map(|x| x_ln_x(x as u64)).collect() } else { Vec::new() };
        let margin = if needs_g {
            counts.iter().map(|&a| x_ln_x(u64::from(a)) + x_ln_x(u64::from(n - a.min(n)))).collect()
        } else {
            Vec::new()
        };
        let inverse_root = if options.score == Score::Cosine {
            counts.iter().map(|&a| f64::from(a).sqrt().recip()).collect()
        } else {
            Vec::new()
        };
        Self { options, counts, n, inverse_root, margin, whole: x_ln_x(u64::from(n)), table }
    }

    pub(super) fn kind(&self) -> Score {
        self.options.score
    }

    /// Returns how many groups must hold a pair.
    pub(super) fn min_support(&self) -> u32 {
        self.options.min_support
    }

    /// Returns G² of a pair that occurs `c` times; like the other scores, 0 where a pair is below a floor.
    #[inline]
    pub(super) fn log_likelihood(&self, i: usize, j: usize, c: u32) -> f32 {
        if self.passes(i, j, c) { self.g_squared(i, j, c) as f32 } else { 0.0 }
    }

    #[inline]
    pub(super) fn cosine(&self, i: usize, j: usize, c: u32) -> f32 {
        let cosine = f64::from(c) * (self.inverse_root[i] * self.inverse_root[j]);
        self.damped(i, j, c, cosine)
    }

    #[inline]
    pub(super) fn jaccard(&self, i: usize, j: usize, c: u32) -> f32 {
        let (a, b, both) = (f64::from(self.counts[i]), f64::from(self.counts[j]), f64::from(c));
        self.damped(i, j, c, both / (a + b - both))
    }

    #[inline]
    pub(super) fn lift(&self, i: usize, j: usize, c: u32) -> f32 {
        self.damped(i, j, c, lift(c, self.counts[i], self.counts[j], self.n))
    }

    #[inline]
    fn damped(&self, i: usize, j: usize, c: u32, score: f64) -> f32 {
        if !self.passes(i, j, c) {
            return 0.0;
        }
        let shrinkage = self.options.shrinkage;
        let damping = if shrinkage > 0.0 { f64::from(c) / (f64::from(c) + shrinkage) } else { 1.0 };
        (score * damping) as f32
    }

    #[inline]
    fn passes(&self, i: usize, j: usize, c: u32) -> bool {
        c >= self.options.min_support && (self.options.min_llr <= 0.0 || self.g_squared(i, j, c) >= self.options.min_llr)
    }

    #[inline]
    fn g_squared(&self, i: usize, j: usize, c: u32) -> f64 {
        let (c, a, b, n) = (u64::from(c), u64::from(self.counts[i]), u64::from(self.counts[j]), u64::from(self.n));
        if c * n <= a * b {
            return 0.0;
        }
        g_squared(c, a, b, n, self.margin[i], self.margin[j], self.whole, |x| {
            self.table.get(x as usize).copied().unwrap_or_else(|| x_ln_x(x))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g_squared_of_known_tables() {
        // Dunning's formula written as Σ observed · ln(observed / expected).
        for (c, a, b, n) in [(10_u32, 20_u32, 30_u32, 1000_u32), (1, 1, 1, 100), (50, 60, 55, 120), (5, 5, 5, 10)] {
            let cells = [
                (f64::from(c), f64::from(a), f64::from(b)),
                (f64::from(a - c), f64::from(a), f64::from(n - b)),
                (f64::from(b - c), f64::from(n - a), f64::from(b)),
                (f64::from(n + c - a - b), f64::from(n - a), f64::from(n - b)),
            ];
            let expected: f64 = cells
                .iter()
                .filter(|(k, ..)| *k > 0.0)
                .map(|(k, row, column)| 2.0 * k * (k * f64::from(n) / (row * column)).ln())
                .sum();
            assert!((log_likelihood_ratio(c, a, b, n) - expected).abs() < 1e-9, "{c} {a} {b} {n}");
        }
    }

    #[test]
    fn chance_and_nonsense_score_nothing() {
        assert_eq!(log_likelihood_ratio(2, 20, 10, 100), 0.0, "exactly chance");
        assert_eq!(log_likelihood_ratio(1, 50, 50, 100), 0.0, "they avoid each other");
        for (c, a, b, n) in [(3, 2, 9, 100), (0, 0, 0, 0), (5, 90, 90, 100), (1, 1, 1, 0)] {
            assert_eq!(log_likelihood_ratio(c, a, b, n), 0.0);
        }
        assert_eq!(lift(5, 10, 20, 100), 2.5);
        assert_eq!(lift(0, 0, 3, 9), 0.0);
    }
}
