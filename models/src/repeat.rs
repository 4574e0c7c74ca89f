//! Buy again: which of the things somebody has bought are due.
//!
//! After Bhagat et al., *Buy It Again: Modeling Repeat Purchase Recommendations* (KDD 2018). Repeat purchases of an item by a customer are a Poisson process
//! whose rate has a Gamma prior that belongs to the item; with `k` repeats in `t` days since the first purchase the rate is expected to be
//! `λ = (k + α) / (t + β)`. Near the last purchase, where the next is not due yet, `t` is lengthened by `2·|t̄ − e|`, `e` the days since and `t̄` the item's
//! mean time between purchases, as in the paper's modified model. Somebody who has bought an item once may be no repeater at all, so there the rate counts
//! with the share of the item's buyers who came back for it.
//!
//! Items with few buyers borrow from the whole shop: `α/β` is the item's rate drawn towards the shop's by some days of evidence.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Column, Draft};
use crate::history::{History, Own};
use crate::model::Model;
use crate::orders::{Line, Orders};
use crate::top;

/// How much an item borrows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// β: days of watching that the prior of a customer's rate is worth.
    pub prior_days: f32,
    /// Buyers that the shop's figures are worth beside an item's own.
    pub prior_buyers: f32,
}

impl Default for Options {
    fn default() -> Self {
        Self { prior_days: 60.0, prior_buyers: 5.0 }
    }
}

/// What is known of each item's repeats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Repeat {
    options: Options,
    /// Share of buyers who bought again.
    shares: Column<f32>,
    /// Repeats a day and buyer.
    rates: Column<f32>,
    /// Mean days between purchases.
    gaps: Column<f32>,
}

/// Whose purchases are due, and when.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// What was bought, oldest first.
    pub history: &'a [Line],
    /// The moment, in seconds.
    pub now: f64,
}

/// Memory that answers are worked out in.
#[derive(Debug, Default)]
pub struct Scratch {
    history: History,
    keys: Vec<u64>,
}

/// Sums over the buyers of an item.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    buyers: f64,
    repeaters: f64,
    repeats: f64,
    /// Days since the first purchase of each buyer, and days between first and last purchase.
    watched: f64,
    between: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.buyers += other.buyers;
        self.repeaters += other.repeaters;
        self.repeats += other.repeats;
        self.watched += other.watched;
        self.between += other.between;
    }
}

impl Repeat {
    /// Returns the share of an item's buyers who bought it again; 0 for an unknown item.
    pub(crate) fn share(&self, item: u32) -> f32 {
        self.shares.get(item as usize).copied().unwrap_or(0.0)
    }

    /// Returns the purchases a day that are expected of someone who has bought the item; 0 for an unknown item.
    pub(crate) fn intensity(&self, own: &Own) -> f32 {
        let item = own.item as usize;
        let (Some(&share), Some(&rate), Some(&gap)) = (self.shares.get(item), self.rates.get(item), self.gaps.get(item)) else {
            return 0.0;
        };
        let early = if own.last < 2.0 * gap { 2.0 * (gap - own.last).abs() } else { 0.0 };
        let prior = self.options.prior_days.max(1.0);
        let lambda = (own.orders - 1.0 + rate * prior) / (own.first + early + prior);
        if own.orders > 1.0 { lambda } else { lambda * share }
    }
}

impl Model for Repeat {
    type Examples<'a> = Orders;
    type Options = Options;
    type Query<'a> = Query<'a>;
    type Scratch = Scratch;

