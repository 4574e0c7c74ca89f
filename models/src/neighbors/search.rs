//! A search from question to answer: which way to look, what passes, the exact scores.

use super::dots::{Dots, LANES};
use super::graph::{self, Walk};
use super::vectors::{self, Members};
use super::{Index, Query, To};
use crate::{prefetch::touch, top};

/// How many of the best codes are scored exactly where all were looked at, at least.
const RESCORED: usize = 50;

/// How many rows a look at all of them takes at a time.
const BLOCK: usize = 256;

/// How many items a filter is tried on to learn how many it lets pass.
const TRIED: usize = 128;

/// 2³² over the golden ratio.
const SPREAD: usize = 0x9e37_79b1;

/// A walk that keeps one candidate costs about as much as looking at this many codes.
const SCANNED_PER_CANDIDATE: usize = 150;

/// Memory that searches are worked out in.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The unit vector asked about, padded, and its code.
    exact: Vec<f32>,
    code: Vec<i16>,
    walk: Walk,
    dots: Vec<i32>,
    /// Keys of nodes by code, then keys of items by exact score.
    pool: Vec<u64>,
    answers: Vec<u64>,
}

/// What is asked, ready to be compared.
struct Asked<'a> {
    k: usize,
    /// The item asked about.
    except: Option<u32>,
    filter: Option<&'a dyn Fn(u32) -> bool>,
}

impl Asked<'_> {
    fn passes(&self, item: u32) -> bool {
        Some(item) != self.except && self.filter.is_none_or(|filter| filter(item))
    }

    fn any_passes(&self, items: &[u32]) -> bool {
        items.iter().any(|&item| self.passes(item))
    }
}

/// Answers `query`; see [`Model::predict`](crate::model::Model::predict).
pub(super) fn search(index: &Index, query: Query<'_>, k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
    out.clear();
    let asked = Asked { k: k.min(index.n_items()), except: query.to.except(), filter: query.filter };
    if asked.k == 0 || !prepare(index, query.to, scratch) {
        return;
    }
    let ef = query.ef.unwrap_or(index.about.options.ef_search).max(asked.k + usize::from(asked.except.is_some()));
    if let Some(ef) = wide_enough(index, &asked, ef) {
        walk(index, ef, scratch);
        answer(index, &asked, scratch, out);
        if out.len() == asked.k {
            return;
        }
    }
    scan(index, &asked, scratch);
    answer(index, &asked, scratch, out);
}

/// Finds `k` nodes or more that are like `node`, by the graph alone where there is one.
pub(super) fn nodes<'a>(index: &Index, node: u32, k: usize, scratch: &'a mut Scratch) -> impl Iterator<Item = u32> + use<'a> {
    scratch.exact.clear();
    scratch.exact.extend_from_slice(index.vectors.row(node).unwrap_or_default());
    index.vectors.encode(&scratch.exact, &mut scratch.code);
    if index.graph.is_empty() {
        scan(index, &Asked { k, except: None, filter: None }, scratch);
    } else {
        walk(index, index.about.options.ef_search.max(k), scratch);
    }
    scratch.pool.iter().map(|&key| graph::node(key))
}

/// Puts what is asked about into `scratch`; false where it has no direction.
fn prepare(index: &Index, to: To<'_>, scratch: &mut Scratch) -> bool {
    scratch.exact.clear();
    match to {
        To::Item(item) => {
            let row = index.vectors.node(item).and_then(|node| index.vectors.row(node));
            scratch.exact.extend_from_slice(row.unwrap_or_default());
        }
        To::Vector(vector) if vector.len() == index.about.dimension => {
            scratch.exact.resize(vectors::width(vector.len()), 0.0);
            if !vectors::normalize(vector, &mut scratch.exact) {
                scratch.exact.clear();
            }
        }
        To::Vector(_) => {}
    }
    index.vectors.encode(&scratch.exact, &mut scratch.code);
    !scratch.code.is_empty()
}

/// Walks the graph for the `ef` best codes.
fn walk(index: &Index, ef: usize, scratch: &mut Scratch) {
    let Scratch { code, walk, pool, .. } = scratch;
    index.graph.walk(&index.vectors, code, ef, walk, pool);
}

/// Returns how many candidates a walk has to keep so that `ef` of them pass, or nothing where looking at all of them is less work.
fn wide_enough(index: &Index, asked: &Asked<'_>, ef: usize) -> Option<usize> {
    let n = index.vectors.len();
    let most = n / SCANNED_PER_CANDIDATE;
    if index.graph.is_empty() {
        return None;
    }
    if asked.filter.is_none() {
        return Some(ef).filter(|&ef| ef <= most.max(TRIED));
    }
    let members = index.vectors.members();
    // Spread by a step that no order of the items falls in with.
    let tried = (1..=TRIED).map(|at| at.wrapping_mul(SPREAD) % n);
    let passed = tried.filter(|&node| asked.any_passes(members.of(node as u32))).count();
    if passed == 0 { None } else { Some(ef.saturating_mul(TRIED).div_ceil(passed)).filter(|&ef| ef <= most) }
}

/// Fills the pool with the best codes of all nodes of which an item passes, best first.
fn scan(index: &Index, asked: &Asked<'_>, scratch: &mut Scratch) {
    let Scratch { code, dots, pool, .. } = scratch;
    let members = index.vectors.members();
    let limit = RESCORED.max(asked.k.saturating_mul(4));
    let room = limit.saturating_mul(4);
    let kernel = Dots::new();
    // Only the other items of the node asked about are left out one by one, in `answer`.
    let filtered = asked.filter.is_some();
    let mut floor = 0;
    let mut first = 0_u32;
    pool.clear();
    for block in index.vectors.codes.chunks(BLOCK * code.len()) {
        kernel.all(code, block, dots);
        for (node, &dot) in (first..).zip(&*dots) {
            let key = graph::key(dot, node);
            if key > floor && (!filtered || asked.any_passes(members.of(node))) {
                pool.push(key);
                if pool.len() >= room {
                    pool.select_nth_unstable_by(limit - 1, |a, b| b.cmp(a));
                    pool.truncate(limit);
                    floor = pool.last().copied().unwrap_or_default();
                }
            }
        }
        first += dots.len() as u32;
    }
    top::keep_best(pool, limit);
}

/// Scores the pool exactly and writes the best items.
fn answer(index: &Index, asked: &Asked<'_>, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
    let Scratch { exact, pool, answers, .. } = scratch;
    let members: Members<'_> = index.vectors.members();
    let (rows, width) = (&*index.vectors.exact, exact.len());
    let kernel = Dots::new();
    for &key in &*pool {
        let at = graph::node(key) as usize * width;
        (at..at + width).step_by(LANES).for_each(|line| touch(rows, line));
    }
    answers.clear();
    for &key in &*pool {
        let node = graph::node(key);
        let at = node as usize * width;
        let score = rows.get(at..at + width).map_or(0.0, |row| kernel.exact(exact, row));
        if score > 0.0 {
            // Of equal items the first `k` are as many as can be answered.
            let passing = members.of(node).iter().filter(|&&item| asked.passes(item)).take(asked.k);
            answers.extend(passing.map(|&item| top::key(score.min(1.0), item)));
        }
    }
    top::keep_best(answers, asked.k);
    out.clear();
    out.extend(answers.iter().map(|&key| (top::item(key), top::score(key))));
}

impl To<'_> {
    fn except(&self) -> Option<u32> {
        match *self {
            To::Item(item) => Some(item),
            To::Vector(_) => None,
        }
    }
}
