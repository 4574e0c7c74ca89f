//! What is searched: every distinct vector once, exact and as bytes, and the items it belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use bytemuck::cast_slice;
use xxhash_rust::xxh3::xxh3_64;

use super::dots::LANES;
use crate::artifact::{Artifact, ArtifactError, Column, Draft};

/// Stands for the vector of an item that has none.
const NONE: u32 = u32::MAX;

/// The greatest magnitude of a byte.
const BYTE: f32 = 127.0;

/// Vectors of unit length. Rows are called nodes; items with equal vectors share one, items with a zero vector have none.
///
/// A catalog holds many equal vectors (the variants of one product). As nodes of their own they would fill each other's links and cut themselves off.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Vectors {
    /// Nodes × width.
    pub(super) exact: Column<f32>,
    /// Nodes × width: component / scale, rounded. 64 components are one cache line.
    pub(super) codes: Column<i8>,
    /// For each component the greatest magnitude found, divided by 127.
    scales: Column<f32>,
    /// For each item its node or [`NONE`].
    nodes: Column<u32>,
    /// Items of node `v`: `items[starts[v]..starts[v + 1]]`, ascending.
    starts: Column<u32>,
    items: Column<u32>,
}

impl Vectors {
    /// Takes `values` as rows of `dimension` components; rows with a component that is not finite count as zero.
    pub(super) fn new(values: &[f32], dimension: usize) -> Self {
        let width = width(dimension);
        let mut exact: Vec<f32> = Vec::new();
        let mut nodes = Vec::new();
        let mut node_of_hash = HashMap::new();
        let mut n_nodes = 0_u32;
        for row in values.chunks_exact(dimension.max(1)) {
            let at = exact.len();
            exact.resize(at + width, 0.0);
            if !normalize(row, &mut exact[at..]) {
                exact.truncate(at);
                nodes.push(NONE);
                continue;
            }
            let (earlier, row) = exact.split_at(at);
            let known = *node_of_hash.entry(xxh3_64(cast_slice(row))).or_insert(n_nodes);
            let known_row = earlier.get(known as usize * width..(known as usize + 1) * width);
            if known_row == Some(row) {
                exact.truncate(at);
                nodes.push(known);
            } else {
                nodes.push(n_nodes);
                n_nodes += 1;
            }
        }
        let scales = scales(&exact, width);
        let codes = exact
            .chunks_exact(width)
            .flat_map(|row| row.iter().zip(&scales).map(|(x, s)| (x / s).round() as i8))
            .collect::<Vec<_>>();
        let (starts, items) = invert(&nodes, n_nodes as usize);
        Self {
            exact: exact.into(),
            codes: codes.into(),
            scales: scales.into(),
            nodes: nodes.into(),
            starts: starts.into(),
            items: items.into(),
        }
    }

    /// Returns the number of nodes.
    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Returns the number of items, with a vector or without.
    pub(super) fn n_items(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the number of components of a row, padding included.
    pub(super) fn width(&self) -> usize {
        self.scales.len()
    }

    /// Returns the unit vector of a node.
    pub(super) fn row(&self, node: u32) -> Option<&[f32]> {
        let at = node as usize * self.width();
        self.exact.get(at..at + self.width())
    }

    /// Returns the node of an item that has a vector.
    pub(super) fn node(&self, item: u32) -> Option<u32> {
        self.nodes.get(item as usize).copied().filter(|&node| node != NONE)
    }

    /// Returns for looking up the items of many nodes.
    pub(super) fn members(&self) -> Members<'_> {
        Members { starts: &self.starts, items: &self.items }
    }

    /// Fills `codes` with `query`, a row, such that its products with the codes of rows order like the true products.
    ///
    /// The scales of the components go into the query. It has 16 bits a component, or fewer where the sum would not fit 32.
    pub(super) fn encode(&self, query: &[f32], codes: &mut Vec<i16>) {
        let fits = i32::MAX / (i32::from(i8::MAX) * (self.width() as i32).max(1));
        let range = fits.min(i32::from(i16::MAX)) as f32;
        let scales = &*self.scales;
        let peak = query.iter().zip(scales).map(|(x, s)| (x * s).abs()).fold(f32::MIN_POSITIVE, f32::max);
        codes.clear();
        // Truncation keeps the sum below the bound whatever the rounding of the division.
        codes.extend(query.iter().zip(scales).map(|(x, s)| (x * s / peak * range) as i16));
    }

