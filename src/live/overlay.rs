//! Fresh counts on top of a build's, as numbers of one kind: rows and rankings in which old and new evidence are added
//! up before they are scored.
//!
//! An item that was bought (or viewed) since the build gets a row of its own: every neighbour it had and every new one,
//! scored from the counts of the build and of the [`ledger`](super::ledger) together, by the build's own formulas. The
//! next build, which learns the same groups, comes to the same numbers, so exchanging it is no jump. Rows are worked out
//! when counts change, not when they are asked for.
//!
//! A score of how sure we are loves what has been sold for years: five shoppers of this morning cannot outweigh it. So a
//! *new pairing* is lifted into the first ten, behind what is surest: five different visitors, more often together lately
//! than ever before, and far more often than by chance. It keeps its place when a build has learnt it, until the build
//! after that.
//!
//! Two things are not exact. An item that nobody touched keeps the build's row, in which the counts of its neighbours and
//! of all groups are a little old. And a pair of which the build kept nothing starts from 0, though it may have met once
//! or insignificantly before.

use rapport_models::cooccurrence::{self, Score};
use rapport_models::popularity::Trend;

use super::fact::Fact;
use super::ledger::{Counts, Ledger, LeftOut, Pair, Rules, VISITORS};
use super::pages::Pages;
use super::serving::{Relation, ServedBuild};
use super::{NONE, Places};
use crate::catalog::Index;
use crate::config;
use crate::event::Timestamp;
use crate::event::time::SECOND;
use crate::numbered::NumberMap;

/// Different visitors it takes until a pair that the build does not have counts, so that nobody pushes a product alone.
const MIN_VISITORS: usize = 2;
/// Different visitors that make a new pairing.
const LIFTING_VISITORS: usize = VISITORS;
/// New pairings lifted in one row, and the place they stand at then.
const LIFTED: usize = 3;
const LIFTED_TO: usize = 7;
/// Rows kept of each relation, some 1,200 bytes each; beyond it, those with the least evidence go back to the build's.
const MAX_ROWS: usize = 20_000;
/// Entries of the ranked lists.
const RANKED: usize = 10_000;

/// One neighbour of an item, by its slot in the catalog.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    pub slot: u32,
    pub score: f32,
    /// Baskets or sessions that hold both.
    pub support: u32,
}

/// What is known of an item with what came since the build.
#[derive(Debug, Clone, PartialEq)]
pub struct FreshRow {
    /// Groups that hold the item and that the build does not know.
    pub groups: u32,
    /// Best first; ties by slot.
    pub neighbors: Box<[Neighbor]>,
}

/// The rows of a snapshot that differ from its build's.
#[derive(Debug, Clone, Default)]
pub struct Fresh {
    bought: Pages<FreshRow>,
    viewed: Pages<FreshRow>,
    bought_groups: u32,
    viewed_groups: u32,
}

impl Fresh {
    /// Returns an item's row, where it differs from the build's.
    #[inline]
    pub fn row(&self, relation: Relation, slot: u32) -> Option<&FreshRow> {
        match relation {
            Relation::Bought => self.bought.get(slot),
            Relation::Viewed => self.viewed.get(slot),
        }
    }

    /// Returns how many groups there are that the build does not know.
    pub fn groups(&self, relation: Relation) -> u32 {
        match relation {
            Relation::Bought => self.bought_groups,
            Relation::Viewed => self.viewed_groups,
        }
    }
}

/// Slots with scores, best first.
pub type Ranked = Vec<(u32, f32)>;

/// The fresh counts of one site, and what follows from them.
#[derive(Debug)]
pub struct Overlay {
    ledger: Ledger,
    settings: config::Build,
    /// The slot of each item of the ledger, and the other way round.
    slots: Vec<u32>,
    numbers: NumberMap<u32>,
    /// Items of the ledger that had no slot yet.
    homeless: Vec<u32>,
    fresh: Fresh,
    rows: [RowCount; 2],
    /// Something happened since the lists were ranked.
    unranked: bool,
}

/// How many rows there are, and the evidence an item needs to have one.
#[derive(Debug, Clone, Copy)]
struct RowCount {
    rows: usize,
    floor: u32,
}

const FEW: RowCount = RowCount { rows: 0, floor: 1 };

impl Overlay {
    /// Begins without anything, counting as a build with these settings would.
    pub fn new(settings: &config::Build) -> Self {
        let rules = Rules { visitor_cap_per_day: settings.visitor_cap_per_day, max_group: settings.max_group };
        Self {
            ledger: Ledger::new(rules),
            settings: settings.clone(),
            slots: Vec::new(),
            numbers: NumberMap::default(),
            homeless: Vec::new(),
            fresh: Fresh::default(),
            rows: [FEW; 2],
            unranked: false,
        }
    }

