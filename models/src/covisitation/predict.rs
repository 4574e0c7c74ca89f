//! Answers from the weights: a sum of rows, newest item loudest.

use crate::top;

/// The weights as slices, from memory or from a map of a file.
#[derive(Debug, Clone, Copy)]
pub struct CoVisitationView<'a> {
    /// Where each item's row starts, and one end.
    pub indptr: &'a [u32],
    /// What may come next.
    pub items: &'a [u32],
    /// How much speaks for it.
    pub weights: &'a [f32],
}

/// What is wrong with slices that are no weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The row starts do not lead from 0 to the end in ascending order.
    #[error("row starts do not ascend from 0 to the number of entries")]
    RowStarts,
    /// There is not one weight for each entry.
    #[error("there are {items} entries and {weights} weights")]
    Lengths {
        /// Entries.
        items: usize,
        /// Weights.
        weights: usize,
    },
    /// An entry names an item outside the catalog.
    #[error("entry {0} names an item outside the catalog")]
    Item(usize),
    /// A weight is not a positive finite number.
    #[error("weight {0} is not a positive finite number")]
    Weight(usize),
}

impl<'a> CoVisitationView<'a> {
    /// Returns the number of items, with a row or without.
    pub fn n_items(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Returns what may come after an item, best first; nothing for an unknown item.
    pub fn row(&self, item: u32) -> (&'a [u32], &'a [f32]) {
        let item = item as usize;
        let (Some(&start), Some(&end)) = (self.indptr.get(item), self.indptr.get(item.saturating_add(1))) else {
            return (&[], &[]);
        };
        let row = start as usize..end as usize;
        (self.items.get(row.clone()).unwrap_or(&[]), self.weights.get(row).unwrap_or(&[]))
    }

    /// Checks the slices once, when a file is opened.
    ///
    /// [`predict`] never panics on slices that fail, but its answers mean nothing then.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.items.len() != self.weights.len() {
            return Err(Malformed::Lengths { items: self.items.len(), weights: self.weights.len() });
        }
        let ends = (self.indptr.first().copied(), self.indptr.last().map(|&end| end as usize));
        if ends != (Some(0), Some(self.items.len())) || !self.indptr.is_sorted() {
            return Err(Malformed::RowStarts);
        }
        if let Some(at) = self.items.iter().position(|&item| item as usize >= self.n_items()) {
            return Err(Malformed::Item(at));
        }
        if let Some(at) = self.weights.iter().position(|weight| !(weight.is_finite() && *weight > 0.0)) {
            return Err(Malformed::Weight(at));
        }
        Ok(())
    }
}

/// Steps back after which an item weighs `1/e` of the one on screen.
const STEPS: f32 = 2.5;
/// Distinct items that are asked; the twentieth weighs less than a thousandth.
const MAX_ITEMS: usize = 20;
/// Places that are looked at, so that an endless session of few items ends too.
const MAX_STEPS: usize = 64;

/// Memory that answers are worked out in; grows to the largest catalog met, then stays.
#[derive(Debug, Default)]
pub struct Scratch {
    sums: Vec<f32>,
    touched: Vec<u32>,
    seen: Vec<u32>,
    keys: Vec<u64>,
}

/// Fills `out` with the `k` best next items, best first; equal scores are in the order of the items.
///
/// `session` is oldest first, its last item the one on screen. An item `s` steps back speaks with weight `e^(−s/2.5)`, a repeated one only from its most
/// recent place; unknown items keep their place and say nothing. Items of the session may be answered. Nothing is allocated once `scratch` and `out` have
/// grown.
pub fn predict(view: &CoVisitationView<'_>, session: &[u32], k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
    out.clear();
    let Scratch { sums, touched, seen, keys } = scratch;
    if sums.len() < view.n_items() {
        sums.resize(view.n_items(), 0.0);
    }
    seen.clear();
    for (step, &item) in session.iter().rev().take(MAX_STEPS).enumerate() {
        if seen.contains(&item) {
            continue;
        }
        if seen.len() == MAX_ITEMS {
            break;
        }
        seen.push(item);
        let (items, weights) = view.row(item);
        let loudness = (-(step as f32) / STEPS).exp();
        for (&next, &weight) in items.iter().zip(weights) {
            if let Some(sum) = sums.get_mut(next as usize) {
                if *sum == 0.0 {
                    touched.push(next);
                }
                *sum += loudness * weight;
            }
        }
    }
    keys.clear();
    for &item in touched.iter() {
        // An item is listed twice only where a broken file holds weights of zero or below; the second look finds nothing.
        let sum = std::mem::take(&mut sums[item as usize]);
        if sum > 0.0 {
            keys.push(top::key(sum, item));
        }
    }
    touched.clear();
    top::keep_best(keys, k);
    out.extend(keys.iter().map(|&key| (top::item(key), top::score(key))));
}
