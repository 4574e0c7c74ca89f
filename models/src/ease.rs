//! EASE: what belongs to what one has, in closed form, for the head of the catalog.
//!
//! H. Steck, *Embarrassingly Shallow Autoencoders for Sparse Data* (WWW 2019). With the groups (orders, say) as the rows of a 0/1 matrix `X` and weights
//! `W` for them, the item × item matrix `B` with a zero diagonal that best restores each group from its other items, `min ‖√W (X − X·B)‖² + λ‖B‖²`, is
//! `B_ij = −Q_ij / Q_jj` with `Q = (XᵀWX + λI)⁻¹`. Unlike a co-occurrence score it knows that two items say the same and counts them once.
//!
//! The inverse costs `n³`, so it is taken of the head of the catalog only, where what is bought lies; of each row the best positive weights are kept, so
//! that an answer is a sum of short rows and a build stays small. Learning needs `4·n²` bytes (256 MB for the default 8,000 items) and little beside.

use std::sync::Arc;

use ndarray::{Array2, ArrayViewMut1, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Draft};
use crate::model::Model;
use crate::sparse_rows::{RowsView, SparseRows, Sum};
use crate::top;

mod inverse;
#[cfg(test)]
mod tests;

/// How the weights are found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// λ, in units of groups: how much evidence a weight needs.
    pub l2: f32,
    /// Items that are looked at, the most frequent ones; the others have empty rows.
    pub max_items: usize,
    /// Weights kept of an item.
    pub top: usize,
}

impl Default for Options {
    /// λ of the size that is good on orders of one year; quality is flat from 50 to 200.
    fn default() -> Self {
        Self { l2: 100.0, max_items: 8_000, top: 200 }
    }
}

/// Groups of distinct items, each with a weight.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    /// Where each group starts in `items`, and one end.
    pub starts: &'a [usize],
    /// Items of all groups, one group after the other.
    pub items: &'a [u32],
    /// What each group counts; not below 0.
    pub weights: &'a [f32],
    /// Items of the catalog.
    pub n_items: usize,
}

/// The weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ease {
    rows: SparseRows,
}

/// Memory that answers are worked out in.
#[derive(Debug, Default)]
pub struct Scratch {
    sum: Sum,
    keys: Vec<u64>,
}

impl Ease {
    /// Returns the number of weights kept.
    pub fn n_entries(&self) -> usize {
        self.rows.n_entries()
    }

    /// Returns the weights as rows.
    pub(crate) fn rows(&self) -> RowsView<'_> {
        self.rows.view()
    }
}

impl Model for Ease {
    type Examples<'a> = Groups<'a>;
    type Options = Options;
    /// Items and how much of each; not above 0 says nothing.
    type Query<'a> = &'a [(u32, f32)];
    type Scratch = Scratch;

    fn fit(groups: &Groups<'_>, options: &Options) -> Self {
        let head = head(groups, options.max_items);
        if head.is_empty() {
            return Self { rows: SparseRows::new(vec![0; groups.n_items + 1], Vec::new(), Vec::new()) };
        }
        let mut gram = gram(groups, &head);
        // Without any damping a pair that is always bought together could not be told apart.
        gram.diag_mut().mapv_inplace(|own| own + options.l2.max(1e-3));
        inverse::inverted_factor(&mut gram);
        let limit = options.top.min(u32::MAX as usize / head.len());
        let best = best_of_rows(&gram, &head, limit);

        let mut indptr = vec![0_u32; groups.n_items + 1];
        for (&item, row) in head.iter().zip(&best) {
            indptr[item as usize + 1] = row.len() as u32;
        }
        for item in 0..groups.n_items {
            indptr[item + 1] += indptr[item];
        }
        // The head is ascending, so its rows follow each other.
        let keys = || best.iter().flatten();
        let items = keys().map(|&key| top::item(key)).collect();
        let weights = keys().map(|&key| top::score(key)).collect();
        Self { rows: SparseRows::new(indptr, items, weights) }
    }

    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.rows.save(draft, name)
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        Ok(Self { rows: SparseRows::open(artifact, name)? })
    }

    fn predict(&self, query: &[(u32, f32)], k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        out.clear();
        let Scratch { sum, keys } = scratch;
        sum.reset(self.rows.n_items());
        let rows = self.rows();
        for &(item, amount) in query.iter().filter(|(_, amount)| *amount > 0.0) {
            sum.add_row(rows.row(item), amount);
        }
        keys.clear();
        keys.extend(sum.touched().iter().map(|&item| top::key(sum.get(item), item)));
        top::keep_best(keys, k);
        out.extend(keys.iter().map(|&key| (top::item(key), top::score(key))));
    }
}

