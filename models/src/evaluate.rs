//! How good the answers are, on visits and baskets that no model has seen.
//!
//! Offline figures compare models with each other; they do not promise clicks. Everything is counted against the model where there is a choice: ties,
//! items never seen in training, prefixes that get no answer.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

mod baskets;
mod purchase_strategies;
pub mod purchases;
mod strategies;

pub use baskets::{BasketReport, basket_hit_rate};
pub use purchase_strategies::{PURCHASE_STRATEGIES, PurchaseFigures, evaluate_purchases};
pub use strategies::{STRATEGIES, Trial, UnknownStrategy, evaluate_sessions};

/// Figures of one strategy over all prefixes of all test sessions; fractions from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was evaluated.
    pub strategy: String,
    /// Length of the list.
    pub k: usize,
    /// Prefixes whose next item is among the `k` best.
    pub hit_rate: f64,
    /// Mean share of the distinct items still to come in the visit that are among the `k` best.
    pub recall: f64,
    /// Mean of 1/rank, 0 below `k`.
    pub mrr: f64,
    /// Mean of 1/log₂(rank + 1), 0 below `k`: the normalized gain where one item is right.
    pub ndcg: f64,
    /// Items of the catalog that were in any list.
    pub coverage: f64,
    /// Mean training count of the recommended items, where the most frequent item is 1.
    pub popularity_bias: f64,
    /// Mean self-information −log₂ p of the recommended items in bits, where p is an item's share of the training counts (Vargas and Castells, "Rank and
    /// Relevance in Novelty and Diversity Metrics for Recommender Systems", RecSys 2011). An item never seen counts as seen once.
    pub novelty: f64,
    /// Prefixes replayed.
    pub prefixes: u64,
    /// Half of the answers took at most this many microseconds.
    pub us_per_query_p50: f64,
    /// 99 of 100 answers took at most this many microseconds.
    pub us_per_query_p99: f64,
    /// Seconds spent on learning.
    pub train_seconds: f64,
    /// Largest resident memory of the process, which only the caller can know.
    pub peak_rss_mb: f64,
}

/// What is replayed against what.
#[derive(Debug, Clone, Copy)]
pub struct Replay<'a> {
    /// Name for the report.
    pub strategy: &'a str,
    /// Length of the list that counts.
    pub k: usize,
    /// How often each item occurs in training; its length is the catalog.
    pub train_counts: &'a [u32],
    /// Whether the item on screen is taken off the list before it counts.
    pub skip_on_screen: bool,
}

/// Replays every prefix of every test session: predict item t + 1 from items 1 to t.
///
/// `recommend` gets the prefix, oldest first, and fills the (cleared) list with distinct items and scores, best first. It gives **more than `k`** items where it
/// has them: one is enough to see a tie that reaches over the edge of the list (two where the item on screen is taken off it). The rank of the right item is the worst it can have among items of equal
/// score. Nothing is carried from one session to the next. `clock` reads a monotonic clock. `train_seconds` and `peak_rss_mb` are left at 0.
pub fn replay<S: AsRef<[u32]>>(
    replay: &Replay<'_>,
    test: &[S],
    mut recommend: impl FnMut(&[u32], &mut Vec<(u32, f32)>),
    mut clock: impl FnMut() -> Duration,
) -> Report {
    let Replay { strategy, k, train_counts, skip_on_screen } = *replay;
    let mut gains = Gains::default();
    let mut shown = vec![false; train_counts.len()];
    let (mut popularity, mut information, mut recommended) = (0.0, 0.0, 0_u64);
    let all: f64 = train_counts.iter().map(|&count| f64::from(count)).sum();
    let mut recall = 0.0;
    let mut nanoseconds: Vec<u64> = Vec::new();
    let mut list = Vec::new();
    for session in test {
        let session = session.as_ref();
        let rest = Rest::of(session);
        for next in 1..session.len() {
            list.clear();
            let before = clock();
            recommend(&session[..next], &mut list);
            nanoseconds.push(u64::try_from(clock().saturating_sub(before).as_nanos()).unwrap_or(u64::MAX));
            if skip_on_screen {
                list.retain(|&(item, _)| item != session[next - 1]);
            }
            // An item outside the catalog is a miss, even if a strategy should name one.
            let target = session[next];
            let known = (target as usize) < train_counts.len();
            gains.add(if known { worst_rank(&list, target) } else { None }, k);
            recall += rest.share_among(next, &list, k, train_counts.len());
            for &(item, _) in list.iter().take(k) {
                if let Some(&count) = train_counts.get(item as usize) {
                    shown[item as usize] = true;
                    popularity += f64::from(count);
                    information += (all.max(1.0) / f64::from(count.max(1))).log2();
                    recommended += 1;
                }
            }
        }
    }
    let most = train_counts.iter().copied().max().unwrap_or(0);
    let (p50, p99) = percentiles(&mut nanoseconds);
    Report {
        strategy: strategy.to_owned(),
        k,
        hit_rate: gains.hit_rate(),
        recall: ratio(recall, gains.cases as f64),
        mrr: gains.mrr(),
        ndcg: gains.ndcg(),
        coverage: ratio(shown.iter().filter(|shown| **shown).count() as f64, shown.len() as f64),
        popularity_bias: ratio(popularity, recommended as f64 * f64::from(most)),
        novelty: ratio(information, recommended as f64),
        prefixes: gains.cases,
        us_per_query_p50: p50,
        us_per_query_p99: p99,
        train_seconds: 0.0,
        peak_rss_mb: 0.0,
    }
}

