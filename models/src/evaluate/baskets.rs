//! Baskets with one item taken out.

use rayon::prelude::*;
use serde::Serialize;

use super::{Gains, worst_rank};
use crate::{
    cooccurrence::Neighbors,
    interactions::{MAX_GROUP, distinct_sample},
};

/// Figures over all held-out items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BasketReport {
    /// Length of the list.
    pub k: usize,
    /// Held-out items among the `k` best.
    pub hit_rate: f64,
    /// Mean of 1/rank, 0 below `k`.
    pub mrr: f64,
    /// Items held out.
    pub cases: u64,
}

/// Holds each item of each basket out once and looks for it in the summed neighbours of the others.
///
/// Items that stay in the basket are not candidates. Ties count against us, and so do items that no training basket holds. Baskets of one item make no case;
/// of very long ones a fixed sample counts, as in training. Runs on the current rayon pool.
pub fn basket_hit_rate<S: AsRef<[u32]> + Sync>(model: &Neighbors, test: &[S], k: usize) -> BasketReport {
    // Gains of a basket are added up in the order of the baskets: sums of floats depend on it.
    let gains: Vec<Gains> = test
        .par_iter()
        .enumerate()
        .map_init(
            || (vec![0.0_f32; model.n_items()], Vec::new(), Vec::new()),
            |(sums, basket, list), (number, items)| {
                basket.clear();
                basket.extend_from_slice(items.as_ref());
                distinct_sample(basket, number as u64, MAX_GROUP);
                one_basket(model, basket, k, sums, list)
            },
        )
        .collect();
    let mut total = Gains::default();
    for gain in gains {
        total.cases += gain.cases;
        total.hits += gain.hits;
        total.reciprocal += gain.reciprocal;
        total.discounted += gain.discounted;
    }
    BasketReport { k, hit_rate: total.hit_rate(), mrr: total.mrr(), cases: total.cases }
}

fn one_basket(model: &Neighbors, basket: &[u32], k: usize, sums: &mut [f32], list: &mut Vec<(u32, f32)>) -> Gains {
    let mut gains = Gains::default();
    if basket.len() < 2 {
        return gains;
    }
    for &held_out in basket {
        list.clear();
        for &other in basket.iter().filter(|&&other| other != held_out) {
            for neighbor in model.row(other) {
                let sum = &mut sums[neighbor.item as usize];
                if *sum == 0.0 {
                    list.push((neighbor.item, 0.0));
                }
                *sum += neighbor.score;
            }
        }
        for (item, score) in list.iter_mut() {
            *score = std::mem::take(&mut sums[*item as usize]);
        }
        list.retain(|(item, _)| *item == held_out || basket.binary_search(item).is_err());
        gains.add(worst_rank(list, held_out), k);
    }
    gains
}
