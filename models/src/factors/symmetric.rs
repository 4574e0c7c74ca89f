//! A sparse symmetric matrix, kept as its halves: rows of a source cut at their best entries are not symmetric by themselves.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::{Options, Pairs};

/// `A + Aᵀ`, with `A` in compressed sparse rows.
pub(super) struct Symmetric {
    n: usize,
    rows: Vec<Rows>,
}

struct Rows {
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

impl Symmetric {
    /// Returns half the positive pointwise mutual information of each source, and its mirror.
    ///
    /// With `c` groups that hold both items, `a` and `b` that hold each, and all counted over `N = Σ c` meetings, a pair's is
    /// `max(0, ln(c · Σ bˢ / (a · bˢ)))` with the smoothing power `s`, taken both ways and halved.
    pub(super) fn information(sources: &[Pairs<'_>], n: usize, options: &Options) -> Self {
        let mut rows = Vec::new();
        for pairs in sources {
            let one_way = Rows::information(pairs, n, options);
            rows.push(one_way.transposed(n));
            rows.push(one_way);
        }
        Self { n, rows }
    }

    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// Returns the product with some columns. Each row is summed in one order, so threads do not matter.
    pub(super) fn times(&self, columns: ArrayView2<'_, f64>) -> Array2<f64> {
        let width = columns.ncols();
        let columns = columns.as_standard_layout();
        let source = columns.as_slice().unwrap_or_default();
        let mut product = Array2::<f64>::zeros((self.n, width));
        if let Some(target) = product.as_slice_mut().filter(|_| width > 0) {
            target.par_chunks_exact_mut(width).enumerate().for_each(|(row, target)| {
                for rows in &self.rows {
                    for at in rows.starts[row]..rows.starts[row + 1] {
                        let value = f64::from(rows.values[at]);
                        let start = rows.columns[at] as usize * width;
                        target.iter_mut().zip(&source[start..start + width]).for_each(|(t, s)| *t += value * s);
                    }
                }
            });
        }
        product
    }
}

impl Rows {
    fn information(pairs: &Pairs<'_>, n: usize, options: &Options) -> Self {
        // How often an item meets others, which is what chance is reckoned from.
        let mut meetings = vec![0.0_f64; n];
        for (row, bounds) in pairs.indptr.windows(2).enumerate() {
            meetings[row] = pairs.support[bounds[0] as usize..bounds[1] as usize].iter().map(|&c| f64::from(c)).sum();
        }
        let smoothed: Vec<f64> = meetings.iter().map(|m| m.powf(options.smoothing)).collect();
        let all: f64 = smoothed.iter().sum();
        let mut rows = Self { starts: vec![0], columns: Vec::new(), values: Vec::new() };
        for (row, bounds) in pairs.indptr.windows(2).enumerate() {
            for at in bounds[0] as usize..bounds[1] as usize {
                let other = pairs.items[at];
                let expected = meetings[row] * smoothed[other as usize];
                let met = f64::from(pairs.support[at]);
                let information = (met * all / expected).ln() * met / (met + options.discount);
                if information > 0.0 && information.is_finite() {
                    rows.columns.push(other);
                    rows.values.push((information / 2.0) as f32);
                }
            }
            rows.starts.push(rows.columns.len());
        }
        rows.starts.resize(n + 1, rows.columns.len());
        rows
    }

    fn transposed(&self, n: usize) -> Self {
        let mut starts = vec![0; n + 1];
        for &column in &self.columns {
            starts[column as usize + 1] += 1;
        }
        for row in 0..n {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut columns = vec![0; self.columns.len()];
        let mut values = vec![0.0; self.values.len()];
        for row in 0..n {
            for at in self.starts[row]..self.starts[row + 1] {
                let place = &mut next[self.columns[at] as usize];
                columns[*place] = row as u32;
                values[*place] = self.values[at];
                *place += 1;
            }
        }
        Self { starts, columns, values }
    }
}
