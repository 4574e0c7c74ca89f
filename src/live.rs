//! What is being served: a build and a catalog taken together.
//!
//! A request takes one [`Snapshot`] and keeps it to the end, so that its model and its catalog belong together. A new
//! build is opened and verified aside, then swapped in; requests that began before finish on the old one.

pub mod serving;
mod similar;
pub mod watch;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rapport_models::kinds::Kind;

use crate::catalog::{Catalog, Index};
use crate::event::SiteId;
use serving::ServedBuild;
use words::Words;

/// Best sellers kept per category.
const PER_CATEGORY: usize = 200;
/// Stands for "not in the build" and "not in the catalog".
pub const NONE: u32 = u32::MAX;

/// One moment's build and catalog.
#[derive(Debug)]
pub struct Snapshot {
    pub build: Option<Arc<ServedBuild>>,
    pub index: Arc<Index>,
    /// The catalog's slot of each item of the build.
    slot_of: Vec<u32>,
    /// The build's number of the item in each slot.
    item_of: Vec<u32>,
    /// Slots from the most to the least popular, with the score.
    pub popular: Vec<(u32, f32)>,
    pub trending: Vec<(u32, f32)>,
    by_category: HashMap<Box<str>, Vec<(u32, f32)>>,
    by_kind: HashMap<Kind, Vec<(u32, f32)>>,
    /// What is written about the items of the catalog, and how often that had changed.
    words: Words,
    reworded: u64,
}

/// The snapshot a site serves.
#[derive(Debug)]
pub struct Live {
    pub site: SiteId,
    current: ArcSwap<Snapshot>,
    /// Held while a snapshot is made from the one before it, so that none is lost; readers do not wait for it.
    making: Mutex<()>,
}

impl Snapshot {
    /// Puts a build and a catalog together; `read` reads the words of the catalog.
    fn new(build: Option<Arc<ServedBuild>>, catalog: &Catalog, read: impl FnOnce(&Index, u64) -> Words) -> Self {
        // Read before the items are, so that words that change meanwhile are read again.
        let reworded = catalog.reworded();
        let index = catalog.index();
        let words = read(&index, reworded);
        let mut item_of = vec![NONE; index.len()];
        let mut slot_of = Vec::new();
        let mut popular = Vec::new();
        let mut trending = Vec::new();
        if let Some(build) = &build {
            slot_of = build.item_ids().map(|id| index.find(id).unwrap_or(NONE)).collect();
            for (item, slot) in (0u32..).zip(&slot_of) {
                if let Some(place) = usize::try_from(*slot).ok().and_then(|s| item_of.get_mut(s)) {
                    *place = item;
                }
            }
            let to_slots = |list: Vec<(u32, f32)>| -> Vec<(u32, f32)> {
                list.into_iter()
                    .filter_map(|(item, score)| Some((*slot_of.get(usize::try_from(item).ok()?)?, score)))
                    .filter(|(slot, _)| *slot != NONE)
                    .collect()
            };
            popular = to_slots(build.popular());
            trending = to_slots(build.trending());
        }
        let mut by_category: HashMap<Box<str>, Vec<(u32, f32)>> = HashMap::new();
        for &(slot, score) in &popular {
            let Some(item) = index.slot(slot).map(crate::catalog::Slot::item) else { continue };
            for category in &item.categories {
                match by_category.get_mut(category) {
                    Some(list) if list.len() < PER_CATEGORY => list.push((slot, score)),
                    Some(_) => {}
                    None => {
                        by_category.insert(category.clone(), vec![(slot, score)]);
                    }
                }
            }
        }
        let by_kind = similar::by_kind(&popular, &words);
        Self { build, index, slot_of, item_of, popular, trending, by_category, by_kind, words, reworded }
    }

    /// Returns the slots that are popular in a category, best first.
    pub fn popular_in(&self, category: &str) -> &[(u32, f32)] {
        self.by_category.get(category).map_or(&[], Vec::as_slice)
    }

    /// Returns the build's number of the item in a slot.
    pub fn item_of(&self, slot: u32) -> Option<u32> {
        usize::try_from(slot).ok().and_then(|s| self.item_of.get(s)).copied().filter(|item| *item != NONE)
    }

    /// Returns the slot of an item of the build.
    pub fn slot_of(&self, item: u32) -> Option<u32> {
        usize::try_from(item).ok().and_then(|i| self.slot_of.get(i)).copied().filter(|slot| *slot != NONE)
    }
}

impl Live {
    /// Serves the catalog alone, until there is a build.
    pub fn new(site: SiteId, catalog: &Catalog) -> Self {
        Self {
            site,
            current: ArcSwap::from_pointee(Snapshot::new(None, catalog, |index, reworded| {
                Words::default().follow(index, reworded)
            })),
            making: Mutex::default(),
        }
    }

    /// Returns what is being served now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Serves another build from the next request on.
    pub fn serve(&self, build: Option<Arc<ServedBuild>>, catalog: &Catalog) {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load_full();
        let read = |index: &Index, reworded| current.words.renew(index, reworded);
        self.current.store(Arc::new(Snapshot::new(build, catalog, read)));
    }

    /// Takes up items that are new, or described anew, since the snapshot was made.
    pub fn refresh(&self, catalog: &Catalog) {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load_full();
        if !Arc::ptr_eq(&current.index, &catalog.index()) || current.reworded != catalog.reworded() {
            let read = |index: &Index, reworded| current.words.follow(index, reworded);
            self.current.store(Arc::new(Snapshot::new(current.build.clone(), catalog, read)));
        }
    }
}
