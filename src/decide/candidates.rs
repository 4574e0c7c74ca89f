//! Where candidates come from: one function per rung.

use std::collections::HashMap;

use rapport_models::next_item::Scratch;

use super::Context;
use super::placement::Rung;
use crate::event::Timestamp;
use crate::live::Snapshot;
use crate::live::overlay::Neighbor;
use crate::live::serving::Relation;
use crate::profile::view;

/// Candidates a rung gives at most, so that a narrow filter still finds enough and a huge catalog is not walked whole.
const MOST: usize = 1_000;
/// Items of a visit that are looked at.
const VISIT: usize = 20;

/// An item that might be shown.
#[derive(Debug, Clone, PartialEq)]
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

/// Makes candidates for one page.
#[derive(Debug)]
pub struct Candidates<'a> {
    snapshot: &'a Snapshot,
    context: &'a Context<'a>,
    now: Timestamp,
    scratch: Scratch,
}

impl<'a> Candidates<'a> {
    /// Returns the sources for one page.
    pub fn new(snapshot: &'a Snapshot, context: &'a Context<'a>, now: Timestamp) -> Self {
        Self { snapshot, context, now, scratch: Scratch::default() }
    }

    /// Returns a rung's candidates, best first.
    pub fn from(&mut self, rung: Rung, placement: &str, count: usize) -> Vec<Candidate> {
        match rung {
            Rung::CoOccurrence => self.related(Relation::Bought, rung, placement),
            Rung::CoView => self.related(Relation::Viewed, rung, placement),
            Rung::Session => self.session(),
            Rung::Affinity => self.affinity(),
            Rung::History => self.remembered(rung, |memory| &memory.viewed),
            Rung::Repeat => self.remembered(rung, |memory| &memory.bought),
            Rung::Trending => ranked(rung, self.snapshot.trending()),
            Rung::PopularInCategory => self.popular_in_category(),
            Rung::Popular => ranked(rung, self.snapshot.popular()),
            Rung::Catalog => self.catalog(count),
        }
    }

    /// What goes with the item of the page; for a basket, with everything in it.
    fn related(&self, relation: Relation, rung: Rung, placement: &str) -> Vec<Candidate> {
        let index = &self.snapshot.index;
        let basket = placement == "bought-together";
        let anchors: Vec<u32> = self
            .context
            .item
            .iter()
            .chain(self.context.cart.iter().filter(|_| basket || self.context.item.is_none()))
            .filter_map(|id| index.find(id.as_str()))
            .collect();
        let single = anchors.len() == 1;
        let mut found: Vec<Candidate> = Vec::new();
        let mut place: HashMap<u32, usize> = HashMap::new();
        for anchor in anchors {
            let row = self.snapshot.neighbors(relation, anchor);
            if single {
                // One row names each item once and is best first already.
                let because = Some(anchor);
                return row.map(|Neighbor { slot, score, support }| Candidate { slot, score, rung, support, because }).collect();
            }
            for Neighbor { slot, score, support } in row {
                match place.get(&slot) {
                    // Going with several items of the basket counts for each.
                    Some(&known) => {
                        found[known].score += score;
                        if support > found[known].support {
                            found[known].support = support;
                            found[known].because = Some(anchor);
                        }
                    }
                    None => {
                        place.insert(slot, found.len());
                        found.push(Candidate { slot, score, rung, support, because: Some(anchor) });
                    }
                }
            }
        }
        sort(&mut found);
        found
    }

    /// What goes with the items of this visit, the latest first.
    fn session(&mut self) -> Vec<Candidate> {
        let index = &self.snapshot.index;
        let mut slots: Vec<u32> = self.context.visit.iter().filter_map(|id| index.find(id.as_str())).take(VISIT).collect();
        if slots.is_empty() {
            // A visit that has not looked at anything yet goes on from the last one.
            let memory = self.context.memory.into_iter();
            slots = memory
                .flat_map(|m| m.viewed.iter().chain(&m.carted).chain(&m.bought))
                .filter_map(|seen| index.find(seen.item.as_str()))
                .take(VISIT)
                .collect();
        }
        // The model wants the oldest first.
        let visit: Vec<u32> = slots.iter().rev().filter_map(|slot| self.snapshot.item_of(*slot)).collect();
        let because = slots.first().copied();
        let mut predicted = Vec::new();
        if let Some(build) = &self.snapshot.build {
            build.next_items(&visit, MOST, &mut self.scratch, &mut predicted);
        }
        let mut found: Vec<Candidate> = predicted
            .into_iter()
            .filter_map(|(item, score)| {
                let slot = self.snapshot.slot_of(item)?;
                // What was just looked at is no news; the placement for it is recently-viewed.
                (!slots.contains(&slot)).then_some(Candidate { slot, score, rung: Rung::Session, support: 0, because })
            })
            .collect();
        if found.is_empty() {
            // Shops that only know orders: what is bought with what was looked at.
            let mut sums: HashMap<u32, Candidate> = HashMap::new();
            for (back, &anchor) in slots.iter().enumerate() {
                #[expect(clippy::cast_precision_loss, reason = "a visit has at most 20 items here")]
                let fade = (-(back as f32) / 2.5).exp();
                let row = self.snapshot.neighbors(Relation::Bought, anchor);
                for Neighbor { slot, score, support } in row.filter(|neighbor| !slots.contains(&neighbor.slot)) {
                    let entry = sums.entry(slot).or_insert(Candidate {
                        slot,
                        score: 0.0,
                        rung: Rung::Session,
                        support,
                        because: Some(anchor),
                    });
                    entry.score += fade * score;
                }
            }
            found = sums.into_values().collect();
            sort(&mut found);
        }
        found
    }

