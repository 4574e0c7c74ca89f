//! The best next purchase: for somebody with a history, beside a basket, or both.
//!
//! Several models name candidates and say how much speaks for each (`parts`): the habit of the customer (decayed personal frequency), what is due again
//! ([`crate::repeat`]), what goes with what they have or with what lies in the basket ([`crate::ease`] on orders that fade with age, and cosine), and what
//! sells now. A weighted sum of these, each divided by its greatest value, chooses the candidates. Where there are enough cases to learn from, a forest
//! ([`crate::trees`]) puts them into order by some forty features; else the sum does.
//!
//! Everything is learnt from the orders alone, by looking back (`learn`): the orders are cut at several moments, the models are learnt from what was
//! before, and what people bought next is the lesson. The newest of these slices sets the weights of the sum.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Draft};
use crate::model::Model;
use crate::orders::{Line, Orders};
use crate::trees::{self, Forest};
use crate::{ease, repeat, top};

mod features;
mod learn;
mod parts;
#[cfg(test)]
mod tests;

pub use features::FEATURES;

use features::{N_PARTS, Weights};
use parts::Parts;

/// How purchases are learnt. None of it was fitted to one shop but the weights of `Weights`, which are learnt anew wherever there are orders enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    pub ease: ease::Options,
    pub repeat: repeat::Options,
    /// Days after which an order counts half in what goes together.
    pub half_life_days: f64,
    /// Moments in the past from which the next purchases are learnt; 0 learns no weights and no order.
    pub slices: usize,
    /// Days between them, and days in which a next purchase is looked for.
    pub slice_days: f64,
    /// Cases that are taken of a slice.
    pub max_cases: usize,
    /// Cases below which no forest is grown.
    pub min_cases: usize,
    pub forest: trees::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ease: ease::Options::default(),
            repeat: repeat::Options::default(),
            half_life_days: 90.0,
            slices: 2,
            slice_days: 30.0,
            max_cases: 1_200,
            min_cases: 300,
            // There are few cases and many right answers in each: all of a list speaks at once, and each tree sees most of the rows.
            forest: trees::Options {
                objective: trees::Objective::Softmax,
                trees: 60,
                learning_rate: 0.12,
                sure: 0.2,
                drawn: 0.5,
                ..trees::Options::default()
            },
        }
    }
}

/// The models, and how their words are weighed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NextPurchase {
    parts: Parts,
    for_you: Ranker,
    together: Ranker,
}

/// A weighted sum, and a learned order where there was enough to learn from.
#[derive(Debug, Clone, Default, PartialEq)]
struct Ranker {
    weights: Weights,
    forest: Option<Forest>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// What the customer has bought, oldest first; empty for a stranger.
    pub history: &'a [Line],
    /// What lies in the basket; it is not answered. Where there is any, the question is what goes with it.
    pub basket: &'a [u32],
    /// The moment, in seconds on the clock of the orders.
    pub now: f64,
    /// Leaves out what the customer has bought before.
    pub only_new: bool,
}

/// Memory that answers are worked out in.
#[derive(Debug, Default)]
pub struct Scratch {
    table: features::Table,
    scores: Vec<f32>,
    keys: Vec<u64>,
}

impl NextPurchase {
    /// Returns the same models with the weighted sum alone.
    #[must_use]
    pub fn without_forests(&self) -> Self {
        let alone = |ranker: &Ranker| Ranker { weights: ranker.weights, forest: None };
        Self { parts: self.parts.clone(), for_you: alone(&self.for_you), together: alone(&self.together) }
    }

    /// Returns the features by their share of what the learned order for customers gained, greatest first; nothing without one.
    pub fn importance(&self) -> Vec<(&'static str, f32)> {
        let shares = self.for_you.forest.as_ref().map(Forest::importance).unwrap_or_default();
        let mut named: Vec<(&str, f32)> = FEATURES.iter().copied().zip(shares).collect();
        named.sort_by(|a, b| b.1.total_cmp(&a.1));
        named
    }

