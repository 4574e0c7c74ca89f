//! What comes next in a visit: item × item weights that know direction and distance.
//!
//! Two items of a session are a pair when they stand within a window. A pair weighs `1 / distance^decay`; looking back weighs less than looking ahead, for
//! what followed is a better guess than what came before. An item that returns pairs with itself, since shoppers do go back to what they have seen. Rows
//! are cut at their best entries and divided by a power of their sum, so that much-seen items do not drown the others in a sum of rows.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Column, Draft};
use crate::model::Model;
use crate::sessions::Sessions;
use crate::top;

mod predict;

pub use predict::{CoVisitationView, Malformed, Scratch, predict};

/// How sessions become weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Largest distance of a pair.
    pub window: usize,
    /// Power of the distance a pair is divided by.
    pub decay: f64,
    /// Weight of a pair read backwards, beside 1 forwards.
    pub backward: f64,
    /// Entries kept in a row.
    pub top: usize,
    /// Power of the sum of the entries kept that a row is divided by; 0 leaves it, 1 makes it a distribution.
    pub normalization: f64,
}

impl Default for Options {
    /// Found on the last part of the Diginetica training sessions, and good on two other shops unchanged.
    fn default() -> Self {
        Self { window: 20, decay: 0.7, backward: 0.8, top: 150, normalization: 0.7 }
    }
}

/// The weights, best first in each row, in compressed sparse rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CoVisitation {
    indptr: Column<u32>,
    items: Column<u32>,
    weights: Column<f32>,
}

impl CoVisitation {
    /// Returns the number of items, with a row or without.
    pub fn n_items(&self) -> usize {
        self.view().n_items()
    }

    /// Returns the weights as borrowed slices.
    pub fn view(&self) -> CoVisitationView<'_> {
        CoVisitationView { indptr: &self.indptr, items: &self.items, weights: &self.weights }
    }
}

impl Model for CoVisitation {
    type Examples<'a> = Sessions<'a>;
    type Options = Options;
    type Query<'a> = &'a [u32];
    type Scratch = Scratch;

    fn fit(examples: &Sessions<'_>, options: &Options) -> Self {
        fit(examples.sessions, examples.n_items, options)
    }

    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.indptr.save(draft, &format!("{name}.indptr.u32"))?;
        self.items.save(draft, &format!("{name}.items.u32"))?;
        self.weights.save(draft, &format!("{name}.weights.f32"))
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let model = Self {
            indptr: Column::open(artifact, &format!("{name}.indptr.u32"))?,
            items: Column::open(artifact, &format!("{name}.items.u32"))?,
            weights: Column::open(artifact, &format!("{name}.weights.f32"))?,
        };
        model.view().check().map_err(|error| ArtifactError::shape(format!("{name}.items.u32"), error.to_string()))?;
        Ok(model)
    }

    fn predict(&self, visit: &[u32], k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        predict(&self.view(), visit, k, scratch, out);
    }
}

/// Rows that one job works through.
const BLOCK: usize = 128;

/// Learns the weights from sessions, each oldest item first.
///
/// Items outside the catalog keep their place in the session and teach nothing. Runs on the current rayon pool; a row is summed in the order of the
/// sessions by one thread, so the result is the same for any number of them.
pub fn fit<S: AsRef<[u32]> + Sync>(sessions: &[S], n_items: usize, options: &Options) -> CoVisitation {
    let occurrences = Occurrences::of(sessions, n_items);
    let limit = options.top.min(u32::MAX as usize / n_items.max(1));
    let by_distance: Vec<f32> = (1..=options.window).map(|distance| (distance as f64).powf(-options.decay) as f32).collect();

    let blocks: Vec<(Vec<u32>, Vec<u64>)> = (0..n_items.div_ceil(BLOCK))
        .into_par_iter()
        .map_init(
            || Row::new(n_items, limit),
            |row, block| {
                let (mut lengths, mut keys) = (Vec::new(), Vec::new());
                for item in block * BLOCK..((block + 1) * BLOCK).min(n_items) {
                    for &(session, position) in occurrences.of_item(item) {
                        row.add(sessions[session as usize].as_ref(), position as usize, &by_distance, options.backward as f32);
                    }
                    lengths.push(row.cut(options.normalization, &mut keys));
                }
                (lengths, keys)
            },
        )
        .collect();

    let total = blocks.iter().map(|(_, keys)| keys.len()).sum();
    let mut indptr = Vec::with_capacity(n_items + 1);
    let (mut items, mut weights) = (Vec::with_capacity(total), Vec::with_capacity(total));
    indptr.push(0);
    let mut end = 0;
    for (lengths, keys) in blocks {
        for length in lengths {
            end += length;
            indptr.push(end);
        }
        items.extend(keys.iter().map(|&key| top::item(key)));
        weights.extend(keys.iter().map(|&key| top::score(key)));
    }
    CoVisitation { indptr: indptr.into(), items: items.into(), weights: weights.into() }
}

