//! What is like an item: by its words, and, where it has been looked at or bought enough, by the company it keeps.

use std::collections::HashMap;

use rapport_models::kinds::Kind;
use rapport_models::neighbors;

use super::Snapshot;
use super::words::Words;

/// What the company two items keep weighs beside their words, once both are well known.
const COMPANY: f32 = 0.6;
/// Similarity below which two items have nothing to do with each other: four times what chance makes of unrelated words.
const FLOOR: f32 = 0.25;
/// Items near the one asked about that a graph is asked for.
const NEAR: usize = 400;
/// Best sellers kept per kind.
const PER_KIND: usize = 200;

/// Memory for one question.
#[derive(Debug, Default)]
pub struct Scratch {
    near: neighbors::Scratch,
    items: Vec<(u32, f32)>,
}

impl Snapshot {
    /// Fills `out` with at most `most` slots whose items are like the one asked about, best first.
    ///
    /// Similarity is a cosine of words mixed with one of company. As long as either item is little known, its company is
    /// reckoned to say what its words say, so that new items stand on equal terms with old ones. All items are looked at; where
    /// the build has a graph, for there are many, and knows the item well, those near it there and those the build does not know.
    pub fn similar_to(&self, slot: u32, most: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        out.clear();
        if let (Some(build), Some(asked)) = (&self.build, self.item_of(slot)) {
            build.near(asked, NEAR, &mut scratch.near, &mut scratch.items);
        } else {
            scratch.items.clear();
        }
        let mut offer = |other: u32, words: f32| {
            let similarity = self.mix(slot, other, words);
            if similarity >= FLOOR && other != slot {
                out.push((other, similarity));
            }
        };
        if scratch.items.is_empty() {
            (0_u32..).zip(self.words.similarities(slot)).for_each(|(other, words)| offer(other, words));
        } else {
            let near = scratch.items.iter().filter_map(|&(item, _)| self.slot_of(item));
            near.chain(self.places.unbuilt()).for_each(|other| offer(other, self.words.similarity(slot, other)));
        }
        let best_first = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if most == 0 {
            out.clear();
        } else if out.len() > most {
            out.select_nth_unstable_by(most - 1, best_first);
            out.truncate(most);
        }
        out.sort_unstable_by(best_first);
    }

    /// Returns how alike the items of two slots are, from 0 to 1.
    pub fn likeness(&self, slot: u32, other: u32) -> f32 {
        self.mix(slot, other, self.words.similarity(slot, other)).clamp(0.0, 1.0)
    }

    /// Mixes how near the words of two items are with how alike their company is.
    fn mix(&self, slot: u32, other: u32, words: f32) -> f32 {
        let (company, trust) = match (self.build.as_deref(), self.item_of(slot), self.item_of(other)) {
            (Some(build), Some(asked), Some(item)) => build.company(asked, item),
            _ => (0.0, 0.0),
        };
        if self.words.has(slot) && self.words.has(other) {
            (words + COMPANY * (trust * company + (1.0 - trust) * words)) / (1.0 + COMPANY)
        } else {
            trust * company
        }
    }

    /// Returns the slots that are popular among items of the kind of the one in a slot, by its title: pairs of words
    /// before single ones. Nothing where its title says no kind.
    pub fn popular_of_kind(&self, slot: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let kinds = self.words.kinds(slot);
        let lists = kinds.narrow.into_iter().chain(kinds.broad).filter_map(|kind| self.lists.by_kind.get(&kind));
        lists.flatten().copied()
    }
}

/// Returns, kind by kind, the slots that are popular, best first, given all in that order.
pub(super) fn by_kind(popular: &[(u32, f32)], words: &Words) -> HashMap<Kind, Vec<(u32, f32)>> {
    let mut lists: HashMap<Kind, Vec<(u32, f32)>> = HashMap::new();
    for &(slot, score) in popular {
        let kinds = words.kinds(slot);
        for kind in kinds.narrow.into_iter().chain(kinds.broad) {
            let list = lists.entry(kind).or_default();
            if list.len() < PER_KIND {
                list.push((slot, score));
            }
        }
    }
    lists
}
