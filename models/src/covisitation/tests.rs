use std::collections::BTreeMap;

use super::*;

fn sessions(n: usize, n_items: u32) -> Vec<Vec<u32>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..n)
        .map(|_| {
            let length = 1 + next() % 30;
            (0..length)
                .map(|_| match next() % 50 {
                    0 => u32::MAX,
                    _ => ((next() % 1000) as u32).pow(2) / 1_000_000_u32.div_ceil(n_items),
                })
                .collect()
        })
        .collect()
}

fn row(model: &CoVisitation, item: u32) -> Vec<(u32, f32)> {
    let (items, weights) = model.view().row(item);
    items.iter().copied().zip(weights.iter().copied()).collect()
}

#[test]
fn pairs_know_direction_and_distance() {
    let model = fit(&[vec![0, 1, 2]], 4, &Options { normalization: 0.0, ..Options::default() });
    let two_apart = 2.0_f64.powf(-0.7) as f32;
    assert_eq!(row(&model, 0), [(1, 1.0), (2, two_apart)]);
    assert_eq!(row(&model, 1), [(2, 1.0), (0, 0.8)]);
    assert_eq!(row(&model, 2), [(1, 0.8), (0, 0.8 * two_apart)]);
    assert_eq!(row(&model, 3), []);
}

#[test]
fn rows_are_the_weights_of_all_pairs() {
    let sessions = sessions(300, 60);
    let options = Options { top: 12, window: 5, ..Options::default() };
    let model = fit(&sessions, 60, &options);
    model.view().check().unwrap();
    let mut pairs: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    for session in &sessions {
        for (i, &a) in session.iter().enumerate() {
            for (j, &b) in session.iter().enumerate().filter(|&(j, _)| j != i && j.abs_diff(i) <= 5) {
                if a < 60 && b < 60 {
                    let side = if j > i || a == b { 1.0 } else { 0.8 };
                    *pairs.entry((a, b)).or_default() += side * (j.abs_diff(i) as f64).powf(-0.7);
                }
            }
        }
    }
    for item in 0..60 {
        let mut expected: Vec<f64> = pairs.range((item, 0)..=(item, 59)).map(|(_, &weight)| weight).collect();
        expected.sort_by(|a, b| b.total_cmp(a));
        expected.truncate(12);
        let divisor = expected.iter().sum::<f64>().powf(0.7);
        let got = row(&model, item);
        assert_eq!(got.len(), expected.len());
        for ((other, weight), expected) in got.iter().zip(expected) {
            assert!((f64::from(*weight) - expected / divisor).abs() < 1e-4, "{item} {other}");
            assert!((f64::from(*weight) - pairs[&(item, *other)] / divisor).abs() < 1e-4, "{item} {other}");
        }
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let sessions = sessions(5000, 1500);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let model = pool.install(|| fit(&sessions, 1500, &Options::default()));
        let bits: Vec<u32> = model.weights.iter().map(|weight| weight.to_bits()).collect();
        (model, bits)
    };
    let one = on(1);
    assert!(one.0.items.len() > 10_000);
    assert_eq!(one, on(2));
    assert_eq!(one, on(5));
}

#[test]
fn answers_are_the_weighted_sum_of_rows() {
    let model = fit(&sessions(1000, 200), 200, &Options::default());
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    // 5 counts from its most recent place only, the unknown item keeps its place.
    predict(&model.view(), &[5, 9, u32::MAX, 5, 3], 1000, &mut scratch, &mut out);
    let mut sums = vec![0.0_f64; 200];
    for (item, step) in [(3, 0.0), (5, 1.0), (9, 3.0)] {
        for (next, weight) in row(&model, item) {
            sums[next as usize] += f64::from(weight) * f64::exp(-step / 2.5);
        }
    }
    assert_eq!(out.len(), sums.iter().filter(|sum| **sum > 0.0).count());
    for &(item, score) in &out {
        assert!((f64::from(score) - sums[item as usize]).abs() < 1e-5);
    }
    assert!(out.is_sorted_by(|a, b| a.1 > b.1 || (a.1 == b.1 && a.0 < b.0)));

    let all = out.clone();
    predict(&model.view(), &[5, 9, u32::MAX, 5, 3], 7, &mut scratch, &mut out);
    assert_eq!(out, all[..7], "the scratch is clean and the cut is a prefix");
    predict(&model.view(), &[], 7, &mut scratch, &mut out);
    assert_eq!(out, []);
    predict(&model.view(), &[u32::MAX, 200], 7, &mut scratch, &mut out);
    assert_eq!(out, []);
}

#[test]
fn broken_files_are_noticed_and_do_not_panic() {
    let broken: [(&[u32], &[u32], &[f32]); 6] = [
        (&[], &[], &[]),
        (&[0, 5], &[0], &[1.0]),
        (&[0, 2, 1], &[0], &[1.0]),
        (&[0, 1], &[7], &[1.0]),
        (&[0, 1], &[0], &[f32::NAN]),
        (&[0, 2], &[0, 0], &[0.0]),
    ];
    for (indptr, items, weights) in broken {
        let view = CoVisitationView { indptr, items, weights };
        assert!(view.check().is_err(), "{view:?}");
        let mut out = Vec::new();
        predict(&view, &[0, 1, 2, 1], 5, &mut Scratch::default(), &mut out);
        assert!(out.len() <= 1);
    }
    assert_eq!(fit(&[[0_u32; 0]], 0, &Options::default()).view().check(), Ok(()));
}
