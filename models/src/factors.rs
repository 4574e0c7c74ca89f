//! Item vectors from behaviour: what is met in the same company is near, even where two items were never met together.
//!
//! How much more often than by chance two items meet (positive pointwise mutual information, Church & Hanks 1990, with
//! the contexts' counts smoothed by a power: Levy, Goldberg & Dagan 2015) is a sparse symmetric matrix; its best
//! approximation of low rank gives each item a vector (Levy & Goldberg 2014, who show that item2vec and its kin factorise
//! the same matrix implicitly). The approximation is found by randomised subspace iteration (Halko, Martinsson & Tropp
//! 2011): a few products of the matrix with some seventy columns, whatever its size.

use std::sync::Arc;

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Column, Draft};
use crate::model::Model;
use crate::top;

mod subspace;
mod symmetric;

use symmetric::Symmetric;

/// How pairs become vectors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Numbers of a vector.
    pub dims: usize,
    /// Columns beyond `dims` that the subspace is looked for with.
    pub oversampling: usize,
    /// How often the subspace is refined; each costs one product with the matrix. More come closer to the few broadest
    /// directions and lose what is between neighbours: on published sessions two found more next items than four.
    pub iterations: usize,
    /// Power of the neighbour's count, below 1: rare items would seem to belong together by one meeting.
    pub smoothing: f64,
    /// Meetings at which half of a pair's information is believed (Pantel & Lin 2002): otherwise the broadest directions
    /// are those of a few rare items that keep to themselves.
    pub discount: f64,
    /// Power of the eigenvalue that a direction is stretched by: 0 treats all alike, 1 favours the broadest.
    pub stretch: f64,
    /// Where the first guess of the subspace comes from.
    pub seed: u64,
}

impl Default for Options {
    /// The recommendations of Levy, Goldberg & Dagan (2015) and Halko et al. (2011).
    fn default() -> Self {
        Self { dims: 64, oversampling: 8, iterations: 2, smoothing: 0.75, discount: 2.0, stretch: 0.5, seed: 0 }
    }
}

/// Pairs of items that met, as [`cooccurrence`](crate::cooccurrence) counts them.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// Where each item's pairs start, and one end.
    pub indptr: &'a [u32],
    /// The other items.
    pub items: &'a [u32],
    /// Groups that hold both.
    pub support: &'a [u32],
}

/// One vector of length 1 for each item that was met with another; zeros for the others.
#[derive(Debug, Clone)]
pub struct Factors {
    dims: usize,
    vectors: Column<f32>,
}

/// Memory that answers are worked out in.
#[derive(Debug, Default)]
pub struct Scratch {
    keys: Vec<u64>,
}

impl Factors {
    /// Returns how many numbers a vector has.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Returns how many items there are, with a vector or without.
    pub fn n_items(&self) -> usize {
        self.vectors.len() / self.dims.max(1)
    }

    /// Returns all vectors, one after the other, for loops over many items.
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// Returns an item's vector: of length 1, or zeros; empty for an unknown item.
    pub fn vector(&self, item: u32) -> &[f32] {
        let start = (item as usize).saturating_mul(self.dims);
        self.vectors.get(start..start.saturating_add(self.dims)).unwrap_or(&[])
    }
}

impl Model for Factors {
    /// Sources whose information adds up, each over the same items: visits, baskets.
    type Examples<'a> = &'a [Pairs<'a>];
    type Options = Options;
    /// The items nearest to this one.
    type Query<'a> = u32;
    type Scratch = Scratch;

    fn fit(examples: &Self::Examples<'_>, options: &Options) -> Self {
        let n_items = examples.iter().map(|pairs| pairs.indptr.len().saturating_sub(1)).max().unwrap_or(0);
        let dims = options.dims.max(1);
        let mut vectors = vec![0.0_f32; n_items * dims];
        let matrix = Symmetric::information(examples, n_items, options);
        let columns = (dims + options.oversampling).min(n_items);
        let found = subspace::largest(&matrix, dims, columns, options.iterations, options.seed);
        embed(&found.vectors, &found.values, options.stretch, dims, &mut vectors);
        Self { dims, vectors: vectors.into() }
    }

    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        draft.write_value(&dims_file(name), &self.dims)?;
        self.vectors.save(draft, &vectors_file(name))
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let dims: usize = artifact.value(&dims_file(name))?;
        let file = vectors_file(name);
        let vectors = Column::<f32>::open(artifact, &file)?;
        if dims == 0 || !vectors.len().is_multiple_of(dims) {
            return Err(ArtifactError::Shape { reason: format!("{} numbers are no vectors of {dims}", vectors.len()), file });
        }
        if let Some(at) = vectors.iter().position(|x| x.is_nan() || x.abs() > 1.001) {
            return Err(ArtifactError::Shape { reason: format!("number {at} is not one of a vector of length 1"), file });
        }
        Ok(Self { dims, vectors })
    }

    fn predict(&self, query: u32, k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        out.clear();
        scratch.keys.clear();
        let vectors = &*self.vectors;
        let asked = self.vector(query);
        if asked.is_empty() {
            return;
        }
        for (item, vector) in (0..).zip(vectors.chunks_exact(self.dims)) {
            let cosine: f32 = asked.iter().zip(vector).map(|(x, y)| x * y).sum();
            if cosine > 0.0 && item != query {
                scratch.keys.push(top::key(cosine, item));
            }
        }
        top::keep_best(&mut scratch.keys, k);
        out.extend(scratch.keys.iter().map(|&key| (top::item(key), top::score(key))));
    }
}

/// Writes the items' vectors: eigenvectors stretched by their eigenvalues, each row of length 1.
fn embed(directions: &Array2<f64>, values: &[f64], stretch: f64, dims: usize, vectors: &mut [f32]) {
    let stretches: Vec<f64> = values.iter().map(|value| value.powf(stretch)).collect();
    vectors.par_chunks_exact_mut(dims).zip(directions.as_standard_layout().outer_iter().collect::<Vec<_>>()).for_each(
        |(vector, row)| {
            let stretched = || row.iter().zip(&stretches).map(|(x, s)| x * s);
            let length = stretched().map(|x| x * x).sum::<f64>().sqrt();
            // An item that was met with nobody has a row of rounding errors.
            if length > 1e-9 {
                vector.iter_mut().zip(stretched()).for_each(|(to, x)| *to = (x / length) as f32);
            }
        },
    );
}

fn dims_file(name: &str) -> String {
    format!("{name}.dims.json")
}

fn vectors_file(name: &str) -> String {
    format!("{name}.vectors.f32")
}

#[cfg(test)]
mod tests;