/// Where each item occurs, in the order of the sessions.
struct Occurrences {
    starts: Vec<usize>,
    places: Vec<(u32, u32)>,
}

impl Occurrences {
    fn of<S: AsRef<[u32]>>(sessions: &[S], n_items: usize) -> Self {
        let known = || {
            (0_u32..).zip(sessions).flat_map(|(number, session)| {
                (0_u32..).zip(session.as_ref()).map(move |(position, &item)| (item as usize, (number, position)))
            })
        };
        let mut starts = vec![0; n_items + 1];
        for (item, _) in known() {
            if item < n_items {
                starts[item + 1] += 1;
            }
        }
        for item in 0..n_items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut places = vec![(0, 0); starts[n_items]];
        for (item, place) in known() {
            if item < n_items {
                places[next[item]] = place;
                next[item] += 1;
            }
        }
        Self { starts, places }
    }

    fn of_item(&self, item: usize) -> &[(u32, u32)] {
        &self.places[self.starts[item]..self.starts[item + 1]]
    }
}

/// One thread's row: a dense sum and the list of what it touched.
struct Row {
    sums: Vec<f32>,
    touched: Vec<u32>,
    best: top::Best,
}

impl Row {
    fn new(n_items: usize, limit: usize) -> Self {
        Self { sums: vec![0.0; n_items], touched: Vec::new(), best: top::Best::new(limit) }
    }

    /// Adds the pairs of one occurrence.
    fn add(&mut self, session: &[u32], position: usize, by_distance: &[f32], backward: f32) {
        let (before, from) = session.split_at(position);
        let own = from[0];
        for (&item, &weight) in from[1..].iter().zip(by_distance) {
            self.put(item, weight);
        }
        for (&item, &weight) in before.iter().rev().zip(by_distance) {
            // An item and itself have no direction.
            self.put(item, if item == own { weight } else { weight * backward });
        }
    }

    #[inline]
    fn put(&mut self, item: u32, weight: f32) {
        if let Some(sum) = self.sums.get_mut(item as usize) {
            // Weights are positive, so a sum of zero was never touched.
            if *sum == 0.0 {
                self.touched.push(item);
            }
            *sum += weight;
        }
    }

    /// Appends the best of the row, divided by a power of their sum, and leaves it empty; returns how many.
    fn cut(&mut self, normalization: f64, keys: &mut Vec<u64>) -> u32 {
        for &item in &self.touched {
            if self.sums[item as usize] > 0.0 {
                self.best.offer(top::key(self.sums[item as usize], item));
            }
        }
        let kept = self.best.sorted();
        let sum: f64 = kept.iter().map(|&key| f64::from(top::score(key))).sum();
        let divisor = sum.powf(normalization);
        keys.extend(kept.iter().map(|&key| top::key((f64::from(top::score(key)) / divisor) as f32, top::item(key))));
        let length = kept.len() as u32;
        for &item in &self.touched {
            self.sums[item as usize] = 0.0;
        }
        self.touched.clear();
        self.best.clear();
        length
    }
}

#[cfg(test)]
mod tests;
