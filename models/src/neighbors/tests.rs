use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::artifact::Manifest;

const DIMENSION: usize = 20;

/// Vectors around a few centres.
fn clustered(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let centres: Vec<f32> = (0..40 * DIMENSION).map(|_| next()).collect();
    (0..n * DIMENSION).map(|at| centres[at / DIMENSION % 40 * DIMENSION + at % DIMENSION] + 0.7 * next()).collect()
}

fn fit(values: &[f32], options: Options) -> Index {
    Index::fit(&Examples { values, dimension: DIMENSION }, &options)
}

fn with_graph() -> Options {
    Options { m: 8, ef_construction: 60, exact_below: 1, ..Options::default() }
}

fn ask(index: &Index, query: Query<'_>, k: usize) -> Vec<(u32, f32)> {
    let mut out = vec![(7, 7.0)];
    index.predict(query, k, &mut Scratch::default(), &mut out);
    out
}

/// The best by cosine, from the definition.
fn best(values: &[f32], query: &[f32], k: usize, passes: impl Fn(u32) -> bool) -> Vec<u32> {
    let cosine = |row: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        dot(row, query) / (dot(row, row) * dot(query, query)).sqrt()
    };
    let mut all: Vec<(f64, u32)> = values.chunks_exact(DIMENSION).map(cosine).zip(0..).collect();
    all.retain(|&(cosine, item)| cosine > 0.0 && passes(item));
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.iter().take(k).map(|&(_, item)| item).collect()
}

fn items(answers: &[(u32, f32)]) -> Vec<u32> {
    answers.iter().map(|&(item, _)| item).collect()
}

/// A directory that goes away with the value.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("rapport-neighbors-{}-{number}", std::process::id())))
    }

    fn saved(&self, index: &Index) -> Arc<Artifact> {
        let mut draft = Draft::in_dir(&self.0).unwrap();
        index.save(&mut draft, "similar").unwrap();
        let id = draft.finish(Manifest::default(), "2026-11-23T01-20Z").unwrap();
        Arc::new(Artifact::open(self.0.join(id.as_str())).unwrap())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn looking_at_all_vectors_gives_the_best() {
    let values = clustered(700, 1);
    let index = fit(&values, Options::default());
    assert!(!index.has_graph() && index.deterministic());
    for query in clustered(30, 2).chunks_exact(DIMENSION) {
        assert_eq!(items(&ask(&index, Query::vector(query), 10)), best(&values, query, 10, |_| true));
    }
}

#[test]
fn the_graph_finds_nearly_all_of_the_best() {
    let values = clustered(3_000, 3);
    let index = fit(&values, with_graph());
    assert!(index.has_graph() && index.deterministic());
    let found: usize = clustered(100, 4)
        .chunks_exact(DIMENSION)
        .map(|query| {
            let truth = best(&values, query, 10, |_| true);
            ask(&index, Query::vector(query).ef(64), 10).iter().filter(|(item, _)| truth.contains(item)).count()
        })
        .sum();
    assert!(found >= 980, "{found} of 1000");
}

#[test]
fn a_filter_leaves_as_many_answers_as_there_are() {
    let values = clustered(3_000, 5);
    let query = &clustered(1, 6)[..];
    for options in [Options::default(), with_graph()] {
        let index = fit(&values, options);
        for one_in in [2, 10, 100, 1_000, 5_000] {
            let passes = |item: u32| item % one_in == 1;
            let found = items(&ask(&index, Query::vector(query).filter(&passes), 10));
            let truth = best(&values, query, 10, passes);
            assert_eq!(found.len(), truth.len(), "one in {one_in}");
            assert!(found.iter().all(|&item| passes(item)), "one in {one_in}");
            assert!(one_in == 2 || found == truth, "one in {one_in}: looked at all");
        }
    }
}

#[test]
fn an_item_is_not_its_own_neighbour_but_its_equals_are() {
    let mut values = clustered(500, 7);
    for copy in [90, 30, 200] {
        values.copy_within(11 * DIMENSION..12 * DIMENSION, copy * DIMENSION);
    }
    values[33 * DIMENSION..34 * DIMENSION].fill(0.0);
    values[44 * DIMENSION] = f32::NAN;
    for options in [Options::default(), with_graph()] {
        let index = fit(&values, options);
        assert_eq!((index.n_items(), index.n_vectors()), (500, 495));
        let found = ask(&index, Query::item(11), 5);
        assert_eq!(items(&found[..3]), [30, 90, 200], "equals first, in the order of the items");
        assert!(found[..3].iter().all(|&(_, score)| (score - 1.0).abs() < 1e-6), "{found:?}");
        assert_eq!(found.len(), 5);
        assert_eq!(items(&ask(&index, Query::item(30), 2)), [11, 90]);
        assert_eq!(ask(&index, Query::item(33), 5), []);
        assert_eq!(ask(&index, Query::item(44), 5), []);
        assert_eq!((index.vector(33), index.vector(44), index.vector(500)), (None, None, None));
        assert_eq!(index.vector(30).map(<[f32]>::len), Some(DIMENSION));
    }
}

#[test]
fn what_cannot_be_asked_has_no_answer() {
    let index = fit(&clustered(50, 8), with_graph());
    assert_eq!(ask(&index, Query::vector(&[0.0; DIMENSION]), 3), []);
    assert_eq!(ask(&index, Query::vector(&[f32::INFINITY; DIMENSION]), 3), []);
    assert_eq!(ask(&index, Query::vector(&[1.0; DIMENSION + 1]), 3), []);
    assert_eq!(ask(&index, Query::item(50), 3), []);
    assert_eq!(ask(&index, Query::item(0), 0), []);
    assert_eq!(
        ask(&index, Query::item(0).ef(0), usize::MAX).len(),
        best(&clustered(50, 8), &clustered(1, 8), 50, |i| i != 0).len()
    );
}

#[test]
fn no_vectors_and_few_are_fine() {
    for n in 0..=2 {
        let values = vec![1.0; n * DIMENSION];
        for values in [&values, &clustered(n, 9)] {
            let index = fit(values, with_graph());
            let found = ask(&index, Query::vector(&[1.0; DIMENSION]), 5);
            assert_eq!(items(&found), best(values, &[1.0; DIMENSION], 5, |_| true));
            assert!(index.check(&Floor::default()).is_ok());
            let dir = Dir::new();
            assert_eq!(Index::open(&dir.saved(&index), "similar").unwrap(), index);
        }
    }
    let nothing = Index::fit(&Examples { values: &[1.0, 2.0], dimension: 0 }, &with_graph());
    assert_eq!(ask(&nothing, Query::vector(&[]), 3), []);
}

#[test]
fn an_opened_index_answers_like_the_learnt_one() {
    let index = fit(&clustered(2_000, 10), with_graph());
    let dir = Dir::new();
    let opened = Index::open(&dir.saved(&index), "similar").unwrap();
    assert_eq!(opened, index);
    for item in 0..200 {
        assert_eq!(ask(&opened, Query::item(item), 12), ask(&index, Query::item(item), 12));
    }
}

#[test]
fn the_same_vectors_give_the_same_index() {
    let values = clustered(1_500, 11);
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&values, with_graph()))
    };
    assert_eq!(fit(1), fit(3));
}

