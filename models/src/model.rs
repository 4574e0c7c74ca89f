//! What every model can do: learn, be kept in a build, be opened from it, and answer with reused memory.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifact::{Artifact, ArtifactError, Draft};

/// A model: learnt offline, written into a build, mapped by a server, asked many times.
///
/// Items are positions `0..n_items` of one build. Learning is deterministic for any number of threads. Learnt and opened
/// models answer alike.
pub trait Model: Sized + Send + Sync {
    /// What it learns from.
    type Examples<'a>;
    /// How it learns; the defaults are good for a shop nobody has tuned anything for.
    type Options: Clone + Default + Serialize + DeserializeOwned;
    /// What it is asked.
    type Query<'a>;
    /// Memory that answers are worked out in; grows to the largest answer met, then stays.
    type Scratch: Default;

    /// Learns; runs on the current rayon pool.
    fn fit(examples: &Self::Examples<'_>, options: &Self::Options) -> Self;

    /// Writes the model as files whose names start with `name`.
    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError>;

    /// Opens and checks what [`Self::save`] wrote, without copying its arrays.
    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError>;

    /// Fills `out` with at most `k` items, best first, with positive scores; equal scores are in the order of the items.
    ///
    /// Allocates nothing once `scratch` and `out` have grown.
    fn predict(&self, query: Self::Query<'_>, k: usize, scratch: &mut Self::Scratch, out: &mut Vec<(u32, f32)>);
}
