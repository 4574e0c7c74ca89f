//! A table of neighbours: for each item other items, with a score and how many observations stand behind it.
//!
//! It is a sparse matrix in compressed rows: row `i` lies at `indptr[i]..indptr[i + 1]` of the other three arrays.

use std::sync::Arc;

use super::open::FileIndex;
use super::{Artifact, ArtifactError, Draft};

/// The neighbours of one item; the three slices have the same length.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Row<'a> {
    pub items: &'a [u32],
    pub scores: &'a [f32],
    pub support: &'a [u32],
}

impl Row<'_> {
    /// Returns how many neighbours there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// A checked table of neighbours that keeps its artifact alive.
#[derive(Debug, Clone)]
pub struct NeighborsView {
    artifact: Arc<Artifact>,
    indptr: FileIndex,
    items: FileIndex,
    scores: FileIndex,
    support: FileIndex,
}

impl NeighborsView {
    /// Opens and checks the table written as `prefix`, such as `also_bought`.
    pub fn open(artifact: Arc<Artifact>, prefix: &str) -> Result<Self, ArtifactError> {
        let names = Names::new(prefix);
        let table = Table {
            indptr: artifact.slice(&names.indptr)?,
            items: artifact.slice(&names.items)?,
            scores: artifact.slice(&names.scores)?,
            support: artifact.slice(&names.support)?,
        };
        table.check(&names)?;
        Ok(Self {
            indptr: artifact.index(&names.indptr)?,
            items: artifact.index(&names.items)?,
            scores: artifact.index(&names.scores)?,
            support: artifact.index(&names.support)?,
            artifact,
        })
    }

    /// Returns how many items have a row.
    pub fn n_items(&self) -> usize {
        self.indptr().len().saturating_sub(1)
    }

    /// Returns how many neighbours there are in all rows.
    pub fn n_entries(&self) -> usize {
        self.artifact.slice_at::<u32>(self.items).len()
    }

    /// Returns the neighbours of `item`; none for an item the build does not know.
    pub fn row(&self, item: u32) -> Row<'_> {
        self.find(item).unwrap_or_default()
    }

    /// Returns the artifact the table is part of.
    pub fn artifact(&self) -> &Arc<Artifact> {
        &self.artifact
    }

    fn find(&self, item: u32) -> Option<Row<'_>> {
        let indptr = self.indptr();
        let item = item as usize;
        let from = *indptr.get(item)? as usize;
        let to = *indptr.get(item.checked_add(1)?)? as usize;
        Some(Row {
            items: self.artifact.slice_at(self.items).get(from..to)?,
            scores: self.artifact.slice_at(self.scores).get(from..to)?,
            support: self.artifact.slice_at(self.support).get(from..to)?,
        })
    }

    fn indptr(&self) -> &[u32] {
        self.artifact.slice_at(self.indptr)
    }
}

/// Writes a table of neighbours that [`NeighborsView::open`] reads back, refusing what it would refuse.
pub fn write_neighbors(
    draft: &mut Draft,
    prefix: &str,
    indptr: &[u32],
    items: &[u32],
    scores: &[f32],
    support: &[u32],
) -> Result<(), ArtifactError> {
    let names = Names::new(prefix);
    Table { indptr, items, scores, support }.check(&names)?;
    draft.write_slice(&names.indptr, indptr)?;
    draft.write_slice(&names.items, items)?;
    draft.write_slice(&names.scores, scores)?;
    draft.write_slice(&names.support, support)
}

struct Names {
    indptr: String,
    items: String,
    scores: String,
    support: String,
}

impl Names {
    fn new(prefix: &str) -> Self {
        Self {
            indptr: format!("{prefix}.indptr.u32"),
            items: format!("{prefix}.items.u32"),
            scores: format!("{prefix}.scores.f32"),
            support: format!("{prefix}.support.u32"),
        }
    }
}

struct Table<'a> {
    indptr: &'a [u32],
    items: &'a [u32],
    scores: &'a [f32],
    support: &'a [u32],
}

impl Table<'_> {
    /// Checks that every row lies inside the arrays and names items that have a row themselves.
    fn check(&self, names: &Names) -> Result<(), ArtifactError> {
        let (Some(&first), Some(&last)) = (self.indptr.first(), self.indptr.last()) else {
            return Err(ArtifactError::shape(&names.indptr, "it is empty"));
        };
        if first != 0 {
            return Err(ArtifactError::shape(&names.indptr, format!("it starts at {first}, not at 0")));
        }
        if let Some(row) = self.indptr.windows(2).position(|pair| matches!(pair, [from, to] if from > to)) {
            return Err(ArtifactError::shape(&names.indptr, format!("row {row} ends before it starts")));
        }
        let length = last as usize;
        let others = [(&names.items, self.items.len()), (&names.scores, self.scores.len()), (&names.support, self.support.len())];
        for (name, found) in others {
            if found != length {
                return Err(ArtifactError::shape(name, format!("it has {found} values for {length} neighbours")));
            }
        }
        let n_items = self.indptr.len() - 1;
        if let Some(&item) = self.items.iter().find(|&&item| item as usize >= n_items) {
            return Err(ArtifactError::shape(&names.items, format!("it names item {item} of {n_items}")));
        }
        // A score that is not a number would make every later sort arbitrary.
        if let Some(at) = self.scores.iter().position(|score| !score.is_finite()) {
            return Err(ArtifactError::shape(&names.scores, format!("value {at} is not finite")));
        }
        Ok(())
    }
}
