//! Looking back: what people bought next, at several moments of the past.

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::orders::{DAY, GUEST, Histories, Orders};
use crate::trees::{Dataset, Forest};

use super::features::{Candidate, FEATURES, N_PARTS, Table, Weights};
use super::parts::Parts;
use super::{Options, Query, Ranker};

/// Orders that must lie before a moment for it to teach anything.
const MIN_ORDERS: usize = 100;
/// Cases worked out at once: bounds the memory that features take before they are put into bins.
const CHUNK: usize = 256;
/// Length of the list that weights are judged by.
const K: usize = 20;

/// One lesson: who, holding what, bought what next.
struct Case {
    customer: u32,
    basket: Vec<u32>,
    right: Vec<u32>,
}

/// What a case looks like to a weighted sum.
struct Pool {
    candidates: Vec<Candidate>,
    /// For each candidate: was it bought next, and was it ever bought before.
    marks: Vec<(bool, bool)>,
    /// Right ones, found or not: all, and those new to the customer.
    right: [usize; 2],
}

/// Learns the order for customers and the order beside a basket.
pub(super) fn rankers(orders: &Orders, options: &Options) -> [Ranker; 2] {
    let mut weights = [Weights::FOR_YOU, Weights::TOGETHER];
    let mut lessons = [Dataset::new(FEATURES.len()), Dataset::new(FEATURES.len())];
    for slice in 0..options.slices {
        // The newest slice ends with the newest order, which it holds.
        let cut = orders.newest() - (slice + 1) as f64 * options.slice_days * DAY;
        let before = orders.before(cut);
        if before < MIN_ORDERS {
            break;
        }
        let past = orders.first(before);
        let end = if slice == 0 { orders.len() } else { orders.before(cut + options.slice_days * DAY) };
        let histories = past.by_customer();
        let parts = Parts::fit(&past, options);
        let cases = [next_orders(orders, before..end, &histories, options), held_out(orders, before..end, options)];
        for ((cases, weights), lessons) in cases.iter().zip(&mut weights).zip(&mut lessons) {
            let teacher = Teacher { parts: &parts, histories: &histories, now: cut };
            if slice == 0 && cases.len() >= MIN_ORDERS {
                *weights = learn_weights(&teacher.pools(cases, weights), *weights);
            }
            teacher.teach(cases, weights, lessons);
        }
    }
    let mut rankers = weights.iter().zip(&lessons).map(|(&weights, lessons)| {
        let enough = lessons.n_queries() >= options.min_cases;
        Ranker { weights, forest: enough.then(|| Forest::fit(lessons, &options.forest)) }
    });
    [rankers.next().unwrap_or_default(), rankers.next().unwrap_or_default()]
}

/// Draws a number for a case, the same whenever it is asked.
fn draw(a: u64, b: u64) -> u64 {
    xxh3_64_with_seed(&a.to_le_bytes(), b)
}

/// Keeps at most `limit` cases, drawn by a hash of their places, in their order.
fn sample(cases: Vec<Case>, limit: usize) -> Vec<Case> {
    if cases.len() <= limit {
        return cases;
    }
    let mut drawn: Vec<(u64, usize, Case)> =
        cases.into_iter().enumerate().map(|(place, case)| (draw(place as u64, 0), place, case)).collect();
    drawn.sort_unstable_by_key(|(hash, place, _)| (*hash, *place));
    drawn.truncate(limit);
    drawn.sort_unstable_by_key(|(_, place, _)| *place);
    drawn.into_iter().map(|(_, _, case)| case).collect()
}

/// The next order of each customer with a history.
fn next_orders(orders: &Orders, range: std::ops::Range<usize>, histories: &Histories, options: &Options) -> Vec<Case> {
    let mut met = std::collections::HashSet::new();
    let mut cases = Vec::new();
    for order in range.map(|order| orders.get(order)) {
        if order.customer != GUEST && !histories.of(order.customer).is_empty() && met.insert(order.customer) {
            let right = order.lines.iter().map(|line| line.item).collect();
            cases.push(Case { customer: order.customer, basket: Vec::new(), right });
        }
    }
    sample(cases, options.max_cases)
}

/// Orders with one item taken out. Every other one is a stranger's, so that the order learns both.
fn held_out(orders: &Orders, range: std::ops::Range<usize>, options: &Options) -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, order) in range.map(|order| (order as u64, orders.get(order))).filter(|(_, order)| order.lines.len() > 1) {
        let mut basket: Vec<u32> = order.lines.iter().map(|line| line.item).collect();
        let right = vec![basket.remove((draw(place, 1) % basket.len() as u64) as usize)];
        let customer = if draw(place, 2).is_multiple_of(2) { order.customer } else { GUEST };
        cases.push(Case { customer, basket, right });
    }
    sample(cases, options.max_cases)
}

