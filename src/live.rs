//! What is being served: a build and a catalog taken together, and what has happened since the build.
//!
//! A request takes one [`Snapshot`] and keeps it to the end, so that its model, its catalog and its fresh counts belong
//! together. A new build is opened and verified aside, then swapped in; requests that began before finish on the old one.
//!
//! Between builds, purchases and views go on counting: [`follow`] reads them from the event log (and [`share`] those of
//! other nodes from Redis) as [`fact`]s, the [`ledger`] counts them, and the [`overlay`] adds them to the build's counts.

pub mod fact;
pub mod follow;
pub mod ledger;
pub mod overlay;
mod pages;
pub mod redis;
pub mod serving;
pub mod share;
pub mod similar;
pub mod watch;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rapport_models::artifact::Row;
use rapport_models::kinds::Kind;

use crate::catalog::{Catalog, Index};
use crate::config;
use crate::event::SiteId;
use fact::Fact;
use ledger::LeftOut;
use overlay::{Fresh, Neighbor, Overlay, Ranked};
use serving::{Relation, ServedBuild};
use words::Words;

/// Best sellers kept per category.
const PER_CATEGORY: usize = 200;
/// Stands for "not in the build" and "not in the catalog".
pub const NONE: u32 = u32::MAX;

/// One moment's build, catalog and fresh counts.
#[derive(Debug)]
pub struct Snapshot {
    pub build: Option<Arc<ServedBuild>>,
    pub index: Arc<Index>,
    /// What is written about the items of the catalog.
    words: Arc<Words>,
    places: Arc<Places>,
    fresh: Fresh,
    lists: Arc<Lists>,
}

/// Where the items of a build are in a catalog.
#[derive(Debug, Default)]
struct Places {
    /// The catalog's slot of each item of the build.
    slot_of: Vec<u32>,
    /// The build's number of the item in each slot.
    item_of: Vec<u32>,
    unbuilt: Vec<u32>,
}

/// What is wanted by many, by slot, best first.
#[derive(Debug, Default)]
struct Lists {
    popular: Ranked,
    trending: Ranked,
    by_category: HashMap<Box<str>, Ranked>,
    by_kind: HashMap<Kind, Ranked>,
}

/// The snapshot a site serves.
#[derive(Debug)]
pub struct Live {
    pub site: SiteId,
    /// This process's number, by which builds and facts name its log.
    node: u64,
    current: ArcSwap<Snapshot>,
    /// Held while a snapshot is made from the one before it, so that none is lost; readers do not wait for it.
    making: Mutex<Making>,
}

/// What the next snapshot is made from.
#[derive(Debug)]
struct Making {
    overlay: Overlay,
    /// How often items had been described anew when their words were read.
    reworded: u64,
    /// Items have come, or were described anew, since the rankings were made.
    unranked: bool,
    /// From where on this node's log was counted; nothing while it has to be read.
    read_from: Option<u64>,
    /// Counts how often the overlay was emptied, so that other nodes' facts are read again too.
    emptied: u64,
    /// Facts have been taken in that no snapshot shows.
    unshown: bool,
    /// When fresh counts were last worked out, and how long that took.
    shown: (Instant, Duration),
}

/// Working out fresh counts takes at most one part in so many of a thread's time…
const SHOWING_SHARE: u32 = 10;
/// … but never waits longer than this.
const SHOWN_WITHIN: Duration = Duration::from_millis(500);

impl Places {
    fn new(build: Option<&ServedBuild>, index: &Index) -> Self {
        let mut item_of = vec![NONE; index.len()];
        let slot_of: Vec<u32> =
            build.into_iter().flat_map(ServedBuild::item_ids).map(|id| index.find(id).unwrap_or(NONE)).collect();
        for (item, slot) in (0u32..).zip(&slot_of) {
            if let Some(place) = usize::try_from(*slot).ok().and_then(|s| item_of.get_mut(s)) {
                *place = item;
            }
        }
        let unbuilt = (0_u32..).zip(&item_of).filter(|(_, item)| **item == NONE).map(|(slot, _)| slot).collect();
        Self { slot_of, item_of, unbuilt }
    }

    /// Returns the slots of items that the build does not know.
    fn unbuilt(&self) -> impl Iterator<Item = u32> + '_ {
        self.unbuilt.iter().copied()
    }

    fn item_of(&self, slot: u32) -> Option<u32> {
        usize::try_from(slot).ok().and_then(|s| self.item_of.get(s)).copied().filter(|item| *item != NONE)
    }

    fn slot_of(&self, item: u32) -> Option<u32> {
        usize::try_from(item).ok().and_then(|i| self.slot_of.get(i)).copied().filter(|slot| *slot != NONE)
    }
}