    fn fit(orders: &Orders, options: &Options) -> Self {
        let n_items = orders.n_items();
        let now = orders.newest();
        let mut tallies = vec![Tally::default(); n_items];
        let mut history = History::default();
        for lines in orders.by_customer().iter() {
            history.read(lines, now, n_items);
            for own in history.own() {
                let repeats = f64::from(own.orders) - 1.0;
                tallies[own.item as usize].add(&Tally {
                    buyers: 1.0,
                    repeaters: f64::from(u8::from(repeats > 0.0)),
                    repeats,
                    watched: f64::from(own.first),
                    between: f64::from(own.first - own.last),
                });
            }
        }
        let mut shop = Tally::default();
        tallies.iter().for_each(|tally| shop.add(tally));
        let per = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let (share, rate) = (per(shop.repeaters, shop.buyers), per(shop.repeats, shop.watched));
        let (gap, watched) = (per(shop.between, shop.repeats), per(shop.watched, shop.buyers));
        let prior = f64::from(options.prior_buyers.max(0.0)) + f64::EPSILON;
        let column = |figure: &dyn Fn(&Tally) -> f64| Column::from(tallies.iter().map(|t| figure(t) as f32).collect::<Vec<_>>());
        Self {
            options: *options,
            shares: column(&|t| (t.repeaters + prior * share) / (t.buyers + prior)),
            rates: column(&|t| per(t.repeats + prior * watched * rate, t.watched + prior * watched)),
            gaps: column(&|t| (t.between + prior * gap) / (t.repeats + prior)),
        }
    }

    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        draft.write_value(&format!("{name}.options.json"), &self.options)?;
        self.shares.save(draft, &format!("{name}.shares.f32"))?;
        self.rates.save(draft, &format!("{name}.rates.f32"))?;
        self.gaps.save(draft, &format!("{name}.gaps.f32"))
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let file = format!("{name}.rates.f32");
        let model = Self {
            options: artifact.value(&format!("{name}.options.json"))?,
            shares: Column::open(artifact, &format!("{name}.shares.f32"))?,
            rates: Column::open(artifact, &file)?,
            gaps: Column::open(artifact, &format!("{name}.gaps.f32"))?,
        };
        if model.shares.len() != model.rates.len() || model.gaps.len() != model.rates.len() {
            return Err(ArtifactError::shape(file, "its arrays do not fit together"));
        }
        if [&model.shares, &model.rates, &model.gaps].iter().any(|column| column.iter().any(|v| !(v.is_finite() && *v >= 0.0))) {
            return Err(ArtifactError::shape(file, "a value is not finite or below 0"));
        }
        Ok(model)
    }

    fn predict(&self, query: Query<'_>, k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        out.clear();
        let Scratch { history, keys } = scratch;
        history.read(query.history, query.now, self.rates.len());
        keys.clear();
        for own in history.own() {
            let intensity = self.intensity(own);
            if intensity > 0.0 {
                keys.push(top::key(intensity, own.item));
            }
        }
        top::keep_best(keys, k);
        out.extend(keys.iter().map(|&key| (top::item(key), top::score(key))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::DAY;

    /// Item 0 is bought every 10 days, item 1 once in a life, by ten customers for 100 days.
    fn shop() -> Orders {
        let orders = (0..10).flat_map(|customer| {
            (0..10).map(move |round| {
                let mut items = vec![(0, 1.0)];
                if round == 0 {
                    items.push((1, 100.0));
                }
                (customer, f64::from(round) * 10.0 * DAY, items)
            })
        });
        Orders::new(3, orders)
    }

    #[test]
    fn what_is_due_comes_first() {
        let model = Repeat::fit(&shop(), &Options::default());
        assert!(model.share(0) > 0.6 && model.share(1) < 0.4);
        let line = |item, day: f64| Line { item, time: day * DAY, price: 1.0 };
        let history = [line(0, 0.0), line(1, 0.0), line(0, 10.0)];
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        model.predict(Query { history: &history, now: 20.0 * DAY }, 5, &mut scratch, &mut out);
        assert_eq!(out.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [0, 1]);
        let intensity = |now: f64, out: &mut Vec<(u32, f32)>, scratch: &mut Scratch| {
            model.predict(Query { history: &history, now: now * DAY }, 1, scratch, out);
            out[0].1
        };
        assert!(
            intensity(20.0, &mut out, &mut scratch) > intensity(10.5, &mut out, &mut scratch),
            "half a day after buying it is not due"
        );
        model.predict(Query { history: &[], now: 0.0 }, 5, &mut scratch, &mut out);
        assert_eq!(out, []);
    }

    #[test]
    fn nothing_is_learnt_from_nothing() {
        let model = Repeat::fit(&Orders::new(2, []), &Options::default());
        let history = [Line { item: 1, time: 0.0, price: 1.0 }];
        let mut out = Vec::new();
        model.predict(Query { history: &history, now: DAY }, 5, &mut Scratch::default(), &mut out);
        assert_eq!(out, []);
    }
}