/// What is still to come at each place of a visit.
struct Rest {
    /// Where each item stands last.
    last: HashMap<u32, usize>,
    /// Distinct items from each place on.
    distinct: Vec<u32>,
}

impl Rest {
    fn of(session: &[u32]) -> Self {
        let mut last = HashMap::new();
        let mut distinct = vec![0; session.len()];
        for (place, &item) in session.iter().enumerate().rev() {
            last.entry(item).or_insert(place);
            distinct[place] = last.len() as u32;
        }
        Self { last, distinct }
    }

    /// Returns the share of the distinct items from `next` on that are among the `k` best of a catalog of `n_items`.
    fn share_among(&self, next: usize, list: &[(u32, f32)], k: usize, n_items: usize) -> f64 {
        let to_come = |item: u32| (item as usize) < n_items && self.last.get(&item).is_some_and(|&last| last >= next);
        let found =
            list.iter().filter(|(item, _)| to_come(*item) && worst_rank(list, *item).is_some_and(|rank| rank <= k)).count();
        ratio(found as f64, f64::from(self.distinct[next]))
    }
}

/// Returns the rank of an item, from 1, the last place among equal scores.
pub(crate) fn worst_rank(list: &[(u32, f32)], target: u32) -> Option<usize> {
    let score = list.iter().find(|(item, _)| *item == target)?.1;
    Some(list.iter().filter(|(_, other)| *other >= score).count())
}

/// Sums of what each case gained.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Gains {
    cases: u64,
    hits: u64,
    reciprocal: f64,
    discounted: f64,
}

impl Gains {
    pub(crate) fn add(&mut self, rank: Option<usize>, k: usize) {
        self.cases += 1;
        if let Some(rank) = rank.filter(|&rank| rank <= k) {
            self.hits += 1;
            self.reciprocal += (rank as f64).recip();
            self.discounted += (rank as f64 + 1.0).log2().recip();
        }
    }

    fn hit_rate(&self) -> f64 {
        ratio(self.hits as f64, self.cases as f64)
    }

    fn mrr(&self) -> f64 {
        ratio(self.reciprocal, self.cases as f64)
    }

    pub(crate) fn ndcg(&self) -> f64 {
        ratio(self.discounted, self.cases as f64)
    }
}

/// Divides, and takes nothing out of nothing as 0: a report has no holes.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Returns the 50th and the 99th percentile in microseconds (nearest rank).
fn percentiles(nanoseconds: &mut [u64]) -> (f64, f64) {
    nanoseconds.sort_unstable();
    let at = |percent: usize| {
        let place = (nanoseconds.len() * percent).div_ceil(100).saturating_sub(1);
        nanoseconds.get(place).map_or(0.0, |&ns| ns as f64 / 1000.0)
    };
    (at(50), at(99))
}

#[cfg(test)]
mod tests;
