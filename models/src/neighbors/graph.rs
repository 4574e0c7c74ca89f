//! The graph in flat arrays, and walking it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dots::Dots;
use super::vectors::Vectors;
use crate::artifact::{Artifact, ArtifactError, Column, Draft};
use crate::prefetch::touch;

/// Links in a cache line.
const LINKS_PER_LINE: usize = 16;

/// Set in a key of the pool while the links of its node have not been followed.
const OPEN: u64 = 1;

/// A hierarchical navigable small world: on the ground every node, above it fewer and fewer of them with longer links.
///
/// Unused places of a row link the node to itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Graph {
    pub(super) shape: Shape,
    /// Nodes × `degree`: links on the ground.
    pub(super) links: Column<u32>,
    /// The nodes above the ground, those that reach highest first, so that each level is a beginning of this list.
    pub(super) upper_nodes: Column<u32>,
    /// For each level from the first, and each place of `upper_nodes` that reaches it, `upper_degree` places.
    pub(super) upper_links: Column<u32>,
}

/// How the arrays are to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    /// 0 where there is no graph.
    pub(super) degree: usize,
    pub(super) upper_degree: usize,
    /// How many nodes reach each level above the ground, from the lowest.
    pub(super) levels: Vec<usize>,
}

/// Reused memory of a walk.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The round in which a node was last met.
    met: Vec<u8>,
    round: u8,
    fresh: Vec<u32>,
    dots: Vec<i32>,
}

impl Graph {
    /// Tells whether there is nothing to walk.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Fills `pool` with keys of the `ef` nodes most like `query` that a walk finds, best first.
    ///
    /// `query` is encoded. This is algorithm 5 of Malkov & Yashunin with one sorted list in place of two heaps: a node stays in it, closed, after its links
    /// were followed, and the walk ends when all `ef` are closed.
    pub(super) fn walk(&self, vectors: &Vectors, query: &[i16], ef: usize, walk: &mut Walk, pool: &mut Vec<u64>) {
        let dots = Dots::new();
        let (codes, links) = (&*vectors.codes, &*self.links);
        let ef = ef.max(1);
        walk.start(vectors.len());
        pool.clear();
        let entry = self.descend(codes, query, walk, dots);
        walk.meet(entry);
        dots.some(query, codes, &[entry], &mut walk.dots);
        pool.extend(walk.dots.iter().map(|&dot| key(dot, entry) | OPEN));
        let mut at = 0;
        while let Some(current) = pool.get_mut(at) {
            if *current & OPEN == 0 {
                at += 1;
                continue;
            }
            *current &= !OPEN;
            let row = node(*current) as usize * self.shape.degree;
            if let Some(next) = pool[at..].iter().find(|&&next| next & OPEN != 0) {
                // Most often it is the next to be followed.
                let next = node(*next) as usize * self.shape.degree;
                (next..next + self.shape.degree).step_by(LINKS_PER_LINE).for_each(|at| touch(links, at));
            }
            walk.meet_all(links.get(row..row + self.shape.degree).unwrap_or_default());
            dots.some(query, codes, &walk.fresh, &mut walk.dots);
            for (&dot, &fresh) in walk.dots.iter().zip(&walk.fresh) {
                let key = key(dot, fresh) | OPEN;
                if pool.len() == ef {
                    if pool.last().is_some_and(|&worst| worst > key) {
                        continue;
                    }
                    pool.pop();
                }
                let place = pool.partition_point(|&better| better > key);
                pool.insert(place, key);
                at = at.min(place);
            }
        }
    }

