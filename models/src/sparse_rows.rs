//! Item × item weights as short rows, and the sum of several of them.

use std::sync::Arc;

use crate::artifact::{Artifact, ArtifactError, Column, Draft};

/// Positive weights between items, in compressed sparse rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SparseRows {
    indptr: Column<u32>,
    items: Column<u32>,
    weights: Column<f32>,
}

impl SparseRows {
    /// Makes rows of where each starts (and one end), of the items in them and of their weights.
    pub(crate) fn new(indptr: Vec<u32>, items: Vec<u32>, weights: Vec<f32>) -> Self {
        Self { indptr: indptr.into(), items: items.into(), weights: weights.into() }
    }

    /// Returns the number of items.
    pub(crate) fn n_items(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Returns the number of weights.
    pub(crate) fn n_entries(&self) -> usize {
        self.items.len()
    }

    /// Returns the rows as slices, for loops.
    pub(crate) fn view(&self) -> RowsView<'_> {
        RowsView { indptr: &self.indptr, items: &self.items, weights: &self.weights }
    }

    pub(crate) fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.indptr.save(draft, &format!("{name}.indptr.u32"))?;
        self.items.save(draft, &format!("{name}.items.u32"))?;
        self.weights.save(draft, &format!("{name}.weights.f32"))
    }

    /// Opens and checks what [`Self::save`] wrote.
    pub(crate) fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let rows = Self {
            indptr: Column::open(artifact, &format!("{name}.indptr.u32"))?,
            items: Column::open(artifact, &format!("{name}.items.u32"))?,
            weights: Column::open(artifact, &format!("{name}.weights.f32"))?,
        };
        let n_items = rows.n_items();
        let ends = (rows.indptr.first().copied(), rows.indptr.last().map(|&end| end as usize));
        let reason = if ends != (Some(0), Some(rows.items.len())) || !rows.indptr.is_sorted() {
            "row starts do not ascend from 0 to the number of entries"
        } else if rows.weights.len() != rows.items.len() {
            "there is not one weight for each entry"
        } else if rows.items.iter().any(|&item| item as usize >= n_items) {
            "an entry names an item outside the catalog"
        } else if rows.weights.iter().any(|weight| !(weight.is_finite() && *weight > 0.0)) {
            "a weight is not a positive finite number"
        } else {
            return Ok(rows);
        };
        Err(ArtifactError::shape(format!("{name}.weights.f32"), reason))
    }
}

/// Rows as slices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsView<'a> {
    indptr: &'a [u32],
    items: &'a [u32],
    weights: &'a [f32],
}

impl<'a> RowsView<'a> {
    /// Returns a row; nothing for an unknown item.
    pub(crate) fn row(&self, item: u32) -> (&'a [u32], &'a [f32]) {
        let item = item as usize;
        let (Some(&start), Some(&end)) = (self.indptr.get(item), self.indptr.get(item.saturating_add(1))) else {
            return (&[], &[]);
        };
        let row = start as usize..end as usize;
        (self.items.get(row.clone()).unwrap_or(&[]), self.weights.get(row).unwrap_or(&[]))
    }
}

/// A sum over items: dense values and the list of what is not 0.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    values: Vec<f32>,
    touched: Vec<u32>,
}

impl Sum {
    /// Empties the sum and makes room for `n_items`.
    pub(crate) fn reset(&mut self, n_items: usize) {
        for &item in &self.touched {
            self.values[item as usize] = 0.0;
        }
        self.touched.clear();
        if self.values.len() < n_items {
            self.values.resize(n_items, 0.0);
            // Each item is touched once, so this list never grows while answering.
            self.touched.reserve(n_items);
        }
    }

    /// Adds a positive weight; items beyond the room are ignored.
    #[inline]
    pub(crate) fn add(&mut self, item: u32, weight: f32) {
        if let Some(value) = self.values.get_mut(item as usize) {
            if *value == 0.0 && weight > 0.0 {
                self.touched.push(item);
            }
            *value += weight;
        }
    }

    /// Adds a row, `factor` (positive) times.
    pub(crate) fn add_row(&mut self, (items, weights): (&[u32], &[f32]), factor: f32) {
        for (&item, &weight) in items.iter().zip(weights) {
            self.add(item, factor * weight);
        }
    }

    /// Returns the value of an item.
    #[inline]
    pub(crate) fn get(&self, item: u32) -> f32 {
        self.values.get(item as usize).copied().unwrap_or(0.0)
    }

    /// Returns the items with a value, in the order they were met.
    pub(crate) fn touched(&self) -> &[u32] {
        &self.touched
    }

    /// Returns the greatest value; 0 of nothing.
    pub(crate) fn most(&self) -> f32 {
        self.touched.iter().map(|&item| self.get(item)).fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_and_forgotten() {
        let rows = SparseRows::new(vec![0, 2, 3, 3], vec![1, 2, 0], vec![0.5, 1.0, 2.0]);
        let mut sum = Sum::default();
        for _ in 0..2 {
            sum.reset(rows.n_items());
            for item in [0, 1, 2, 99] {
                sum.add_row(rows.view().row(item), 2.0);
            }
            sum.add(7, 1.0);
            assert_eq!((sum.touched(), sum.most()), (&[1, 2, 0][..], 4.0));
            assert_eq!((sum.get(0), sum.get(1), sum.get(2), sum.get(7)), (4.0, 1.0, 2.0, 0.0));
        }
    }
}
