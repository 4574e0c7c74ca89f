//! Where candidates come from: one function per rung.
//!
//! A rung offers its candidates one after the other, best first, and stops when whoever takes them has enough: most
//! pages want eight of a thousand.

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use rapport_models::model::Model;
use rapport_models::orders::Line;
use rapport_models::purchase::NextPurchase;
use rapport_models::{next_item, purchase, repeat};

use super::Context;
use super::placement::Rung;
use crate::catalog::{Index, Slot};
use crate::event::Timestamp;
use crate::event::time::SECOND;
use crate::live::Snapshot;
use crate::live::overlay::Neighbor;
use crate::live::serving::Relation;
use crate::live::similar;
use crate::numbered::{NumberMap, NumberSet};
use crate::profile::{Memory, Seen, view};

/// Candidates a rung gives at most, so that a narrow filter still finds enough and a huge catalog is not walked whole.
pub(super) const MOST: usize = 1_000;
/// Items of a visit that are looked at.
const VISIT: usize = 20;

/// An item that might be shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its place in the catalog.
    pub slot: u32,
    pub score: f32,
    pub rung: Rung,
    /// Baskets or sessions it shares with the item it goes with.
    pub support: u32,
    /// The slot of the item it goes with.
    pub because: Option<u32>,
}

/// Who takes candidates; breaks off when the page is full.
pub trait Taker {
    /// Takes the next best candidate.
    fn take(&mut self, candidate: Candidate) -> ControlFlow<()>;
}

/// Memory candidates are worked out in; grows to the largest request met, then stays.
#[derive(Debug, Default)]
pub struct Scratch {
    cart: Vec<u32>,
    visit: Vec<u32>,
    known: NumberSet,
    /// The items of the visit that the model is asked about: slots, newest first.
    recent: Vec<u32>,
    /// The same in the build's numbers, oldest first.
    asked: Vec<u32>,
    predicted: Vec<(u32, f32)>,
    /// What the visitor bought, oldest first.
    bought: Vec<Line>,
    model: next_item::Scratch,
    similar: similar::Scratch,
    purchase: purchase::Scratch,
    repeat: repeat::Scratch,
    sums: Sums,
}

/// Makes candidates for one page.
#[derive(Debug)]
pub struct Candidates<'a> {
    snapshot: &'a Snapshot,
    memory: Option<&'a Memory>,
    now: Timestamp,
    /// The page is about an item, known or not.
    about_an_item: bool,
    item: Option<u32>,
    scratch: &'a mut Scratch,
}

impl<'a> Candidates<'a> {
    /// Returns the sources for one page; what the catalog does not know is left out.
    pub fn new(snapshot: &'a Snapshot, context: &Context<'a>, now: Timestamp, scratch: &'a mut Scratch) -> Self {
        let find = |id: &&str| snapshot.index.find(id);
        scratch.sums.clear();
        scratch.cart.clear();
        scratch.cart.extend(context.cart.iter().filter_map(find));
        scratch.known.clear();
        scratch.visit.clear();
        scratch.visit.extend(context.visit.iter().filter_map(find).filter(|slot| scratch.known.insert(*slot)));
        let item = context.item.as_ref().and_then(find);
        Self { snapshot, memory: context.memory, now, about_an_item: context.item.is_some(), item, scratch }
    }

    /// Returns the slot of the item the page is about.
    pub fn item(&self) -> Option<u32> {
        self.item
    }

    /// Returns the slots of what is in the cart.
    pub fn cart(&self) -> &[u32] {
        &self.scratch.cart
    }

    /// Returns whether this visit has looked at anything, or has something in the cart.
    pub fn visit_has_begun(&self) -> bool {
        !(self.scratch.visit.is_empty() && self.scratch.cart.is_empty())
    }

