//! What has happened since the build, as groups: the baskets and visits that are still being counted.
//!
//! Every entry of a group remembers which node's log it came from, and where. A build says how far it has read each log;
//! what lies at or below that is *known*: it stays in its group, so that an order of which the build saw the browser's
//! word is not counted again when the server speaks, and a visit that goes on is not counted as a second one, but it
//! adds to no count. Exchanging the build is therefore the same groups counted anew, forwards and backwards. What is
//! younger than the build before is *recent*: a new pairing does not look old on the day after only because a build has
//! learnt it.
//!
//! Memory is bounded (`MAX_ENTRIES`, `MAX_PAIRS`, `MAX_ITEMS`, `MAX_TAUGHT`): about 100 MB a site at the very
//! most. The oldest groups go first, and [`Ledger::complete_from`] says from where on the rest is complete.

use std::collections::{BTreeMap, VecDeque};

use super::fact::{Fact, What};
use super::serving::Relation;
use crate::event::time::SESSION_SILENCE;
use crate::event::{ItemId, Timestamp};
use crate::numbered::{NumberMap, NumberSet};

/// Entries kept, known ones included.
const MAX_ENTRIES: usize = 200_000;
/// Pairs counted.
const MAX_PAIRS: usize = 500_000;
/// Items with a number; further ones wait for the next build.
const MAX_ITEMS: usize = 200_000;
/// What is remembered of who taught what, and for how many days.
const MAX_TAUGHT: usize = 500_000;
const TAUGHT_DAYS: usize = 3;

/// How a build counts, so that the overlay counts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Interactions with one item that one visitor can teach on one day.
    pub visitor_cap_per_day: u32,
    /// Items of a group that are counted.
    pub max_group: usize,
}

/// The baskets and visits since the build.
#[derive(Debug)]
pub struct Ledger {
    rules: Rules,
    /// How far the build has read each node's log.
    learnt: BTreeMap<u64, u64>,
    /// How far the build before had.
    learnt_before: BTreeMap<u64, u64>,
    /// How far each node's log has been taken in here.
    through: BTreeMap<u64, u64>,
    /// What was given up for lack of room, by node.
    evicted_through: BTreeMap<u64, u64>,
    ids: Vec<ItemId>,
    numbers: foldhash::HashMap<ItemId, u32>,
    groups: VecDeque<Group>,
    /// Number of the first group in `groups`.
    first: u64,
    /// Where the group with a key is; of visits, the latest.
    open: NumberMap<u64, Key>,
    bought: Counts,
    viewed: Counts,
    taught: BTreeMap<i32, NumberMap<u32, (u64, u32)>>,
    entries: usize,
    left_out: LeftOut,
}

/// What was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Beyond what one visitor may teach.
    pub capped: u64,
    /// Entries given up, or not taken, for lack of room.
    pub no_room: u64,
}

/// Counts of one relation, of what no build knows.
#[derive(Debug, Default)]
pub struct Counts {
    /// Groups.
    pub groups: u32,
    /// Recent groups.
    pub recent: u32,
    /// By the item's number.
    items: Vec<Tally>,
    /// Pairs, both ways.
    pairs: usize,
    /// Items whose counts have changed since this was last taken.
    changed: NumberSet,
}

/// What is counted of one item.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Groups that hold it.
    pub groups: u32,
    /// Items it shares groups with.
    pub partners: NumberMap<Pair>,
}

/// What is counted of two items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pair {
    /// Groups that hold both and that the build does not know.
    pub together: u32,
    /// Recent groups that hold both.
    pub recent: u32,
    /// The first visitors who brought them together, by a part of their hash; 0 stands for none.
    visitors: [u32; VISITORS],
}

/// Different visitors of a pair that are told apart.
pub const VISITORS: usize = 5;

impl Pair {
    /// Returns how many different visitors brought them together lately, up to [`VISITORS`].
    pub fn visitors(&self) -> usize {
        self.visitors.iter().take_while(|visitor| **visitor != 0).count()
    }

    fn saw(&mut self, who: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "any 32 bits of a hash will do")]
        let visitor = (who as u32).max(1);
        if let Some(place) = self.visitors.iter_mut().find(|known| **known == visitor || **known == 0) {
            *place = visitor;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Visit(u64),
    Basket(u64),
}

