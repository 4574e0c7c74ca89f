use super::*;
use crate::interactions::InteractionsBuilder;

/// Skewed groups from a small generator: low items are frequent.
fn sample(n_groups: usize, n_items: u32, longest: u32) -> Interactions {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut builder = InteractionsBuilder::new(n_items as usize);
    for _ in 0..n_groups {
        let length = 1 + next() % u64::from(longest);
        let group: Vec<u32> = (0..length)
            .map(|_| {
                let x = (next() % 10_000) as f64 / 10_000.0;
                (x * x * f64::from(n_items)) as u32
            })
            .collect();
        builder.push_group(&group);
    }
    builder.finish()
}

/// The same by looking at every pair of items.
fn brute_force(groups: &Interactions, options: &Options) -> Vec<Vec<Neighbor>> {
    let n = groups.n_groups() as u32;
    let counts = groups.item_counts();
    let holds = |item: u32| groups.groups().map(|group| group.binary_search(&item).is_ok()).collect::<Vec<_>>();
    let columns: Vec<Vec<bool>> = (0..groups.n_items() as u32).map(holds).collect();
    (0..groups.n_items())
        .map(|i| {
            let mut row: Vec<Neighbor> = (0..groups.n_items())
                .filter(|&j| j != i)
                .filter_map(|j| {
                    let support = columns[i].iter().zip(&columns[j]).filter(|(x, y)| **x && **y).count() as u32;
                    let (c, a, b) = (f64::from(support), f64::from(counts[i]), f64::from(counts[j]));
                    let g = log_likelihood_ratio(support, counts[i], counts[j], n);
                    let damping = c / (c + options.shrinkage);
                    let score = match options.score {
                        Score::LogLikelihood => g,
                        Score::Cosine => c / (a * b).sqrt() * damping,
                        Score::Jaccard => c / (a + b - c) * damping,
                        Score::Lift => lift(support, counts[i], counts[j], n) * damping,
                    } as f32;
                    let floors = support >= options.min_support.max(1) && g >= options.min_llr && score > 0.0;
                    floors.then_some(Neighbor { item: j as u32, score, support })
                })
                .collect();
            row.sort_by(|x, y| y.score.total_cmp(&x.score).then(x.item.cmp(&y.item)));
            row.truncate(options.top);
            row
        })
        .collect()
}

#[test]
fn every_score_agrees_with_brute_force() {
    let groups = sample(400, 90, 12);
    for score in [Score::LogLikelihood, Score::Cosine, Score::Jaccard, Score::Lift] {
        for (min_support, min_llr, shrinkage, top) in [(1, 0.0, 0.0, 1000), (3, 2.0, 5.0, 7), (1, 0.0, 1.0, 3)] {
            let options = Options { top, min_support, min_llr, score, shrinkage, ..Options::default() };
            let found = neighbors(&groups, &options);
            for (item, expected) in (0_u32..).zip(brute_force(&groups, &options)) {
                let row: Vec<Neighbor> = found.row(item).collect();
                assert_eq!(row.len(), expected.len(), "{options:?} item {item}");
                for (x, y) in row.iter().zip(&expected) {
                    // Equal scores may round to either side, so the order within a hair of difference is free.
                    assert!((x.score - y.score).abs() <= y.score * 1e-6, "{options:?} item {item}: {x:?} {y:?}");
                    assert!(
                        x.item == y.item || top < 1000 || expected.iter().any(|z| z.item == x.item && z.support == x.support)
                    );
                }
            }
        }
    }
}

#[test]
fn support_is_the_product_that_sprs_computes() {
    let groups = sample(3000, 200, 20);
    let found = neighbors(&groups, &Options { top: 1000, min_support: 1, score: Score::Cosine, ..Options::default() });
    let by_group = groups.to_sprs();
    let product = &by_group.transpose_view().to_csr() * &by_group;
    let mut pairs = 0;
    for (item, row) in (0_u32..).zip(product.outer_iterator()) {
        let mut expected: Vec<(u32, u32)> =
            row.iter().map(|(other, &c)| (other as u32, c)).filter(|&(other, _)| other != item).collect();
        let mut got: Vec<(u32, u32)> = found.row(item).map(|n| (n.item, n.support)).collect();
        expected.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, expected);
        assert_eq!(row.get(item as usize).copied().unwrap_or(0), found.item_counts[item as usize]);
        pairs += got.len();
    }
    assert!(pairs > 10_000, "a test of next to nothing: {pairs}");
}

#[test]
fn threads_do_not_change_a_byte() {
    let groups = sample(20_000, 3000, 15);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| neighbors(&groups, &Options { top: 20, ..Options::default() }));
        let bits: Vec<u32> = found.scores.iter().map(|score| score.to_bits()).collect();
        (found, bits)
    };
    let one = on(1);
    assert!(one.0.items.len() > 10_000);
    assert_eq!(one, on(2));
    assert_eq!(one, on(5));
}