    /// Offers a rung's candidates, best first, until the taker breaks off.
    ///
    /// `enough` is how many will most likely do; it saves work and changes nothing about the answer.
    pub fn offer(&mut self, rung: Rung, placement: &str, enough: usize, taker: &mut impl Taker) -> ControlFlow<()> {
        match rung {
            Rung::CoOccurrence => self.related(Relation::Bought, rung, placement, taker),
            Rung::CoView => self.related(Relation::Viewed, rung, placement, taker),
            Rung::Similar => self.similar(taker),
            Rung::Session => self.session(enough, taker),
            Rung::NextPurchase => self.next_purchase(placement, taker),
            Rung::Affinity => self.affinity(taker),
            Rung::History => self.remembered(rung, |memory| &memory.viewed, 1.0, taker),
            Rung::Repeat => self.buy_again(taker),
            Rung::Trending => ranked(rung, self.snapshot.trending(), &self.snapshot.index, taker),
            Rung::PopularInCategory => self.popular_in_category(taker),
            Rung::Popular => ranked(rung, self.snapshot.popular(), &self.snapshot.index, taker),
            Rung::Catalog => self.catalog(enough, taker),
        }
    }

    /// What goes with the item of the page; for a basket, with everything in it.
    fn related(&mut self, relation: Relation, rung: Rung, placement: &str, taker: &mut impl Taker) -> ControlFlow<()> {
        let snapshot = self.snapshot;
        let with_cart = placement == "bought-together" || !self.about_an_item;
        let cart: &[u32] = if with_cart { &self.scratch.cart } else { &[] };
        let sums = &mut self.scratch.sums;
        let neighbors = |anchor: u32| {
            let because = Some(anchor);
            let row = snapshot.neighbors(relation, anchor);
            row.map(move |Neighbor { slot, score, support }| Candidate { slot, score, rung, support, because })
        };
        if let (Some(anchor), []) | (None, &[anchor]) = (self.item, cart) {
            // One row names each item once and is best first already.
            return offer_all(&snapshot.index, neighbors(anchor), taker);
        }
        for &anchor in self.item.iter().chain(cart) {
            for candidate in neighbors(anchor) {
                // Going with several items of the basket counts for each.
                let sum = sums.add(candidate);
                if candidate.support > sum.support {
                    (sum.support, sum.because) = (candidate.support, candidate.because);
                }
            }
        }
        sums.offer(taker)
    }

