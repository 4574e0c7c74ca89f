//! A learned order: gradient-boosted symmetric trees with the LambdaMART objective.
//!
//! Each query is a list of candidates, each candidate a row of features, and some of them are right. LambdaMART (Burges, *From RankNet to LambdaRank to
//! LambdaMART*, 2010) turns "these should stand above those" into a gradient for each candidate, weighted by what a swap would change of the normalized
//! discounted gain; Newton boosting (Friedman 2001; Chen & Guestrin 2016) fits one tree after another to it.
//!
//! The trees are symmetric: all nodes of a level ask the same question (Kohavi 1994; as in CatBoost, Prokhorenkova et al. 2018). A tree of six levels is six
//! comparisons and one table of 64 leaves, the same for every candidate, so that a whole list is scored by a few vector instructions a tree and no branch
//! depends on the data. Features are cut into at most 64 bins for learning; the served thresholds are values of the features themselves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Column, Draft};

mod dataset;
mod grow;
mod lambda;
mod score;
#[cfg(test)]
mod tests;

pub use dataset::Dataset;
pub use score::LANES;

/// Leaves that a tree has room for; trees of fewer levels use the first of them.
const LEAVES: usize = 64;
/// Levels of the deepest tree.
pub const MAX_DEPTH: usize = 6;

/// What gradient an ordered list gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Pairs of a right and a wrong candidate, weighted by the gain a swap would change.
    Lambda,
    /// Cross entropy of the softmax over the list (Cao et al. 2007, `ListNet`).
    Softmax,
}

/// How trees are grown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Options {
    pub objective: Objective,
    /// Trees, each correcting those before.
    pub trees: usize,
    /// Questions of a tree, at most [`MAX_DEPTH`].
    pub depth: usize,
    /// Share of each tree's correction that is applied.
    pub learning_rate: f32,
    /// Damping of leaves with little evidence, in units of the second derivative.
    pub l2: f32,
    /// Ranks above which a swap matters: a pair counts when one of the two stands there.
    pub truncation: usize,
    /// Share of the rows, those with the greatest gradients, that each tree sees for sure.
    pub sure: f64,
    /// Share of the other rows that it sees, drawn anew by a hash of row and tree.
    pub drawn: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            objective: Objective::Lambda,
            trees: 150,
            depth: MAX_DEPTH,
            learning_rate: 0.1,
            l2: 1.0,
            truncation: 30,
            sure: 0.1,
            drawn: 0.1,
        }
    }
}

/// A learned order of candidates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forest {
    shape: Shape,
    /// For each tree and level: the feature asked about, and what it must exceed.
    features: Column<u32>,
    thresholds: Column<f32>,
    /// For each tree [`LEAVES`] values.
    leaves: Column<f32>,
    /// For each feature: what its splits gained in training, summed.
    gains: Column<f32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Shape {
    n_features: usize,
    depth: usize,
}

impl Forest {
    /// Grows a forest; runs on the current rayon pool and is the same for any number of threads.
    pub fn fit(examples: &Dataset, options: &Options) -> Self {
        grow::grow(examples, options)
    }

    /// Returns the number of trees.
    pub fn n_trees(&self) -> usize {
        self.leaves.len() / LEAVES
    }

    /// Returns the number of features of a candidate.
    pub fn n_features(&self) -> usize {
        self.shape.n_features
    }

    /// Returns, for each feature, its share of everything the splits gained; all 0 without trees.
    pub fn importance(&self) -> Vec<f32> {
        let sum: f32 = self.gains.iter().sum();
        self.gains.iter().map(|gain| if sum > 0.0 { gain / sum } else { 0.0 }).collect()
    }

    /// Writes the forest as files whose names start with `name`.
    pub fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        draft.write_value(&format!("{name}.shape.json"), &self.shape)?;
        self.features.save(draft, &format!("{name}.features.u32"))?;
        self.thresholds.save(draft, &format!("{name}.thresholds.f32"))?;
        self.leaves.save(draft, &format!("{name}.leaves.f32"))?;
        self.gains.save(draft, &format!("{name}.gains.f32"))
    }

    /// Opens and checks what [`Self::save`] wrote, without copying.
    pub fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let forest = Self {
            shape: artifact.value(&format!("{name}.shape.json"))?,
            features: Column::open(artifact, &format!("{name}.features.u32"))?,
            thresholds: Column::open(artifact, &format!("{name}.thresholds.f32"))?,
            leaves: Column::open(artifact, &format!("{name}.leaves.f32"))?,
            gains: Column::open(artifact, &format!("{name}.gains.f32"))?,
        };
        let splits = forest.n_trees() * forest.shape.depth;
        let n_features = forest.shape.n_features;
        let reason = if forest.shape.depth > MAX_DEPTH {
            "its trees are deeper than any this program grows"
        } else if !forest.leaves.len().is_multiple_of(LEAVES)
            || forest.features.len() != splits
            || forest.thresholds.len() != splits
        {
            "its arrays do not fit together"
        } else if forest.features.iter().any(|&f| f as usize >= n_features) || forest.gains.len() != n_features {
            "it asks about a feature it does not have"
        } else if forest.leaves.iter().any(|leaf| !leaf.is_finite()) {
            "a leaf is not finite"
        } else {
            return Ok(forest);
        };
        Err(ArtifactError::shape(format!("{name}.leaves.f32"), reason))
    }
}
