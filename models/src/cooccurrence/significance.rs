//! How sure is sure enough, where thousands of pairs are looked at.

/// Returns the G² below which a pair may be an accident, given the chance that even one of all pairs is; 0 for a chance of 0.
///
/// G² of an accident is distributed like χ² with one degree of freedom (Wilks 1938), and with `m` pairs looked at, each may err with a chance of
/// `family_error / m` (Bonferroni). Pairs are taken to be as many as groups hold, but no more than items make: telling the distinct ones would take
/// the whole count, and twice as many pairs raise the floor by 1.4 only.
pub(super) fn floor(group_lengths: impl Iterator<Item = usize>, n_items: usize, family_error: f64) -> f64 {
    if family_error <= 0.0 {
        return 0.0;
    }
    let pairs_of = |n: usize| n as f64 * (n as f64 - 1.0) / 2.0;
    let held: f64 = group_lengths.map(pairs_of).sum();
    let pairs = held.min(pairs_of(n_items)).max(1.0);
    chi_squared_quantile(family_error.min(1.0) / pairs)
}

/// Returns the value that χ² with one degree of freedom exceeds with the given probability, to six digits.
fn chi_squared_quantile(probability: f64) -> f64 {
    // Beyond 1,400 the tail is smaller than any double.
    let (mut low, mut high) = (0.0, 1400.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if ln_tail(middle) > probability.ln() { low = middle } else { high = middle }
    }
    low
}

/// Returns the logarithm of the chance that χ² with one degree of freedom exceeds `x`: `ln erfc(√(x/2))`.
///
/// The continued fraction of Laplace (Abramowitz & Stegun 7.1.14) far out, the series of erf (7.1.6) near zero.
fn ln_tail(x: f64) -> f64 {
    let z = (x / 2.0).sqrt();
    if z < 2.0 {
        // erf z = 2/√π · e^(−z²) · Σ 2ⁿ z^(2n+1) / (1·3·…·(2n+1))
        let (mut term, mut sum) = (z, z);
        for n in 1..60 {
            term *= 2.0 * z * z / f64::from(2 * n + 1);
            sum += term;
        }
        return (1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-z * z).exp() * sum).max(f64::MIN_POSITIVE).ln();
    }
    // √π · e^(z²) · erfc z = 1/(z + (1/2)/(z + 1/(z + (3/2)/(z + …))))
    let fraction = (1..=60).rev().fold(z, |below, n| z + f64::from(n) / 2.0 / below);
    -z * z - (fraction * std::f64::consts::PI.sqrt()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_tables() {
        for (probability, value) in [(0.5, 0.454_936), (0.05, 3.841_459), (0.001, 10.827_566), (1e-6, 23.928_127)] {
            let found = chi_squared_quantile(probability);
            assert!((found - value).abs() < 1e-5, "{probability}: {found} instead of {value}");
        }
        assert!(chi_squared_quantile(1e-300) > 1300.0);
        assert_eq!(chi_squared_quantile(1.0), 0.0);
    }

    #[test]
    fn more_pairs_ask_for_more() {
        let of = |n_groups| floor(std::iter::repeat_n(4, n_groups), 1000, 0.05);
        assert!((of(1) - chi_squared_quantile(0.05 / 6.0)).abs() < 1e-9);
        assert!(of(100) > of(1) + 8.0);
        assert_eq!(floor([2, 3].into_iter(), 3, 0.0), 0.0);
        assert!(floor([].into_iter(), 0, 0.05).is_finite());
    }
}
