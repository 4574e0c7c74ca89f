//! Items that lie near each other: cosine similarity between item vectors, by a graph or by looking at all of them.
//!
//! The graph is a hierarchical navigable small world (Malkov & Yashunin, *Efficient and robust approximate nearest neighbor search using hierarchical navigable
//! small world graphs*, 2016). `hnsw_rs` grows it offline; here it lies in flat arrays that a server maps, and is walked by a loop of our own over byte-sized
//! codes of the vectors, one cache line for 64 components. What the walk finds is scored again by the exact vectors. Few vectors, or a filter that lets few
//! pass, need no graph: all codes are looked at, the best scored again.
//!
//! Good for `similar` and for items too new to have been bought with anything. Not for scores that are not angles: lengths are thrown away.

mod check;
mod dots;
mod graph;
mod grow;
mod search;
#[cfg(test)]
mod tests;
mod vectors;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::check::{Fault, Floor, Quality};
use self::graph::{Graph, Shape};
pub use self::search::Scratch;
use self::vectors::Vectors;
use crate::artifact::{Artifact, ArtifactError, Draft};
use crate::model::Model;

/// The most vectors an index holds; node numbers have 31 bits while a walk sorts them.
const MAX_ITEMS: usize = 1 << 31;

/// Item vectors, one row for each item.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    /// Items × dimension. A row of zeros, or with a component that is not finite, is an item without a vector.
    pub values: &'a [f32],
    /// Components of a vector.
    pub dimension: usize,
}

/// How the index is built and searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Links of a node on each level above the ground, twice as many on the ground; from 4 to 64.
    pub m: usize,
    /// How many candidates for its links a new node is given; more is a better graph and a longer build.
    pub ef_construction: usize,
    /// How many candidates a search keeps; more finds more and takes longer.
    pub ef_search: usize,
    /// Below this many distinct vectors there is no graph: looking at all of them is exact and fast enough.
    pub exact_below: usize,
    /// From this many distinct vectors the graph is grown on all threads, which gives another graph each time.
    pub parallel_from: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { m: 16, ef_construction: 200, ef_search: 32, exact_below: 50_000, parallel_from: 100_000 }
    }
}

/// What similarity is asked to.
#[derive(Debug, Clone, Copy)]
pub enum To<'a> {
    /// To this item, which is not among the answers; an item without a vector has none.
    Item(u32),
    /// To this vector, of the index's dimension and any length.
    Vector(&'a [f32]),
}

/// A question.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    pub to: To<'a>,
    /// Only items for which this is true. Called for many items, so it should be a look-up.
    pub filter: Option<&'a dyn Fn(u32) -> bool>,
    /// How many candidates the walk keeps; [`Options::ef_search`] where it is not said.
    pub ef: Option<usize>,
}

impl std::fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query").field("to", &self.to).field("filtered", &self.filter.is_some()).field("ef", &self.ef).finish()
    }
}

impl<'a> Query<'a> {
    /// Asks for what is like an item.
    pub fn item(item: u32) -> Self {
        Self { to: To::Item(item), filter: None, ef: None }
    }

    /// Asks for what is like a vector.
    pub fn vector(vector: &'a [f32]) -> Self {
        Self { to: To::Vector(vector), filter: None, ef: None }
    }

    /// Asks only for items for which `filter` is true.
    pub fn filter(self, filter: &'a dyn Fn(u32) -> bool) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Keeps `ef` candidates.
    pub fn ef(self, ef: usize) -> Self {
        Self { ef: Some(ef), ..self }
    }
}

/// Vectors of items, and a graph over them where there are many.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index {
    about: About,
    vectors: Vectors,
    graph: Graph,
}

/// What is kept beside the arrays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    dimension: usize,
    deterministic: bool,
    options: Options,
    shape: Shape,
}

impl Model for Index {
    type Examples<'a> = Examples<'a>;
    type Options = Options;
    type Query<'a> = Query<'a>;
    type Scratch = Scratch;

    /// Builds the index; more than 2³¹ items are cut off. See [`Self::deterministic`].
    fn fit(examples: &Examples<'_>, options: &Options) -> Self {
        let cells = examples.values.len().min(MAX_ITEMS.saturating_mul(examples.dimension));
        let vectors = Vectors::new(&examples.values[..cells], examples.dimension);
        let n = vectors.len();
        let deterministic = n < options.exact_below.max(options.parallel_from);
        let graph = if n < options.exact_below { Graph::default() } else { grow::grow(&vectors, options, deterministic) };
        let about = About { dimension: examples.dimension, deterministic, options: options.clone(), shape: graph.shape.clone() };
        Self { about, vectors, graph }
    }

    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        draft.write_value(&format!("{name}.index.json"), &self.about)?;
        self.vectors.save(draft, name)?;
        self.graph.save(draft, name)
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let about: About = artifact.value(&format!("{name}.index.json"))?;
        let vectors = Vectors::open(artifact, name, about.dimension)?;
        let graph = Graph::open(artifact, name, about.shape.clone(), vectors.len())?;
        Ok(Self { about, vectors, graph })
    }

    /// Scores are cosines. Items at a right angle or more are never given; of all others as many as were asked for, however narrow the filter.
    fn predict(&self, query: Query<'_>, k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        search::search(self, query, k, scratch, out);
    }
}

impl Index {
    /// Returns the number of items, with a vector or without.
    pub fn n_items(&self) -> usize {
        self.vectors.n_items()
    }

    /// Returns the number of distinct vectors.
    pub fn n_vectors(&self) -> usize {
        self.vectors.len()
    }

    /// Returns the number of components of a vector.
    pub fn dimension(&self) -> usize {
        self.about.dimension
    }

    /// Returns how it was built.
    pub fn options(&self) -> &Options {
        &self.about.options
    }

    /// Tells whether the same vectors always give the same index; those with a graph grown on all threads do not.
    pub fn deterministic(&self) -> bool {
        self.about.deterministic
    }

    /// Tells whether there is a graph; without, every search looks at all vectors.
    pub fn has_graph(&self) -> bool {
        !self.graph.is_empty()
    }

    /// Returns the vector of an item, scaled to length 1; nothing for an item without.
    pub fn vector(&self, item: u32) -> Option<&[f32]> {
        self.vectors.row(self.vectors.node(item)?)?.get(..self.about.dimension)
    }

    /// Measures how much searches find, and refuses what finds too little. Runs on the current rayon pool.
    pub fn check(&self, floor: &Floor) -> Result<Quality, Fault> {
        check::check(self, floor)
    }
}