    /// Takes in a fact; see [`Ledger::take`].
    pub fn take(&mut self, fact: &Fact) {
        self.ledger.take(fact);
        self.unranked = true;
    }

    /// Leaves to a build what it knows.
    pub fn rebase(&mut self, build: Option<&ServedBuild>) {
        self.ledger.rebase(build.map(ServedBuild::learnt).unwrap_or_default());
        self.begin_again();
    }

    /// Forgets everything, to be told again.
    pub fn clear(&mut self) {
        self.ledger.clear();
        self.begin_again();
    }

    fn begin_again(&mut self) {
        self.slots.clear();
        self.numbers.clear();
        self.homeless.clear();
        self.fresh = Fresh::default();
        self.rows = [FEW; 2];
        self.unranked = true;
    }

    /// Returns the position of a node's log behind which nothing was given up.
    pub fn complete_from(&self, node: u64) -> u64 {
        self.ledger.complete_from(node)
    }

    /// Returns what was left out since this was last asked.
    pub fn take_left_out(&mut self) -> LeftOut {
        self.ledger.take_left_out()
    }

    /// Returns whether ranking again would change anything.
    pub fn is_unranked(&self) -> bool {
        self.unranked
    }

    /// Brings the rows up to date and returns them.
    pub(super) fn fresh(&mut self, build: Option<&ServedBuild>, index: &Index, places: &Places) -> Fresh {
        let housed = self.house(index);
        for relation in [Relation::Bought, Relation::Viewed] {
            let mut changed = self.ledger.take_changed(relation);
            let counts = self.ledger.counts(relation);
            for item in &housed {
                changed.insert(*item);
                changed.extend(counts.of(*item).into_iter().flat_map(|tally| tally.partners.keys()));
            }
            for item in changed {
                let slot = self.slots[item as usize];
                if slot != NONE {
                    let row = self.row(relation, item, build, places);
                    self.put_row(relation, slot, row);
                }
            }
            self.drop_thin_rows(relation);
        }
        self.fresh.bought_groups = self.ledger.counts(Relation::Bought).groups;
        self.fresh.viewed_groups = self.ledger.counts(Relation::Viewed).groups;
        self.fresh.clone()
    }

    /// Finds the slots of items that had none, and returns the items.
    fn house(&mut self, index: &Index) -> Vec<u32> {
        let mut waiting = std::mem::take(&mut self.homeless);
        let known = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let all = u32::try_from(self.ledger.ids().len()).unwrap_or(u32::MAX);
        self.slots.resize(self.ledger.ids().len(), NONE);
        waiting.extend(known..all);
        let mut housed = Vec::new();
        for item in waiting {
            match index.find(self.ledger.ids()[item as usize].as_str()) {
                Some(slot) => {
                    self.slots[item as usize] = slot;
                    self.numbers.insert(slot, item);
                    housed.push(item);
                }
                None => self.homeless.push(item),
            }
        }
        housed
    }

    /// Returns how pairs are scored, as in `build::fit`.
    fn options(&self, relation: Relation, build: Option<&ServedBuild>) -> cooccurrence::Options {
        let options = cooccurrence::Options { top: self.settings.neighbors, ..cooccurrence::Options::default() };
        let (min_support, min_llr) = (self.settings.min_support, self.settings.min_llr);
        match relation {
            Relation::Bought => cooccurrence::Options {
                min_support: self.settings.min_buyers,
                min_llr: build.and_then(ServedBuild::bought_floor).unwrap_or(min_llr),
                score: Score::LogLikelihood,
                ..options
            },
            Relation::Viewed => cooccurrence::Options { min_support, min_llr, score: Score::Cosine, ..options },
        }
    }

