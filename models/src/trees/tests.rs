use super::*;

/// Lists in which the right candidate is the one with the greatest product of two features: no single question finds it.
fn lists(n: usize, seed: u64) -> Vec<(Vec<f32>, Vec<f32>)> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    (0..n)
        .map(|_| {
            let features: Vec<f32> = (0..20 * 3).map(|_| next()).collect();
            let worth = |row: usize| (features[row * 3] - 0.5) * (features[row * 3 + 1] - 0.5);
            let best = (0..20).max_by(|&a, &b| worth(a).total_cmp(&worth(b))).unwrap();
            (features, (0..20).map(|row| f32::from(u8::from(row == best))).collect())
        })
        .collect()
}

fn dataset(lists: &[(Vec<f32>, Vec<f32>)]) -> Dataset {
    let mut data = Dataset::new(3);
    for (features, relevance) in lists {
        data.push(features, relevance);
    }
    data
}

/// Share of lists whose right candidate stands first.
fn first(forest: &Forest, lists: &[(Vec<f32>, Vec<f32>)]) -> f64 {
    let hits = lists.iter().filter(|(features, relevance)| {
        let mut columns = vec![0.0; 3 * 32];
        for (at, &value) in features.iter().enumerate() {
            columns[at % 3 * 32 + at / 3] = value;
        }
        let mut scores = vec![0.0; 20];
        forest.score(&columns, 32, &mut scores);
        let best = (0..20).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        relevance[best] > 0.0
    });
    hits.count() as f64 / lists.len() as f64
}

#[test]
fn an_order_is_learnt_that_no_single_question_tells() {
    let (train, test) = (lists(3_000, 7), lists(400, 8));
    for objective in [Objective::Lambda, Objective::Softmax] {
        let forest = Forest::fit(&dataset(&train), &Options { objective, trees: 100, ..Options::default() });
        let hits = first(&forest, &test);
        assert!(hits > 0.7, "{objective:?}: {hits}");
        let importance = forest.importance();
        assert!(importance[2] < 0.1 && (importance.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{importance:?}");
    }
}

#[test]
fn threads_change_nothing() {
    let data = dataset(&lists(2_000, 3));
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Forest::fit(&data, &Options { trees: 10, ..Options::default() }))
    };
    assert_eq!(fit(1), fit(3));
}

#[test]
fn nothing_to_learn_gives_no_trees() {
    let mut data = Dataset::new(2);
    assert_eq!(Forest::fit(&data, &Options::default()).n_trees(), 0);
    data.push(&[1.0, 2.0, 1.0, 2.0], &[1.0, 0.0]);
    data.push(&[0.0; 4], &[0.0, 0.0]);
    let forest = Forest::fit(&data, &Options::default());
    let mut scores = [0.5; 2];
    forest.score(&[1.0; 32], 16, &mut scores);
    assert_eq!((forest.n_trees(), scores), (0, [0.5; 2]));
    assert_eq!(forest.importance(), [0.0, 0.0]);
}

#[test]
fn features_that_do_not_fit_give_no_score() {
    let forest = Forest::fit(&dataset(&lists(300, 5)), &Options { trees: 3, ..Options::default() });
    let mut scores = [0.0; 20];
    forest.score(&[1.0; 10], 16, &mut scores);
    forest.score(&[1.0; 3 * 20], 20, &mut scores);
    assert_eq!(scores, [0.0; 20]);
}
