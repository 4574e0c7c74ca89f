use super::*;
use crate::{
    cooccurrence::{self, neighbors},
    interactions::InteractionsBuilder,
};

/// A clock that moves a microsecond with every look.
fn ticking() -> impl FnMut() -> Duration {
    let mut ticks = 0;
    move || {
        ticks += 1;
        Duration::from_micros(ticks)
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn ties_count_against_us() {
    let replayed = |scores: &'static [(u32, f32)]| {
        let this = Replay { strategy: "fixed", k: 2, train_counts: &[4, 2, 1, 1], skip_on_screen: false };
        replay(&this, &[[0_u32, 1]], |_, list| list.extend_from_slice(scores), ticking())
    };
    assert!(close(replayed(&[(1, 3.0), (0, 2.0)]).mrr, 1.0));
    assert!(close(replayed(&[(1, 3.0), (0, 3.0)]).mrr, 0.5));
    assert_eq!(replayed(&[(1, 3.0), (0, 3.0), (2, 3.0)]).hit_rate, 0.0, "the tie reaches over the edge");
    assert_eq!(replayed(&[(0, 3.0), (2, 2.0)]).hit_rate, 0.0);
    assert_eq!(replayed(&[]).hit_rate, 0.0);
}

#[test]
fn an_item_outside_the_catalog_is_a_miss_even_if_it_is_named() {
    let this = Replay { strategy: "fixed", k: 2, train_counts: &[4, 2], skip_on_screen: false };
    let report = replay(&this, &[[0, u32::MAX]], |_, list| list.push((u32::MAX, 1.0)), ticking());
    assert_eq!((report.prefixes, report.hit_rate, report.coverage), (1, 0.0, 0.0));
}

#[test]
fn every_prefix_is_replayed() {
    let mut seen = Vec::new();
    let this = Replay { strategy: "fixed", k: 2, train_counts: &[8, 4, 2, 0], skip_on_screen: false };
    let test = [vec![0, 1, 0], vec![3], vec![], vec![2, u32::MAX], vec![1, 1]];
    let report = replay(
        &this,
        &test,
        |prefix, list| {
            seen.push(prefix.to_vec());
            list.extend_from_slice(&[(0, 3.0), (1, 2.0), (2, 1.0)]);
        },
        ticking(),
    );
    assert_eq!(seen, [vec![0], vec![0, 1], vec![2], vec![1]]);
    assert_eq!(report.prefixes, 4);
    assert!(close(report.hit_rate, 0.75), "{report:?}");
    assert!(close(report.mrr, (0.5 + 1.0 + 0.5) / 4.0), "{report:?}");
    assert!(close(report.ndcg, (1.0 + 2.0 / 3.0_f64.log2()) / 4.0), "{report:?}");
    assert!(close(report.coverage, 0.5), "two of four items, the third is beyond k");
    assert!(close(report.popularity_bias, 6.0 / 8.0), "{report:?}");
    // The two best are 0 and 1, of which 1 and 0, then 0, nothing, and 1 are still to come.
    assert!(close(report.recall, (1.0 + 1.0 + 0.0 + 1.0) / 4.0), "{report:?}");
    assert!(close(report.novelty, ((14.0_f64 / 8.0).log2() + (14.0_f64 / 4.0).log2()) / 2.0), "{report:?}");
    assert_eq!((report.us_per_query_p50, report.us_per_query_p99), (1.0, 1.0));
}

#[test]
fn an_empty_test_has_no_holes() {
    let report = evaluate_sessions(&trial("default", &[&[]], &[&[]], 0, 20), ticking()).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "strategy",
        "k",
        "hit_rate",
        "recall",
        "mrr",
        "ndcg",
        "coverage",
        "popularity_bias",
        "novelty",
        "prefixes",
        "us_per_query_p50",
        "us_per_query_p99",
        "train_seconds",
        "peak_rss_mb",
    ];
    expected.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert!(json.as_object().unwrap().values().all(|value| !value.is_null()));
}

fn trial<'a>(strategy: &'a str, train: &'a [&'a [u32]], test: &'a [&'a [u32]], n_items: usize, k: usize) -> Trial<'a> {
    Trial { strategy, train, test, n_items, k, skip_on_screen: false }
}

#[test]
fn the_item_on_screen_can_be_left_out() {
    let replayed = |skip_on_screen| {
        let this = Replay { strategy: "fixed", k: 1, train_counts: &[4, 2], skip_on_screen };
        replay(&this, &[[0_u32, 1, 1]], |_, list| list.extend([(0, 3.0), (1, 2.0)]), ticking()).hit_rate
    };
    assert_eq!((replayed(false), replayed(true)), (0.0, 0.5), "after 0 comes 1, but 1 after 1 is never guessed");
}

#[test]
fn strategies_learn_a_path() {
    // Everybody walks 0 → 1 → 2 and many walk 3 → 4.
    let train: Vec<&[u32]> = (0..40).map(|n| if n % 3 == 0 { &[3, 4][..] } else { &[0, 1, 2] }).collect();
    let test: [&[u32]; 3] = [&[0, 1, 2], &[3, 4], &[0, u32::MAX, 1]];
    for &strategy in STRATEGIES {
        let report = evaluate_sessions(&trial(strategy, &train, &test, 5, 3), ticking()).unwrap();
        assert_eq!((report.strategy.as_str(), report.prefixes), (strategy, 5));
        assert!(report.train_seconds > 0.0);
        let expected = if strategy == "popularity" { 0.6 } else { 0.8 };
        assert!(report.hit_rate <= expected + 1e-9 && report.hit_rate > 0.3, "{report:?}");
    }
    let ahead = evaluate_sessions(&trial("co_visitation", &train, &test[..2], 5, 1), ticking()).unwrap();
    assert!(close(ahead.hit_rate, 1.0), "direction tells 2 from 0 after 1: {ahead:?}");
    let error = evaluate_sessions(&trial("oracle", &train, &test, 5, 3), ticking()).unwrap_err();
    assert_eq!(error.known, STRATEGIES);
    assert!(error.to_string().contains("co_visitation"), "{error}");
}

#[test]
fn held_out_items_are_looked_for() {
    let mut builder = InteractionsBuilder::new(6);
    for group in [&[0, 1][..], &[0, 1, 2], &[0, 1], &[3, 4], &[3, 4], &[2, 5]] {
        builder.push_group(group);
    }
    let options =
        cooccurrence::Options { min_support: 1, score: cooccurrence::Score::Cosine, ..cooccurrence::Options::default() };
    let model = neighbors(&builder.finish(), &options);
    let found = basket_hit_rate(&model, &[vec![1, 0, 1], vec![3, 4]], 1);
    assert_eq!((found.cases, found.hit_rate, found.mrr), (4, 1.0, 1.0));
    // A basket of one makes no case; an unknown item is a miss in both directions.
    let found = basket_hit_rate(&model, &[vec![5], vec![4, u32::MAX]], 5);
    assert_eq!((found.cases, found.hit_rate), (2, 0.0));
    // What stays in the basket is no candidate: 2 is held out of {0, 1, 2}, and 0 and 1 do not stand before it.
    let found = basket_hit_rate(&model, &[vec![0, 1, 2]], 1);
    assert_eq!((found.cases, found.hit_rate), (3, 1.0));
    assert_eq!(basket_hit_rate(&model, &Vec::<Vec<u32>>::new(), 5).hit_rate, 0.0);
}