/// Returns the heaviest items, ascending.
fn head(groups: &Groups<'_>, max_items: usize) -> Vec<u32> {
    let mut counts = vec![0.0_f64; groups.n_items];
    for (bounds, &weight) in groups.starts.windows(2).zip(groups.weights) {
        for &item in &groups.items[bounds[0]..bounds[1]] {
            counts[item as usize] += f64::from(weight);
        }
    }
    let mut keys: Vec<u64> =
        (0_u32..).zip(&counts).filter(|(_, count)| **count > 0.0).map(|(item, &count)| top::key(count as f32, item)).collect();
    top::keep_best(&mut keys, max_items);
    let mut head: Vec<u32> = keys.into_iter().map(top::item).collect();
    head.sort_unstable();
    head
}

/// Returns `XᵀWX` of the head: how often items meet, weighted. Each row is summed in the order of the groups by one thread.
fn gram(groups: &Groups<'_>, head: &[u32]) -> Array2<f32> {
    let mut place = vec![u32::MAX; groups.n_items];
    for (at, &item) in (0_u32..).zip(head) {
        place[item as usize] = at;
    }
    let mut holding: Vec<Vec<u32>> = vec![Vec::new(); head.len()];
    for (group, bounds) in (0_u32..).zip(groups.starts.windows(2)) {
        for &item in &groups.items[bounds[0]..bounds[1]] {
            if let Some(list) = holding.get_mut(place[item as usize] as usize) {
                list.push(group);
            }
        }
    }
    let mut gram = Array2::<f32>::zeros((head.len(), head.len()));
    let rows: Vec<ArrayViewMut1<'_, f32>> = gram.axis_iter_mut(Axis(0)).collect();
    rows.into_par_iter().zip(&holding).for_each(|(mut row, holding)| {
        for &group in holding {
            let weight = groups.weights[group as usize];
            for &item in &groups.items[groups.starts[group as usize]..groups.starts[group as usize + 1]] {
                if let Some(sum) = row.get_mut(place[item as usize] as usize) {
                    *sum += weight;
                }
            }
        }
    });
    gram
}

/// Returns for each item of the head the best of its row of `B`, from the inverted Cholesky factor: `Q = L⁻ᵀL⁻¹`, a panel of rows at a time.
fn best_of_rows(factor: &Array2<f32>, head: &[u32], limit: usize) -> Vec<Vec<u64>> {
    let n = head.len();
    let mut diagonal = vec![0.0_f64; n];
    for row in factor.outer_iter() {
        for (sum, &value) in diagonal.iter_mut().zip(row) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    let panels: Vec<Vec<Vec<u64>>> = (0..n.div_ceil(inverse::BLOCK))
        .into_par_iter()
        .map(|panel| {
            let from = panel * inverse::BLOCK;
            let to = (from + inverse::BLOCK).min(n);
            // Column `from` of the lower factor starts at row `from`: what is above is 0.
            let below = factor.slice(ndarray::s![from.., ..]);
            let q = below.slice(ndarray::s![.., from..to]).t().dot(&below);
            let mut best = top::Best::new(limit);
            q.outer_iter()
                .enumerate()
                .map(|(at, row)| {
                    best.clear();
                    for (other, &value) in row.iter().enumerate() {
                        let weight = (-f64::from(value) / diagonal[other]) as f32;
                        if other != from + at && weight > 0.0 && weight.is_finite() {
                            best.offer(top::key(weight, head[other]));
                        }
                    }
                    best.sorted().to_vec()
                })
                .collect()
        })
        .collect();
    panels.into_iter().flatten().collect()
}
