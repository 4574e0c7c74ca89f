//! Growing symmetric trees from histograms.

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::dataset::BINS;
use super::lambda::{Scratch, gradients};
use super::{Dataset, Forest, LEAVES, MAX_DEPTH, Options, Shape};

/// Queries whose gradients one job works out.
const QUERIES: usize = 256;
/// Rows that one job sums. Sums are added up in the order of the jobs, so no result depends on threads.
const ROWS: usize = 1 << 15;

/// Sums of first and second derivatives: for each feature and bin.
type Histogram = Vec<[f64; 2]>;

/// One question: is the feature beyond this bin?
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    feature: usize,
    bin: usize,
    gain: f64,
}

pub(super) fn grow(examples: &Dataset, options: &Options) -> Forest {
    let data = examples.binned();
    let data = data.as_ref();
    let n_features = data.n_features();
    let depth = options.depth.clamp(1, MAX_DEPTH);
    let mut forest = Grown { gains: vec![0.0; n_features], ..Grown::default() };
    let mut scores = vec![0.0_f32; data.n_rows()];
    let mut slopes = vec![[0.0_f32; 2]; data.n_rows()];
    for tree in 0..options.trees {
        slope(data, options, &scores, &mut slopes);
        let bag = bag(data, options.bag, tree);
        let Some((splits, leaves)) = one_tree(data, bag, &slopes, depth, options) else { break };
        let walk = |row: &[u8]| -> usize {
            splits.iter().zip(0..).map(|(split, bit)| usize::from(usize::from(row[split.feature]) > split.bin) << bit).sum()
        };
        scores.par_iter_mut().enumerate().for_each(|(row, score)| *score += leaves[walk(data.row(row))]);
        for split in &splits {
            forest.features.push(split.feature as u32);
            forest.thresholds.push(data.edges()[split.feature][split.bin]);
            forest.gains[split.feature] += split.gain as f32;
        }
        // A tree that ran out of questions asks its first one again: the bit is there, and no leaf is lost.
        for _ in splits.len()..depth {
            forest.features.push(splits[0].feature as u32);
            forest.thresholds.push(f32::INFINITY);
        }
        forest.leaves.extend_from_slice(&leaves);
    }
    Forest {
        shape: Shape { n_features, depth },
        features: forest.features.into(),
        thresholds: forest.thresholds.into(),
        leaves: forest.leaves.into(),
        gains: forest.gains.into(),
    }
}

#[derive(Default)]
struct Grown {
    features: Vec<u32>,
    thresholds: Vec<f32>,
    leaves: Vec<f32>,
    gains: Vec<f32>,
}

/// Works out the derivatives of all rows.
fn slope(data: &Dataset, options: &Options, scores: &[f32], slopes: &mut [[f32; 2]]) {
    let starts = data.starts();
    let mut jobs = Vec::new();
    let mut rest = slopes;
    for first in (0..data.n_queries()).step_by(QUERIES) {
        let last = (first + QUERIES).min(data.n_queries());
        let (own, others) = rest.split_at_mut(starts[last] - starts[first]);
        rest = others;
        jobs.push((first..last, own));
    }
    jobs.into_par_iter().for_each_init(
        || (Scratch::default(), Vec::new(), Vec::new()),
        |(scratch, gradient, hessian), (queries, mut own)| {
            for query in queries {
                let rows = starts[query]..starts[query + 1];
                let (slopes, others) = own.split_at_mut(rows.len());
                own = others;
                gradient.resize(rows.len(), 0.0);
                hessian.resize(rows.len(), 0.0);
                let relevance = &data.relevance()[rows.clone()];
                gradients(options.objective, options.truncation, relevance, &scores[rows], scratch, gradient, hessian);
                for ((slope, &g), &h) in slopes.iter_mut().zip(gradient.iter()).zip(hessian.iter()) {
                    *slope = [g, h];
                }
            }
        },
    );
}

/// Draws the rows of the queries that a tree sees.
fn bag(data: &Dataset, share: f64, tree: usize) -> Vec<u32> {
    let drawn = |query: usize| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(query as u64).to_le_bytes());
        bytes[8..].copy_from_slice(&(tree as u64).to_le_bytes());
        (xxh3_64(&bytes) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut rows = Vec::with_capacity(data.n_rows());
    for (query, bounds) in data.starts().windows(2).enumerate() {
        if drawn(query) < share {
            rows.extend(bounds[0] as u32..bounds[1] as u32);
        }
    }
    rows
}

/// Rows that stand in one leaf, with the sums of their features.
struct Leaf {
    /// Which answers lead here, a bit a level.
    number: usize,
    rows: Vec<u32>,
    histogram: Histogram,
}