impl Lists {
    fn new((popular, trending): (Ranked, Ranked), index: &Index, words: &Words) -> Self {
        let mut by_category: HashMap<Box<str>, Ranked> = HashMap::new();
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
        let by_kind = similar::by_kind(&popular, words);
        Self { popular, trending, by_category, by_kind }
    }
}

impl Snapshot {
    /// Returns slots from the most to the least popular, with the score.
    pub fn popular(&self) -> &[(u32, f32)] {
        &self.lists.popular
    }

    /// Returns slots that rise, the fastest first, with the score.
    pub fn trending(&self) -> &[(u32, f32)] {
        &self.lists.trending
    }

    /// Returns the slots that are popular in a category, best first.
    pub fn popular_in(&self, category: &str) -> &[(u32, f32)] {
        self.lists.by_category.get(category).map_or(&[], Vec::as_slice)
    }

    /// Returns the build's number of the item in a slot.
    pub fn item_of(&self, slot: u32) -> Option<u32> {
        self.places.item_of(slot)
    }

    /// Returns the slot of an item of the build.
    pub fn slot_of(&self, item: u32) -> Option<u32> {
        self.places.slot_of(item)
    }

    /// Returns the neighbours of the item in a slot, best first: the build's, or those with what came since.
    #[inline]
    pub fn neighbors(&self, relation: Relation, slot: u32) -> Neighbors<'_> {
        if let Some(row) = self.fresh.row(relation, slot) {
            return Neighbors(Origin::Fresh(row.neighbors.iter()));
        }
        let row = self.build.as_ref().zip(self.item_of(slot)).map(|(build, item)| build.neighbors(relation, item));
        Neighbors(Origin::Built { row: row.unwrap_or_default(), at: 0, places: &self.places })
    }

    /// Returns how many baskets (or sessions) hold the item in a slot, those since the build included.
    pub fn count(&self, relation: Relation, slot: u32) -> u32 {
        let built = self.build.as_ref().zip(self.item_of(slot)).and_then(|(build, item)| {
            let counts = build.counts(relation);
            counts.get(usize::try_from(item).ok()?).copied()
        });
        let fresh = self.fresh.row(relation, slot).map_or(0, |row| row.groups);
        built.unwrap_or(0).saturating_add(fresh)
    }

    /// Returns how many baskets (or sessions) were counted in all, those since the build included.
    pub fn groups(&self, relation: Relation) -> u32 {
        self.build.as_ref().map_or(0, |build| build.groups(relation)).saturating_add(self.fresh.groups(relation))
    }
}

/// The neighbours of one item, wherever they come from.
#[derive(Debug)]
pub struct Neighbors<'a>(Origin<'a>);

#[derive(Debug)]
enum Origin<'a> {
    Fresh(std::slice::Iter<'a, Neighbor>),
    Built { row: Row<'a>, at: usize, places: &'a Places },
}

impl Iterator for Neighbors<'_> {
    type Item = Neighbor;

    #[inline]
    fn next(&mut self) -> Option<Neighbor> {
        match &mut self.0 {
            Origin::Fresh(neighbors) => neighbors.next().copied(),
            Origin::Built { row, at, places } => loop {
                let (&item, &score, &support) = (row.items.get(*at)?, row.scores.get(*at)?, row.support.get(*at)?);
                *at += 1;
                if let Some(slot) = places.slot_of(item) {
                    return Some(Neighbor { slot, score, support });
                }
            },
        }
    }
}

impl Live {
    /// Serves the catalog alone, until there is a build.
    pub fn new(site: SiteId, node: u64, settings: &config::Build, catalog: &Catalog) -> Self {
        // Read before the items are, so that words that change meanwhile are read again.
        let reworded = catalog.reworded();
        let index = catalog.index();
        let snapshot = Snapshot {
            build: None,
            words: Arc::new(Words::default().follow(&index, reworded)),
            places: Arc::new(Places::new(None, &index)),
            fresh: Fresh::default(),
            lists: Arc::default(),
            index,
        };
        let making = Making {
            overlay: Overlay::new(settings),
            reworded,
            unranked: false,
            read_from: None,
            emptied: 0,
            unshown: false,
            shown: (Instant::now(), Duration::ZERO),
        };
        Self { site, node, current: ArcSwap::from_pointee(snapshot), making: Mutex::new(making) }
    }

