//! The result, written in place by many threads.

use super::Neighbors;
use super::row::Kept;

/// Room for the rows of all items, in the order of the items.
///
/// Rows end up in the arrays they are returned in: collecting them block by block and joining the blocks would hold everything twice. Room that stays
/// unused is zeroed memory the system has not even handed out.
#[derive(Debug)]
pub(super) struct Table {
    /// Where the room of each item starts, and one end.
    room: Vec<usize>,
    items: Vec<u32>,
    scores: Vec<f32>,
    support: Vec<u32>,
}

/// The room of some neighbouring items, filled from the front.
#[derive(Debug)]
pub(super) struct Block<'a> {
    items: &'a mut [u32],
    scores: &'a mut [f32],
    support: &'a mut [u32],
    len: usize,
}

impl Block<'_> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, kept: Kept) {
        self.items[self.len] = kept.item;
        self.scores[self.len] = kept.score;
        self.support[self.len] = kept.support;
        self.len += 1;
    }
}

impl Table {
    /// Makes room for rows of at most the given lengths.
    pub(super) fn new(most: impl ExactSizeIterator<Item = usize>) -> Self {
        let mut room = Vec::with_capacity(most.len() + 1);
        room.push(0);
        let mut total = 0;
        for most in most {
            total += most;
            room.push(total);
        }
        Self { room, items: vec![0; total], scores: vec![0.0; total], support: vec![0; total] }
    }

    /// Splits the room into blocks of so many items.
    pub(super) fn blocks(&mut self, items: usize) -> Vec<Block<'_>> {
        let (mut rest_items, mut rest_scores, mut rest_support) =
            (self.items.as_mut_slice(), self.scores.as_mut_slice(), self.support.as_mut_slice());
        let bounds = self.room[..self.room.len() - 1].chunks(items);
        let mut blocks = Vec::with_capacity(bounds.len());
        for (number, bounds) in bounds.enumerate() {
            let size = self.room[number * items + bounds.len()] - bounds[0];
            let (items, scores, support);
            (items, rest_items) = rest_items.split_at_mut(size);
            (scores, rest_scores) = rest_scores.split_at_mut(size);
            (support, rest_support) = rest_support.split_at_mut(size);
            blocks.push(Block { items, scores, support, len: 0 });
        }
        blocks
    }

    /// Closes the gaps behind the blocks, of which each row's length is given.
    pub(super) fn finish(mut self, lengths: &[Vec<u32>], item_counts: Vec<u32>, n_groups: u32) -> Neighbors {
        let mut indptr: Vec<u32> = Vec::with_capacity(self.room.len());
        indptr.push(0);
        let (mut end, mut item) = (0, 0);
        for block in lengths {
            let (from, to) = (self.room[item], end as usize);
            for length in block {
                end += length;
                indptr.push(end);
            }
            let filled = from..from + (end as usize - to);
            self.items.copy_within(filled.clone(), to);
            self.scores.copy_within(filled.clone(), to);
            self.support.copy_within(filled, to);
            item += block.len();
        }
        self.items.truncate(end as usize);
        self.scores.truncate(end as usize);
        self.support.truncate(end as usize);
        self.items.shrink_to_fit();
        self.scores.shrink_to_fit();
        self.support.shrink_to_fit();
        Neighbors { indptr, items: self.items, scores: self.scores, support: self.support, item_counts, n_groups }
    }
}
