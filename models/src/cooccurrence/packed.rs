//! Groups laid out for counting.
//!
//! Counting visits every group of every item, ten million jumps for ten million interactions, so what lies at the end of a jump decides the speed. A
//! group's length and its items lie side by side, mostly in one cache line; item numbers take two bytes where they fit; and items are numbered by
//! popularity, the most frequent first, so that the counters most often met lie together and a number tells how rare an item is.

use crate::interactions::Interactions;

/// An unsigned integer as narrow as the data allows.
pub(super) trait Narrow: Copy + Default + Send + Sync {
    /// Packs a value that is known to fit.
    fn pack(value: usize) -> Self;
    /// Returns the value.
    fn unpack(self) -> usize;
}

macro_rules! narrow {
    ($($integer:ty),*) => {$(
        impl Narrow for $integer {
            #[inline]
            fn pack(value: usize) -> Self {
                debug_assert!(Self::try_from(value).is_ok(), "{value} does not fit");
                value as Self
            }

            #[inline]
            fn unpack(self) -> usize {
                self as usize
            }
        }
    )*};
}

narrow!(u16, u32, u64);

/// Numbers read at a jump: a group's length and its first items, which are all for most groups.
pub(super) const STRIDE: usize = 32;

/// The items by popularity: rank 0 is the item that most groups hold; ties by item.
#[derive(Debug)]
pub(super) struct Ranking<Id> {
    ranks: Vec<Id>,
    ranked: Vec<Ranked<Id>>,
    counts: Vec<u32>,
}

/// What is known of the item of a rank, side by side, for it is needed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked<Id> {
    item: Id,
    class: Id,
}

impl<Id: Narrow> Ranking<Id> {
    pub(super) fn of(item_counts: &[u32]) -> Self {
        let mut items: Vec<u32> = (0..item_counts.len() as u32).collect();
        items.sort_unstable_by_key(|&item| (std::cmp::Reverse(item_counts[item as usize]), item));
        let mut ranks = vec![Id::default(); items.len()];
        let mut ranked = Vec::with_capacity(items.len());
        let mut counts: Vec<u32> = Vec::new();
        for (rank, &item) in items.iter().enumerate() {
            ranks[item as usize] = Id::pack(rank);
            let count = item_counts[item as usize];
            if counts.last() != Some(&count) {
                counts.push(count);
            }
            ranked.push(Ranked { item: Id::pack(item as usize), class: Id::pack(counts.len() - 1) });
        }
        Self { ranks, ranked, counts }
    }

    pub(super) fn n_items(&self) -> usize {
        self.ranks.len()
    }

    /// Returns how many groups hold an item of each class. Items of one class are equally frequent, so there are few classes.
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Returns the rank of an item.
    #[inline]
    pub(super) fn rank(&self, item: u32) -> usize {
        self.ranks[item as usize].unpack()
    }

    /// Returns item and class of a rank.
    #[inline]
    pub(super) fn of_rank(&self, rank: usize) -> (u32, usize) {
        let ranked = self.ranked[rank];
        (ranked.item.unpack() as u32, ranked.class.unpack())
    }
}

/// The groups, and for each item where the groups that hold it lie.
#[derive(Debug)]
pub(super) struct Packed<Id, Place> {
    /// Each group as its length and the ranks of its items; a stride of padding at the end.
    lines: Vec<Id>,
    /// Where each rank's places start, and one end.
    starts: Vec<Place>,
    /// Where in `lines` the groups of each rank lie.
    places: Vec<Place>,
}

/// Tells how many numbers the lines of groups take at most.
pub(super) fn packed_len(groups: &Interactions) -> usize {
    groups.len() + groups.n_groups() + STRIDE
}

impl<Id: Narrow, Place: Narrow> Packed<Id, Place> {
    /// Lays groups out. Those of a single item hold no pair and are left out.
    pub(super) fn of(groups: &Interactions, ranking: &Ranking<Id>) -> Self {
        let mut lines = Vec::with_capacity(packed_len(groups));
        let mut counts = vec![0; groups.n_items()];
        for group in groups.groups().filter(|group| group.len() > 1) {
            lines.push(Id::pack(group.len()));
            for &item in group {
                let rank = ranking.rank(item);
                lines.push(Id::pack(rank));
                counts[rank] += 1;
            }
        }
        let mut starts = vec![Place::default(); groups.n_items() + 1];
        let mut total = 0_usize;
        for (start, count) in starts[1..].iter_mut().zip(&counts) {
            *start = Place::pack(total);
            total += *count as usize;
        }
        // While being filled, `starts[rank + 1]` is where the next place of the rank goes, which ends where the next rank starts.
        let mut places = vec![Place::default(); total];
        let mut at = 0;
        while at < lines.len() {
            let end = at + 1 + lines[at].unpack();
            for rank in &lines[at + 1..end] {
                let next = &mut starts[rank.unpack() + 1];
                places[next.unpack()] = Place::pack(at);
                *next = Place::pack(next.unpack() + 1);
            }
            at = end;
        }
        lines.resize(lines.len() + STRIDE, Id::default());
        Self { lines, starts, places }
    }

    /// Returns the places of the groups that hold the item of a rank.
    #[inline]
    pub(super) fn places(&self, rank: usize) -> &[Place] {
        &self.places[self.starts[rank].unpack()..self.starts[rank + 1].unpack()]
    }

    /// Returns what lies at a place: the length of a group, its items as ranks, and whatever follows; at least a stride.
    #[inline]
    pub(super) fn at(&self, place: Place) -> &[Id] {
        &self.lines[place.unpack()..]
    }

    /// Tells how many neighbours the item of a rank can have at most, up to `limit`.
    pub(super) fn most_neighbors(&self, rank: usize, limit: usize) -> usize {
        let mut most = 0;
        for &place in self.places(rank) {
            most += self.at(place)[0].unpack() - 1;
            if most >= limit {
                return limit;
            }
        }
        most
    }
}
