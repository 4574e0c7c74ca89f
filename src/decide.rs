//! Flow 3, decide: request ─ profile + snapshot ─▶ candidates ─▶ filter ─▶ availability ─▶ page ─▶ answer.
//!
//! A decision takes one snapshot, no locks, and writes nothing. Each placement climbs down its ladder
//! ([`placement`]) until it is full; every item says which rung it came from. Availability is applied last, from the
//! live catalog: what cannot be bought is never shown, however it became a candidate.

pub mod candidates;
mod diversity;
pub mod filter;
pub mod placement;

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::catalog::Slot;
use crate::catalog::item::Item;
use crate::event::{ItemId, Timestamp};
use crate::live::Snapshot;
use crate::metrics::Metrics;
use crate::numbered::NumberSet;
use crate::profile::Memory;
use candidates::{Candidate, Candidates, Taker};
use filter::Filter;
use placement::{Placement, Rung};

/// What is known about the page and its visitor. Ids the catalog does not know count for nothing.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    /// The item the page is about.
    pub item: Option<&'a str>,
    /// What is in the cart: the page's word, else the profile's.
    pub cart: Vec<&'a str>,
    /// What this visit looked at, newest first: the page's and the request's word before the profile's. Of an item that is
    /// named more than once, the newest place counts.
    pub visit: Vec<&'a str>,
    /// What personalization may use; nothing without consent or proof of who it is.
    pub memory: Option<&'a Memory>,
    /// Whether the answer is to say how it came about.
    pub explain: bool,
}

/// One placement asked for.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    pub placement: &'static Placement,
    pub count: usize,
    pub filter: Option<&'a Filter>,
    pub exclude: &'a [Cow<'a, str>],
    /// How much the items are to differ, from 0 to 1.
    pub diversity: f32,
    /// The share of its rung's best score that an item must reach.
    pub min_relevance: f32,
}

/// One placement answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub placement: &'static Placement,
    /// The rung of the first item; nothing where there is none.
    pub served_by: Option<Rung>,
    pub items: Vec<Shown>,
    /// Empty unless it was asked for.
    pub explanation: Explanation,
}

/// One item of an answer.
#[derive(Debug, Clone)]
pub struct Shown {
    pub item: Arc<Item>,
    pub candidate: Candidate,
}

/// How an answer came about.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// Each rung that was tried: how many candidates it had, how many of them are shown.
    pub rungs: Vec<(Rung, usize, usize)>,
    /// Candidates that ranked higher than something shown and were left out.
    pub displaced: Vec<(ItemId, Displaced)>,
}

/// Why a candidate is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Displaced {
    /// It cannot be bought, or must not be recommended.
    Unavailable,
    /// The request's filter.
    Filtered,
    /// The request's `exclude_ids`.
    Excluded,
    /// It is on this page already: the item itself, the cart, another placement.
    OnPage,
    /// The request's `min_relevance`.
    Irrelevant,
}

impl Displaced {
    /// Returns the name in an explanation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Filtered => "filtered",
            Self::Excluded => "excluded",
            Self::OnPage => "already_on_page",
            Self::Irrelevant => "below_min_relevance",
        }
    }
}

/// Displaced items an explanation names.
const MAX_DISPLACED: usize = 50;

/// Candidates asked for beyond those a page needs, as some are mostly on it already or sold out.
const SPARE: usize = 24;

/// Memory decisions are worked out in; grows to the largest met, then stays.
#[derive(Debug, Default)]
struct Scratch {
    candidates: candidates::Scratch,
    on_page: NumberSet,
    tried: NumberSet,
    excluded: NumberSet,
    own: Vec<u32>,
}