    pub(super) fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.exact.save(draft, &format!("{name}.vectors.f32"))?;
        self.codes.save(draft, &format!("{name}.codes.i8"))?;
        self.scales.save(draft, &format!("{name}.scales.f32"))?;
        self.nodes.save(draft, &format!("{name}.nodes.u32"))?;
        self.starts.save(draft, &format!("{name}.starts.u32"))?;
        self.items.save(draft, &format!("{name}.items.u32"))
    }

    /// Opens what [`Self::save`] wrote, for vectors of `dimension` components.
    pub(super) fn open(artifact: &Arc<Artifact>, name: &str, dimension: usize) -> Result<Self, ArtifactError> {
        let vectors = Self {
            exact: Column::open(artifact, &format!("{name}.vectors.f32"))?,
            codes: Column::open(artifact, &format!("{name}.codes.i8"))?,
            scales: Column::open(artifact, &format!("{name}.scales.f32"))?,
            nodes: Column::open(artifact, &format!("{name}.nodes.u32"))?,
            starts: Column::open(artifact, &format!("{name}.starts.u32"))?,
            items: Column::open(artifact, &format!("{name}.items.u32"))?,
        };
        let (n_nodes, n_items) = (vectors.len(), vectors.n_items());
        let cells = n_nodes.checked_mul(vectors.width());
        let refuse = |column: &str, reason: &str| Err(ArtifactError::shape(format!("{name}.{column}"), reason));
        let (starts, items) = (&*vectors.starts, &*vectors.items);
        if vectors.width() == 0 || vectors.width() != width(dimension) {
            refuse("scales.f32", "it does not fit the dimension")
        } else if cells != Some(vectors.exact.len()) {
            refuse("vectors.f32", "it has not one row for each vector")
        } else if cells != Some(vectors.codes.len()) {
            refuse("codes.i8", "it has not one row for each vector")
        } else if starts.first() != Some(&0) || !starts.is_sorted() || starts.last().map(|&end| end as usize) != Some(items.len())
        {
            refuse("starts.u32", "its rows are not one after another")
        } else if items.iter().any(|&item| item as usize >= n_items) {
            refuse("items.u32", "it names an item that is not there")
        } else if vectors.nodes.iter().any(|&node| node != NONE && node as usize >= n_nodes) {
            refuse("nodes.u32", "it names a vector that is not there")
        } else {
            Ok(vectors)
        }
    }
}

/// The items of each node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'a> {
    starts: &'a [u32],
    items: &'a [u32],
}

impl<'a> Members<'a> {
    /// Returns the items of a node, ascending.
    #[inline]
    pub(super) fn of(self, node: u32) -> &'a [u32] {
        let at = node as usize;
        match self.starts.get(at..at + 2) {
            Some(&[from, to]) => self.items.get(from as usize..to as usize).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// Returns how many components a row has for vectors of `dimension`.
pub(super) fn width(dimension: usize) -> usize {
    dimension.max(1).next_multiple_of(LANES)
}

/// Writes `row` with length 1 to the start of `to`; false where it has no direction.
pub(super) fn normalize(row: &[f32], to: &mut [f32]) -> bool {
    // In f64, so that no square overflows or vanishes.
    let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return false;
    }
    for (to, &x) in to.iter_mut().zip(row) {
        *to = (f64::from(x) / norm) as f32;
    }
    true
}

fn scales(exact: &[f32], width: usize) -> Vec<f32> {
    let mut peaks = vec![0.0_f32; width];
    for row in exact.chunks_exact(width) {
        for (peak, x) in peaks.iter_mut().zip(row) {
            *peak = peak.max(x.abs());
        }
    }
    peaks.into_iter().map(|peak| if peak > 0.0 { peak / BYTE } else { 1.0 }).collect()
}

/// Returns the items of each node as compressed rows.
fn invert(nodes: &[u32], n_nodes: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0_u32; n_nodes + 1];
    for &node in nodes.iter().filter(|&&node| node != NONE) {
        starts[node as usize + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut items = vec![0; starts.last().map_or(0, |&end| end as usize)];
    for (item, &node) in (0_u32..).zip(nodes).filter(|&(_, &node)| node != NONE) {
        items[next[node as usize] as usize] = item;
        next[node as usize] += 1;
    }
    (starts, items)
}
