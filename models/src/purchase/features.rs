//! Candidates of one question, and what is known of each as columns of numbers.

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::orders::Line;
use crate::sparse_rows::Sum;
use crate::{top, trees};

use super::Query;
use super::parts::{self, Parts, facts_of};

/// Words that are weighed against each other: habit, due again, EASE and cosine of the history, EASE and cosine of the basket, what sells.
pub(super) const N_PARTS: usize = 7;

/// How much each part counts, its greatest value being 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Weights(pub(super) [f32; N_PARTS]);

impl Weights {
    /// What is good for customers where nothing could be learnt.
    pub(super) const FOR_YOU: Self = Self([1.0, 0.1, 0.4, 0.1, 0.0, 0.0, 0.25]);
    /// What is good beside a basket where nothing could be learnt.
    pub(super) const TOGETHER: Self = Self([0.2, 0.0, 0.2, 0.0, 1.0, 0.4, 0.2]);
}

impl Default for Weights {
    fn default() -> Self {
        Self::FOR_YOU
    }
}

/// Candidates of each kind, bought before or not; the two kinds meet in one table.
const CANDIDATES: usize = 100;
/// Items of a history or a basket that speak for others, the newest ones.
const SPEAKERS: usize = 300;
/// Days of what never was.
const NEVER: f32 = 10_000.0;

/// What is known of a candidate, in the order of the columns.
pub const FEATURES: [&str; 41] = [
    "sum of all parts",
    "rank by the sum",
    "goes with history (EASE)",
    "goes with history (EASE), beside the best",
    "rank by history (EASE)",
    "goes with history (cosine)",
    "goes with history (cosine), beside the best",
    "goes with basket (EASE)",
    "goes with basket (EASE), beside the best",
    "rank by basket (EASE)",
    "goes with basket (cosine)",
    "goes with basket (cosine), beside the best",
    "own purchases, halved every 20 days",
    "own purchases, halved every 60 days",
    "own purchases, halved every 140 days",
    "own purchases",
    "own purchases, beside the item bought most",
    "due again",
    "share of own orders",
    "days since bought last",
    "days since bought first",
    "orders without it since, in days",
    "own days between purchases",
    "share of buyers who come back for it",
    "sells, halved every 3 days",
    "sells, halved every 7 days",
    "sells, halved every 14 days",
    "sells, halved every 60 days",
    "sells, all time",
    "rising within days",
    "rising within weeks",
    "days since first sold",
    "customers who bought it",
    "price",
    "price beside what the customer pays",
    "orders of the customer",
    "days since the customer's last order",
    "items of the customer's orders",
    "days between the customer's orders",
    "different items the customer bought",
    "items in the basket",
];

/// A candidate and what the parts say, each beside its best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) item: u32,
    pub(super) blend: f32,
    pub(super) parts: [f32; N_PARTS],
}

/// The candidates of one question; reused from question to question.
#[derive(Debug, Default)]
pub(super) struct Table {
    history: History,
    habit: Sum,
    due: Sum,
    ease: Sum,
    cosine: Sum,
    basket_ease: Sum,
    basket_cosine: Sum,
    blend: Sum,
    excluded: Vec<u32>,
    keys: Vec<u64>,
    new_keys: Vec<u64>,
    candidates: Vec<Candidate>,
    /// Greatest value of each part.
    most: [f32; N_PARTS],
    basket: usize,
    columns: Vec<f32>,
    ranks: Vec<u64>,
}

impl Table {
    /// Finds the candidates: the best by the sum, and the best by the sum among what is new to the customer, in the order of the items.
    pub(super) fn gather(&mut self, parts: &Parts, query: &Query<'_>, weights: &Weights) {
        let n_items = parts.n_items();
        self.read(parts, query.history, query.now);
        self.excluded.clear();
        self.excluded.extend_from_slice(query.basket);
        self.excluded.sort_unstable();
        self.excluded.dedup();
        self.basket = self.excluded.len();
        self.basket_ease.reset(n_items);
        self.basket_cosine.reset(n_items);
        let (ease, cosine) = (parts.ease.rows(), parts.cosine.view());
        for &item in query.basket.iter().rev().take(SPEAKERS) {
            self.basket_ease.add_row(ease.row(item), 1.0);
            self.basket_cosine.add_row(cosine.row(item), 1.0);
        }

        let sums = [&self.habit, &self.due, &self.ease, &self.cosine, &self.basket_ease, &self.basket_cosine];
        self.most = [1.0; N_PARTS];
        for (most, sum) in self.most.iter_mut().zip(sums) {
            *most = sum.most().max(f32::MIN_POSITIVE);
        }
        self.blend.reset(n_items);
        for ((sum, &weight), &most) in sums.iter().zip(&weights.0).zip(&self.most) {
            for &item in sum.touched() {
                // A part without weight still names its candidates.
                self.blend.add(item, (weight * sum.get(item) / most).max(f32::MIN_POSITIVE));
            }
        }
        for &item in parts.popular() {
            self.blend.add(item, f32::MIN_POSITIVE);
        }
        let facts = parts.facts();
        self.keys.clear();
        self.new_keys.clear();
        for &item in self.blend.touched() {
            if self.excluded.binary_search(&item).is_err() {
                let sells = facts_of(facts, item)[parts::POPULARITY];
                let key = top::key(self.blend.get(item) + weights.0[6] * sells, item);
                self.keys.push(key);
                if self.history.of(item).is_none() {
                    self.new_keys.push(key);
                }
            }
        }
        top::keep_best(&mut self.keys, CANDIDATES);
        top::keep_best(&mut self.new_keys, CANDIDATES);
        self.keys.extend_from_slice(&self.new_keys);
        self.keys.sort_unstable_by_key(|&key| top::item(key));
        self.keys.dedup();

        self.candidates.clear();
        for &key in &self.keys {
            let item = top::item(key);
            let mut said = [0.0; N_PARTS];
            for ((said, sum), most) in said.iter_mut().zip(sums).zip(&self.most) {
                *said = sum.get(item) / most;
            }
            said[6] = facts_of(facts, item)[parts::POPULARITY];
            self.candidates.push(Candidate { item, blend: top::score(key), parts: said });
        }
    }

