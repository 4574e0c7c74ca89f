//! Flow 3, decide: request ─ profile + snapshot ─▶ candidates ─▶ filter ─▶ availability ─▶ page ─▶ answer.
//!
//! A decision takes one snapshot, no locks, and writes nothing. Each placement climbs down its ladder
//! ([`placement`]) until it is full; every item says which rung it came from. Availability is applied last, from the
//! live catalog: what cannot be bought is never shown, however it became a candidate.

pub mod candidates;
pub mod filter;
pub mod placement;

use std::collections::HashSet;
use std::sync::Arc;

use crate::catalog::item::Item;
use crate::event::{ItemId, Timestamp};
use crate::live::Snapshot;
use crate::metrics::Metrics;
use crate::profile::Memory;
use candidates::{Candidate, Candidates};
use filter::Filter;
use placement::{Kind, Placement, Rung};

/// What is known about the page and its visitor.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    /// The item the page is about.
    pub item: Option<ItemId>,
    /// What is in the cart: the page's word, else the profile's.
    pub cart: Vec<ItemId>,
    /// What this visit looked at, newest first: the page's and the request's word before the profile's.
    pub visit: Vec<ItemId>,
    /// What personalization may use; nothing without consent or proof of who it is.
    pub memory: Option<&'a Memory>,
}

/// One placement asked for.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    pub placement: &'static Placement,
    pub count: usize,
    pub filter: Option<&'a Filter>,
    pub exclude: &'a HashSet<String>,
}

/// One placement answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub placement: &'static Placement,
    /// The rung of the first item; nothing where there is none.
    pub served_by: Option<Rung>,
    pub items: Vec<Shown>,
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
}

impl Displaced {
    /// Returns the name in an explanation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Filtered => "filtered",
            Self::Excluded => "excluded",
            Self::OnPage => "already_on_page",
        }
    }
}

/// Displaced items an explanation names.
const MAX_DISPLACED: usize = 50;

/// Answers the placements of one page, in order; no item is shown twice.
pub fn decide(
    snapshot: &Snapshot,
    authoritative: bool,
    context: &Context<'_>,
    asks: &[Ask<'_>],
    now: Timestamp,
    metrics: &Metrics,
) -> Vec<Answer> {
    let mut sources = Candidates::new(snapshot, context, now);
    let mut on_page: HashSet<u32> = HashSet::new();
    let slot = |id: &ItemId| snapshot.index.find(id.as_str());
    let item: Vec<u32> = context.item.iter().filter_map(slot).collect();
    let item_and_cart: Vec<u32> = context.item.iter().chain(&context.cart).filter_map(slot).collect();
    asks.iter()
        .map(|ask| {
            let mut answer =
                Answer { placement: ask.placement, served_by: None, items: Vec::new(), explanation: Explanation::default() };
            let Kind::Items(rungs) = ask.placement.kind else { return answer };
            // What is in the cart is no suggestion any more; in a list of what was looked at it stays where it was.
            let remembers = rungs.iter().all(|rung| matches!(rung, Rung::History | Rung::Repeat));
            let own = if remembers { &item } else { &item_and_cart };
            let mut tried: HashSet<u32> = HashSet::new();
            for &rung in rungs {
                if answer.items.len() >= ask.count {
                    break;
                }
                let before = answer.items.len();
                let found = sources.from(rung, ask.placement.id, ask.count);
                let found_any = found.len();
                for candidate in found {
                    if answer.items.len() >= ask.count {
                        break;
                    }
                    if !tried.insert(candidate.slot) {
                        continue;
                    }
                    let Some(slot) = snapshot.index.slot(candidate.slot) else { continue };
                    let item = slot.item();
                    let displaced = if own.contains(&candidate.slot) || on_page.contains(&candidate.slot) {
                        Some(Displaced::OnPage)
                    } else if ask.exclude.contains(item.id.as_str()) {
                        Some(Displaced::Excluded)
                    } else if !item.is_available(authoritative) {
                        metrics.unavailable_withheld.inc();
                        Some(Displaced::Unavailable)
                    } else if ask.filter.is_some_and(|f| !f.passes(&item)) {
                        Some(Displaced::Filtered)
                    } else {
                        None
                    };
                    match displaced {
                        None => answer.items.push(Shown { item: Arc::clone(&item), candidate: candidate.clone() }),
                        Some(why) if answer.explanation.displaced.len() < MAX_DISPLACED => {
                            answer.explanation.displaced.push((item.id.clone(), why));
                        }
                        Some(_) => {}
                    }
                }
                answer.explanation.rungs.push((rung, found_any, answer.items.len() - before));
            }
            withhold_sold_out(snapshot, authoritative, &mut answer, metrics);
            on_page.extend(answer.items.iter().map(|shown| shown.candidate.slot));
            answer.served_by = answer.items.first().map(|shown| shown.candidate.rung);
            let served_by = answer.served_by.map_or("empty", Rung::as_str);
            metrics.placements_served.with_label_values(&[ask.placement.id, served_by]).inc();
            answer
        })
        .collect()
}

/// Looks once more, at the very end: stock may have changed while the answer was put together, and whatever a rung
/// above does, what cannot be bought does not leave here. The counter tells that something above let one through.
fn withhold_sold_out(snapshot: &Snapshot, authoritative: bool, answer: &mut Answer, metrics: &Metrics) {
    answer.items.retain(|shown| {
        let judged = shown.item.is_available(authoritative);
        if !judged {
            metrics.unavailable_shown.inc();
        }
        let live = snapshot.index.slot(shown.candidate.slot).is_some_and(|slot| slot.item().is_available(authoritative));
        judged && live
    });
}
