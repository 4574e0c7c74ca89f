//! A weighted sum whose weights are learnt: the conditional logit.
//!
//! Each query is a choice among candidates with features, one of which was chosen. The probability of a candidate is the softmax of its weighted sum (McFadden,
//! *Conditional logit analysis of qualitative choice behavior*, 1974); the weights that make the choices likeliest are found by Newton's method, for the
//! likelihood is concave. A little ridge keeps weights of features that say the same finite.

/// Choices to learn from.
#[derive(Debug, Clone)]
pub struct Choices {
    n_features: usize,
    features: Vec<f32>,
    /// Where each query's rows start, and one end.
    starts: Vec<usize>,
    chosen: Vec<u32>,
}

impl Choices {
    /// Creates an empty set of choices among candidates with `n_features` features.
    pub fn new(n_features: usize) -> Self {
        Self { n_features, features: Vec::new(), starts: vec![0], chosen: Vec::new() }
    }

    /// Adds a choice: the features of the candidates row by row, and which of them was chosen.
    ///
    /// # Panics
    /// If the features are not whole rows, or nothing that is there was chosen.
    pub fn push(&mut self, features: &[f32], chosen: usize) {
        assert!(
            features.len().is_multiple_of(self.n_features) && chosen * self.n_features < features.len(),
            "a choice is among rows"
        );
        self.features.extend_from_slice(features);
        self.starts.push(self.features.len());
        self.chosen.push(chosen as u32);
    }

    /// Returns the number of choices.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Returns whether there is no choice to learn from.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }
}

/// Steps of Newton's method at most; it squares the error with each.
const ROUNDS: usize = 25;

/// Returns the weights that make the choices likeliest, starting from `prior` and drawn towards it by `ridge` (in choices).
///
/// With no choice at all the weights are the prior.
pub fn fit(choices: &Choices, prior: &[f32], ridge: f64) -> Vec<f32> {
    let d = choices.n_features;
    let mut weights: Vec<f64> = prior.iter().map(|&w| f64::from(w)).collect();
    weights.resize(d, 0.0);
    let start = weights.clone();
    let mut value = objective(choices, &weights, &start, ridge);
    for _ in 0..ROUNDS {
        let (gradient, hessian) = derivatives(choices, &weights, &start, ridge);
        let Some(step) = solve(hessian, gradient) else { break };
        // Halved until it helps: far from the best point the quadratic promises too much.
        let mut share = 1.0;
        let mut better = None;
        while share > 1e-4 {
            let tried: Vec<f64> = weights.iter().zip(&step).map(|(w, s)| w + share * s).collect();
            let reached = objective(choices, &tried, &start, ridge);
            if reached > value {
                better = Some((tried, reached));
                break;
            }
            share /= 2.0;
        }
        let Some((tried, reached)) = better else { break };
        let gained = reached - value;
        (weights, value) = (tried, reached);
        if gained < 1e-6 * choices.len() as f64 {
            break;
        }
    }
    weights.iter().map(|&w| w as f32).collect()
}

/// Fills the probability of each candidate of a query.
fn probabilities(rows: &[f32], weights: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.extend(rows.chunks_exact(weights.len()).map(|row| row.iter().zip(weights).map(|(&x, w)| f64::from(x) * w).sum::<f64>()));
    let most = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut mass = 0.0;
    for score in out.iter_mut() {
        *score = (*score - most).exp();
        mass += *score;
    }
    out.iter_mut().for_each(|score| *score /= mass);
}

fn each<'a>(choices: &'a Choices) -> impl Iterator<Item = (&'a [f32], usize)> + 'a {
    choices.starts.windows(2).zip(&choices.chosen).map(|(b, &chosen)| (&choices.features[b[0]..b[1]], chosen as usize))
}

fn objective(choices: &Choices, weights: &[f64], start: &[f64], ridge: f64) -> f64 {
    let mut p = Vec::new();
    let mut sum = 0.0;
    for (rows, chosen) in each(choices) {
        probabilities(rows, weights, &mut p);
        sum += p[chosen].max(1e-300).ln();
    }
    sum - ridge / 2.0 * weights.iter().zip(start).map(|(w, s)| (w - s) * (w - s)).sum::<f64>()
}

fn derivatives(choices: &Choices, weights: &[f64], start: &[f64], ridge: f64) -> (Vec<f64>, Vec<f64>) {
    let d = weights.len();
    let mut gradient: Vec<f64> = weights.iter().zip(start).map(|(w, s)| -ridge * (w - s)).collect();
    let mut hessian = vec![0.0; d * d];
    for k in 0..d {
        hessian[k * d + k] = ridge.max(1e-9);
    }
    let (mut p, mut mean) = (Vec::new(), vec![0.0; d]);
    for (rows, chosen) in each(choices) {
        probabilities(rows, weights, &mut p);
        mean.fill(0.0);
        for (row, &p) in rows.chunks_exact(d).zip(&p) {
            for (i, &x) in row.iter().enumerate() {
                let weighted = p * f64::from(x);
                mean[i] += weighted;
                for (j, &y) in row.iter().enumerate().take(i + 1) {
                    hessian[i * d + j] += weighted * f64::from(y);
                }
            }
        }
        for i in 0..d {
            gradient[i] += f64::from(rows[chosen * d + i]) - mean[i];
            for j in 0..=i {
                hessian[i * d + j] -= mean[i] * mean[j];
            }
        }
    }
    (gradient, hessian)
}

/// Solves `A·x = b` for a positive definite `A`, given by its lower triangle, by Cholesky's method; nothing where it is not.
fn solve(mut a: Vec<f64>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let d = b.len();
    for i in 0..d {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| a[i * d + k] * a[j * d + k]).sum();
            let rest = a[i * d + j] - dot;
            if i == j {
                if rest.is_nan() || rest <= 0.0 {
                    return None;
                }
                a[i * d + i] = rest.sqrt();
            } else {
                a[i * d + j] = rest / a[j * d + j];
            }
        }
    }
    for i in 0..d {
        let dot: f64 = (0..i).map(|k| a[i * d + k] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i * d + i];
    }
    for i in (0..d).rev() {
        let dot: f64 = (i + 1..d).map(|k| a[k * d + i] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i * d + i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_behind_choices_are_found() {
        // Choices made with known weights: pseudo-random features, chosen by the Gumbel trick.
        let truth = [2.0_f32, -1.0, 0.0];
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f32 / (1_u64 << 31) as f32
        };
        let mut choices = Choices::new(3);
        for _ in 0..4_000 {
            let rows: Vec<f32> = (0..8 * 3).map(|_| next()).collect();
            let scores: Vec<f32> = rows
                .chunks(3)
                .map(|row| row.iter().zip(truth).map(|(x, w)| x * w).sum::<f32>() - (-next().max(1e-9).ln()).ln())
                .collect();
            let best = (0..8).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
            choices.push(&rows, best);
        }
        let weights = fit(&choices, &[0.0; 3], 1.0);
        for (found, true_) in weights.iter().zip(truth) {
            assert!((found - true_).abs() < 0.25, "{weights:?}");
        }
    }

    #[test]
    fn without_choices_the_prior_stays() {
        assert_eq!(fit(&Choices::new(2), &[1.5, -2.0], 1.0), [1.5, -2.0]);
        // A feature that never differs says nothing and keeps its weight.
        let mut choices = Choices::new(2);
        choices.push(&[1.0, 7.0, 0.0, 7.0], 0);
        let weights = fit(&choices, &[0.0, 0.5], 1.0);
        assert!(weights[0] > 0.0 && (weights[1] - 0.5).abs() < 1e-6, "{weights:?}");
    }
}