    /// What is popular in the categories this visitor likes.
    fn affinity(&self) -> Vec<Candidate> {
        let Some(memory) = self.context.memory else { return Vec::new() };
        let mut found: Vec<Candidate> = Vec::new();
        for (category, interest) in view::affinities(&memory.categories, self.now).into_iter().take(5) {
            let list = self.snapshot.popular_in(category);
            let best = list.first().map_or(1.0, |(_, score)| score.max(f32::MIN_POSITIVE));
            for &(slot, score) in list {
                #[expect(clippy::cast_possible_truncation, reason = "a weight; its size matters, not its digits")]
                let score = (interest as f32) * score / best;
                match found.iter_mut().find(|c| c.slot == slot) {
                    Some(known) => known.score = known.score.max(score),
                    None => found.push(Candidate { slot, score, rung: Rung::Affinity, support: 0, because: None }),
                }
            }
        }
        sort(&mut found);
        found
    }

    fn remembered(&self, rung: Rung, list: fn(&crate::profile::Memory) -> &Vec<crate::profile::Seen>) -> Vec<Candidate> {
        let index = &self.snapshot.index;
        let mut slots: Vec<u32> = Vec::new();
        if rung == Rung::History {
            // What this page says it saw is newer than what is stored.
            slots.extend(self.context.visit.iter().filter_map(|id| index.find(id.as_str())));
        }
        let memory = self.context.memory.into_iter();
        slots.extend(memory.flat_map(|m| list(m).iter()).filter_map(|seen| index.find(seen.item.as_str())));
        let mut known = std::collections::HashSet::new();
        slots.retain(|slot| known.insert(*slot));
        let found = slots.into_iter().take(MOST).enumerate().map(|(n, slot)| {
            #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
            let score = 1.0 / (n as f32 + 1.0);
            Candidate { slot, score, rung, support: 0, because: None }
        });
        found.collect()
    }

    fn popular_in_category(&self) -> Vec<Candidate> {
        let index = &self.snapshot.index;
        let anchor = self.context.item.iter().chain(&self.context.cart).find_map(|id| index.find(id.as_str()));
        let Some(anchor) = anchor else { return Vec::new() };
        let Some(item) = index.slot(anchor).map(crate::catalog::Slot::item) else { return Vec::new() };
        // The narrowest category first.
        let mut found: Vec<Candidate> = Vec::new();
        for category in item.categories.iter().rev() {
            for &(slot, score) in self.snapshot.popular_in(category) {
                if !found.iter().any(|c| c.slot == slot) {
                    found.push(Candidate { slot, score, rung: Rung::PopularInCategory, support: 0, because: Some(anchor) });
                }
            }
        }
        found
    }

    /// Anything there is: from the newest item of the catalog backwards, as far as it takes to fill the page.
    fn catalog(&self, count: usize) -> Vec<Candidate> {
        let len = u32::try_from(self.snapshot.index.len()).unwrap_or(u32::MAX);
        let most = u32::try_from(MOST.max(count)).unwrap_or(u32::MAX);
        (0..len.min(most))
            .map(|n| Candidate { slot: len - 1 - n, score: 0.0, rung: Rung::Catalog, support: 0, because: None })
            .collect()
    }
}

fn ranked(rung: Rung, list: &[(u32, f32)]) -> Vec<Candidate> {
    list.iter().take(MOST).map(|&(slot, score)| Candidate { slot, score, rung, support: 0, because: None }).collect()
}

/// Best first; ties by place, so that the same question has the same answer.
fn sort(found: &mut [Candidate]) {
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
}
