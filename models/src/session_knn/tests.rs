use super::*;

fn fit(sessions: &[&[u32]], n_items: usize, options: &Options) -> SessionKnn {
    let at: Vec<f32> = (0..sessions.len()).map(|number| number as f32).collect();
    SessionKnn::fit(&Sessions { sessions, at: &at, n_items }, options)
}

fn items(model: &SessionKnn, visit: &[u32], k: usize) -> Vec<u32> {
    let mut out = Vec::new();
    model.predict(visit, k, &mut Scratch::default(), &mut out);
    assert!(
        out.is_sorted_by(|a, b| a.1 > b.1 || a.1 == b.1 && a.0 < b.0) && out.iter().all(|&(_, score)| score > 0.0),
        "{out:?}"
    );
    out.into_iter().map(|(item, _)| item).collect()
}

#[test]
fn what_followed_in_like_visits_comes_first() {
    let model = fit(&[&[0, 1, 2], &[0, 1, 2], &[3, 1, 4], &[5, 6]], 7, &Options::default());
    // Shoppers return; of what is new, 2 followed 1 in two visits that also share 0.
    assert_eq!(items(&model, &[0, 1], 7)[..2], [1, 2]);
    // What stood before counts, less than what followed.
    let after_three = items(&model, &[3, 1], 7);
    assert!(after_three.iter().position(|&i| i == 4) < after_three.iter().position(|&i| i == 2));
    assert_eq!(items(&model, &[5], 2), [5, 6]);
}

#[test]
fn recent_sessions_and_recent_items_weigh_more() {
    let old_and_new: Vec<&[u32]> =
        [&[0_u32, 1][..]; 3].into_iter().chain([&[2_u32, 3][..]; 20]).chain([&[0_u32, 4][..]; 3]).collect();
    let model = fit(&old_and_new, 5, &Options { horizon: 0.3, ..Options::default() });
    assert_eq!(items(&model, &[0], 5)[..2], [0, 4]);
    // Only the newest sessions of an item are looked at.
    let newest = fit(&old_and_new, 5, &Options { postings: 3, ..Options::default() });
    assert!(!items(&newest, &[0], 5).contains(&1));
    // The item on screen says more than the one before.
    let model = fit(&[&[0, 1], &[2, 3]], 4, &Options::default());
    assert_eq!(items(&model, &[0, 2], 4)[..2], [2, 3]);
}

#[test]
fn nothing_known_gives_nothing() {
    let model = fit(&[&[0, u32::MAX, 1], &[], &[9]], 2, &Options::default());
    assert!(items(&model, &[], 5).is_empty());
    assert!(items(&model, &[u32::MAX, 7], 5).is_empty());
    assert!(items(&model, &[0], 0).is_empty());
    assert!(items(&fit(&[], 0, &Options::default()), &[0], 5).is_empty());
}

#[test]
fn one_scratch_serves_many_visits_of_several_models() {
    let small = fit(&[&[0, 1], &[1, 0]], 2, &Options::default());
    let large = fit(&[&[0, 1, 2, 3], &[3, 2, 9], &[2, 8]], 10, &Options::default());
    let mut scratch = Scratch::default();
    let mut out = Vec::new();
    for (model, visit) in [(&large, &[2_u32][..]), (&small, &[0, 1]), (&large, &[3, 2]), (&large, &[2])] {
        model.predict(visit, 5, &mut scratch, &mut out);
        let mut fresh = Vec::new();
        model.predict(visit, 5, &mut Scratch::default(), &mut fresh);
        assert_eq!(out, fresh);
    }
}
