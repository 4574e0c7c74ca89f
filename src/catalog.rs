//! What is sold: the catalog of each site, held in memory and kept in documents.
//!
//! A decision looks at the live item, so a change of price or stock counts for the next answer: each item has a slot
//! whose contents are swapped as a whole. New items get a slot when the index is published. Items that only events
//! have named are *observed* until the shop's feed names them.

pub mod draft;
pub mod item;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hint::black_box;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwap;
use tokio::sync::Mutex as AsyncMutex;
use tracing::warn;

use crate::documents::{DocumentOutcome, DocumentPut, DocumentStore, Documents, Expect};
use crate::event::{Event, ItemId, SiteId};
use crate::store_engine::StoreError;
use draft::ItemDraft;
use item::Item;

/// The kind of the catalog's documents.
const KIND: &str = "item";
/// Documents read or written together.
const PAGE: usize = 1_000;

/// The catalogs of all sites.
#[derive(Debug)]
pub struct Catalogs {
    documents: Documents,
    sites: RwLock<BTreeMap<SiteId, Arc<Catalog>>>,
}

/// The catalog of one site.
#[derive(Debug)]
pub struct Catalog {
    site: SiteId,
    documents: Documents,
    index: ArcSwap<Index>,
    /// How often known items were described anew.
    reworded: AtomicU64,
    /// What events said about items and is not yet written; taken by [`Catalog::flush`].
    observed: Mutex<HashMap<ItemId, Item>>,
    /// One writer at a time, so that memory and documents change in the same order; holds the feed's position.
    writer: AsyncMutex<u64>,
}

/// Where each item is. Immutable: new items make a new index, which shares the slots.
#[derive(Debug, Default)]
pub struct Index {
    by_id: foldhash::HashMap<ItemId, u32>,
    slots: Vec<Arc<Slot>>,
}

/// The place of one item; what stands in it changes, the place does not.
#[derive(Debug)]
pub struct Slot {
    item: ArcSwap<Item>,
    /// How often its words have changed.
    wording: AtomicU64,
    /// Whether the item may be shown, as [`Item::is_available`] decides it: bit 0 where the catalog is not authoritative, bit 1 where
    /// it is. A decision looks at many items and shows few, so it asks here before it fetches one.
    available: AtomicU8,
}

/// Returns the bits of [`Slot::available`].
fn availability(item: &Item) -> u8 {
    u8::from(item.is_available(false)) | u8::from(item.is_available(true)) << 1
}

impl Slot {
    fn new(item: Item) -> Self {
        Self { available: AtomicU8::new(availability(&item)), item: ArcSwap::from_pointee(item), wording: AtomicU64::new(0) }
    }

    fn set(&self, item: Item) {
        let available = availability(&item);
        self.item.store(Arc::new(item));
        self.available.store(available, Ordering::Release);
    }

    /// Returns the item as it is now.
    pub fn item(&self) -> arc_swap::Guard<Arc<Item>> {
        self.item.load()
    }

    /// Returns the item as it is now, to be kept.
    pub fn item_full(&self) -> Arc<Item> {
        self.item.load_full()
    }

    /// Returns whether the item may be shown now.
    pub fn is_available(&self, authoritative: bool) -> bool {
        self.available.load(Ordering::Acquire) >> u8::from(authoritative) & 1 == 1
    }

    /// Returns a number that grows whenever the item is described anew; changes of price and stock do not count.
    pub fn wording(&self) -> u64 {
        self.wording.load(Ordering::Acquire)
    }
}

impl Index {
    /// Returns where an item is.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Returns a slot by its number.
    pub fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(number).ok()?).map(|slot| &**slot)
    }

    /// Has the processor fetch the place of an item that is about to be looked at, without waiting for it.
    pub fn touch(&self, number: u32) {
        black_box(self.slot(number).map(|slot| slot.available.load(Ordering::Relaxed)));
    }

    /// Returns how many items there are, withdrawn ones included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns all items, in the order they became known.
    pub fn items(&self) -> impl Iterator<Item = Arc<Item>> + '_ {
        self.slots.iter().map(|slot| slot.item.load_full())
    }
}

