//! Asking a forest.
//!
//! Plain loops over lanes, which [`pulp`] has compiled once for any processor and once for those with AVX2; sums are taken in the order of the trees and never
//! fused, so every processor gets the same bits.

use pulp::{Arch, Simd, WithSimd};

use super::{Forest, LEAVES};

/// Candidates that are walked at once: a few vector registers of scores and of leaf numbers.
pub const LANES: usize = 32;

impl Forest {
    /// Adds the forest's score of each candidate to `scores`.
    ///
    /// `columns` holds the features column by column, each column `stride` values long of which the first `scores.len()` count; `stride` is a multiple
    /// of [`LANES`] and at least `scores.len()`. Shorter columns give no score.
    pub fn score(&self, columns: &[f32], stride: usize, scores: &mut [f32]) {
        if !stride.is_multiple_of(LANES) || stride < scores.len() || columns.len() < stride * self.shape.n_features {
            return;
        }
        Arch::new().dispatch(Walk { forest: self, columns, stride, scores });
    }
}

struct Walk<'a> {
    forest: &'a Forest,
    columns: &'a [f32],
    stride: usize,
    scores: &'a mut [f32],
}

impl WithSimd for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { forest, columns, stride, scores } = self;
        let depth = forest.shape.depth.max(1);
        let (features, thresholds, leaves) = (&forest.features[..], &forest.thresholds[..], &forest.leaves[..]);
        let vectors = LANES / S::F32_LANES;
        for (block, scores) in scores.chunks_mut(LANES).enumerate() {
            let base = block * LANES;
            let mut sums = [simd.splat_f32s(0.0); LANES];
            let trees = features.chunks_exact(depth).zip(thresholds.chunks_exact(depth));
            for ((features, thresholds), leaves) in trees.zip(leaves.chunks_exact(LEAVES)) {
                let mut leaf = [simd.splat_u32s(0); LANES];
                let mut bit = 1;
                for (&feature, &threshold) in features.iter().zip(thresholds) {
                    let Some(column) = columns[feature as usize * stride + base..].first_chunk::<LANES>() else { continue };
                    let (threshold, set) = (simd.splat_f32s(threshold), simd.splat_u32s(bit));
                    for (leaf, &values) in leaf[..vectors].iter_mut().zip(S::as_simd_f32s(column).0) {
                        let right = simd.less_than_f32s(threshold, values);
                        *leaf = simd.or_u32s(*leaf, simd.select_u32s(right, set, simd.splat_u32s(0)));
                    }
                    bit <<= 1;
                }
                let Some(leaves) = leaves.first_chunk::<LEAVES>() else { continue };
                let leaf: &[u32] = pulp::bytemuck::cast_slice(&leaf[..vectors]);
                let mut values = [0.0_f32; LANES];
                for (value, &leaf) in values.iter_mut().zip(leaf) {
                    *value = leaves[leaf as usize % LEAVES];
                }
                for (sum, &values) in sums.iter_mut().zip(S::as_simd_f32s(&values).0) {
                    *sum = simd.add_f32s(*sum, values);
                }
            }
            let sums: &[f32] = pulp::bytemuck::cast_slice(&sums[..vectors]);
            for (score, sum) in scores.iter_mut().zip(sums) {
                *score += sum;
            }
        }
    }
}