/// One slice: what was known then.
struct Teacher<'a> {
    parts: &'a Parts,
    histories: &'a Histories,
    now: f64,
}

impl Teacher<'_> {
    fn gather(&self, case: &Case, weights: &Weights, table: &mut Table) {
        let history = self.histories.of(case.customer);
        let query = Query { history, basket: &case.basket, now: self.now, only_new: false };
        table.gather(self.parts, &query, weights);
    }

    /// Adds the cases whose answer is among the candidates to the lessons.
    fn teach(&self, cases: &[Case], weights: &Weights, lessons: &mut Dataset) {
        for chunk in cases.chunks(CHUNK) {
            let described: Vec<(Vec<f32>, Vec<f32>)> = chunk
                .par_iter()
                .map_init(Table::default, |table, case| {
                    self.gather(case, weights, table);
                    let relevance: Vec<f32> = (table.candidates().iter())
                        .map(|candidate| f32::from(u8::from(case.right.binary_search(&candidate.item).is_ok())))
                        .collect();
                    let mut features = Vec::new();
                    if relevance.iter().any(|&right| right > 0.0) {
                        table.describe(self.parts);
                        table.rows_into(&mut features);
                    }
                    (features, relevance)
                })
                .collect();
            for (features, relevance) in described.iter().filter(|(features, _)| !features.is_empty()) {
                lessons.push(features, relevance);
            }
        }
    }

    fn pools(&self, cases: &[Case], weights: &Weights) -> Vec<Pool> {
        cases
            .par_iter()
            .map_init(Table::default, |table, case| {
                self.gather(case, weights, table);
                let candidates = table.candidates().to_vec();
                let is_right = |item: u32| case.right.binary_search(&item).is_ok();
                let marks = candidates.iter().map(|c| (is_right(c.item), table.is_own(c.item))).collect();
                let new = case.right.iter().filter(|&&item| !table.is_own(item)).count();
                Pool { candidates, marks, right: [case.right.len(), new] }
            })
            .collect()
    }
}

/// Factors by which a weight is tried.
const FACTORS: [f32; 5] = [0.0, 0.5, 0.7, 1.4, 2.0];
/// What a weight of 0 is tried with.
const FROM_NOTHING: f32 = 0.1;
/// How often each weight is looked at.
const ROUNDS: usize = 2;

/// Climbs, one weight after the other, to what orders the pools best: the discounted gain of all right ones plus that of those new to the customer.
fn learn_weights(pools: &[Pool], start: Weights) -> Weights {
    let mut best = (worth(pools, &start), start);
    for part in (0..ROUNDS).flat_map(|_| 0..N_PARTS) {
        let now = best.1.0[part];
        for factor in FACTORS {
            let mut tried = best.1;
            tried.0[part] = if now > 0.0 { now * factor } else { FROM_NOTHING * factor };
            let worth = worth(pools, &tried);
            if worth > best.0 {
                best = (worth, tried);
            }
        }
    }
    best.1
}

fn worth(pools: &[Pool], weights: &Weights) -> f64 {
    // Collected before adding up: the order of a sum of floats must not depend on threads.
    let gains: Vec<f64> = pools
        .par_iter()
        .map_init(Vec::new, |scored: &mut Vec<(f32, usize)>, pool| {
            scored.clear();
            scored.extend(pool.candidates.iter().enumerate().map(|(at, candidate)| {
                let sum: f32 = candidate.parts.iter().zip(&weights.0).map(|(said, weight)| said * weight).sum();
                (sum, at)
            }));
            scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let ordered = || scored.iter().map(|&(_, at)| pool.marks[at]);
            let all = gain(ordered().map(|(right, _)| right), pool.right[0]);
            all + gain(ordered().filter(|(_, own)| !own).map(|(right, _)| right), pool.right[1])
        })
        .collect();
    gains.iter().sum()
}

/// Normalized discounted gain of a list whose right ones are marked, of `right` in all.
fn gain(marks: impl Iterator<Item = bool>, right: usize) -> f64 {
    let discount = |rank: usize| (rank as f64 + 2.0).log2().recip();
    let ideal: f64 = (0..right.min(K)).map(discount).sum();
    let gain: f64 = marks.take(K).enumerate().filter(|(_, right)| *right).map(|(rank, _)| discount(rank)).sum();
    if ideal > 0.0 { gain / ideal } else { 0.0 }
}
