//! Who touched what: groups (baskets or sessions) by items, as one compressed sparse matrix of ones.

use sprs::CsMatI;
use xxhash_rust::xxh3::xxh3_64;

/// Items of a group that are counted by default.
///
/// A group of `n` items makes `n²` pairs; a wholesale order of a thousand lines would outweigh thousands of shoppers and says little about any pair.
pub const MAX_GROUP: usize = 60;

/// Groups of distinct items in compressed sparse rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interactions {
    indptr: Vec<usize>,
    items: Vec<u32>,
    n_items: usize,
    counts: Counts,
}

/// What the builder was given and what it did with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Groups offered, empty ones included.
    pub pushed: u64,
    /// Groups without a known item, which are left out.
    pub empty: u64,
    /// Groups longer than the cap, which were sampled.
    pub sampled_groups: u64,
    /// Items that sampling left out.
    pub sampled_out: u64,
    /// Item positions outside the catalog, which are left out.
    pub unknown_items: u64,
}

impl Interactions {
    /// Returns the number of groups.
    pub fn n_groups(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Returns the number of items of the catalog, seen or not.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Returns the number of (group, item) entries.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the distinct items of a group, ascending.
    #[inline]
    pub fn group(&self, group: usize) -> &[u32] {
        &self.items[self.indptr[group]..self.indptr[group + 1]]
    }

    /// Returns all groups in order.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.indptr.windows(2).map(|bounds| &self.items[bounds[0]..bounds[1]])
    }

    /// Returns where each group starts in [`Self::items`], and one end.
    pub fn indptr(&self) -> &[usize] {
        &self.indptr
    }

    /// Returns the items of all groups, one group after the other.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// Returns what the builder left out.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns in how many groups each item occurs.
    pub fn item_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.n_items];
        for &item in &self.items {
            counts[item as usize] += 1;
        }
        counts
    }

    /// Returns the matrix of ones, groups as rows.
    ///
    /// Row starts are `usize`, so that more than 2³² entries are not a special case.
    pub fn to_sprs(&self) -> CsMatI<u32, u32, usize> {
        CsMatI::new((self.n_groups(), self.n_items), self.indptr.clone(), self.items.clone(), vec![1; self.items.len()])
    }
}

/// Collects groups.
#[derive(Debug, Clone)]
pub struct InteractionsBuilder {
    indptr: Vec<usize>,
    items: Vec<u32>,
    n_items: usize,
    max_group: usize,
    counts: Counts,
    group: Vec<u32>,
}

impl InteractionsBuilder {
    /// Creates a builder for a catalog of `n_items` positions.
    ///
    /// # Panics
    /// If there are more items than a `u32` can number.
    pub fn new(n_items: usize) -> Self {
        assert!(u32::try_from(n_items).is_ok(), "item positions are u32");
        Self { indptr: vec![0], items: Vec::new(), n_items, max_group: MAX_GROUP, counts: Counts::default(), group: Vec::new() }
    }

    /// Sets how many items of a group count; longer groups are sampled.
    #[must_use]
    pub fn max_group(mut self, max_group: usize) -> Self {
        self.max_group = max_group.max(1);
        self
    }

    /// Adds a group; the order and repetition of items do not matter.
    ///
    /// # Panics
    /// If there are more groups than a `u32` can number.
    pub fn push_group(&mut self, items: &[u32]) {
        let number = self.counts.pushed;
        self.counts.pushed += 1;
        self.group.clear();
        self.group.extend(items.iter().copied().filter(|&item| (item as usize) < self.n_items));
        self.counts.unknown_items += (items.len() - self.group.len()) as u64;
        let left_out = distinct_sample(&mut self.group, number, self.max_group);
        self.counts.sampled_groups += u64::from(left_out > 0);
        self.counts.sampled_out += left_out as u64;
        if self.group.is_empty() {
            self.counts.empty += 1;
            return;
        }
        assert!(self.indptr.len() < u32::MAX as usize, "group numbers are u32");
        self.items.extend_from_slice(&self.group);
        self.indptr.push(self.items.len());
    }

    /// Returns the matrix.
    pub fn finish(self) -> Interactions {
        Interactions { indptr: self.indptr, items: self.items, n_items: self.n_items, counts: self.counts }
    }
}

/// Sorts a group, removes repetitions, and samples it down to `max` items; returns how many distinct items were left out.
///
/// The sample is drawn by a hash of group number and item: the same log gives the same sample, and another group draws other items.
pub(crate) fn distinct_sample(group: &mut Vec<u32>, number: u64, max: usize) -> usize {
    group.sort_unstable();
    group.dedup();
    let left_out = group.len().saturating_sub(max);
    if left_out > 0 {
        group.sort_by_cached_key(|&item| (draw(number, item), item));
        group.truncate(max);
        group.sort_unstable();
    }
    left_out
}

fn draw(number: u64, item: u32) -> u64 {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&item.to_le_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_distinct_and_sorted() {
        let mut builder = InteractionsBuilder::new(5);
        builder.push_group(&[3, 1, 3, 0]);
        builder.push_group(&[]);
        builder.push_group(&[9, u32::MAX]);
        builder.push_group(&[4]);
        let groups = builder.finish();
        assert_eq!(groups.groups().collect::<Vec<_>>(), [&[0, 1, 3][..], &[4]]);
        assert_eq!(groups.item_counts(), [1, 1, 0, 1, 1]);
        assert_eq!(groups.counts(), Counts { pushed: 4, empty: 2, unknown_items: 2, ..Counts::default() });
    }

    #[test]
    fn long_groups_are_sampled_and_counted() {
        let everything: Vec<u32> = (0..1000).collect();
        let build = || {
            let mut builder = InteractionsBuilder::new(1000).max_group(40);
            builder.push_group(&everything);
            builder.push_group(&everything);
            builder.push_group(&everything[..40]);
            builder.finish()
        };
        let groups = build();
        assert_eq!(groups, build());
        assert!(groups.groups().all(|group| group.len() == 40));
        assert_ne!(groups.group(0), groups.group(1), "each group draws its own sample");
        assert_eq!((groups.counts().sampled_groups, groups.counts().sampled_out), (2, 1920));
        let low_half = groups.group(0).iter().filter(|&&item| item < 500).count();
        assert!((8..=32).contains(&low_half), "the sample is not a prefix: {low_half}");
    }
}
