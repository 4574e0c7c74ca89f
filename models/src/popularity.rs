//! What many want: decayed counts, ranking, and what is rising.

use ndarray::ArrayView2;

use crate::top;

/// Returns the decayed count of each item: the sum of `weight · 2^(−age / half_life)`.
///
/// Rows are (item, age in seconds, weight), ages measured from the newest event. An age below zero counts as now; rows with an item outside the catalog or
/// a number that is not finite are ignored. A half-life that is not positive means no decay.
pub fn decayed_counts(rows: impl IntoIterator<Item = (u32, f64, f32)>, half_life: f64, n_items: usize) -> Vec<f32> {
    let rate = if half_life > 0.0 { half_life.recip() } else { 0.0 };
    let mut sums = vec![0.0_f64; n_items];
    for (item, age, weight) in rows {
        if let Some(sum) = sums.get_mut(item as usize)
            && age.is_finite()
            && weight.is_finite()
        {
            *sum += f64::from(weight) * (-age.max(0.0) * rate).exp2();
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// Returns the best items, best first; equal scores are in the order of the items.
///
/// Items without a positive finite score are not ranked.
pub fn rank(scores: &[f32], limit: usize) -> Vec<(u32, f32)> {
    let mut best = top::Best::new(limit);
    for (item, &score) in (0_u32..).zip(scores) {
        if score > 0.0 && score.is_finite() {
            best.offer(top::key(score, item));
        }
    }
    best.sorted().iter().map(|&key| (top::item(key), top::score(key))).collect()
}

/// How [`trending`] compares now and before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Newest buckets that count as now.
    pub recent: usize,
    /// Events a bucket added to both rates, so that three views after none are not a rush.
    pub smoothing: f32,
    /// Events an item needs in the recent buckets to be ranked at all.
    pub min_volume: f32,
}

impl Default for Trend {
    fn default() -> Self {
        Self { recent: 1, smoothing: 2.0, min_volume: 5.0 }
    }
}

/// Returns how much faster each item moves now than before; 0 below the volume floor.
///
/// `counts` is items × time buckets of equal length, oldest first. With `R` events in the `r` recent buckets and `B` in the `b` buckets before,
/// the score is `(R/r + s) / (B/b + s)`, `s` the smoothing: 1 is steady, 3 is three times its usual pace. Without earlier buckets nothing can be rising
/// and the score is 0. Cells that are negative or not finite count as 0.
pub fn trending(counts: ArrayView2<'_, f32>, trend: &Trend) -> Vec<f32> {
    let buckets = counts.ncols();
    let recent = trend.recent.clamp(1, buckets.max(1));
    if buckets <= recent {
        return vec![0.0; counts.nrows()];
    }
    let before = buckets - recent;
    let smoothing = f64::from(trend.smoothing).max(f64::EPSILON);
    let sum = |cells: ndarray::ArrayView1<'_, f32>| -> f64 {
        cells.iter().filter(|cell| cell.is_finite() && **cell > 0.0).map(|&cell| f64::from(cell)).sum()
    };
    counts
        .outer_iter()
        .map(|row| {
            let (old, new) = row.split_at(ndarray::Axis(0), before);
            let volume = sum(new);
            if volume <= 0.0 || volume < f64::from(trend.min_volume) {
                return 0.0;
            }
            ((volume / recent as f64 + smoothing) / (sum(old) / before as f64 + smoothing)) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_half_life_halves() {
        let rows = [(0, 0.0, 1.0), (0, 10.0, 1.0), (1, 20.0, 4.0), (1, -5.0, 1.0), (7, 0.0, 1.0), (2, f64::NAN, 1.0)];
        assert_eq!(decayed_counts(rows, 10.0, 3), [1.5, 2.0, 0.0]);
        assert_eq!(decayed_counts(rows, 0.0, 3), [2.0, 5.0, 0.0]);
    }

    #[test]
    fn ties_are_ranked_by_item() {
        let scores = [1.0, 3.0, f32::NAN, 3.0, 0.0, -1.0, f32::INFINITY];
        assert_eq!(rank(&scores, 10), [(1, 3.0), (3, 3.0), (0, 1.0)]);
        assert_eq!(rank(&scores, 1), [(1, 3.0)]);
        assert_eq!(rank(&scores, 0), []);
    }

    #[test]
    fn rising_items_come_first() {
        let counts = array![[100.0, 100.0, 110.0], [10.0, 10.0, 60.0], [0.0, 0.0, 3.0], [50.0, 50.0, 5.0], [0.0, 0.0, 20.0]];
        let scores = trending(counts.view(), &Trend::default());
        let ranked: Vec<u32> = rank(&scores, 10).into_iter().map(|(item, _)| item).collect();
        assert_eq!(ranked, [4, 1, 0, 3]);
        assert_eq!(scores[2], 0.0, "below the volume floor");
        assert!((scores[1] - 62.0 / 12.0).abs() < 1e-6);
    }

    #[test]
    fn without_a_past_nothing_rises() {
        assert_eq!(trending(array![[9.0], [1.0]].view(), &Trend::default()), [0.0, 0.0]);
        assert_eq!(trending(ndarray::Array2::zeros((2, 0)).view(), &Trend::default()), [0.0, 0.0]);
    }
}
