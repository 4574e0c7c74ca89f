use super::*;
use crate::artifact::Manifest;

/// Visits of four steps along 0, 1, 2, 3 or 5, 6, 7, 8 of one of twenty blocks of ten; every third goes back to where it began.
fn visits(n: u32) -> Vec<Vec<u32>> {
    (0..n)
        .map(|n| {
            let start = xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()) as u32 % 40 * 5;
            let mut visit: Vec<u32> = (0..4).map(|step| start + step).collect();
            if n % 3 == 0 {
                visit.push(start);
            }
            visit
        })
        .collect()
}

fn fit(visits: &[Vec<u32>], options: &Options) -> NextItem {
    let slices: Vec<&[u32]> = visits.iter().map(Vec::as_slice).collect();
    let at: Vec<f32> = (0..visits.len()).map(|n| n as f32).collect();
    NextItem::fit(&Sessions { sessions: &slices, at: &at, n_items: 200 }, options)
}

fn small() -> Options {
    let mut options = Options::default();
    options.trees.trees = 20;
    options
}

fn answer(model: &NextItem, visit: &[u32], k: usize) -> Vec<(u32, f32)> {
    let mut out = Vec::new();
    model.predict(visit, k, &mut Scratch::default(), &mut out);
    out
}

#[test]
fn what_comes_next_is_learnt_with_and_without_trees() {
    for (n, trees) in [(4_000, true), (200, false)] {
        let model = fit(&visits(n), &small());
        assert_eq!(model.forest().n_trees() > 0, trees, "{n} visits");
        let next = answer(&model, &[10, 11, 12], 5);
        assert_eq!((next[0].0, next.len()), (13, 4), "{next:?}");
        assert!(
            next[0].1 == 1.0 && next.is_sorted_by(|a, b| a.1 >= b.1) && next.iter().all(|&(_, score)| score > 0.0),
            "{next:?}"
        );
    }
}

#[test]
fn shoppers_who_return_are_met_there() {
    let model = fit(&visits(4_000), &small());
    // After four steps a third of the visits go back to where they began.
    assert_eq!(answer(&model, &[30, 31, 32, 33], 1)[0].0, 30);
}

#[test]
fn nothing_known_gives_nothing() {
    let model = fit(&visits(50), &small());
    assert!(answer(&model, &[], 5).is_empty());
    assert!(answer(&model, &[u32::MAX, 5_000], 5).is_empty());
    // With nothing learnt there is only the way back.
    assert_eq!(answer(&fit(&[], &small()), &[1], 5), [(1, 1.0)]);
    // What is unknown keeps its place and does no harm.
    assert!(answer(&model, &[10, u32::MAX], 2).iter().any(|&(item, _)| item == 11));
}

#[test]
fn a_build_answers_as_what_was_learnt() {
    let model = fit(&visits(4_000), &small());
    let dir = std::env::temp_dir().join(format!("rapport-next-item-{}", std::process::id()));
    let mut draft = Draft::in_dir(&dir).unwrap();
    model.save(&mut draft, "next").unwrap();
    let id = draft.finish(Manifest::default(), "2026-11-23T01-20Z").unwrap();
    let artifact = Arc::new(Artifact::open(dir.join(id.as_str())).unwrap());
    let opened = NextItem::open(&artifact, "next").unwrap();
    for visit in visits(30) {
        assert_eq!(answer(&opened, &visit, 20), answer(&model, &visit, 20));
    }
    assert!(matches!(NextItem::open(&artifact, "last"), Err(ArtifactError::NotInBuild { .. })));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn threads_change_nothing() {
    let visits = visits(3_000);
    let answers = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let model = pool.install(|| fit(&visits, &small()));
        (model.weights.to_vec(), model.forest.clone(), answer(&model, &[10, 11], 20))
    };
    assert_eq!(answers(1), answers(3));
}