    /// Works out an item's row; nothing where the build's holds.
    fn row(&self, relation: Relation, item: u32, build: Option<&ServedBuild>, places: &Places) -> Option<FreshRow> {
        let counts = self.ledger.counts(relation);
        let tally = counts.of(item).filter(|tally| tally.groups > 0 || !tally.partners.is_empty())?;
        if tally.groups.max(1) < self.rows[relation as usize].floor {
            return None;
        }
        let known = |item: Option<u32>| -> u32 {
            let counts = build.map(|build| build.counts(relation)).unwrap_or_default();
            item.and_then(|item| counts.get(item as usize)).copied().unwrap_or(0)
        };
        let options = self.options(relation, build);
        let own = places.item_of(self.slots[item as usize]);
        let a = known(own).saturating_add(tally.groups);
        let n = build.map_or(0, |build| build.groups(relation)).saturating_add(counts.groups);
        let groups_of = |number: Option<u32>| number.and_then(|n| counts.of(n)).map_or(0, |tally| tally.groups);
        let mut neighbors = Vec::new();
        let mut lifted = Vec::new();
        let mut add = |slot: u32, other: Option<u32>, before: u32, pair: Pair| {
            let b = known(other).saturating_add(groups_of(self.numbers.get(&slot).copied()));
            // Where groups were sampled, a pair may have met more often than each is on record.
            let support = before.saturating_add(pair.together).min(a).min(b);
            let score = cooccurrence::pair_score(&options, support, a, b, n);
            neighbors.extend(score.map(|score| Neighbor { slot, score, support }));
            if relation == Relation::Bought
                && let Some(surprise) = surprise(counts, &pair, support, a, b, n).filter(|g| *g >= options.min_llr)
            {
                lifted.push((surprise, Neighbor { slot, score: score.unwrap_or(0.0), support }));
            }
        };
        let row = build.zip(own).map(|(build, own)| build.neighbors(relation, own)).unwrap_or_default();
        let mut in_row: Vec<u32> = Vec::with_capacity(row.len());
        for (&other, &support) in row.items.iter().zip(row.support) {
            let Some(slot) = places.slot_of(other) else { continue };
            in_row.push(slot);
            let number = self.numbers.get(&slot);
            let pair = number.and_then(|number| tally.partners.get(number)).copied().unwrap_or_default();
            add(slot, Some(other), support, pair);
        }
        in_row.sort_unstable();
        for (&partner, pair) in &tally.partners {
            let slot = self.slots[partner as usize];
            if slot == NONE || in_row.binary_search(&slot).is_ok() {
                continue;
            }
            let other = places.item_of(slot);
            let before = build.zip(own).zip(other).map_or(0, |((build, own), other)| {
                // A crowded row may have cut off what the other item's row still has.
                let row = build.neighbors(relation, other);
                row.items.iter().zip(row.support).find(|(item, _)| **item == own).map_or(0, |(_, support)| *support)
            });
            if before > 0 || pair.visitors() >= MIN_VISITORS {
                // What the build knows of a pair it kept nothing of is at least what it has learnt lately.
                add(slot, other, before.max(pair.recent.saturating_sub(pair.together)), *pair);
            }
        }
        let fresh = tally.groups > 0 || tally.partners.values().any(|pair| pair.together > 0);
        if !fresh && lifted.is_empty() {
            return None;
        }
        neighbors.sort_unstable_by(|x, y| y.score.total_cmp(&x.score).then(x.slot.cmp(&y.slot)));
        neighbors.truncate(options.top);
        lift(&mut neighbors, lifted);
        Some(FreshRow { groups: tally.groups, neighbors: neighbors.into() })
    }

    fn put_row(&mut self, relation: Relation, slot: u32, row: Option<FreshRow>) {
        let pages = match relation {
            Relation::Bought => &mut self.fresh.bought,
            Relation::Viewed => &mut self.fresh.viewed,
        };
        let rows = &mut self.rows[relation as usize].rows;
        let now = usize::from(row.is_some());
        *rows = *rows + now - usize::from(pages.set(slot, row));
    }

    fn drop_thin_rows(&mut self, relation: Relation) {
        while self.rows[relation as usize].rows > MAX_ROWS {
            let floor = self.rows[relation as usize].floor.saturating_mul(2);
            self.rows[relation as usize].floor = floor;
            let counts = self.ledger.counts(relation);
            let thin: Vec<u32> = counts
                .items()
                .filter(|(_, tally)| tally.groups.max(1) < floor)
                .map(|(item, _)| self.slots[item as usize])
                .collect();
            for slot in thin.into_iter().filter(|slot| *slot != NONE) {
                self.put_row(relation, slot, None);
            }
        }
    }

