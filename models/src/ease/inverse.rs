//! Inverting a symmetric positive definite matrix in blocks, so that nearly all work is multiplying matrices.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

/// Rows and columns of a block: small enough for the first caches, large enough that the unblocked rest is small.
pub(super) const BLOCK: usize = 128;

/// Replaces a symmetric positive definite `A` by `L⁻¹`, where `A = L·Lᵀ` (Cholesky), with zeros above the diagonal; so `A⁻¹ = L⁻ᵀ·L⁻¹`.
///
/// Only the lower half of `A` is read. Blocks are worked out whole by one thread each, in a fixed order of sums: the result is the same for any number of
/// threads.
pub(super) fn inverted_factor(a: &mut Array2<f32>) {
    factor(a);
    invert_lower(a);
}

/// Right-looking blocked Cholesky (Golub & Van Loan, *Matrix Computations*, 4.2).
fn factor(a: &mut Array2<f32>) {
    let n = a.nrows();
    for from in (0..n).step_by(BLOCK) {
        let to = (from + BLOCK).min(n);
        let mut corner = a.slice_mut(s![from..to, from..to]);
        factor_small(&mut corner);
        if to == n {
            break;
        }
        // The panel below the corner: P = A · L⁻ᵀ.
        let inverse = inverse_of_small(&corner.view());
        let panel = a.slice(s![to.., from..to]).dot(&inverse.t());
        a.slice_mut(s![to.., from..to]).assign(&panel);
        let mut rest = a.slice_mut(s![to.., to..]);
        let bands: Vec<(usize, ArrayViewMut2<'_, f32>)> = rest.axis_chunks_iter_mut(Axis(0), BLOCK).enumerate().collect();
        bands.into_par_iter().for_each(|(band, mut rows)| {
            let at = band * BLOCK;
            let end = at + rows.nrows();
            let mut lower = rows.slice_mut(s![.., ..end]);
            general_mat_mul(-1.0, &panel.slice(s![at..end, ..]), &panel.slice(s![..end, ..]).t(), 1.0, &mut lower);
        });
    }
}

/// Inverts a blocked lower triangle in place, a band of rows after the other: `X_ij = −X_ii · Σ_{k=j}^{i−1} L_ik·X_kj`.
fn invert_lower(a: &mut Array2<f32>) {
    let n = a.nrows();
    for from in (0..n).step_by(BLOCK) {
        let to = (from + BLOCK).min(n);
        let own = inverse_of_small(&a.slice(s![from..to, from..to]));
        let blocks: Vec<Array2<f32>> = (0..from / BLOCK)
            .into_par_iter()
            .map(|block| {
                let column = block * BLOCK;
                let sum = a.slice(s![from..to, column..from]).dot(&a.slice(s![column..from, column..column + BLOCK]));
                own.dot(&sum)
            })
            .collect();
        for (block, mut inverse) in blocks.into_iter().enumerate() {
            inverse.mapv_inplace(|value| -value);
            a.slice_mut(s![from..to, block * BLOCK..(block + 1) * BLOCK]).assign(&inverse);
        }
        a.slice_mut(s![from..to, from..to]).assign(&own);
        a.slice_mut(s![from..to, to..]).fill(0.0);
    }
}

/// Cholesky of one block, sums in double precision; zeros above the diagonal.
fn factor_small(a: &mut ArrayViewMut2<'_, f32>) {
    let n = a.nrows();
    for column in 0..n {
        for row in column..n {
            let products = (0..column).map(|k| f64::from(a[[row, k]]) * f64::from(a[[column, k]]));
            let rest = f64::from(a[[row, column]]) - products.sum::<f64>();
            a[[row, column]] = if row == column {
                // Rounding must not turn a pivot of a positive definite matrix negative.
                rest.max(1e-6).sqrt() as f32
            } else {
                (rest / f64::from(a[[column, column]])) as f32
            };
        }
        for row in 0..column {
            a[[row, column]] = 0.0;
        }
    }
}

/// Returns the inverse of a lower triangle of one block, by forward substitution.
fn inverse_of_small(lower: &ArrayView2<'_, f32>) -> Array2<f32> {
    let n = lower.nrows();
    let mut inverse = Array2::<f32>::zeros((n, n));
    for column in 0..n {
        for row in column..n {
            let products = (column..row).map(|k| f64::from(lower[[row, k]]) * f64::from(inverse[[k, column]]));
            let own = f64::from(u8::from(row == column));
            inverse[[row, column]] = ((own - products.sum::<f64>()) / f64::from(lower[[row, row]])) as f32;
        }
    }
    inverse
}