    /// Returns whether there was enough to learn an order from: for customers, and beside a basket.
    pub fn learned(&self) -> (bool, bool) {
        (self.for_you.forest.is_some(), self.together.forest.is_some())
    }

    /// Returns the weights of the sum, for customers and beside a basket, in the order of the parts.
    pub fn weights(&self) -> [[f32; N_PARTS]; 2] {
        [self.for_you.weights.0, self.together.weights.0]
    }

    /// Returns how many items it knows, bought or not.
    pub fn n_items(&self) -> usize {
        self.parts.n_items()
    }

    /// Returns the model of what is due again.
    pub fn repeat(&self) -> &repeat::Repeat {
        &self.parts.repeat
    }

    /// Returns what one of an item used to cost (the geometric mean of the orders); 0 where nothing is known.
    pub fn price(&self, item: u32) -> f32 {
        let log = parts::facts_of(self.parts.facts(), item)[parts::PRICE];
        if log == 0.0 { 0.0 } else { log.exp() }
    }

    fn ranker(&self, basket: &[u32]) -> &Ranker {
        if basket.is_empty() { &self.for_you } else { &self.together }
    }
}

impl Model for NextPurchase {
    type Examples<'a> = Orders;
    type Options = Options;
    type Query<'a> = Query<'a>;
    type Scratch = Scratch;

    fn fit(orders: &Orders, options: &Options) -> Self {
        let [for_you, together] = learn::rankers(orders, options);
        Self { parts: Parts::fit(orders, options), for_you, together }
    }

    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.parts.save(draft, name)?;
        self.for_you.save(draft, &format!("{name}.for_you"))?;
        self.together.save(draft, &format!("{name}.together"))
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        Ok(Self {
            parts: Parts::open(artifact, name)?,
            for_you: Ranker::open(artifact, &format!("{name}.for_you"))?,
            together: Ranker::open(artifact, &format!("{name}.together"))?,
        })
    }

    /// Scores of a learned order are odds, those of the sum are sums; they are comparable within one answer only.
    fn predict(&self, query: Query<'_>, k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        out.clear();
        let Scratch { table, scores, keys } = scratch;
        let ranker = self.ranker(query.basket);
        table.gather(&self.parts, &query, &ranker.weights);
        scores.clear();
        // Of strangers without a basket nothing is known but what sells, and no lesson was about them.
        let forest = ranker.forest.as_ref().filter(|_| !(query.history.is_empty() && query.basket.is_empty()));
        match forest {
            Some(forest) => {
                table.describe(&self.parts);
                scores.resize(table.candidates().len(), 0.0);
                forest.score(table.columns(), table.stride(), scores);
                // Answers have positive scores; the exponential keeps the order and tells close ones apart.
                scores.iter_mut().for_each(|score| *score = score.clamp(-80.0, 80.0).exp());
            }
            None => scores.extend(table.candidates().iter().map(|candidate| candidate.blend)),
        }
        keys.clear();
        for (candidate, &score) in table.candidates().iter().zip(scores.iter()) {
            if score > 0.0 && !(query.only_new && table.is_own(candidate.item)) {
                keys.push(top::key(score, candidate.item));
            }
        }
        top::keep_best(keys, k);
        out.extend(keys.iter().map(|&key| (top::item(key), top::score(key))));
    }
}

impl Ranker {
    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        draft.write_value(&format!("{name}.weights.json"), &(self.weights, self.forest.is_some()))?;
        match &self.forest {
            Some(forest) => forest.save(draft, &format!("{name}.forest")),
            None => Ok(()),
        }
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let file = format!("{name}.weights.json");
        let (weights, has_forest): (Weights, bool) = artifact.value(&file)?;
        if weights.0.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            return Err(ArtifactError::shape(file, "a weight is not finite or below 0"));
        }
        let forest = if has_forest { Some(Forest::open(artifact, &format!("{name}.forest"))?) } else { None };
        if forest.as_ref().is_some_and(|forest| forest.n_features() != FEATURES.len()) {
            return Err(ArtifactError::shape(file, "its forest was grown from other features"));
        }
        Ok(Self { weights, forest })
    }
}
