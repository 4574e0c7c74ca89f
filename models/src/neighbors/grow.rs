//! Growing the graph with `hnsw_rs`, then laying it out flat.

use std::cmp::Reverse;

use hnsw_rs::prelude::{Distance, Hnsw};

use super::Options;
use super::dots::Dots;
use super::graph::{Graph, Shape};
use super::vectors::Vectors;

/// The most levels a node can reach; the crate's own bound.
const MAX_LEVELS: usize = 16;

/// 1 − cosine between nodes. The crate is given node numbers for vectors, so that it neither copies nor scatters them.
///
/// Not its own `DistDot`, which panics when rounding takes the product of a unit vector with itself above 1.
struct Cosine<'a> {
    dots: Dots,
    exact: &'a [f32],
    width: usize,
}

impl Cosine<'_> {
    fn row(&self, node: u32) -> &[f32] {
        let at = node as usize * self.width;
        &self.exact[at..at + self.width]
    }
}

impl Distance<u32> for Cosine<'_> {
    #[inline]
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        (1.0 - self.dots.exact(self.row(a[0]), self.row(b[0]))).max(0.0)
    }
}

/// Grows a graph over all nodes: one after another, which gives the same graph every time, or on all threads of the current pool.
pub(super) fn grow(vectors: &Vectors, options: &Options, sequential: bool) -> Graph {
    let (n, m) = (vectors.len(), options.m.clamp(4, 64));
    if n == 0 {
        return Graph::default();
    }
    let cosine = Cosine { dots: Dots::new(), exact: &vectors.exact, width: vectors.width() };
    let hnsw = Hnsw::<u32, _>::new(m, n, MAX_LEVELS, options.ef_construction.max(m), cosine);
    let nodes: Vec<u32> = (0..n as u32).collect();
    let rows: Vec<(&[u32], usize)> = nodes.chunks(1).zip(0..).collect();
    // The first alone: those that start together find nothing to link to.
    let (first, rest) = rows.split_at(1);
    first.iter().for_each(|&row| hnsw.insert(row));
    if sequential {
        rest.iter().for_each(|&row| hnsw.insert(row));
    } else {
        hnsw.parallel_insert_slice(&rest.to_vec());
    }
    flatten(&Raw::read(&hnsw, n), m)
}

/// The links of the crate, by level and node.
struct Raw {
    /// For each node the levels above the ground it reaches.
    levels: Vec<u8>,
    /// For each level and node.
    links: Vec<Vec<Vec<u32>>>,
}

impl Raw {
    fn read(hnsw: &Hnsw<'_, u32, Cosine<'_>>, n: usize) -> Self {
        let top = hnsw.get_max_level_observed();
        let mut raw = Self { levels: vec![0; n], links: vec![vec![Vec::new(); n]; usize::from(top) + 1] };
        for level in 0..=top {
            for point in hnsw.get_point_indexation().get_layer_iterator(level.into()) {
                let at = point.get_origin_id();
                raw.levels[at] = level;
                // Above its own level a point only notes where it came from.
                for (level, links) in point.get_neighborhood_id().iter().enumerate().take(usize::from(level) + 1) {
                    raw.links[level][at] = links.iter().map(|link| link.d_id as u32).collect();
                }
            }
        }
        raw
    }
}

/// Lays the links out in rows of equal length, for the levels above the ground by places among the nodes that reach them.
fn flatten(raw: &Raw, m: usize) -> Graph {
    let n = raw.levels.len();
    let degree = 2 * m;
    let mut links = Vec::with_capacity(n * degree);
    for (node, row) in (0_u32..).zip(&raw.links[0]) {
        push_row(&mut links, row.iter().copied(), degree, node);
    }
    let mut upper_nodes: Vec<u32> = (0..n as u32).filter(|&node| raw.levels[node as usize] > 0).collect();
    upper_nodes.sort_by_key(|&node| Reverse(raw.levels[node as usize]));
    let mut places = vec![u32::MAX; n];
    for (place, &node) in (0_u32..).zip(&upper_nodes) {
        places[node as usize] = place;
    }
    let mut levels = Vec::new();
    let mut upper_links = Vec::new();
    for (level, rows) in raw.links.iter().enumerate().skip(1) {
        let size = upper_nodes.partition_point(|&node| usize::from(raw.levels[node as usize]) >= level);
        for (place, &node) in (0_u32..).zip(&upper_nodes[..size]) {
            let row = rows[node as usize].iter().map(|&link| places[link as usize]).filter(|&link| (link as usize) < size);
            push_row(&mut upper_links, row, m, place);
        }
        levels.push(size);
    }
    Graph {
        shape: Shape { degree, upper_degree: m, levels },
        links: links.into(),
        upper_nodes: upper_nodes.into(),
        upper_links: upper_links.into(),
    }
}

/// Appends a row of exactly `degree` links, filled up with links of `node` to itself.
fn push_row(links: &mut Vec<u32>, row: impl Iterator<Item = u32>, degree: usize, node: u32) {
    let end = links.len() + degree;
    links.extend(row.take(degree));
    links.resize(end, node);
}