    /// What goes with the items of this visit, the latest first.
    fn session(&mut self, enough: usize, taker: &mut impl Taker) -> ControlFlow<()> {
        let snapshot = self.snapshot;
        let Scratch { visit, recent, asked, predicted, model, sums, .. } = &mut *self.scratch;
        recent.clear();
        recent.extend(visit.iter().take(VISIT));
        if recent.is_empty() {
            // A visit that has not looked at anything yet goes on from the last one.
            let last = self.memory.into_iter().flat_map(|m| m.viewed.iter().chain(&m.carted).chain(&m.bought));
            recent.extend(last.filter_map(|seen| snapshot.index.find(seen.item.as_str())).take(VISIT));
        }
        // The model wants the oldest first.
        asked.clear();
        asked.extend(recent.iter().rev().filter_map(|slot| snapshot.item_of(*slot)));
        let because = recent.first().copied();
        let (mut given, mut offered_any) = (0, false);
        for most in [enough.saturating_add(recent.len()).min(MOST), MOST] {
            predicted.clear();
            if let Some(build) = &snapshot.build {
                build.next_items(asked, most, model, predicted);
            }
            // The longer list begins with the shorter one.
            let news = predicted.iter().skip(given).filter_map(|&(item, score)| {
                // What was just looked at is no news; the placement for it is recently-viewed.
                let slot = snapshot.slot_of(item).filter(|slot| !recent.contains(slot))?;
                offered_any = true;
                Some(Candidate { slot, score, rung: Rung::Session, support: 0, because })
            });
            offer_all(&snapshot.index, news, taker)?;
            given = predicted.len();
            if given < most || most == MOST {
                break;
            }
        }
        if offered_any {
            return ControlFlow::Continue(());
        }
        // Shops that only know orders: what is bought with what was looked at.
        for (back, &anchor) in recent.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a visit has at most 20 items here")]
            let fade = (-(back as f32) / 2.5).exp();
            let row = snapshot.neighbors(Relation::Bought, anchor);
            for Neighbor { slot, score, support } in row.filter(|neighbor| !recent.contains(&neighbor.slot)) {
                sums.add(Candidate { slot, score: fade * score, rung: Rung::Session, support, because: Some(anchor) });
            }
        }
        sums.offer(taker)
    }

    /// What is bought next: beside the basket, or by somebody with these purchases.
    fn next_purchase(&mut self, placement: &str, taker: &mut impl Taker) -> ControlFlow<()> {
        let snapshot = self.snapshot;
        let Some(model) = snapshot.build.as_ref().and_then(|build| build.purchase()) else { return ControlFlow::Continue(()) };
        let now = self.read_bought(model);
        let beside_basket = placement == "bought-together";
        let Scratch { cart, asked, bought, predicted, purchase, sums, .. } = &mut *self.scratch;
        asked.clear();
        if beside_basket {
            let basket = if cart.is_empty() { None } else { Some(self.item.into_iter().chain(cart.iter().copied())) };
            asked.extend(basket.into_iter().flatten().filter_map(|slot| snapshot.item_of(slot)));
        }
        // Of a stranger, and of an item that merely lies on the page, other rungs know more.
        if asked.is_empty() && (beside_basket || bought.is_empty()) {
            return ControlFlow::Continue(());
        }
        model.predict(purchase::Query { history: bought, basket: asked, now, only_new: false }, MOST, purchase, predicted);
        if beside_basket {
            // Where pairs bought together speak for an item too, the strongest of them is the reason a shopper understands.
            for &anchor in self.item.iter().chain(cart.iter()) {
                for Neighbor { slot, score, support } in snapshot.neighbors(Relation::Bought, anchor) {
                    let candidate = Candidate { slot, score, rung: Rung::CoOccurrence, support, because: Some(anchor) };
                    let known = sums.add(candidate);
                    if support > known.support {
                        *known = candidate;
                    }
                }
            }
        }
        let flow = predicted.iter().try_for_each(|&(item, score)| {
            let Some(slot) = snapshot.slot_of(item) else { return ControlFlow::Continue(()) };
            let (support, because) = sums.get(slot).map_or((0, None), |pair| (pair.support, pair.because));
            taker.take(Candidate { slot, score, rung: Rung::NextPurchase, support, because })
        });
        sums.clear();
        flow
    }

    /// What was bought, by how surely it is due again; what the model does not know comes last, the latest first.
    fn buy_again(&mut self, taker: &mut impl Taker) -> ControlFlow<()> {
        let snapshot = self.snapshot;
        let mut least = 1.0;
        if let Some(model) = snapshot.build.as_ref().and_then(|build| build.purchase()) {
            let now = self.read_bought(model);
            let Scratch { bought, predicted, repeat, .. } = &mut *self.scratch;
            model.repeat().predict(repeat::Query { history: bought, now }, MOST, repeat, predicted);
            for &(item, score) in predicted.iter() {
                let Some(slot) = snapshot.slot_of(item) else { continue };
                least = score;
                taker.take(Candidate { slot, score, rung: Rung::Repeat, support: 0, because: None })?;
            }
        }
        self.remembered(Rung::Repeat, |memory| &memory.bought, least, taker)
    }

    /// Reads what the visitor bought as the model wants it. Returns the time now, in seconds.
    fn read_bought(&mut self, model: &NextPurchase) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a float to the microsecond")]
        let seconds = |at: Timestamp| at.0 as f64 / SECOND as f64;
        let snapshot = self.snapshot;
        let bought = &mut self.scratch.bought;
        bought.clear();
        bought.extend(self.memory.into_iter().flat_map(|memory| memory.bought.iter().rev()).filter_map(|seen| {
            let item = snapshot.item_of(snapshot.index.find(seen.item.as_str())?)?;
            // What was paid is not remembered; what the item usually costs is as good.
            Some(Line { item, time: seconds(seen.at), price: model.price(item) })
        }));
        seconds(self.now)
    }

    /// What is popular in the categories this visitor likes.
    fn affinity(&mut self, taker: &mut impl Taker) -> ControlFlow<()> {
        let Some(memory) = self.memory else { return ControlFlow::Continue(()) };
        let sums = &mut self.scratch.sums;
        for (category, interest) in view::affinities(&memory.categories, self.now).into_iter().take(5) {
            let list = self.snapshot.popular_in(category);
            let best = list.first().map_or(1.0, |(_, score)| score.max(f32::MIN_POSITIVE));
            for &(slot, score) in list {
                #[expect(clippy::cast_possible_truncation, reason = "a weight; its size matters, not its digits")]
                let score = (interest as f32) * score / best;
                sums.greatest(Candidate { slot, score, rung: Rung::Affinity, support: 0, because: None });
            }
        }
        sums.offer(taker)
    }

    /// What is remembered, the latest first, with scores from `first` downwards.
    fn remembered(&mut self, rung: Rung, list: fn(&Memory) -> &Vec<Seen>, first: f32, taker: &mut impl Taker) -> ControlFlow<()> {
        let Scratch { visit, known, .. } = &mut *self.scratch;
        let index = &self.snapshot.index;
        // What this page says it saw is newer than what is stored.
        let visit: &[u32] = if rung == Rung::History { visit } else { &[] };
        let stored = self.memory.into_iter().flat_map(|m| list(m).iter()).filter_map(|seen| index.find(seen.item.as_str()));
        known.clear();
        let slots = visit.iter().copied().chain(stored).filter(|slot| known.insert(*slot));
        for (n, slot) in slots.take(MOST).enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
            let score = first / (n as f32 + 1.0);
            taker.take(Candidate { slot, score, rung, support: 0, because: None })?;
        }
        ControlFlow::Continue(())
    }

    fn popular_in_category(&mut self, taker: &mut impl Taker) -> ControlFlow<()> {
        let Scratch { cart, known, .. } = &mut *self.scratch;
        let index: &Index = &self.snapshot.index;
        let Some(anchor) = self.item.or(cart.first().copied()) else { return ControlFlow::Continue(()) };
        let Some(item) = index.slot(anchor).map(Slot::item) else { return ControlFlow::Continue(()) };
        known.clear();
        // The narrowest category first.
        for category in item.categories.iter().rev() {
            for &(slot, score) in self.snapshot.popular_in(category) {
                if known.insert(slot) {
                    taker.take(Candidate { slot, score, rung: Rung::PopularInCategory, support: 0, because: Some(anchor) })?;
                }
            }
        }
        if item.categories.is_empty() {
            // The shop does not say what it is; its title may.
            for (slot, score) in self.snapshot.popular_of_kind(anchor) {
                if known.insert(slot) {
                    taker.take(Candidate { slot, score, rung: Rung::PopularInCategory, support: 0, because: Some(anchor) })?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// What is like the item of the page, or like the first of the cart.
    fn similar(&mut self, taker: &mut impl Taker) -> ControlFlow<()> {
        let index: &Index = &self.snapshot.index;
        let Scratch { cart, predicted, similar, .. } = &mut *self.scratch;
        let Some(anchor) = self.item.or(cart.first().copied()) else { return ControlFlow::Continue(()) };
        let group_of = |slot| index.slot(slot).and_then(|slot| slot.item().group_id.clone());
        let group = group_of(anchor);
        self.snapshot.similar_to(anchor, MOST, similar, predicted);
        predicted
            .iter()
            // The same thing in another size is not another thing.
            .filter(|(slot, _)| group.is_none() || group != group_of(*slot))
            .try_for_each(|&(slot, score)| {
                taker.take(Candidate { slot, score, rung: Rung::Similar, support: 0, because: Some(anchor) })
            })
    }

    /// Anything there is: from the newest item of the catalog backwards, as far as it takes to fill the page.
    fn catalog(&self, enough: usize, taker: &mut impl Taker) -> ControlFlow<()> {
        let len = u32::try_from(self.snapshot.index.len()).unwrap_or(u32::MAX);
        (0..len)
            .rev()
            .take(MOST.max(enough))
            .try_for_each(|slot| taker.take(Candidate { slot, score: 0.0, rung: Rung::Catalog, support: 0, because: None }))
    }
}

fn ranked(rung: Rung, list: &[(u32, f32)], index: &Index, taker: &mut impl Taker) -> ControlFlow<()> {
    let candidates = list.iter().take(MOST).map(|&(slot, score)| Candidate { slot, score, rung, support: 0, because: None });
    offer_all(index, candidates, taker)
}

/// Candidates whose places in the catalog are fetched together.
const TOGETHER: usize = 8;

/// Offers candidates one after the other. Their places lie anywhere in memory: asked for some at a time, the processor waits for
/// them together.
fn offer_all(index: &Index, candidates: impl Iterator<Item = Candidate>, taker: &mut impl Taker) -> ControlFlow<()> {
    let mut candidates = candidates.inspect(|candidate| index.touch(candidate.slot)).fuse();
    loop {
        let some: [Option<Candidate>; TOGETHER] = std::array::from_fn(|_| candidates.next());
        for candidate in some {
            let Some(candidate) = candidate else { return ControlFlow::Continue(()) };
            taker.take(candidate)?;
        }
    }
}

/// Candidates that several lists may name, each once.
#[derive(Debug, Default)]
struct Sums {
    found: Vec<BestFirst>,
    place: NumberMap<usize>,
}

impl Sums {
    fn clear(&mut self) {
        self.found.clear();
        self.place.clear();
    }

    /// Adds a candidate's score to what it has; the rest is the first's.
    fn add(&mut self, candidate: Candidate) -> &mut Candidate {
        let (known, is_new) = self.entry(candidate);
        if !is_new {
            known.score += candidate.score;
        }
        known
    }

    /// Returns what was gathered of a slot.
    fn get(&self, slot: u32) -> Option<&Candidate> {
        self.place.get(&slot).map(|&place| &self.found[place].0)
    }

    /// Keeps the greater of a candidate's scores.
    fn greatest(&mut self, candidate: Candidate) {
        let (known, _) = self.entry(candidate);
        known.score = known.score.max(candidate.score);
    }

    fn entry(&mut self, candidate: Candidate) -> (&mut Candidate, bool) {
        let next = self.found.len();
        let place = *self.place.entry(candidate.slot).or_insert(next);
        if place == next {
            self.found.push(BestFirst(candidate));
        }
        (&mut self.found[place].0, place == next)
    }

    /// Offers what was gathered, best first, and begins anew.
    fn offer(&mut self, taker: &mut impl Taker) -> ControlFlow<()> {
        // A heap sorts no further than the taker goes.
        let mut heap = BinaryHeap::from(std::mem::take(&mut self.found));
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue()
            && let Some(BestFirst(candidate)) = heap.pop()
        {
            flow = taker.take(candidate);
        }
        self.found = heap.into_vec();
        self.clear();
        flow
    }
}

/// Greater is better; ties go to the lower slot, so that the same question has the same answer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BestFirst(Candidate);

impl Ord for BestFirst {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.score.total_cmp(&other.0.score).then(other.0.slot.cmp(&self.0.slot))
    }
}

impl PartialOrd for BestFirst {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for BestFirst {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many and no more.
    struct First(usize, Vec<(u32, f32)>);

    impl Taker for First {
        fn take(&mut self, candidate: Candidate) -> ControlFlow<()> {
            self.1.push((candidate.slot, candidate.score));
            if self.1.len() < self.0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
    }

    #[test]
    fn sums_are_offered_best_first_ties_by_slot_and_then_begin_anew() {
        let mut sums = Sums::default();
        for (most, expected) in [(9, &[(7, 3.0), (2, 2.0), (5, 2.0), (1, 1.0)][..]), (2, &[(7, 3.0), (2, 2.0)])] {
            for (slot, score) in [(5, 2.0), (7, 1.0), (1, 1.0), (2, 2.0), (7, 2.0)] {
                sums.add(Candidate { slot, score, rung: Rung::Session, support: 0, because: None });
            }
            let mut first = First(most, Vec::new());
            let flow = sums.offer(&mut first);
            assert_eq!(first.1, expected);
            assert_eq!(flow.is_break(), expected.len() == most);
        }
    }
}
