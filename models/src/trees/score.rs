//! Asking a forest.

use super::{Forest, LEAVES};

/// Candidates that are walked at once: a few vector registers of scores and of leaf numbers.
pub const LANES: usize = 16;

impl Forest {
    /// Adds the forest's score of each candidate to `scores`.
    ///
    /// `columns` holds the features column by column, each column `stride` values long of which the first `scores.len()` count; `stride` is a multiple
    /// of [`LANES`] and at least `scores.len()`. Shorter columns give no score.
    pub fn score(&self, columns: &[f32], stride: usize, scores: &mut [f32]) {
        let depth = self.shape.depth;
        if !stride.is_multiple_of(LANES) || stride < scores.len() || columns.len() < stride * self.shape.n_features {
            return;
        }
        let (features, thresholds, leaves) = (&self.features[..], &self.thresholds[..], &self.leaves[..]);
        for (block, scores) in scores.chunks_mut(LANES).enumerate() {
            let base = block * LANES;
            let mut sums = [0.0_f32; LANES];
            let trees = features.chunks_exact(depth.max(1)).zip(thresholds.chunks_exact(depth.max(1)));
            for ((features, thresholds), leaves) in trees.zip(leaves.chunks_exact(LEAVES)) {
                let mut leaf = [0_u32; LANES];
                for ((&feature, &threshold), bit) in features.iter().zip(thresholds).zip(0_u32..) {
                    let Some(column) = columns[feature as usize * stride + base..].first_chunk::<LANES>() else { continue };
                    for (leaf, &value) in leaf.iter_mut().zip(column) {
                        *leaf |= u32::from(value > threshold) << bit;
                    }
                }
                let Some(leaves) = leaves.first_chunk::<LEAVES>() else { continue };
                for (sum, &leaf) in sums.iter_mut().zip(&leaf) {
                    *sum += leaves[leaf as usize % LEAVES];
                }
            }
            for (score, sum) in scores.iter_mut().zip(sums) {
                *score += sum;
            }
        }
    }
}
