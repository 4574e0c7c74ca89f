//! The gate of a build: does a search find what is there?

use rayon::prelude::*;

use super::Index;
use super::dots::Dots;
use super::search::{self, Scratch};

/// How many vectors are asked for themselves, at most.
const SELVES: usize = 10_000;

/// How many searches are compared with the truth, at most; each takes an exact look at all vectors.
const SEARCHES: usize = 500;

/// How many answers are compared.
const K: usize = 10;

/// What a walk with the default settings finds, on vectors taken evenly from the index; shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quality {
    /// Share of vectors that find themselves.
    pub self_recall: f64,
    /// Share of the ten nearest that are found.
    pub recall: f64,
    /// How many were asked for themselves.
    pub selves: usize,
    /// How many searches were compared.
    pub searches: usize,
}

/// The least a build has to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    pub self_recall: f64,
    pub recall: f64,
}

impl Default for Floor {
    /// One vector in a thousand may miss itself, as in graphs known to be sound; recall is that of the default settings less a margin.
    fn default() -> Self {
        Self { self_recall: 0.999, recall: 0.95 }
    }
}

/// Why an index must not be served: searches miss what is there.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "the index finds {:.4} of its vectors and {:.4} of the nearest ten, where {:.4} and {:.4} are the least; build again, with a greater m or ef_construction",
    found.self_recall, found.recall, floor.self_recall, floor.recall
)]
pub struct Fault {
    pub found: Quality,
    pub floor: Floor,
}

/// Searches for evenly taken vectors, without falling back on a look at all of them where there is a graph.
pub(super) fn check(index: &Index, floor: &Floor) -> Result<Quality, Fault> {
    let selves = evenly(index.n_vectors(), SELVES);
    let searches = evenly(index.n_vectors(), SEARCHES);
    let found = Quality {
        self_recall: mean(&selves, |node, scratch| {
            let mut found = search::nodes(index, node, K, scratch);
            f64::from(u8::from(found.any(|other| other == node)))
        }),
        recall: mean(&searches, |node, scratch| recall(index, node, scratch)),
        selves: selves.len(),
        searches: searches.len(),
    };
    if found.self_recall >= floor.self_recall && found.recall >= floor.recall {
        Ok(found)
    } else {
        Err(Fault { found, floor: *floor })
    }
}

/// Returns the share of the nearest ten, by exact scores of all vectors, that a search finds.
fn recall(index: &Index, node: u32, scratch: &mut Scratch) -> f64 {
    let rows = &*index.vectors.exact;
    let Some(asked) = index.vectors.row(node) else { return 0.0 };
    let score = |row: &[f32]| Dots::new().exact(asked, row);
    let mut scores: Vec<f32> = rows.chunks_exact(asked.len()).map(score).collect();
    let wanted = K.min(scores.len());
    let (_, &mut worst, _) = scores.select_nth_unstable_by(wanted - 1, |a, b| b.total_cmp(a));
    let found = search::nodes(index, node, K, scratch);
    let hits = found.filter_map(|other| index.vectors.row(other)).filter(|row| score(row) >= worst).count();
    // Vectors as near as the tenth may be more than ten.
    hits.min(wanted) as f64 / wanted as f64
}

/// Returns the mean of `measure`; 1 of none. Summed in order, so that threads change nothing.
fn mean(nodes: &[u32], measure: impl Fn(u32, &mut Scratch) -> f64 + Sync) -> f64 {
    let measured: Vec<f64> = nodes.par_iter().map_init(Scratch::default, |scratch, &node| measure(node, scratch)).collect();
    if measured.is_empty() { 1.0 } else { measured.iter().sum::<f64>() / measured.len() as f64 }
}

/// Takes at most `limit` of `n` nodes at equal distances.
fn evenly(n: usize, limit: usize) -> Vec<u32> {
    (0..n).step_by(n.div_ceil(limit).max(1)).map(|node| node as u32).collect()
}