/// What became of one line of an upsert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upsert {
    Stored {
        revision: u64,
    },
    /// The line's revision is not newer than what is stored.
    Stale {
        current: u64,
    },
    /// The item changed since the caller read it.
    Conflict {
        current: Option<u64>,
    },
    /// The item's vector is not as long as those of the other items.
    VectorLength {
        expected: usize,
    },
}

/// Says that a vector does not fit those of the other items.
pub fn vector_length(expected: usize) -> String {
    format!(
        "`vector` must have {expected} numbers, as those of the site's other items have; `[]` takes a vector away, and where no item has one, another length may begin."
    )
}

impl Catalogs {
    /// Returns no catalogs yet; [`Catalogs::open`] reads each when it is first needed.
    pub fn new(documents: Documents) -> Self {
        Self { documents, sites: RwLock::default() }
    }

    /// Returns a site's catalog, if it has been opened.
    pub fn get(&self, site: &SiteId) -> Option<Arc<Catalog>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).get(site).cloned()
    }

    /// Opens a site's catalog: reads it from its documents.
    pub async fn open(&self, site: &SiteId) -> Result<Arc<Catalog>, StoreError> {
        if let Some(catalog) = self.get(site) {
            return Ok(catalog);
        }
        let catalog = Arc::new(Catalog::read(site.clone(), self.documents.clone()).await?);
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        Ok(sites.entry(site.clone()).or_insert(catalog).clone())
    }

    /// Notes what an event says about items.
    pub fn observe(&self, event: &Event) {
        if let Some(catalog) = self.get(&event.site) {
            catalog.observe(event);
        }
    }

    /// Writes what was observed, in every catalog.
    pub async fn flush(&self) -> Result<(), StoreError> {
        for catalog in self.all() {
            catalog.flush().await?;
        }
        Ok(())
    }

    /// Takes up what other nodes changed, in every catalog.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        for catalog in self.all() {
            catalog.refresh().await?;
        }
        Ok(())
    }

    fn all(&self) -> Vec<Arc<Catalog>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Catalog {
    async fn read(site: SiteId, documents: Documents) -> Result<Self, StoreError> {
        let head = documents.head(site.as_str()).await?;
        let mut index = Index::default();
        let mut after: Option<String> = None;
        loop {
            let page = documents.list(site.as_str(), KIND, after.as_deref(), PAGE).await?;
            let last = page.len() < PAGE;
            for (id, document) in page {
                match Item::decode(&document.body, document.revision) {
                    Ok(item) => index.put(item),
                    Err(error) => {
                        warn!(%error, site = %site, item = %id, "An item of the catalog cannot be read and is left out");
                    }
                }
                after = Some(id);
            }
            if last {
                break;
            }
        }
        Ok(Self {
            site,
            documents,
            index: ArcSwap::from_pointee(index),
            reworded: AtomicU64::new(0),
            observed: Mutex::default(),
            writer: AsyncMutex::new(head),
        })
    }

    /// Returns the items as they are now.
    pub fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    /// Returns a number that grows whenever a known item is described anew.
    pub fn reworded(&self) -> u64 {
        self.reworded.load(Ordering::Acquire)
    }

    /// Returns an item as it is now.
    pub fn item(&self, id: &str) -> Option<Arc<Item>> {
        let index = self.index.load();
        let slot = index.slot(index.find(id)?)?;
        Some(slot.item.load_full()).filter(|item| !item.withdrawn)
    }

    /// Adds and changes items; outcomes come in the order of the lines. Fields a line does not name stay as they are.
    pub async fn upsert(&self, lines: Vec<(ItemDraft, Expect)>) -> Result<Vec<Upsert>, StoreError> {
        let _writer = self.writer.lock().await;
        let refused = self.misfits(&lines);
        let fitting = lines.into_iter().zip(&refused).filter(|(_, refused)| refused.is_none()).map(|(line, _)| line);
        let mut stored = self.put(fitting.collect()).await?.into_iter();
        Ok(refused.into_iter().filter_map(|refused| refused.or_else(|| stored.next())).collect())
    }

    /// Returns, line by line, what is wrong with its vector.
    ///
    /// Directions of different spaces cannot be compared, so all vectors of a site are of one length: that of an item the
    /// lines say nothing about, else that of the first line with one.
    fn misfits(&self, lines: &[(ItemDraft, Expect)]) -> Vec<Option<Upsert>> {
        let length = |draft: &ItemDraft| draft.vector.as_ref().map(Vec::len).filter(|length| *length > 0);
        let Some(first) = lines.iter().find_map(|(draft, _)| length(draft)) else { return vec![None; lines.len()] };
        let replaced: HashSet<&str> =
            lines.iter().filter(|(draft, _)| draft.vector.is_some()).map(|(draft, _)| draft.item_id.as_str()).collect();
        let index = self.index.load();
        let known = index.slots.iter().find_map(|slot| {
            let item = slot.item();
            let vector = item.vector.as_ref().filter(|_| !item.withdrawn && !replaced.contains(item.id.as_str()))?;
            Some(vector.len())
        });
        let expected = known.unwrap_or(first);
        let judge = |draft| length(draft).filter(|n| *n != expected).map(|_| Upsert::VectorLength { expected });
        lines.iter().map(|(draft, _)| judge(draft)).collect()
    }

    /// Writes lines and makes them visible.
    async fn put(&self, lines: Vec<(ItemDraft, Expect)>) -> Result<Vec<Upsert>, StoreError> {
        let mut outcomes = Vec::with_capacity(lines.len());
        let mut lines = lines.into_iter().peekable();
        while lines.peek().is_some() {
            // Items of one page are distinct, because a second line for an item builds on the first.
            let mut page: BTreeMap<String, (Item, DocumentPut)> = BTreeMap::new();
            let mut order = Vec::new();
            while page.len() < PAGE
                && let Some((draft, expect)) = lines.next_if(|(draft, _)| !page.contains_key(&draft.item_id))
            {
                let id = draft.item_id.clone();
                let base = self.item(&id);
                let external_revision = draft.revision;
                let item = Item::merge(base.as_deref(), draft);
                let put = DocumentPut { id: id.clone(), expect, body: Some(item.encode()), external_revision };
                order.push(id.clone());
                page.insert(id, (item, put));
            }
            let mut items = Vec::new();
            let mut puts = Vec::new();
            for id in order {
                if let Some((item, put)) = page.remove(&id) {
                    items.push(item);
                    puts.push(put);
                }
            }
            let stored = self.documents.put_many(self.site.as_str(), KIND, puts).await?;
            let mut changed = Vec::new();
            for (mut item, outcome) in items.into_iter().zip(stored) {
                outcomes.push(match outcome {
                    DocumentOutcome::Stored { revision } => {
                        item.revision = revision;
                        changed.push(item);
                        Upsert::Stored { revision }
                    }
                    DocumentOutcome::Stale { current } => Upsert::Stale { current },
                    DocumentOutcome::Conflict { current } => Upsert::Conflict { current },
                    DocumentOutcome::NotFound => Upsert::Conflict { current: None },
                });
            }
            self.publish(changed);
        }
        Ok(outcomes)
    }

    /// Takes an item out of the catalog. Returns whether there was one.
    pub async fn delete(&self, id: &str, expect: Expect) -> Result<Option<Upsert>, StoreError> {
        let _writer = self.writer.lock().await;
        let put = DocumentPut { id: id.to_owned(), expect, body: None, external_revision: None };
        let outcome = self.documents.put_many(self.site.as_str(), KIND, vec![put]).await?.pop();
        Ok(match outcome {
            Some(DocumentOutcome::Stored { revision }) => {
                self.withdraw(id, revision);
                Some(Upsert::Stored { revision })
            }
            Some(DocumentOutcome::Conflict { current }) => Some(Upsert::Conflict { current }),
            Some(DocumentOutcome::Stale { current }) => Some(Upsert::Stale { current }),
            Some(DocumentOutcome::NotFound) | None => None,
        })
    }

    /// Notes what an event says about items the catalog does not name itself.
    fn observe(&self, event: &Event) {
        for line in &event.items {
            let known = self.item(line.item.as_str());
            if known.as_ref().is_some_and(|item| !item.observed) {
                continue;
            }
            let mut observed = self.observed();
            let base = observed.get(&line.item).or(known.as_deref());
            if let Some(item) = Item::observe(base, line, event) {
                observed.insert(line.item.clone(), item);
            }
        }
    }

    /// Writes what was observed and gives new items their slots.
    pub async fn flush(&self) -> Result<(), StoreError> {
        if self.observed().is_empty() {
            return Ok(());
        }
        let _writer = self.writer.lock().await;
        let batch: Vec<Item> = self.observed().drain().map(|(_, item)| item).collect();
        for (number, page) in batch.chunks(PAGE).enumerate() {
            let puts = page
                .iter()
                .map(|item| {
                    // Whoever named it meanwhile knows better than a page.
                    let expect = if item.revision == 0 { Expect::Absent } else { Expect::Revision(item.revision) };
                    DocumentPut { id: item.id.as_str().to_owned(), expect, body: Some(item.encode()), external_revision: None }
                })
                .collect();
            match self.documents.put_many(self.site.as_str(), KIND, puts).await {
                Ok(outcomes) => {
                    let stored = page.iter().zip(outcomes).filter_map(|(item, outcome)| match outcome {
                        DocumentOutcome::Stored { revision } => Some(Item { revision, ..item.clone() }),
                        DocumentOutcome::Conflict { .. } | DocumentOutcome::Stale { .. } | DocumentOutcome::NotFound => None,
                    });
                    self.publish(stored.collect());
                }
                Err(error) => {
                    // Nothing observed is lost: what was not written waits for the next flush.
                    let mut observed = self.observed();
                    for item in &batch[number * PAGE..] {
                        observed.entry(item.id.clone()).or_insert_with(|| item.clone());
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes up what other nodes changed.
    async fn refresh(&self) -> Result<(), StoreError> {
        let mut seen = self.writer.lock().await;
        loop {
            let changes = self.documents.changes(self.site.as_str(), *seen, PAGE).await?;
            let Some(last) = changes.last() else { return Ok(()) };
            let next = last.seq;
            let ids: Vec<&str> = changes.iter().filter(|c| c.kind == KIND).map(|c| c.id.as_str()).collect();
            let documents = self.documents.get_many(self.site.as_str(), KIND, &ids).await?;
            let mut changed = Vec::new();
            for (id, document) in ids.into_iter().zip(documents) {
                match document.map(|d| Item::decode(&d.body, d.revision)) {
                    Some(Ok(item)) => changed.push(item),
                    Some(Err(error)) => warn!(%error, site = %self.site, item = %id, "An item of the catalog cannot be read"),
                    None => self.withdraw(id, u64::MAX),
                }
            }
            self.publish(changed);
            *seen = next;
        }
    }

    /// Makes changed items visible. Known items change in place; new ones need a new index.
    fn publish(&self, items: Vec<Item>) {
        let index = self.index.load();
        let mut new = Vec::new();
        for item in items {
            match index.find(item.id.as_str()).and_then(|n| index.slot(n)) {
                Some(slot) => {
                    let reworded = !slot.item().says_the_same(&item);
                    slot.set(item);
                    if reworded {
                        // After the item: whoever sees the number sees the words.
                        slot.wording.fetch_add(1, Ordering::Release);
                        self.reworded.fetch_add(1, Ordering::Release);
                    }
                }
                None => new.push(item),
            }
        }
        if !new.is_empty() {
            let mut next = Index { by_id: index.by_id.clone(), slots: index.slots.clone() };
            for item in new {
                next.put(item);
            }
            self.index.store(Arc::new(next));
        }
    }

    fn withdraw(&self, id: &str, revision: u64) {
        let index = self.index.load();
        if let Some(slot) = index.find(id).and_then(|n| index.slot(n)) {
            let item = slot.item.load_full();
            slot.set(Item { withdrawn: true, revision, ..(*item).clone() });
        }
    }

    fn observed(&self) -> MutexGuard<'_, HashMap<ItemId, Item>> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn put(&mut self, item: Item) {
        let id = item.id.clone();
        let slot = Arc::new(Slot::new(item));
        match self.by_id.get(&id) {
            Some(&number) => {
                if let Some(known) = usize::try_from(number).ok().and_then(|n| self.slots.get_mut(n)) {
                    *known = slot;
                }
            }
            None => {
                // Four thousand million items are beyond what one process holds.
                let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                self.slots.push(slot);
                self.by_id.insert(id, number);
            }
        }
    }
}
