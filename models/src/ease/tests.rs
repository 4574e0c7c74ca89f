use ndarray::Array2;

use super::*;

/// Groups drawn from a few overlapping tastes.
fn groups(n_groups: usize, n_items: usize) -> (Vec<usize>, Vec<u32>, Vec<f32>) {
    let (mut starts, mut items, mut weights) = (vec![0], Vec::new(), Vec::new());
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for group in 0..n_groups {
        let taste = next(n_items);
        let mut own: Vec<u32> = (0..2 + next(6)).map(|_| ((taste + next(9)) % n_items) as u32).collect();
        own.sort_unstable();
        own.dedup();
        items.extend(own);
        starts.push(items.len());
        weights.push(0.5 + (group % 3) as f32 * 0.25);
    }
    (starts, items, weights)
}

#[test]
fn the_inverse_is_one() {
    // More than two blocks, the last of them short.
    let n = 2 * inverse::BLOCK + 37;
    let (starts, items, weights) = groups(3_000, n);
    let head: Vec<u32> = (0..n as u32).collect();
    let mut a = gram(&Groups { starts: &starts, items: &items, weights: &weights, n_items: n }, &head);
    a.diag_mut().mapv_inplace(|own| own + 5.0);
    let mut factor = a.clone();
    inverse::inverted_factor(&mut factor);
    let product = factor.t().dot(&factor).dot(&a);
    let error = (&product - &Array2::<f32>::eye(n)).iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(error < 1e-4, "A⁻¹·A differs from 1 by {error}");
}

#[test]
fn weights_are_those_of_the_formula() {
    // X = {a b}, {a b}, {a c}: XᵀX = [3 2 1; 2 2 0; 1 0 1], λ = 1, so (XᵀX + λ)⁻¹ = 1/13 · [6 −4 −3; −4 7 2; −3 2 8].
    let (starts, items, weights) = ([0, 2, 4, 6], [0, 1, 0, 1, 0, 2], [1.0; 3]);
    let groups = Groups { starts: &starts, items: &items, weights: &weights, n_items: 4 };
    let model = Ease::fit(&groups, &Options { l2: 1.0, ..Options::default() });
    let row = |item| {
        let (items, weights) = model.rows().row(item);
        items.iter().copied().zip(weights.iter().copied()).collect::<Vec<_>>()
    };
    let near = |row: Vec<(u32, f32)>, expected: &[(u32, f32)]| {
        assert_eq!(row.len(), expected.len(), "{row:?}");
        for (found, expected) in row.iter().zip(expected) {
            assert!(found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-5, "{row:?}");
        }
    };
    near(row(0), &[(1, 4.0 / 7.0), (2, 3.0 / 8.0)]);
    near(row(1), &[(0, 4.0 / 6.0)]);
    near(row(2), &[(0, 3.0 / 6.0)]);
    near(row(3), &[]);
    near(row(9), &[]);

    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    model.predict(&[(1, 1.0), (2, 2.0), (0, 0.0), (77, 1.0)], 5, &mut scratch, &mut out);
    near(out.clone(), &[(0, 4.0 / 6.0 + 1.0)]);
}

#[test]
fn any_number_of_threads_learns_the_same() {
    let (starts, items, weights) = groups(2_000, 300);
    let groups = Groups { starts: &starts, items: &items, weights: &weights, n_items: 300 };
    let options = Options { l2: 3.0, max_items: 290, top: 20 };
    let fit =
        |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| Ease::fit(&groups, &options));
    let one = fit(1);
    assert!(one == fit(3));
    assert!(one.n_entries() > 290 && one.n_entries() <= 290 * 20);
}

#[test]
fn nothing_is_learnt_from_nothing() {
    let model = Ease::fit(&Groups { starts: &[0], items: &[], weights: &[], n_items: 2 }, &Options::default());
    let mut out = vec![(1, 1.0)];
    model.predict(&[(0, 1.0)], 3, &mut Scratch::default(), &mut out);
    assert_eq!(out, []);
}