thread_local! {
    /// A decision never waits and never asks for another one, so one memory for each thread is enough.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Answers the placements of one page, in order; no item is shown twice.
pub fn decide(
    snapshot: &Snapshot,
    authoritative: bool,
    context: &Context<'_>,
    asks: &[Ask<'_>],
    now: Timestamp,
    metrics: &Metrics,
) -> Vec<Answer> {
    SCRATCH.with_borrow_mut(|scratch| {
        let Scratch { candidates, on_page, tried, excluded, own } = scratch;
        let mut sources = Candidates::new(snapshot, context, now, candidates);
        on_page.clear();
        asks.iter()
            .map(|ask| {
                let mut answer =
                    Answer { placement: ask.placement, served_by: None, items: Vec::new(), explanation: Explanation::default() };
                let Some(rungs) = ask.placement.kind.ladder(sources.visit_has_begun()) else { return answer };
                let room = diversity::pool(ask.count, ask.diversity);
                answer.items.reserve_exact(room);
                tried.clear();
                excluded.clear();
                excluded.extend(ask.exclude.iter().filter_map(|id| snapshot.index.find(id)));
                // What is in the cart is no suggestion any more; in a list of what was looked at it stays where it was.
                let remembers = rungs.iter().all(|rung| matches!(rung, Rung::History | Rung::Repeat));
                own.clear();
                own.extend(sources.item());
                if !remembers {
                    own.extend(sources.cart());
                }
                // What narrows a list may need all of it, and an explanation tells how much there was.
                let everything = ask.filter.is_some() || context.explain;
                let likely = room + own.len() + on_page.len() + excluded.len() + SPARE;
                let enough = if everything { candidates::MOST } else { likely };
                let mut page = PageTaker {
                    snapshot,
                    authoritative,
                    explain: context.explain,
                    ask,
                    own,
                    on_page,
                    excluded,
                    tried,
                    room,
                    offered: 0,
                    best: 0.0,
                    answer: &mut answer,
                    metrics,
                };
                // What merely fills up has no relevance.
                let relevant = |rung: &&Rung| ask.min_relevance == 0.0 || **rung != Rung::Catalog;
                for &rung in rungs.iter().filter(relevant) {
                    page.climb(&mut sources, rung, enough);
                    if page.is_full() {
                        break;
                    }
                }
                withhold_sold_out(snapshot, authoritative, &mut answer, metrics);
                if ask.diversity > 0.0 {
                    let alike = |x: &Shown, y: &Shown| snapshot.likeness(x.candidate.slot, y.candidate.slot);
                    diversity::choose(&mut answer.items, ask.count, ask.diversity, alike);
                }
                on_page.extend(answer.items.iter().map(|shown| shown.candidate.slot));
                answer.served_by = answer.items.first().map(|shown| shown.candidate.rung);
                let served_by = answer.served_by.map_or("empty", Rung::as_str);
                metrics.placements_served.with_label_values(&[ask.placement.id, served_by]).inc();
                answer
            })
            .collect()
    })
}

/// Judges candidates and fills one placement with those that pass.
#[derive(Debug)]
struct PageTaker<'a> {
    snapshot: &'a Snapshot,
    authoritative: bool,
    explain: bool,
    ask: &'a Ask<'a>,
    /// Slots the placement is about.
    own: &'a [u32],
    /// Slots that other placements show.
    on_page: &'a NumberSet,
    excluded: &'a NumberSet,
    /// Slots that were judged, on this rung or one above.
    tried: &'a mut NumberSet,
    /// Items wanted, those included among which the different ones are chosen.
    room: usize,
    /// Candidates of this rung, and their best score.
    offered: usize,
    best: f32,
    answer: &'a mut Answer,
    metrics: &'a Metrics,
}

impl PageTaker<'_> {
    fn is_full(&self) -> bool {
        self.answer.items.len() >= self.room
    }

    /// Takes what a rung has.
    fn climb(&mut self, sources: &mut Candidates<'_>, rung: Rung, enough: usize) {
        let before = self.answer.items.len();
        (self.offered, self.best) = (0, 0.0);
        let _full: ControlFlow<()> = sources.offer(rung, self.ask.placement.id, enough, self);
        if self.explain {
            self.answer.explanation.rungs.push((rung, self.offered, self.answer.items.len() - before));
        }
    }

    /// Notes why an item is not shown, for an explanation.
    fn note(&mut self, slot: &Slot, why: Displaced) {
        if self.explain && self.answer.explanation.displaced.len() < MAX_DISPLACED {
            self.answer.explanation.displaced.push((slot.item().id.clone(), why));
        }
    }

    /// Returns the item in a slot, or why it is not shown.
    fn judge(&self, number: u32, slot: &Slot) -> Result<Arc<Item>, Displaced> {
        if self.own.contains(&number) || self.on_page.contains(&number) {
            return Err(Displaced::OnPage);
        }
        if self.excluded.contains(&number) {
            return Err(Displaced::Excluded);
        }
        if slot.is_available(self.authoritative) {
            let item = slot.item_full();
            // It may have been sold out just now.
            if item.is_available(self.authoritative) {
                let filtered = self.ask.filter.is_some_and(|f| !f.passes(&item));
                return if filtered { Err(Displaced::Filtered) } else { Ok(item) };
            }
        }
        self.metrics.unavailable_withheld.inc();
        Err(Displaced::Unavailable)
    }
}

impl Taker for PageTaker<'_> {
    fn take(&mut self, candidate: Candidate) -> ControlFlow<()> {
        self.offered += 1;
        if !self.is_full()
            && self.tried.insert(candidate.slot)
            && let Some(slot) = self.snapshot.index.slot(candidate.slot)
        {
            self.best = self.best.max(candidate.score);
            match self.judge(candidate.slot, slot) {
                Ok(_) if candidate.score < self.ask.min_relevance * self.best => self.note(slot, Displaced::Irrelevant),
                Ok(item) => self.answer.items.push(Shown { item, candidate }),
                Err(why) => self.note(slot, why),
            }
        }
        // Only an explanation wants to know how many more there would have been.
        if self.is_full() && !self.explain { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Looks once more, at the very end: stock may have changed while the answer was put together, and whatever a rung
/// above does, what cannot be bought does not leave here. The counter tells that something above let one through.
fn withhold_sold_out(snapshot: &Snapshot, authoritative: bool, answer: &mut Answer, metrics: &Metrics) {
    answer.items.retain(|shown| {
        let judged = shown.item.is_available(authoritative);
        if !judged {
            metrics.unavailable_shown.inc();
        }
        let live = snapshot.index.slot(shown.candidate.slot).is_some_and(|slot| slot.is_available(authoritative));
        judged && live
    });
}
