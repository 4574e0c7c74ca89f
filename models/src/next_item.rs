//! The default of a visit: several models find candidates, a learned order ranks them.
//!
//! 1. *Evidence.* Session neighbours ([`session_knn`]), co-visitation ([`covisitation`]) and what follows directly give scores; what was seen in this visit is
//!    a candidate too, for shoppers return.
//! 2. *Blend.* A weighted sum of these scores, weights learnt as a conditional logit ([`blend`]), keeps the best [`CANDIDATES`].
//! 3. *Order.* Boosted trees ([`trees`]) rank those by some forty features: the scores, facts about the item, and where it stood in the visit.
//!
//! The weights and the trees are learnt from the last part of the sessions, each predicted by models that have seen only what came before it; then the models
//! learn from everything. A shop with too few visits for that keeps the blend with its prior weights.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Column, Draft};
use crate::covisitation::{self, CoVisitation};
use crate::model::Model;
use crate::session_knn::{self, SessionKnn};
use crate::sessions::Sessions;
use crate::trees::{self, Forest, LANES};
use crate::{blend, top};

mod evidence;
mod facts;
mod features;
mod learn;
#[cfg(test)]
mod tests;
pub mod tune;

pub use features::FEATURES;

/// Candidates that are ranked by the learned order.
pub const CANDIDATES: usize = 64;

/// How the default learns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Options {
    pub knn: session_knn::Options,
    pub next: covisitation::Options,
    pub rules: covisitation::Options,
    pub trees: trees::Options,
    /// Share of the sessions, the last ones, that weights and trees are learnt from.
    pub held_out: f64,
    /// Parts of these, each predicted by models of what came before it.
    pub slices: usize,
    /// Places in visits that are learnt from at most.
    pub examples: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            knn: session_knn::Options::default(),
            next: covisitation::Options::default(),
            rules: covisitation::Options { window: 10, decay: 1.0, backward: 0.0, top: 150, normalization: 1.0 },
            trees: trees::Options::default(),
            held_out: 0.3,
            slices: 3,
            examples: 120_000,
        }
    }
}

/// Everything that predicts the next item of a visit.
#[derive(Debug, Clone)]
pub struct NextItem {
    parts: Parts,
    /// Weights of the blend.
    weights: Column<f32>,
    /// The learned order; empty where there was too little to learn it from.
    forest: Forest,
}

/// The models that give evidence.
#[derive(Debug, Clone)]
struct Parts {
    knn: SessionKnn,
    next: CoVisitation,
    rules: CoVisitation,
    facts: facts::Facts,
}

impl Parts {
    fn fit(examples: &Sessions<'_>, options: &Options) -> Self {
        Self {
            knn: SessionKnn::fit(examples, &options.knn),
            next: covisitation::fit(examples.sessions, examples.n_items, &options.next),
            rules: covisitation::fit(examples.sessions, examples.n_items, &options.rules),
            facts: facts::Facts::of(examples),
        }
    }
}

/// Memory for one answer at a time.
#[derive(Debug, Default)]
pub struct Scratch {
    evidence: evidence::Scratch,
    /// Features column by column, [`STRIDE`] to a column.
    columns: Vec<f32>,
    scores: Vec<f32>,
    keys: Vec<u64>,
}

/// Length of a column of features: candidates, rounded up to what the forest walks at once.
const STRIDE: usize = CANDIDATES.div_ceil(LANES) * LANES;

impl NextItem {
    /// Returns the weights of the blend, by name.
    pub fn weights(&self) -> impl Iterator<Item = (&'static str, f32)> + '_ {
        evidence::LINEAR.iter().copied().zip(self.weights.iter().copied())
    }

    /// Returns what each feature is worth to the learned order, the best first; they sum to 1.
    pub fn importance(&self) -> Vec<(&'static str, f32)> {
        let mut features: Vec<_> = FEATURES.iter().copied().zip(self.forest.importance()).collect();
        features.sort_by(|a, b| b.1.total_cmp(&a.1));
        features
    }

    /// Returns the learned order.
    pub fn forest(&self) -> &Forest {
        &self.forest
    }
}

impl Model for NextItem {
    type Examples<'a> = Sessions<'a>;
    type Options = Options;
    type Query<'a> = &'a [u32];
    type Scratch = Scratch;

    fn fit(examples: &Sessions<'_>, options: &Options) -> Self {
        learn::learn(examples, options)
    }

    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.parts.knn.save(draft, &format!("{name}.knn"))?;
        self.parts.next.save(draft, &format!("{name}.covisitation"))?;
        self.parts.rules.save(draft, &format!("{name}.rules"))?;
        self.parts.facts.save(draft, name)?;
        self.weights.save(draft, &format!("{name}.weights.f32"))?;
        self.forest.save(draft, &format!("{name}.forest"))
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let parts = Parts {
            knn: SessionKnn::open(artifact, &format!("{name}.knn"))?,
            next: CoVisitation::open(artifact, &format!("{name}.covisitation"))?,
            rules: CoVisitation::open(artifact, &format!("{name}.rules"))?,
            facts: facts::Facts::open(artifact, name)?,
        };
        let weights: Column<f32> = Column::open(artifact, &format!("{name}.weights.f32"))?;
        let forest = Forest::open(artifact, &format!("{name}.forest"))?;
        let n_items = parts.knn.n_items();
        let reason = if parts.next.n_items() != n_items || parts.rules.n_items() != n_items || parts.facts.n_items() != n_items {
            "its models know different items"
        } else if weights.len() != evidence::LINEAR.len() || weights.iter().any(|weight| !weight.is_finite()) {
            "it is not one finite weight for each kind of evidence"
        } else if forest.n_trees() > 0 && forest.n_features() != FEATURES.len() {
            "its trees ask about other features"
        } else {
            return Ok(Self { parts, weights, forest });
        };
        Err(ArtifactError::shape(format!("{name}.weights.f32"), reason))
    }

    /// The score is the likelihood beside that of the best: 1 for the first item, less for the others.
    fn predict(&self, visit: &[u32], k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        out.clear();
        let Scratch { evidence, columns, scores, keys } = scratch;
        evidence.gather(&self.parts, visit, &self.weights);
        evidence.best(CANDIDATES);
        let candidates = evidence.chosen();
        scores.clear();
        if self.forest.n_trees() > 0 {
            scores.resize(candidates.len(), 0.0);
            columns.resize(FEATURES.len() * STRIDE, 0.0);
            features::fill(&self.parts, visit, evidence, STRIDE, columns);
            self.forest.score(columns, STRIDE, scores);
        } else {
            scores.extend(candidates.iter().map(|c| c.blend));
        }
        keys.clear();
        keys.extend(candidates.iter().zip(scores.iter()).map(|(c, &score)| top::any_key(score, c.item)));
        top::keep_best(keys, k);
        let most = keys.first().map_or(0.0, |&key| top::any_score(key));
        out.extend(keys.iter().map(|&key| (top::item(key), (top::any_score(key) - most).exp().max(f32::MIN_POSITIVE))));
    }
}