#[test]
fn width_of_numbers_does_not_matter() {
    let groups = sample(5000, 700, 50);
    let options = Options { top: 30, min_support: 1, score: Score::Cosine, ..Options::default() };
    let found = neighbors(&groups, &options);
    assert!(found.items.len() > 10_000);
    assert_eq!(found, count::<u32, u32>(&groups, &options));
    assert_eq!(found, count::<u32, u64>(&groups, &options));
}

#[test]
fn an_item_may_be_in_more_groups_than_narrow_counters_hold() {
    let n_groups = usize::from(u16::MAX) + 10;
    let mut builder = InteractionsBuilder::new(4);
    for number in 0..n_groups {
        let rare = if number < 3 { 3 } else { 2 };
        builder.push_group(&[0, 1, rare]);
    }
    let found = neighbors(&builder.finish(), &Options { min_support: 1, score: Score::Cosine, ..Options::default() });
    let rows: Vec<Vec<(u32, u32)>> = (0..4).map(|item| found.row(item).map(|n| (n.item, n.support)).collect()).collect();
    let n = n_groups as u32;
    assert_eq!(rows[0], [(1, n), (2, n - 3), (3, 3)]);
    assert_eq!(rows[1], [(0, n), (2, n - 3), (3, 3)]);
    assert_eq!(rows[2], [(0, n - 3), (1, n - 3)]);
    assert_eq!(rows[3], [(0, 3), (1, 3)]);
}

#[test]
fn floors_hold() {
    let groups = sample(2000, 100, 10);
    let options = Options { top: 50, min_support: 4, min_llr: 10.83, score: Score::Lift, ..Options::default() };
    let found = neighbors(&groups, &options);
    assert!(found.support.iter().all(|&c| c >= 4));
    for item in 0..100 {
        for neighbor in found.row(item) {
            let (a, b) = (found.item_counts[item as usize], found.item_counts[neighbor.item as usize]);
            assert!(log_likelihood_ratio(neighbor.support, a, b, found.n_groups) >= 10.83);
            assert!(neighbor.score > 1.0, "positive association only");
        }
    }
    let none = neighbors(&groups, &Options { min_support: 100_000, ..options });
    assert!(none.items.is_empty());
    assert_eq!(none.indptr.len(), 101);
}

#[test]
fn accidents_are_told_from_pairs_that_belong_together() {
    // Independent draws, and two items beside them that half of their few buyers take together.
    let mut builder = InteractionsBuilder::new(302);
    for (number, group) in sample(300, 300, 20).groups().enumerate() {
        let mut group = group.to_vec();
        group.extend((number % 40 < 2).then_some(300));
        group.extend((number % 40 == 1 || number % 40 == 9).then_some(301));
        builder.push_group(&group);
    }
    let groups = builder.finish();
    let options = Options { top: 302, min_support: 2, min_llr: 10.83, ..Options::default() };
    let lax = neighbors(&groups, &options);
    let strict = neighbors(&groups, &Options { family_error: 0.05, ..options });
    assert!(lax.items.len() > 20, "one test in a thousand errs, and there are thousands: {}", lax.items.len());
    assert_eq!(strict.row(300).map(|n| n.item).collect::<Vec<_>>(), [301]);
    assert_eq!(strict.row(301).map(|n| n.item).collect::<Vec<_>>(), [300]);
    assert_eq!(strict.items.len(), 2, "nothing but the pair that belongs together");
}

#[test]
fn sampling_bounds_what_one_group_can_teach() {
    let mut builder = InteractionsBuilder::new(500).max_group(10);
    builder.push_group(&(0..500).collect::<Vec<_>>());
    let groups = builder.finish();
    let found = neighbors(&groups, &Options { min_support: 1, score: Score::Cosine, ..Options::default() });
    assert_eq!(found.items.len(), 10 * 9);
    assert_eq!(groups.counts().sampled_out, 490);
}

#[test]
fn nothing_in_nothing_out() {
    let empty = neighbors(&InteractionsBuilder::new(0).finish(), &Options::default());
    assert_eq!((empty.indptr.as_slice(), empty.n_items()), (&[0][..], 0));
    assert_eq!(empty.row(0).len(), 0);
    let unseen = neighbors(&InteractionsBuilder::new(3).finish(), &Options::default());
    assert_eq!(unseen.indptr, [0, 0, 0, 0]);
    assert_eq!(unseen.row(u32::MAX).len(), 0);
    let none = neighbors(&sample(50, 10, 5), &Options { top: 0, ..Options::default() });
    assert!(none.items.is_empty());
}
