//! What is like an item: by its words, and, where it has been looked at or bought enough, by the company it keeps.

use std::collections::HashMap;

use rapport_models::kinds::Kind;

use super::Snapshot;
use super::words::Words;

/// What the company two items keep weighs beside their words, once both are well known.
const COMPANY: f32 = 0.6;
/// Similarity below which two items have nothing to do with each other: four times what chance makes of unrelated words.
const FLOOR: f32 = 0.25;
/// Best sellers kept per kind.
const PER_KIND: usize = 200;

impl Snapshot {
    /// Fills `out` with at most `most` slots whose items are like the one asked about, best first.
    ///
    /// Similarity is a cosine of words mixed with one of company. As long as either item is little known, its company is
    /// reckoned to say what its words say, so that new items stand on equal terms with old ones. All items are looked at.
    pub fn similar_to(&self, slot: u32, most: usize, out: &mut Vec<(u32, f32)>) {
        out.clear();
        let build = self.build.as_deref();
        let asked = self.item_of(slot);
        let has_words = self.words.has(slot);
        for (other, words) in (0_u32..).zip(self.words.similarities(slot)) {
            let (company, trust) = match (build, asked, self.item_of(other)) {
                (Some(build), Some(asked), Some(item)) => build.company(asked, item),
                _ => (0.0, 0.0),
            };
            let similarity = if has_words && self.words.has(other) {
                (words + COMPANY * (trust * company + (1.0 - trust) * words)) / (1.0 + COMPANY)
            } else {
                trust * company
            };
            if similarity >= FLOOR && other != slot {
                out.push((other, similarity));
            }
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
