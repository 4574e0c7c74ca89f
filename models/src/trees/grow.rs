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
        let sample = Sample::draw(&slopes, options, tree);
        let splits = one_tree(data, sample, &slopes, depth, f64::from(options.l2));
        if splits.is_empty() {
            break;
        }
        let leaves = apply(data, &splits, &slopes, options, &mut scores);
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

/// What a tree sees: some rows, those with small gradients standing for several of their kind.
struct Sample {
    rows: Vec<u32>,
    /// Gradients below this were drawn, and count so many times.
    small: f32,
    times: f32,
}

impl Sample {
    /// Keeps the rows with the greatest gradients and draws from the others: gradient-based one-side sampling (Ke et al., *LightGBM*, 2017).
    fn draw(slopes: &[[f32; 2]], options: &Options, tree: usize) -> Self {
        let sure = ((slopes.len() as f64 * options.sure) as usize).min(slopes.len());
        if sure == slopes.len() {
            return Self { rows: (0..slopes.len() as u32).collect(), small: 0.0, times: 1.0 };
        }
        let mut sizes: Vec<f32> = slopes.iter().map(|[g, _]| g.abs()).collect();
        let (_, &mut small, _) = sizes.select_nth_unstable_by(sure, |a, b| b.total_cmp(a));
        let drawn = |row: u32| {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&row.to_le_bytes());
            bytes[4..].copy_from_slice(&(tree as u64).to_le_bytes());
            (xxh3_64(&bytes) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let rows =
            (0_u32..).zip(slopes).filter(|&(row, [g, _])| g.abs() >= small || drawn(row) < options.drawn).map(|(row, _)| row);
        Self { rows: rows.collect(), small, times: (1.0 / options.drawn.max(1e-6)) as f32 }
    }

    /// Returns what a row's derivatives count for in a tree that sees this sample.
    #[inline]
    fn weigh(&self, [g, h]: [f32; 2]) -> [f32; 2] {
        let times = if g.abs() < self.small { self.times } else { 1.0 };
        [g * times, h * times]
    }
}

/// Rows that stand in one leaf, with the sums of their features.
struct Leaf {
    rows: Vec<u32>,
    histogram: Histogram,
}

/// Grows one tree and returns its questions; none where no question gains anything.
fn one_tree(data: &Dataset, mut sample: Sample, slopes: &[[f32; 2]], depth: usize, l2: f64) -> Vec<Split> {
    let rows = std::mem::take(&mut sample.rows);
    let histogram = sum_up(data, &rows, &sample, slopes);
    let mut leaves = vec![Leaf { rows, histogram }];
    let mut splits: Vec<Split> = Vec::new();
    while splits.len() < depth
        && let Some(split) = best_split(data, &leaves, l2)
    {
        splits.push(split);
        if splits.len() < depth {
            leaves = leaves.into_iter().flat_map(|leaf| divide(data, leaf, split, &sample, slopes)).collect();
        }
    }
    splits
}

/// Works out the leaves of a tree from all rows, adds them to the scores, and returns them.
fn apply(data: &Dataset, splits: &[Split], slopes: &[[f32; 2]], options: &Options, scores: &mut [f32]) -> [f32; LEAVES] {
    let walk = |row: usize| -> usize {
        let row = data.row(row);
        splits.iter().zip(0..).map(|(split, bit)| usize::from(usize::from(row[split.feature]) > split.bin) << bit).sum()
    };
    let parts: Vec<(Vec<u8>, [[f64; 2]; LEAVES])> = slopes
        .par_chunks(ROWS)
        .enumerate()
        .map(|(chunk, slopes)| {
            let mut sums = [[0.0; 2]; LEAVES];
            let leaves = slopes.iter().enumerate().map(|(at, &[g, h])| {
                let leaf = walk(chunk * ROWS + at);
                sums[leaf][0] += f64::from(g);
                sums[leaf][1] += f64::from(h);
                // There are 64 leaves.
                leaf as u8
            });
            (leaves.collect(), sums)
        })
        .collect();
    let mut sums = [[0.0; 2]; LEAVES];
    for (_, part) in &parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            sum[0] += part[0];
            sum[1] += part[1];
        }
    }
    let leaves = sums.map(|[g, h]| (-g / (h + f64::from(options.l2))) as f32 * options.learning_rate);
    scores.par_chunks_mut(ROWS).zip(&parts).for_each(|(scores, (of, _))| {
        for (score, &leaf) in scores.iter_mut().zip(of) {
            *score += leaves[usize::from(leaf)];
        }
    });
    leaves
}

/// Parts a leaf; the sums of the smaller part are counted, those of the larger one follow by subtraction.
fn divide(data: &Dataset, leaf: Leaf, split: Split, sample: &Sample, slopes: &[[f32; 2]]) -> Vec<Leaf> {
    let (beyond, below): (Vec<u32>, Vec<u32>) =
        leaf.rows.iter().partition(|&&row| usize::from(data.row(row as usize)[split.feature]) > split.bin);
    let (small, large) = if below.len() < beyond.len() { (below, beyond) } else { (beyond, below) };
    let small = Leaf { histogram: sum_up(data, &small, sample, slopes), rows: small };
    let mut large = Leaf { rows: large, histogram: leaf.histogram };
    for (large, small) in large.histogram.iter_mut().zip(&small.histogram) {
        large[0] -= small[0];
        large[1] -= small[1];
    }
    [small, large].into_iter().filter(|leaf| !leaf.rows.is_empty()).collect()
}

fn sum_up(data: &Dataset, rows: &[u32], sample: &Sample, slopes: &[[f32; 2]]) -> Histogram {
    let n = data.n_features() * BINS;
    let parts: Vec<Vec<[f32; 2]>> = rows
        .par_chunks(ROWS)
        .map(|rows| {
            let mut sums = vec![[0.0_f32; 2]; n];
            for &row in rows {
                let [g, h] = sample.weigh(slopes[row as usize]);
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
