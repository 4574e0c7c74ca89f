//! Which items go together: item × item counts over groups, scored, the best kept.
//!
//! The full matrix of pairs never exists. Each row is accumulated by itself (Gustavson's algorithm: the row of `AᵀA` is the sum of the groups that hold
//! the item), scored and cut, so memory is one row for each thread plus the result.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{interactions::Interactions, top};

mod scores;

pub use scores::{lift, log_likelihood_ratio};

/// How a pair is scored.
///
/// With `c` groups that hold both items, `a` and `b` that hold each, and `n` in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// Dunning's G² (1993), for pairs that meet more often than by chance: how sure we are that they belong together.
    LogLikelihood,
    /// `c / √(a·b)` (Sarwar et al. 2001).
    Cosine,
    /// `c / (a + b − c)`.
    Jaccard,
    /// `c·n / (a·b)`: how many times more often than by chance. Loves rare pairs; needs floors.
    Lift,
}

/// What is kept of each row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Neighbours of an item.
    pub top: usize,
    /// Groups that must hold both items.
    pub min_support: u32,
    /// G² a pair must reach, whatever the score. Above 0 it also demands positive association. 10.83 is the 0.1 % level of χ² with one degree of freedom.
    pub min_llr: f64,
    /// The score to rank by.
    pub score: Score,
    /// Damps cosine, Jaccard and lift of thin pairs by `c / (c + shrinkage)`; G² knows its support already.
    pub shrinkage: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { top: 100, min_support: 2, min_llr: 0.0, score: Score::LogLikelihood, shrinkage: 0.0 }
    }
}

/// The best neighbours of each item, best first, in compressed sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbors {
    /// Where each item's neighbours start, and one end.
    pub indptr: Vec<u32>,
    /// The neighbours.
    pub items: Vec<u32>,
    /// Their scores, descending in a row; equal scores are in the order of the items.
    pub scores: Vec<f32>,
    /// Groups that hold both items.
    pub support: Vec<u32>,
    /// Groups that hold each item.
    pub item_counts: Vec<u32>,
    /// All groups.
    pub n_groups: u32,
}

/// One neighbour of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// The neighbour.
    pub item: u32,
    /// The score it is ranked by.
    pub score: f32,
    /// Groups that hold both.
    pub support: u32,
}

impl Neighbors {
    /// Returns the number of items, with neighbours or without.
    pub fn n_items(&self) -> usize {
        self.item_counts.len()
    }

    /// Returns the neighbours of an item, best first; none for an unknown item.
    pub fn row(&self, item: u32) -> impl ExactSizeIterator<Item = Neighbor> + '_ {
        let item = item as usize;
        let row = match (self.indptr.get(item), self.indptr.get(item.saturating_add(1))) {
            (Some(&start), Some(&end)) => start as usize..end as usize,
            _ => 0..0,
        };
        row.map(|at| Neighbor { item: self.items[at], score: self.scores[at], support: self.support[at] })
    }
}

/// Rows that one job works through; small enough to spread a few heavy items over the threads.
const BLOCK: usize = 128;

/// Returns the best neighbours of each item.
///
/// Runs on the current rayon pool; the result is the same for any number of threads. `top` is lowered where the result would not fit `u32` row starts.
pub fn neighbors(groups: &Interactions, options: &Options) -> Neighbors {
    let n_items = groups.n_items();
    let item_counts = groups.item_counts();
    let n_groups = u32::try_from(groups.n_groups()).unwrap_or(u32::MAX);
    let limit = options.top.min(u32::MAX as usize / n_items.max(1)).min(n_items);
    let (starts, by_item) = groups.by_item();
    let scorer = scores::Scorer::new(options, &item_counts, n_groups);

    let blocks: Vec<Block> = (0..n_items.div_ceil(BLOCK))
        .into_par_iter()
        .map_init(
            || Accumulator::new(n_items, limit),
            |accumulator, block| {
                let mut rows = Block::default();
                for item in block * BLOCK..((block + 1) * BLOCK).min(n_items) {
                    accumulator.count(groups, &by_item[starts[item]..starts[item + 1]]);
                    accumulator.cut(item as u32, &scorer, &mut rows);
                }
                rows
            },
        )
        .collect();

    let total = blocks.iter().map(|block| block.items.len()).sum();
    let mut result = Neighbors {
        indptr: Vec::with_capacity(n_items + 1),
        items: Vec::with_capacity(total),
        scores: Vec::with_capacity(total),
        support: Vec::with_capacity(total),
        item_counts,
        n_groups,
    };
    result.indptr.push(0);
    let mut end = 0;
    for block in blocks {
        for length in block.lengths {
            end += length;
            result.indptr.push(end);
        }
        result.items.extend(block.items);
        result.scores.extend(block.scores);
        result.support.extend(block.support);
    }
    result
}

/// Finished rows of one job.
#[derive(Debug, Default)]
struct Block {
    lengths: Vec<u32>,
    items: Vec<u32>,
    scores: Vec<f32>,
    support: Vec<u32>,
}

/// One thread's row: a dense counter and the list of what it touched.
struct Accumulator {
    counts: Vec<u32>,
    touched: Vec<u32>,
    len: usize,
    best: top::Best,
}

impl Accumulator {
    fn new(n_items: usize, limit: usize) -> Self {
        // One place more than items: `count` writes the place after the last one when it meets an item again.
        Self { counts: vec![0; n_items], touched: vec![0; n_items + 1], len: 0, best: top::Best::new(limit) }
    }

    /// Counts how often each item occurs in the given groups.
    fn count(&mut self, groups: &Interactions, holding: &[u32]) {
        for &group in holding {
            for &item in groups.group(group as usize) {
                // Writing always and advancing only for new items spares a branch that would be mispredicted.
                let count = &mut self.counts[item as usize];
                self.touched[self.len] = item;
                self.len += usize::from(*count == 0);
                *count += 1;
            }
        }
    }

    /// Scores what was counted, appends the best to the block, and leaves the row empty.
    fn cut(&mut self, item: u32, scorer: &scores::Scorer<'_>, rows: &mut Block) {
        let touched = &self.touched[..self.len];
        for &other in touched {
            if other != item
                && let Some(score) = scorer.score(item, other, self.counts[other as usize])
            {
                self.best.offer(top::key(score, other));
            }
        }
        let kept = self.best.sorted();
        rows.lengths.push(kept.len() as u32);
        for &key in kept {
            rows.items.push(top::item(key));
            rows.scores.push(top::score(key));
            rows.support.push(self.counts[top::item(key) as usize]);
        }
        for &other in touched {
            self.counts[other as usize] = 0;
        }
        self.len = 0;
        self.best.clear();
    }
}

#[cfg(test)]
mod tests;