    /// Ranks what is popular and what is rising.
    ///
    /// Popularity is the build's decayed count and the fresh one, both as of the newest event, as the next build will count
    /// them. What is rising the build has worked out from days of which it keeps no counts; an item that moves now is
    /// compared with the pace its popularity stands for, and the build's own verdict fades by half in each period.
    pub(super) fn rank(&mut self, build: Option<&ServedBuild>, places: &Places) -> (Ranked, Ranked) {
        self.unranked = false;
        let to_slots = |list: Vec<(u32, f32)>| -> Vec<(u32, f64)> {
            list.into_iter().filter_map(|(item, score)| Some((places.slot_of(item)?, f64::from(score)))).collect()
        };
        let popular = to_slots(build.map(ServedBuild::popular).unwrap_or_default());
        let trending = to_slots(build.map(ServedBuild::trending).unwrap_or_default());
        let then = build.map_or(Timestamp(i64::MIN), ServedBuild::newest);
        let Some(newest) = self.ledger.fresh_entries().map(|entry| entry.at).max().map(|fresh| fresh.max(then)) else {
            return (narrow(popular), narrow(trending));
        };
        #[expect(clippy::cast_precision_loss, reason = "ages in seconds")]
        let age = |at: Timestamp| newest.since(at) as f64 / SECOND as f64;
        let half_life = self.settings.popularity_half_life_days * 86_400.0;
        let period = self.settings.trending_half_life_hours * 3_600.0;
        let fade = |at: Timestamp, half_life: f64| (-age(at) / half_life).exp2();

        let mut liked: NumberMap<f64> = NumberMap::default();
        let mut recent: NumberMap<f64> = NumberMap::default();
        for entry in self.ledger.fresh_entries() {
            let slot = self.slots.get(entry.item as usize).copied().unwrap_or(NONE);
            if slot == NONE {
                continue;
            }
            *liked.entry(slot).or_default() += f64::from(entry.weight) * fade(entry.at, half_life);
            if age(entry.at) <= period {
                *recent.entry(slot).or_default() += f64::from(entry.weight);
            }
        }
        let trend = Trend::default();
        // A steady pace of r a second has the popularity r · half_life / ln 2.
        let pace: NumberMap<f64> =
            popular.iter().map(|&(slot, score)| (slot, score * std::f64::consts::LN_2 / half_life * period)).collect();
        let rising = recent.into_iter().filter(|(_, volume)| *volume >= f64::from(trend.min_volume)).map(|(slot, volume)| {
            let smoothing = f64::from(trend.smoothing);
            (slot, (volume + smoothing) / (pace.get(&slot).copied().unwrap_or(0.0) + smoothing))
        });
        let rising: NumberMap<f64> = rising.collect();
        let faded = fade(then, half_life);
        let popular = merged(popular, liked, |before, now| before * faded + now);
        let faded = fade(then, period);
        let trending = merged(trending, rising, |before, now| now.max(1.0 + (before - 1.0) * faded));
        (narrow(popular), narrow(trending))
    }
}

/// Returns how surely a new pairing is no accident; nothing for one that is not new.
///
/// The likelihood ratio of a Poisson count, `2·(c·ln(c/e) − (c − e))`: of the recent groups, `c` hold both, and
/// `e = recent · (a/n) · (b/n)` would by chance.
fn surprise(counts: &Counts, pair: &Pair, support: u32, a: u32, b: u32, n: u32) -> Option<f64> {
    let earlier = support.saturating_sub(pair.recent);
    if pair.visitors() < LIFTING_VISITORS || earlier > pair.recent || n == 0 {
        return None;
    }
    let c = f64::from(pair.recent);
    let e = f64::from(counts.recent) * (f64::from(a) / f64::from(n)) * (f64::from(b) / f64::from(n));
    (c > e && e > 0.0).then(|| 2.0 * (c * (c / e).ln() - (c - e)))
}

/// Moves new pairings that stand too far down, the most surprising first, into the first ten.
///
/// They take the score of whom they stand behind, so that scores still descend.
fn lift(neighbors: &mut Vec<Neighbor>, mut lifted: Vec<(f64, Neighbor)>) {
    lifted.sort_unstable_by(|x, y| y.0.total_cmp(&x.0).then(x.1.slot.cmp(&y.1.slot)));
    lifted.truncate(LIFTED);
    let first_ten = LIFTED_TO + LIFTED;
    lifted.retain(|(_, new)| neighbors.iter().take(first_ten).all(|neighbor| neighbor.slot != new.slot));
    for (at, (surprise, new)) in (LIFTED_TO..).zip(lifted) {
        neighbors.retain(|neighbor| neighbor.slot != new.slot);
        let at = at.min(neighbors.len());
        #[expect(clippy::cast_possible_truncation, reason = "a score; its size matters, not its digits")]
        let score = at.checked_sub(1).map_or(surprise as f32, |before| neighbors[before].score);
        neighbors.insert(at, Neighbor { score, ..new });
    }
}

/// Puts new scores into a ranked list; equal scores keep the list's order, then that of the slots.
fn merged(mut list: Vec<(u32, f64)>, mut new: NumberMap<f64>, with: impl Fn(f64, f64) -> f64) -> Vec<(u32, f64)> {
    for (slot, score) in &mut list {
        *score = with(*score, new.remove(slot).unwrap_or(0.0));
    }
    let listed = list.len();
    list.extend(new);
    list[listed..].sort_unstable_by_key(|(slot, _)| *slot);
    list.sort_by(|x, y| y.1.total_cmp(&x.1));
    list.truncate(RANKED);
    list
}

/// Returns the scores as answers hold them; what has faded away altogether is still more than nothing.
fn narrow(list: Vec<(u32, f64)>) -> Ranked {
    #[expect(clippy::cast_possible_truncation, reason = "a score; its size matters, not its digits")]
    let narrow = |score: f64| (score as f32).max(f32::MIN_POSITIVE);
    list.into_iter().map(|(slot, score)| (slot, narrow(score))).collect()
}