#[derive(Debug)]
struct Group {
    key: Key,
    who: u64,
    last: Timestamp,
    trusted: bool,
    /// It is one of the counted groups: nothing of it is known to the build.
    counted: bool,
    /// Something of it is recent.
    recent: bool,
    entries: Vec<Entry>,
}

/// One interaction.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub item: u32,
    node: u64,
    position: u64,
    pub at: Timestamp,
    pub weight: f32,
    /// The build has it.
    known: bool,
    /// The build before has not.
    recent: bool,
    /// Its group counts the item already, or is full: a sign of interest and no more.
    repeated: bool,
}

impl Ledger {
    /// Begins without anything.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            learnt: BTreeMap::new(),
            learnt_before: BTreeMap::new(),
            through: BTreeMap::new(),
            evicted_through: BTreeMap::new(),
            ids: Vec::new(),
            numbers: foldhash::HashMap::default(),
            groups: VecDeque::new(),
            first: 0,
            open: NumberMap::default(),
            bought: Counts::default(),
            viewed: Counts::default(),
            taught: BTreeMap::new(),
            entries: 0,
            left_out: LeftOut::default(),
        }
    }

    /// Takes in a fact; facts of a node come in the order of its log. One that was taken before changes nothing.
    pub fn take(&mut self, fact: &Fact) {
        let through = self.through.entry(fact.node).or_insert(0);
        // A position is at least that of the first commit's mark, so 0 is none.
        if fact.position.0 <= *through {
            return;
        }
        *through = fact.position.0;
        let place = self.group_of(fact);
        let Some(place) = place else { return };
        for item in &fact.items {
            let Some(item) = self.number(item) else {
                self.left_out.no_room += 1;
                continue;
            };
            if self.may_teach(fact, item) {
                self.attach(place, self.entry(item, fact.node, fact.position.0, fact.at, fact.what.weight()));
            }
        }
        self.make_room();
    }

    /// Counts anew what a build that has read the logs so far does not know.
    pub fn rebase(&mut self, learnt: BTreeMap<u64, u64>) {
        let before = std::mem::replace(&mut self.learnt, learnt);
        if before != self.learnt {
            // Without a build before, what was there already is the past; going back, it is as before that build.
            let earlier = self.learnt.iter().map(|(node, now)| (*node, before.get(node).map_or(*now, |before| *before.min(now))));
            self.learnt_before = earlier.collect();
        }
        (self.bought, self.viewed) = (Counts::default(), Counts::default());
        let ids = std::mem::take(&mut self.ids);
        self.numbers.clear();
        self.entries = 0;
        for place in 0..self.groups.len() {
            (self.groups[place].counted, self.groups[place].recent) = (false, false);
            for entry in std::mem::take(&mut self.groups[place].entries) {
                // Numbered anew, so that items of groups that are gone take no room.
                let Some(item) = ids.get(entry.item as usize).and_then(|id| self.number(id)) else { continue };
                self.attach(place, self.entry(item, entry.node, entry.position, entry.at, entry.weight));
            }
        }
        // Who taught what is kept by number.
        let numbers: Vec<Option<u32>> = ids.iter().map(|id| self.numbers.get(id).copied()).collect();
        for day in self.taught.values_mut() {
            let renumbered = day.drain().filter_map(|((who, item), times)| {
                let item = numbers.get(item as usize).copied().flatten()?;
                Some(((who, item), times))
            });
            *day = renumbered.collect();
        }
    }

    /// Forgets everything, so that the logs can be taken in again from an earlier place.
    pub fn clear(&mut self) {
        let (learnt, learnt_before) = (std::mem::take(&mut self.learnt), std::mem::take(&mut self.learnt_before));
        *self = Self { learnt, learnt_before, left_out: self.left_out, ..Self::new(self.rules) };
    }

    /// Returns the position of a node's log behind which nothing was given up.
    pub fn complete_from(&self, node: u64) -> u64 {
        self.evicted_through.get(&node).copied().unwrap_or(0)
    }

    /// Returns the counts of a relation.
    pub fn counts(&self, relation: Relation) -> &Counts {
        match relation {
            Relation::Bought => &self.bought,
            Relation::Viewed => &self.viewed,
        }
    }

    /// Returns the items whose counts have changed since this was last asked.
    pub fn take_changed(&mut self, relation: Relation) -> NumberSet {
        std::mem::take(&mut self.counts_mut(relation).changed)
    }

    /// Returns the id of each numbered item.
    pub fn ids(&self) -> &[ItemId] {
        &self.ids
    }

    /// Returns all interactions that no build knows.
    pub fn fresh_entries(&self) -> impl Iterator<Item = &Entry> {
        self.groups.iter().flat_map(|group| &group.entries).filter(|entry| !entry.known)
    }

    /// Returns what was left out since this was last asked.
    pub fn take_left_out(&mut self) -> LeftOut {
        std::mem::take(&mut self.left_out)
    }

    fn counts_mut(&mut self, relation: Relation) -> &mut Counts {
        match relation {
            Relation::Bought => &mut self.bought,
            Relation::Viewed => &mut self.viewed,
        }
    }

    fn entry(&self, item: u32, node: u64, position: u64, at: Timestamp, weight: f32) -> Entry {
        let within = |learnt: &BTreeMap<u64, u64>| learnt.get(&node).is_some_and(|&through| position <= through);
        let (known, recent) = (within(&self.learnt), !within(&self.learnt_before));
        Entry { item, node, position, at, weight, known, recent, repeated: false }
    }

    /// Finds the group a fact belongs to, or makes it; nothing where the fact adds nothing.
    fn group_of(&mut self, fact: &Fact) -> Option<usize> {
        let key = match fact.what {
            What::Look { .. } => Key::Visit(fact.who),
            What::Buy { basket } => Key::Basket(basket),
        };
        let found = self.open.get(&key).and_then(|number| usize::try_from(number.checked_sub(self.first)?).ok());
        if let Some((place, group)) = found.and_then(|place| Some((place, self.groups.get_mut(place)?))) {
            match fact.what {
                What::Look { .. } => {
                    if fact.at.since(group.last).abs() <= SESSION_SILENCE {
                        group.last = group.last.max(fact.at);
                        return Some(place);
                    }
                }
                What::Buy { .. } if group.trusted == fact.trusted => return Some(place),
                // The server has spoken of this order; the browser's copy adds nothing.
                What::Buy { .. } if group.trusted => return None,
                What::Buy { .. } => {
                    if group.entries.iter().any(|entry| entry.known) {
                        // The build has the browser's word for it; the next one will hear the server.
                        return None;
                    }
                    self.uncount(place);
                    let group = &mut self.groups[place];
                    self.entries -= group.entries.len();
                    group.entries.clear();
                    group.trusted = true;
                    return Some(place);
                }
            }
        }
        let (who, last, trusted) = (fact.who, fact.at, fact.trusted);
        self.groups.push_back(Group { key, who, last, trusted, counted: false, recent: false, entries: Vec::new() });
        self.open.insert(key, self.first + (self.groups.len() as u64 - 1));
        Some(self.groups.len() - 1)
    }

    fn number(&mut self, id: &ItemId) -> Option<u32> {
        if let Some(&number) = self.numbers.get(id) {
            return Some(number);
        }
        if self.ids.len() >= MAX_ITEMS {
            return None;
        }
        let number = u32::try_from(self.ids.len()).ok()?;
        self.ids.push(id.clone());
        self.numbers.insert(id.clone(), number);
        Some(number)
    }

    /// Returns whether this visitor may still teach about this item that day; the same rule as a build's.
    fn may_teach(&mut self, fact: &Fact, item: u32) -> bool {
        if fact.trusted {
            return true;
        }
        let times = self.taught.entry(fact.at.day()).or_default().entry((fact.who, item)).or_insert(0);
        *times += 1;
        let may = *times <= self.rules.visitor_cap_per_day;
        self.left_out.capped += u64::from(!may);
        let too_many = |taught: &BTreeMap<i32, NumberMap<_, _>>| {
            taught.len() > TAUGHT_DAYS || taught.values().map(NumberMap::len).sum::<usize>() > MAX_TAUGHT
        };
        while too_many(&self.taught) {
            self.taught.pop_first();
        }
        may
    }

    /// Adds an entry to a group and counts what is new about that.
    fn attach(&mut self, place: usize, mut entry: Entry) {
        let group = &mut self.groups[place];
        if group.entries.len() >= self.rules.max_group * 4 {
            // A visit without end is a program's: it says nothing more, and must not slow down the rest.
            self.left_out.no_room += 1;
            return;
        }
        let counts = match group.key {
            Key::Visit(_) => &mut self.viewed,
            Key::Basket(_) => &mut self.bought,
        };
        let mut distinct = group.entries.iter().filter(|other| !other.repeated);
        entry.repeated = distinct.any(|other| other.item == entry.item)
            || group.entries.iter().filter(|other| !other.repeated).count() >= self.rules.max_group;
        if !entry.repeated {
            for other in group.entries.iter().filter(|other| !other.repeated) {
                let (fresh, recent) = (!(other.known && entry.known), other.recent || entry.recent);
                if fresh || recent {
                    counts.meet(other.item, entry.item, group.who, fresh, recent);
                }
            }
            if !entry.known {
                counts.tally(entry.item).groups += 1;
                counts.changed.insert(entry.item);
            }
        }
        group.entries.push(entry);
        self.entries += 1;
        let counted = group.entries.iter().all(|entry| !entry.known);
        counts.groups = (counts.groups + u32::from(counted)) - u32::from(group.counted);
        group.counted = counted;
        counts.recent += u32::from(entry.recent && !group.recent);
        group.recent |= entry.recent;
    }

    /// Takes a group out of the counts.
    fn uncount(&mut self, place: usize) {
        let group = &mut self.groups[place];
        let counts = match group.key {
            Key::Visit(_) => &mut self.viewed,
            Key::Basket(_) => &mut self.bought,
        };
        let distinct: Vec<&Entry> = group.entries.iter().filter(|entry| !entry.repeated).collect();
        for (n, entry) in distinct.iter().enumerate() {
            for other in &distinct[..n] {
                let (fresh, recent) = (!(other.known && entry.known), other.recent || entry.recent);
                if fresh || recent {
                    counts.part(other.item, entry.item, fresh, recent);
                }
            }
            if !entry.known {
                let tally = counts.tally(entry.item);
                tally.groups = tally.groups.saturating_sub(1);
                counts.changed.insert(entry.item);
            }
        }
        counts.groups = counts.groups.saturating_sub(u32::from(group.counted));
        counts.recent = counts.recent.saturating_sub(u32::from(group.recent));
        (group.counted, group.recent) = (false, false);
    }

    /// Gives up the oldest groups while there is more than fits.
    fn make_room(&mut self) {
        while self.entries > MAX_ENTRIES || (self.bought.pairs + self.viewed.pairs) / 2 > MAX_PAIRS {
            if self.groups.is_empty() {
                return;
            }
            self.uncount(0);
            let Some(group) = self.groups.pop_front() else { return };
            if self.open.get(&group.key) == Some(&self.first) {
                self.open.remove(&group.key);
            }
            self.first += 1;
            self.entries -= group.entries.len();
            for entry in &group.entries {
                self.left_out.no_room += u64::from(!entry.known);
                let through = self.evicted_through.entry(entry.node).or_insert(0);
                *through = entry.position.max(*through);
            }
        }
    }
}