    /// Reads the history, and what it says of other items.
    fn read(&mut self, parts: &Parts, lines: &[Line], now: f64) {
        let n_items = parts.n_items();
        self.history.read(lines, now, n_items);
        for sum in [&mut self.habit, &mut self.due, &mut self.ease, &mut self.cosine] {
            sum.reset(n_items);
        }
        let (ease, cosine) = (parts.ease.rows(), parts.cosine.view());
        for (at, own) in self.history.own().iter().enumerate() {
            self.habit.add(own.item, own.decayed[2]);
            self.due.add(own.item, parts.repeat.intensity(own));
            if at < SPEAKERS {
                // What was bought ten times does not say ten times as much about other things.
                let loudness = own.decayed[1].ln_1p();
                self.ease.add_row(ease.row(own.item), loudness);
                self.cosine.add_row(cosine.row(own.item), loudness);
            }
        }
    }

    /// Returns the candidates, in the order of the items.
    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Returns whether the customer has bought an item before.
    pub(super) fn is_own(&self, item: u32) -> bool {
        self.history.of(item).is_some()
    }

    /// Returns the features column by column, each [`Self::stride`] long.
    pub(super) fn columns(&self) -> &[f32] {
        &self.columns
    }

    /// Returns the length of a column: as many places as there are candidates, and some for whole vectors.
    pub(super) fn stride(&self) -> usize {
        self.candidates.len().next_multiple_of(trees::LANES)
    }

    /// Works out the features of the candidates.
    pub(super) fn describe(&mut self, parts: &Parts) {
        let stride = self.stride();
        self.columns.clear();
        self.columns.resize(stride * FEATURES.len(), 0.0);
        let facts = parts.facts();
        let history = &self.history;
        let most_bought = history.own().iter().map(|own| own.orders).fold(1.0, f32::max);
        let (orders, last) = (history.orders(), if history.orders() > 0.0 { history.last() } else { NEVER });
        let gap = history.gap().unwrap_or(NEVER);
        let pays = history.log_price();
        for (row, candidate) in self.candidates.iter().enumerate() {
            let item = candidate.item;
            let facts = facts_of(facts, item);
            let own = history.of(item);
            let own_gap = own.filter(|own| own.orders > 1.0).map_or(NEVER, |own| (own.first - own.last) / (own.orders - 1.0));
            let count = own.map_or(0.0, |own| own.orders);
            let decayed = own.map_or([0.0; 3], |own| own.decayed);
            let values = [
                candidate.blend,
                0.0,
                self.ease.get(item),
                candidate.parts[2],
                0.0,
                self.cosine.get(item),
                candidate.parts[3],
                self.basket_ease.get(item),
                candidate.parts[4],
                0.0,
                self.basket_cosine.get(item),
                candidate.parts[5],
                decayed[0],
                decayed[1],
                decayed[2],
                count,
                count / most_bought,
                self.due.get(item),
                count / orders.max(1.0),
                own.map_or(NEVER, |own| own.last),
                own.map_or(NEVER, |own| own.first),
                own.map_or(NEVER, |own| own.last - last),
                own_gap,
                parts.repeat.share(item),
                facts[0],
                facts[1],
                facts[2],
                facts[3],
                facts[4],
                facts[parts::RISING],
                facts[parts::RISING + 1],
                facts[parts::AGE],
                facts[parts::BUYERS],
                facts[parts::PRICE],
                pays.map_or(0.0, |pays| facts[parts::PRICE] - pays),
                orders,
                last,
                history.size(),
                gap,
                history.own().len() as f32,
                self.basket as f32,
            ];
            for (column, value) in values.into_iter().enumerate() {
                self.columns[column * stride + row] = value;
            }
        }
        for (from, to) in [(0, 1), (2, 4), (7, 9)] {
            self.rank_column(from, to);
        }
    }

    /// Fills a column with the rank of each candidate, from 0, by another; what is 0 there stands last.
    fn rank_column(&mut self, from: usize, to: usize) {
        let stride = self.stride();
        let rows = self.candidates.len();
        self.ranks.clear();
        let values = &self.columns[from * stride..from * stride + rows];
        self.ranks.extend((0_u32..).zip(values).map(|(row, &value)| top::key(value.max(f32::MIN_POSITIVE), row)));
        self.ranks.sort_unstable_by(|a, b| b.cmp(a));
        for (rank, &key) in self.ranks.iter().enumerate() {
            let silent = top::score(key) <= f32::MIN_POSITIVE;
            self.columns[to * stride + top::item(key) as usize] = if silent { NEVER } else { rank as f32 };
        }
    }

    /// Appends the features row by row.
    pub(super) fn rows_into(&self, out: &mut Vec<f32>) {
        let stride = self.stride();
        for row in 0..self.candidates.len() {
            out.extend((0..FEATURES.len()).map(|column| self.columns[column * stride + row]));
        }
    }
}