/// Grows one tree and returns its questions and the values of its leaves; nothing where no question gains anything.
fn one_tree(
    data: &Dataset,
    rows: Vec<u32>,
    slopes: &[[f32; 2]],
    depth: usize,
    options: &Options,
) -> Option<(Vec<Split>, [f32; LEAVES])> {
    let histogram = sum_up(data, &rows, slopes);
    let mut leaves = vec![Leaf { number: 0, rows, histogram }];
    let mut splits: Vec<Split> = Vec::new();
    for bit in 0..depth {
        let Some(split) = best_split(data, &leaves, f64::from(options.l2)) else { break };
        splits.push(split);
        let last = bit + 1 == depth;
        leaves = leaves.into_iter().flat_map(|leaf| divide(data, leaf, split, bit, slopes, last)).collect();
    }
    if splits.is_empty() {
        return None;
    }
    let mut values = [0.0; LEAVES];
    for leaf in &leaves {
        let [g, h] = leaf.rows.iter().fold([0.0_f64; 2], |[g, h], &row| {
            let [dg, dh] = slopes[row as usize];
            [g + f64::from(dg), h + f64::from(dh)]
        });
        values[leaf.number] = (-g / (h + f64::from(options.l2))) as f32 * options.learning_rate;
    }
    Some((splits, values))
}

/// Parts a leaf; the sums of the smaller part are counted, those of the larger one follow by subtraction.
fn divide(data: &Dataset, leaf: Leaf, split: Split, bit: usize, slopes: &[[f32; 2]], last: bool) -> Vec<Leaf> {
    let (beyond, below): (Vec<u32>, Vec<u32>) =
        leaf.rows.iter().partition(|&&row| usize::from(data.row(row as usize)[split.feature]) > split.bin);
    let (mut low, mut high) = (
        Leaf { number: leaf.number, rows: below, histogram: Vec::new() },
        Leaf { number: leaf.number | 1 << bit, rows: beyond, histogram: Vec::new() },
    );
    if !last {
        let (small, large) = if low.rows.len() < high.rows.len() { (&mut low, &mut high) } else { (&mut high, &mut low) };
        small.histogram = sum_up(data, &small.rows, slopes);
        large.histogram = leaf.histogram;
        for (large, small) in large.histogram.iter_mut().zip(&small.histogram) {
            large[0] -= small[0];
            large[1] -= small[1];
        }
    }
    [low, high].into_iter().filter(|leaf| !leaf.rows.is_empty()).collect()
}

fn sum_up(data: &Dataset, rows: &[u32], slopes: &[[f32; 2]]) -> Histogram {
    let n = data.n_features() * BINS;
    let parts: Vec<Vec<[f32; 2]>> = rows
        .par_chunks(ROWS)
        .map(|rows| {
            let mut sums = vec![[0.0_f32; 2]; n];
            for &row in rows {
                let [g, h] = slopes[row as usize];
                for (&bin, sums) in data.row(row as usize).iter().zip(sums.chunks_exact_mut(BINS)) {
                    let sum = &mut sums[usize::from(bin) % BINS];
                    sum[0] += g;
                    sum[1] += h;
                }
            }
            sums
        })
        .collect();
    let mut whole = vec![[0.0_f64; 2]; n];
    for part in parts {
        for (whole, part) in whole.iter_mut().zip(part) {
            whole[0] += f64::from(part[0]);
            whole[1] += f64::from(part[1]);
        }
    }
    whole
}

/// Finds the question that, asked of all leaves at once, gains most.
fn best_split(data: &Dataset, leaves: &[Leaf], l2: f64) -> Option<Split> {
    let worth = |[g, h]: [f64; 2]| g * g / (h + l2);
    (0..data.n_features())
        .into_par_iter()
        .filter_map(|feature| {
            let bins = data.edges()[feature].len();
            let mut gains = [0.0_f64; BINS];
            for leaf in leaves {
                let sums = &leaf.histogram[feature * BINS..(feature + 1) * BINS];
                let whole = sums.iter().fold([0.0; 2], |[g, h], sum| [g + sum[0], h + sum[1]]);
                let before = worth(whole);
                let mut left = [0.0; 2];
                for (gain, sum) in gains.iter_mut().zip(sums).take(bins) {
                    left = [left[0] + sum[0], left[1] + sum[1]];
                    let right = [whole[0] - left[0], (whole[1] - left[1]).max(0.0)];
                    *gain += worth(left) + worth(right) - before;
                }
            }
            let (bin, gain) =
                gains.iter().copied().enumerate().take(bins).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
            (gain > 1e-9).then_some(Split { feature, bin, gain })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .max_by(|a, b| a.gain.total_cmp(&b.gain).then(b.feature.cmp(&a.feature)))
}