impl Counts {
    /// Returns what is counted of an item.
    pub fn of(&self, item: u32) -> Option<&Tally> {
        self.items.get(item as usize)
    }

    /// Returns the items that were counted.
    pub fn items(&self) -> impl Iterator<Item = (u32, &Tally)> {
        (0u32..).zip(&self.items)
    }

    fn tally(&mut self, item: u32) -> &mut Tally {
        let place = item as usize;
        if place >= self.items.len() {
            self.items.resize_with(place + 1, Tally::default);
        }
        &mut self.items[place]
    }

    fn meet(&mut self, one: u32, other: u32, who: u64, fresh: bool, recent: bool) {
        for (from, to) in [(one, other), (other, one)] {
            let partners = &mut self.tally(from).partners;
            let before = partners.len();
            let pair = partners.entry(to).or_default();
            pair.together += u32::from(fresh);
            pair.recent += u32::from(recent);
            pair.saw(who);
            self.pairs += self.items[from as usize].partners.len() - before;
            self.changed.insert(from);
        }
    }

    fn part(&mut self, one: u32, other: u32, fresh: bool, recent: bool) {
        for (from, to) in [(one, other), (other, one)] {
            let partners = &mut self.tally(from).partners;
            if let Some(pair) = partners.get_mut(&to) {
                pair.together = pair.together.saturating_sub(u32::from(fresh));
                pair.recent = pair.recent.saturating_sub(u32::from(recent));
                if pair.together == 0 && pair.recent == 0 {
                    partners.remove(&to);
                    self.pairs = self.pairs.saturating_sub(1);
                }
            }
            self.changed.insert(from);
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
