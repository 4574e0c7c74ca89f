use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use super::*;
use crate::cooccurrence::{self, Neighbors, Score};
use crate::interactions::InteractionsBuilder;

fn pairs(neighbors: &Neighbors) -> Pairs<'_> {
    Pairs { indptr: &neighbors.indptr, items: &neighbors.items, support: &neighbors.support }
}

/// Counts groups in which three kinds of items keep to themselves, with one item that everybody takes.
///
/// Items 0 and 1 are of one kind and never met: each is met with 2, 3 and 4.
fn three_kinds() -> Neighbors {
    let mut builder = InteractionsBuilder::new(16);
    for n in 0..60_u32 {
        let first = n % 2;
        builder.push_group(&[first, 2 + n % 3, 2 + (n + 1) % 3]);
        builder.push_group(&[5 + n % 4, 5 + (n + 1) % 4, 14]);
        builder.push_group(&[9 + n % 5, 9 + (n + 2) % 5, 14]);
    }
    cooccurrence::neighbors(&builder.finish(), &cooccurrence::Options { min_support: 1, ..Default::default() })
}

fn nearest(factors: &Factors, item: u32, k: usize) -> Vec<u32> {
    let mut out = Vec::new();
    factors.predict(item, k, &mut Scratch::default(), &mut out);
    out.into_iter().map(|(item, _)| item).collect()
}

#[test]
fn items_in_the_same_company_are_near() {
    let counted = three_kinds();
    let options = Options { dims: 4, ..Default::default() };
    let factors = Factors::fit(&[pairs(&counted)].as_slice(), &options);
    assert_eq!(nearest(&factors, 0, 1), [1], "never met, and always in the same company");
    for (kind, least) in [(0..5, 4), (5..9, 3), (9..14, 4)] {
        for item in kind.clone() {
            let near = nearest(&factors, item, least);
            assert!(near.iter().all(|other| kind.contains(other) || *other == 14), "{item}: {near:?}");
        }
    }
    assert_eq!(nearest(&factors, 15, 5), [0; 0], "nobody met it");
    assert_eq!(nearest(&factors, 99, 5), [0; 0], "unknown");
    assert!(factors.vector(15).iter().all(|x| *x == 0.0) && factors.vector(99).is_empty());
}

#[test]
fn the_same_pairs_give_the_same_vectors_with_any_number_of_threads() {
    let counted = three_kinds();
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Factors::fit(&[pairs(&counted), pairs(&counted)].as_slice(), &Options { dims: 5, ..Default::default() }))
    };
    assert_eq!(fit(1).vectors, fit(4).vectors);
}

#[test]
fn a_shop_without_pairs_has_no_vectors() {
    let none = Pairs { indptr: &[0, 0, 0], items: &[], support: &[] };
    let factors = Factors::fit(&[none].as_slice(), &Options::default());
    assert_eq!((factors.n_items(), factors.dims()), (2, 64));
    assert!(factors.vectors.iter().all(|x| *x == 0.0));
    assert_eq!(Factors::fit(&[].as_slice(), &Options::default()).n_items(), 0);
}

#[test]
fn more_dimensions_than_items_are_no_trouble() {
    let factors = Factors::fit(&[pairs(&three_kinds())].as_slice(), &Options::default());
    assert_eq!(factors.dims(), 64);
    assert!(factors.vectors.iter().all(|x| x.is_finite()));
    assert_eq!(nearest(&factors, 0, 1), [1]);
}

/// Learns from the training sessions of a published split and looks how often the next item of a test session is among
/// the twenty nearest of the one before.
#[test]
fn next_items_are_near_on_real_sessions() {
    let Some(train) = sessions("train_sessions.txt.gz") else { return };
    let Some(test) = sessions("test_sessions.txt.gz") else { return };
    let n_items = train.iter().flatten().max().map_or(0, |most| *most as usize + 1);
    let mut builder = InteractionsBuilder::new(n_items);
    train.iter().for_each(|session| builder.push_group(session));
    let options = cooccurrence::Options { min_support: 1, score: Score::Cosine, ..Default::default() };
    let counted = cooccurrence::neighbors(&builder.finish(), &options);
    let factors = Factors::fit(&[pairs(&counted)].as_slice(), &Options::default());
    let (mut hits, mut cases) = (0, 0);
    for pair in test.iter().flat_map(|session| session.windows(2)).step_by(20) {
        cases += 1;
        hits += u32::from(nearest(&factors, pair[0], 20).contains(&pair[1]));
    }
    let rate = f64::from(hits) / f64::from(cases);
    eprintln!("{hits} of {cases} next items among the 20 nearest: {rate:.4}");
    assert!(rate > 0.28, "{rate}");
}

/// Reads sessions of item numbers, one a line.
fn sessions(file: &str) -> Option<Vec<Vec<u32>>> {
    let root = std::env::var_os("RAPPORT_SHARED_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = root.join("diginetica_gnn").join(file);
    let Ok(output) = std::process::Command::new("gzip").arg("-dc").arg(&path).output() else { return None };
    if !output.status.success() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    let lines = BufReader::new(&output.stdout[..]).lines();
    Some(lines.map(|line| line.unwrap().split_whitespace().map(|id| id.parse().unwrap()).collect()).collect())
}