#[test]
fn a_graph_grown_on_all_threads_says_so() {
    let values = clustered(1_500, 12);
    let index = fit(&values, Options { parallel_from: 1_000, ..with_graph() });
    assert!(!index.deterministic());
    let quality = index.check(&Floor::default()).unwrap();
    assert!(quality.self_recall >= 0.999 && quality.searches > 100, "{quality:?}");
}

#[test]
fn a_graph_that_loses_items_is_refused() {
    let mut index = fit(&clustered(2_000, 13), with_graph());
    let sound = index.check(&Floor::default()).unwrap();
    assert_eq!(sound.selves, 2_000);
    // Every tenth node is cut off: whoever linked to it links to node 0.
    let cut: Vec<u32> = index.graph.links.iter().map(|&link| if link % 10 == 3 { 0 } else { link }).collect();
    index.graph.links = cut.into();
    let fault = index.check(&Floor::default()).unwrap_err();
    assert!(fault.found.self_recall < 0.95, "{fault}");
    let message = fault.to_string();
    assert!(message.starts_with("the index finds 0.9") && !message.contains('\n'), "{message}");
}

#[test]
fn broken_files_are_refused() {
    let sound = fit(&clustered(300, 14), with_graph());
    let refusal = |break_it: &dyn Fn(&mut Index)| {
        let mut index = sound.clone();
        break_it(&mut index);
        let dir = Dir::new();
        Index::open(&dir.saved(&index), "similar").unwrap_err().to_string()
    };
    let links = refusal(&|index| {
        let mut links = index.graph.links.to_vec();
        links[100] = 300;
        index.graph.links = links.into();
    });
    assert!(links.starts_with("`similar.links.u32` is not usable: "), "{links}");
    let upper = refusal(&|index| {
        let mut links = index.graph.upper_links.to_vec();
        links[0] = u32::MAX;
        index.graph.upper_links = links.into();
    });
    assert!(upper.starts_with("`similar.upper_links.u32` is not usable: "), "{upper}");
    for break_it in [
        (|index| index.graph.links = index.graph.links[1..].to_vec().into()) as fn(&mut Index),
        |index| index.graph.upper_nodes = vec![300; index.graph.upper_nodes.len()].into(),
        |index| index.graph.upper_nodes = Vec::new().into(),
        |index| index.about.shape.levels.push(0),
        |index| index.about.shape.levels.push(usize::MAX),
        |index| index.about.shape.degree = usize::MAX,
        |index| index.about.shape.upper_degree = 1,
        |index| index.about.dimension = 40,
        |index| index.vectors.exact = index.vectors.exact[16..].to_vec().into(),
        |index| index.vectors.codes = Vec::new().into(),
    ] {
        let message = refusal(&break_it);
        assert!(message.contains("is not usable"), "{message}");
    }
}

#[test]
fn links_that_lead_nowhere_do_not_stop_a_search() {
    let mut index = fit(&clustered(300, 15), with_graph());
    index.graph.links = vec![u32::MAX; index.graph.links.len()].into();
    index.graph.upper_nodes = Vec::new().into();
    assert_eq!(ask(&index, Query::item(5), 10).len(), 10);
}
