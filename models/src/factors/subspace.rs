//! The largest eigenvalues of a symmetric matrix and their eigenvectors, by randomised subspace iteration.

use ndarray::{Array2, Axis, s};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::symmetric::Symmetric;

/// Eigenvectors as columns, with their positive eigenvalues, largest first.
pub(super) struct Eigen {
    pub(super) vectors: Array2<f64>,
    pub(super) values: Vec<f64>,
}

/// Returns at most `most` positive eigenvalues of `matrix`, looked for in `columns` directions.
///
/// Negative eigenvalues are left out: the closest matrix of dot products has none.
pub(super) fn largest(matrix: &Symmetric, most: usize, columns: usize, iterations: usize, seed: u64) -> Eigen {
    let guess = Array2::from_shape_fn((matrix.n(), columns), |(row, column)| noise(seed, row, column));
    let mut basis = orthonormal(&matrix.times(guess.view()));
    for _ in 0..iterations {
        basis = orthonormal(&matrix.times(basis.view()));
    }
    let small = basis.t().dot(&matrix.times(basis.view()));
    let eigen = jacobi(small);
    let kept = eigen.values.iter().take(most).take_while(|&&value| value > 0.0).count();
    Eigen { vectors: basis.dot(&eigen.vectors.slice(s![.., ..kept])), values: eigen.values[..kept].to_vec() }
}

/// A number between −1 and 1 that looks like chance and depends on nothing but its place.
fn noise(seed: u64, row: usize, column: usize) -> f64 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&(row as u64).to_le_bytes());
    place[8..].copy_from_slice(&(column as u64).to_le_bytes());
    (xxh3_64_with_seed(&place, seed) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Returns orthonormal columns that span what the given ones span; as many as are independent.
///
/// Through the eigenvectors of `YᵀY`, which also shows what is dependent; done twice, because once loses half the digits.
fn orthonormal(columns: &Array2<f64>) -> Array2<f64> {
    let once = |columns: &Array2<f64>| {
        let eigen = jacobi(columns.t().dot(columns));
        let largest = eigen.values.first().copied().unwrap_or(0.0);
        let kept = eigen.values.iter().take_while(|&&value| value > largest * 1e-12 && value > 0.0).count();
        let mut turn = eigen.vectors.slice(s![.., ..kept]).to_owned();
        for (mut column, value) in turn.axis_iter_mut(Axis(1)).zip(&eigen.values) {
            column /= value.sqrt();
        }
        columns.dot(&turn)
    };
    once(&once(columns))
}

/// Returns all eigenvalues of a small symmetric matrix, largest first, by Jacobi's rotations.
fn jacobi(mut matrix: Array2<f64>) -> Eigen {
    let n = matrix.nrows();
    let mut vectors = Array2::<f64>::eye(n);
    let scale = matrix.iter().map(|x| x * x).sum::<f64>();
    // Converges quadratically; ten sweeps are more than any matrix of a hundred rows was seen to take.
    for _ in 0..30 {
        let mut off = 0.0;
        for p in 0..n {
            for q in p + 1..n {
                let apq = matrix[(p, q)];
                off += apq * apq;
                if apq == 0.0 {
                    continue;
                }
                let theta = (matrix[(q, q)] - matrix[(p, p)]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cosine = 1.0 / (t * t + 1.0).sqrt();
                let sine = t * cosine;
                for k in 0..n {
                    rotate(&mut matrix, (k, p), (k, q), cosine, sine);
                }
                for k in 0..n {
                    rotate(&mut matrix, (p, k), (q, k), cosine, sine);
                }
                for k in 0..n {
                    rotate(&mut vectors, (k, p), (k, q), cosine, sine);
                }
            }
        }
        if off <= scale * 1e-24 {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| matrix[(b, b)].total_cmp(&matrix[(a, a)]).then(a.cmp(&b)));
    Eigen { values: order.iter().map(|&at| matrix[(at, at)]).collect(), vectors: vectors.select(Axis(1), &order) }
}

#[inline]
fn rotate(matrix: &mut Array2<f64>, x: (usize, usize), y: (usize, usize), cosine: f64, sine: f64) {
    let (a, b) = (matrix[x], matrix[y]);
    matrix[x] = cosine * a - sine * b;
    matrix[y] = sine * a + cosine * b;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_are_those_of_the_matrix() {
        let matrix = Array2::from_shape_fn((12, 12), |(r, c)| noise(7, r.min(c), r.max(c)));
        let eigen = jacobi(matrix.clone());
        assert!(eigen.values.is_sorted_by(|a, b| a >= b));
        let turned = matrix.dot(&eigen.vectors);
        for (column, value) in eigen.values.iter().enumerate() {
            for row in 0..12 {
                assert!((turned[(row, column)] - value * eigen.vectors[(row, column)]).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn dependent_columns_are_found_out() {
        let columns = Array2::from_shape_fn((30, 6), |(r, c)| noise(1, r, c % 4) * 10_f64.powi(c as i32 % 4));
        let basis = orthonormal(&columns);
        assert_eq!(basis.ncols(), 4);
        let product = basis.t().dot(&basis);
        for ((r, c), value) in product.indexed_iter() {
            assert!((value - f64::from(u8::from(r == c))).abs() < 1e-12);
        }
        assert_eq!(orthonormal(&Array2::zeros((5, 3))).ncols(), 0, "nothing spans nothing");
    }
}
