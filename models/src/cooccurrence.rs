//! Which items go together: item × item counts over groups, scored, the best kept.
//!
//! The full matrix of pairs never exists. Each row is accumulated by itself (Gustavson's algorithm, 1978: the row of `AᵀA` is the sum of the groups that
//! hold the item), scored and cut, so memory is the groups laid out for counting (`packed.rs`), one row for each thread (`row.rs`) and the result
//! (`table.rs`).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::interactions::Interactions;

mod packed;
mod relation;
mod row;
mod scores;
mod significance;
mod table;
mod weighted;

use packed::{Narrow, Packed, Ranking};
use row::Row;
use table::Table;

pub use relation::{Relation, relation};
pub use scores::{lift, log_likelihood_ratio, pair_score};
pub use weighted::{Sequence, Weights, weighted_neighbors};

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
    /// Chance that even one pair of the whole table is an accident: G² must also reach the level of χ² that allows for all pairs looked at
    /// (Bonferroni). A small shop has thousands of pairs and few groups, so that some meet thrice by accident; 0 asks for nothing.
    pub family_error: f64,
    /// The score to rank by.
    pub score: Score,
    /// Damps cosine, Jaccard and lift of thin pairs by `c / (c + shrinkage)`; G² knows its support already.
    pub shrinkage: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { top: 100, min_support: 2, min_llr: 0.0, family_error: 0.0, score: Score::LogLikelihood, shrinkage: 0.0 }
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

/// Returns the G² a pair of these groups must reach: the greater of the two floors of the options.
pub fn floor(groups: &Interactions, options: &Options) -> f64 {
    options.min_llr.max(significance::floor(groups.groups().map(<[u32]>::len), groups.n_items(), options.family_error))
}

/// Returns the best neighbours of each item.
///
/// Runs on the current rayon pool; the result is the same for any number of threads. `top` is lowered where the result would not fit `u32` row starts.
pub fn neighbors(groups: &Interactions, options: &Options) -> Neighbors {
    let narrow_ids = groups.n_items() < usize::from(u16::MAX);
    let narrow_places = u32::try_from(packed::packed_len(groups)).is_ok();
    match (narrow_ids, narrow_places) {
        (true, true) => count::<u16, u32>(groups, options),
        (false, true) => count::<u32, u32>(groups, options),
        (_, false) => count::<u32, u64>(groups, options),
    }
}

/// Returns how many neighbours a row may have, so that all rows together can be addressed by `u32`.
fn row_limit(top: usize, n_items: usize) -> usize {
    top.min(u32::MAX as usize / n_items.max(1)).min(n_items)
}

/// [`neighbors`] with item numbers and places of groups as narrow as they may be.
fn count<Id: Narrow, Place: Narrow>(groups: &Interactions, options: &Options) -> Neighbors {
    let n_items = groups.n_items();
    let item_counts = groups.item_counts();
    let n_groups = u32::try_from(groups.n_groups()).unwrap_or(u32::MAX);
    let limit = row_limit(options.top, n_items);
    let ranking = Ranking::<Id>::of(&item_counts);
    let packed = Packed::<Id, Place>::of(groups, &ranking);
    let options = &Options { min_llr: floor(groups, options), ..*options };
    let scorer = scores::Scorer::new(options, ranking.counts(), n_groups);

    let mut table = Table::new((0..n_items as u32).map(|item| packed.most_neighbors(ranking.rank(item), limit)));
    let lengths = table.blocks(BLOCK).into_par_iter().enumerate().map_init(
        || (Row::<Id, u16>::new(&scorer, &ranking, limit), None::<Row<'_, Id, u32>>),
        |(narrow, wide), (number, mut block)| {
            let items = number * BLOCK..((number + 1) * BLOCK).min(n_items);
            let lengths = items.map(|item| {
                let before = block.len();
                let rank = ranking.rank(item as u32);
                // No pair occurs more often than its item; few items need counters that take twice the cache.
                if packed.places(rank).len() <= usize::from(u16::MAX) {
                    narrow.fill(&packed, rank, |kept| block.push(kept));
                } else {
                    let wide = wide.get_or_insert_with(|| Row::new(&scorer, &ranking, limit));
                    wide.fill(&packed, rank, |kept| block.push(kept));
                }
                (block.len() - before) as u32
            });
            lengths.collect::<Vec<u32>>()
        },
    );
    let lengths: Vec<Vec<u32>> = lengths.collect();
    table.finish(&lengths, item_counts, n_groups)
}

#[cfg(test)]
mod tests;