    /// Returns the node on the ground that greedy steps through the upper levels lead to.
    fn descend(&self, codes: &[i8], query: &[i16], walk: &mut Walk, dots: Dots) -> u32 {
        let (nodes, links) = (&*self.upper_nodes, &*self.upper_links);
        let node = |place: u32| nodes.get(place as usize).copied().unwrap_or_default();
        let degree = self.shape.upper_degree;
        dots.some(query, codes, &[node(0)], &mut walk.dots);
        let mut best = (walk.dots.first().copied().unwrap_or(i32::MIN), 0_u32);
        let mut end = links.len();
        for &size in self.shape.levels.iter().rev() {
            let start = end.saturating_sub(size * degree);
            loop {
                let row = start + best.1 as usize * degree;
                let places = links.get(row..row + degree).unwrap_or_default();
                walk.fresh.clear();
                walk.fresh.extend(places.iter().map(|&place| node(place)));
                dots.some(query, codes, &walk.fresh, &mut walk.dots);
                let step = walk.dots.iter().copied().zip(places.iter().copied()).max_by_key(|&(dot, _)| dot);
                match step {
                    Some(step) if step.0 > best.0 => best = step,
                    _ => break,
                }
            }
            end = start;
        }
        node(best.1)
    }

    pub(super) fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.links.save(draft, &format!("{name}.links.u32"))?;
        self.upper_nodes.save(draft, &format!("{name}.upper_nodes.u32"))?;
        self.upper_links.save(draft, &format!("{name}.upper_links.u32"))
    }

    /// Opens what [`Self::save`] wrote, for `n_nodes` nodes.
    pub(super) fn open(artifact: &Arc<Artifact>, name: &str, shape: Shape, n_nodes: usize) -> Result<Self, ArtifactError> {
        let graph = Self {
            shape,
            links: Column::open(artifact, &format!("{name}.links.u32"))?,
            upper_nodes: Column::open(artifact, &format!("{name}.upper_nodes.u32"))?,
            upper_links: Column::open(artifact, &format!("{name}.upper_links.u32"))?,
        };
        let Shape { degree, upper_degree, ref levels } = graph.shape;
        let inside = |links: &[u32], n: usize| links.is_empty() || (Dots::new().max(links) as usize) < n;
        let refuse = |column: &str, reason: &str| Err(ArtifactError::shape(format!("{name}.{column}"), reason));
        let mut above = &*graph.upper_links;
        if n_nodes.checked_mul(degree) != Some(graph.links.len()) || !inside(&graph.links, n_nodes) {
            return refuse("links.u32", "it has not one row for each vector, or links to one that is not there");
        }
        let n_upper = levels.first().copied().unwrap_or_default();
        if graph.upper_nodes.len() != n_upper || n_upper > n_nodes || !inside(&graph.upper_nodes, n_nodes) {
            return refuse("upper_nodes.u32", "it does not fit the levels, or names a vector that is not there");
        }
        for &size in levels {
            match size.checked_mul(upper_degree).and_then(|cells| above.split_at_checked(cells)) {
                Some((level, rest)) if size > 0 && size <= n_upper && inside(level, size) => above = rest,
                _ => return refuse("upper_links.u32", "it does not fit the levels, or leaves one"),
            }
        }
        if above.is_empty() { Ok(graph) } else { refuse("upper_links.u32", "it is longer than its levels") }
    }
}

impl Walk {
    fn start(&mut self, n_nodes: usize) {
        self.met.resize(n_nodes, 0);
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.met.fill(0);
            self.round = 1;
        }
    }

    #[inline]
    fn meet(&mut self, node: u32) -> bool {
        match self.met.get_mut(node as usize) {
            Some(met) if *met != self.round => {
                *met = self.round;
                true
            }
            _ => false,
        }
    }

    /// Keeps in `fresh` the nodes not met before.
    #[inline]
    fn meet_all(&mut self, nodes: &[u32]) {
        self.fresh.clear();
        for &node in nodes {
            if self.meet(node) {
                self.fresh.push(node);
            }
        }
    }
}

/// Packs a product and its node; a greater key is a better candidate, ties go to the lower node. Nodes have 31 bits; the last is [`OPEN`].
#[inline]
pub(super) fn key(dot: i32, node: u32) -> u64 {
    (u64::from(dot as u32 ^ (1 << 31)) << 32) | u64::from(!node << 1)
}

/// Returns the node of a key.
#[inline]
pub(super) fn node(key: u64) -> u32 {
    !(key as u32 >> 1) & (u32::MAX >> 1)
}