    /// Returns what is being served now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Serves another build from the next request on, and leaves to it what it has learnt.
    pub fn serve(&self, build: Option<Arc<ServedBuild>>, catalog: &Catalog) {
        let mut making = self.making();
        making.overlay.rebase(build.as_deref());
        let needed = learnt_by(build.as_deref(), self.node);
        let complete_from = making.overlay.complete_from(self.node);
        // An earlier build may leave more to count than was kept: then the log is read again.
        if making.read_from.is_some_and(|from| needed < from.max(complete_from)) {
            making.read_from = None;
        }
        let current = self.current.load_full();
        let reworded = catalog.reworded();
        let index = catalog.index();
        let words = Arc::new(current.words.renew(&index, reworded));
        making.reworded = reworded;
        self.publish(&mut making, build, index, words, true);
    }

    /// Takes up items that are new, or described anew, since the snapshot was made, so that they are found and have what is similar. The
    /// rankings take them up with [`Live::rank_anew`]: they are worked out from all items, and a shop may send one change after the other.
    pub fn refresh(&self, catalog: &Catalog) {
        let mut making = self.making();
        let current = self.current.load_full();
        let reworded = catalog.reworded();
        let index = catalog.index();
        if !Arc::ptr_eq(&current.index, &index) || making.reworded != reworded {
            let words = Arc::new(current.words.follow(&index, reworded));
            making.reworded = reworded;
            self.publish(&mut making, current.build.clone(), index, words, false);
            making.unranked = true;
        }
    }

    /// Ranks anew where items have come or changed since it was last done.
    pub fn rank_anew(&self) {
        self.rank_if(|making| making.unranked);
    }

    /// Returns the position from which on this node's log has to be read, where that has not begun.
    pub fn unread_from(&self) -> Option<u64> {
        let making = self.making();
        let unread = making.read_from.is_none();
        unread.then(|| learnt_by(self.current.load().build.as_deref(), self.node))
    }

    /// Gets ready to be told everything from a position of this node's log on.
    pub fn read_from(&self, position: u64) {
        let mut making = self.making();
        making.overlay.clear();
        making.read_from = Some(position);
        making.emptied += 1;
    }

    /// Returns a number that changes whenever facts of other nodes have to be told again from the first.
    pub fn emptied(&self) -> u64 {
        self.making().emptied
    }

    /// Counts facts, which show in what goes together at once, or when [`Live::show`] is called next, and in the rankings
    /// when [`Live::rank`] is. Returns what was left out.
    pub fn learn(&self, facts: &[Fact]) -> LeftOut {
        let mut making = self.making();
        for fact in facts {
            making.overlay.take(fact);
        }
        making.unshown |= !facts.is_empty();
        self.show_if_due(&mut making);
        making.overlay.take_left_out()
    }

    /// Shows facts that were taken in, if there are any and it is time: on a busy shop the rows of what everybody looks at
    /// change with every batch of events, and working them out each time would take a core.
    pub fn show(&self) {
        self.show_if_due(&mut self.making());
    }

    fn show_if_due(&self, making: &mut Making) {
        let (at, took) = making.shown;
        if making.unshown && at.elapsed() >= took.saturating_mul(SHOWING_SHARE - 1).min(SHOWN_WITHIN) {
            let current = self.current.load_full();
            self.publish(making, current.build.clone(), current.index.clone(), current.words.clone(), false);
        }
    }

    /// Ranks anew what is popular and trending, if anything happened.
    pub fn rank(&self) {
        self.rank_if(|making| making.overlay.is_unranked());
    }

    fn rank_if(&self, due: impl FnOnce(&Making) -> bool) {
        let mut making = self.making();
        if due(&making) {
            let current = self.current.load_full();
            self.publish(&mut making, current.build.clone(), current.index.clone(), current.words.clone(), true);
        }
    }

    fn publish(&self, making: &mut Making, build: Option<Arc<ServedBuild>>, index: Arc<Index>, words: Arc<Words>, rank: bool) {
        let current = self.current.load();
        let same_build = build.as_ref().map(Arc::as_ptr) == current.build.as_ref().map(Arc::as_ptr);
        let places = if same_build && Arc::ptr_eq(&index, &current.index) {
            Arc::clone(&current.places)
        } else {
            Arc::new(Places::new(build.as_deref(), &index))
        };
        let began = Instant::now();
        let fresh = making.overlay.fresh(build.as_deref(), &index, &places);
        making.shown = (Instant::now(), began.elapsed());
        making.unshown = false;
        let lists = if rank {
            making.unranked = false;
            Arc::new(Lists::new(making.overlay.rank(build.as_deref(), &places), &index, &words))
        } else {
            Arc::clone(&current.lists)
        };
        self.current.store(Arc::new(Snapshot { build, index, words, places, fresh, lists }));
    }

    fn making(&self) -> MutexGuard<'_, Making> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how far a build has read a node's log.
fn learnt_by(build: Option<&ServedBuild>, node: u64) -> u64 {
    build.and_then(|build| build.learnt().get(&node).copied()).unwrap_or(0)
}
