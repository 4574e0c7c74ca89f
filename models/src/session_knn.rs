//! What came next in the visits most like this one: nearest neighbours among sessions.
//!
//! VMIS-kNN (Kersbergen, Sprangers, Schelter, *Serenade*, SIGMOD 2022) keeps for each item its most recent sessions; sessions that share items with the visit
//! are its neighbours, and they vote for their items. From STAN (Garg et al., SIGIR 2019) and VSTAN (Ludewig et al., UMUAI 2021) come the weights that pay:
//! items on screen just now count more than earlier ones (`e^(−k/steps)`), rare items more than frequent ones (`ln(N/df)^idf`), recent sessions more than old
//! ones (`e^(−age/horizon)`), and a neighbour's items more the nearer they stand to what it shares with the visit (`e^(−|r − r₀|/spread)`), those before it
//! `back` times as much as those after.
//!
//! Sessions are numbered in the order of time, so the newest sessions of an item are the end of an ascending list and the age of a session is one array.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Column, Draft};
use crate::model::Model;
use crate::sessions::Sessions;
use crate::{prefetch, top};

#[cfg(test)]
mod tests;

/// How neighbours are found and how they vote.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Most recent sessions looked at for each item of the visit.
    pub postings: usize,
    /// Neighbours that vote.
    pub neighbors: usize,
    /// Steps back after which an item of the visit weighs 1/e.
    pub steps: f32,
    /// Age after which a session weighs 1/e, as a share of the time span learnt from.
    pub horizon: f32,
    /// Distance from the shared item after which a neighbour's item weighs 1/e.
    pub spread: f32,
    /// Weight of what stands before the shared item, beside 1 for what follows.
    pub back: f32,
    /// Power of `ln(N/df)`.
    pub idf: f32,
    /// Items kept of a session, its last ones: a robot's visit of thousands says nothing.
    pub longest: usize,
    /// Sessions kept, the newest ones.
    pub most: usize,
}

impl Default for Options {
    /// Found on the last part of the Diginetica training sessions, and good on two other shops unchanged.
    fn default() -> Self {
        Self {
            postings: 1_000,
            neighbors: 300,
            steps: 3.0,
            horizon: 0.55,
            spread: 3.0,
            back: 0.5,
            idf: 2.0,
            longest: 60,
            most: 20_000_000,
        }
    }
}

/// The index of sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionKnn {
    settings: Settings,
    /// Sessions in compressed rows, oldest first.
    session_indptr: Column<u32>,
    session_items: Column<u32>,
    /// For each item the sessions that hold it, oldest first.
    item_indptr: Column<u32>,
    item_sessions: Column<u32>,
    /// What a session weighs by its age.
    freshness: Column<f32>,
    /// What an item weighs by its rarity.
    rarity: Column<f32>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Settings {
    options: Options,
}

/// Items of the visit that are looked up; the fifteenth step weighs less than a hundredth.
const MAX_ITEMS: usize = 15;
/// Distances that are told apart.
const FAR: usize = 64;
/// Stands for an item that is not in the visit.
const ABSENT: u8 = u8::MAX;

/// Memory for the search.
#[derive(Debug, Default)]
pub struct Scratch {
    /// By session: how much it shares with the visit.
    shared: Vec<f32>,
    touched: Vec<u32>,
    keys: Vec<u64>,
    /// By item: how many steps back it stands in the visit.
    steps: Vec<u8>,
    looked_up: Vec<u32>,
    near: Vec<f32>,
    sums: Vec<f32>,
    voted: Vec<u32>,
}

/// A session that shares items with the visit, and what it votes for.
#[derive(Debug, Clone, Copy)]
pub struct Neighbor<'a> {
    /// How much it shares with the visit, by recency in the visit and rarity.
    pub shared: f32,
    /// The same, faded by its age.
    pub fresh: f32,
    /// Its items around the latest one that it shares with the visit; what stands farther weighs next to nothing.
    pub items: &'a [u32],
    /// For each of these what its distance from the shared item leaves of its weight.
    pub near: &'a [f32],
    /// What stands right behind the shared item.
    pub next: Option<u32>,
    /// Steps back in the visit of the most recent item that both share.
    pub anchor: u8,
    /// Its places that hold an item of the visit.
    pub common: u32,
}

impl SessionKnn {
    /// Returns the number of items.
    pub fn n_items(&self) -> usize {
        self.rarity.len()
    }

    /// Returns the number of sessions kept.
    pub fn n_sessions(&self) -> usize {
        self.freshness.len()
    }

    /// Finds the neighbours of a visit (oldest item first) and calls `each` with them, oldest first.
    pub fn neighbors(&self, visit: &[u32], scratch: &mut Scratch, mut each: impl FnMut(Neighbor<'_>)) {
        let options = &self.settings.options;
        let n_items = self.n_items();
        let Scratch { shared, touched, keys, steps, looked_up, near, .. } = scratch;
        shared.resize(shared.len().max(self.n_sessions()), 0.0);
        steps.resize(steps.len().max(n_items), ABSENT);
        if near.len() != 2 * FAR {
            // By place, the shared item in the middle.
            near.clear();
            near.extend((0..FAR).rev().map(|before| options.back * (-((before + 1) as f32) / options.spread).exp()));
            near.extend((0..FAR).map(|after| (-(after as f32) / options.spread).exp()));
        }
        let (item_indptr, item_sessions) = (&self.item_indptr[..], &self.item_sessions[..]);
        let (session_indptr, session_items) = (&self.session_indptr[..], &self.session_items[..]);
        let (freshness, rarity) = (&self.freshness[..], &self.rarity[..]);

        // Where the weight falls below a twentieth.
        let reach = ((3.0 * options.spread) as usize).clamp(1, FAR - 1);

        looked_up.clear();
        for (step, &item) in visit.iter().rev().take(usize::from(ABSENT)).enumerate() {
            if looked_up.len() == MAX_ITEMS {
                break;
            }
            let at = item as usize;
            if at >= n_items || steps[at] != ABSENT {
                continue;
            }
            steps[at] = step as u8;
            looked_up.push(item);
            let weight = (-(step as f32) / options.steps).exp() * rarity[at];
            let row = &item_sessions[item_indptr[at] as usize..item_indptr[at + 1] as usize];
            for &session in &row[row.len().saturating_sub(options.postings)..] {
                let sum = &mut shared[session as usize];
                if *sum == 0.0 {
                    touched.push(session);
                }
                *sum += weight;
            }
        }

        keys.clear();
        keys.extend(touched.iter().map(|&session| top::key(shared[session as usize] * freshness[session as usize], session)));
        top::cut(keys, options.neighbors);
        // In the order of memory, which is also the order of time.
        keys.sort_unstable_by_key(|&key| top::item(key));
        // They lie anywhere: asked for all at once, the processor waits for all at once.
        for &key in keys.iter() {
            prefetch::touch(session_items, session_indptr[top::item(key) as usize] as usize);
        }
        for &key in keys.iter() {
            let session = top::item(key) as usize;
            let items = &session_items[session_indptr[session] as usize..session_indptr[session + 1] as usize];
            let (mut anchor, mut at, mut common) = (ABSENT, 0, 0);
            for (place, &item) in items.iter().enumerate() {
                let step = steps[item as usize];
                common += u32::from(step != ABSENT);
                if step <= anchor && step != ABSENT {
                    (anchor, at) = (step, place);
                }
            }
            let (from, to) = (at.saturating_sub(reach), items.len().min(at + reach + 1));
            let near = &near[FAR + from - at..FAR + to - at];
            let next = items.get(at + 1).copied();
            let (shared, fresh) = (shared[session], top::score(key));
            each(Neighbor { shared, fresh, items: &items[from..to], near, next, anchor, common });
        }

        for &session in touched.iter() {
            shared[session as usize] = 0.0;
        }
        touched.clear();
        for &item in looked_up.iter() {
            steps[item as usize] = ABSENT;
        }
    }
}

impl Model for SessionKnn {
    type Examples<'a> = Sessions<'a>;
    type Options = Options;
    type Query<'a> = &'a [u32];
    type Scratch = Scratch;

    fn fit(examples: &Sessions<'_>, options: &Options) -> Self {
        let n_items = examples.n_items;
        let first = examples.sessions.len().saturating_sub(options.most.min(u32::MAX as usize - 1));
        let mut session_indptr = vec![0_u32];
        let mut session_items = Vec::new();
        let mut freshness = Vec::new();
        for (number, session) in examples.sessions.iter().enumerate().skip(first) {
            let known = session.iter().copied().filter(|&item| (item as usize) < n_items);
            let skip = known.clone().count().saturating_sub(options.longest);
            // Row starts are u32; a shop beyond that keeps its newest sessions by `most`.
            if session_items.len() + options.longest > u32::MAX as usize {
                break;
            }
            session_items.extend(known.skip(skip));
            session_indptr.push(session_items.len() as u32);
            // Never 0, which would make it no session at all.
            freshness.push((-examples.age(number) / options.horizon.max(1e-6)).exp().max(1e-6));
        }
        let mut item_indptr = vec![0_u32; n_items + 1];
        let mut latest = vec![u32::MAX; n_items];
        let mut each = |visit: &mut dyn FnMut(u32, u32)| {
            latest.fill(u32::MAX);
            for (session, bounds) in session_indptr.windows(2).enumerate() {
                for &item in &session_items[bounds[0] as usize..bounds[1] as usize] {
                    if std::mem::replace(&mut latest[item as usize], session as u32) != session as u32 {
                        visit(item, session as u32);
                    }
                }
            }
        };
        each(&mut |item, _| item_indptr[item as usize + 1] += 1);
        let n = freshness.len() as f32;
        let rarity: Vec<f32> =
            item_indptr[1..].iter().map(|&df| if df == 0 { 0.0 } else { (1.0 + n / df as f32).ln().powf(options.idf) }).collect();
        for item in 0..n_items {
            item_indptr[item + 1] += item_indptr[item];
        }
        let mut next = item_indptr.clone();
        let mut item_sessions = vec![0_u32; item_indptr[n_items] as usize];
        each(&mut |item, session| {
            item_sessions[next[item as usize] as usize] = session;
            next[item as usize] += 1;
        });
        Self {
            settings: Settings { options: *options },
            session_indptr: session_indptr.into(),
            session_items: session_items.into(),
            item_indptr: item_indptr.into(),
            item_sessions: item_sessions.into(),
            freshness: freshness.into(),
            rarity: rarity.into(),
        }
    }

    fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        draft.write_value(&format!("{name}.settings.json"), &self.settings)?;
        self.session_indptr.save(draft, &format!("{name}.session_indptr.u32"))?;
        self.session_items.save(draft, &format!("{name}.session_items.u32"))?;
        self.item_indptr.save(draft, &format!("{name}.item_indptr.u32"))?;
        self.item_sessions.save(draft, &format!("{name}.item_sessions.u32"))?;
        self.freshness.save(draft, &format!("{name}.freshness.f32"))?;
        self.rarity.save(draft, &format!("{name}.rarity.f32"))
    }

    fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let model = Self {
            settings: artifact.value(&format!("{name}.settings.json"))?,
            session_indptr: Column::open(artifact, &format!("{name}.session_indptr.u32"))?,
            session_items: Column::open(artifact, &format!("{name}.session_items.u32"))?,
            item_indptr: Column::open(artifact, &format!("{name}.item_indptr.u32"))?,
            item_sessions: Column::open(artifact, &format!("{name}.item_sessions.u32"))?,
            freshness: Column::open(artifact, &format!("{name}.freshness.f32"))?,
            rarity: Column::open(artifact, &format!("{name}.rarity.f32"))?,
        };
        let (n_items, n_sessions) = (model.n_items(), model.n_sessions());
        let rows = |indptr: &[u32], n: usize, entries: usize| {
            indptr.len() == n + 1 && indptr[0] == 0 && indptr[n] as usize == entries && indptr.is_sorted()
        };
        let reason = if !rows(&model.session_indptr, n_sessions, model.session_items.len()) {
            "the sessions do not follow one another"
        } else if !rows(&model.item_indptr, n_items, model.item_sessions.len()) {
            "the lists of the items do not follow one another"
        } else if model.session_items.iter().any(|&item| item as usize >= n_items) {
            "a session names an item that is not there"
        } else if model.item_sessions.iter().any(|&session| session as usize >= n_sessions) {
            "an item names a session that is not there"
        } else if model.freshness.iter().chain(model.rarity.iter()).any(|weight| !weight.is_finite() || *weight < 0.0) {
            "a weight is not a positive finite number"
        } else {
            return Ok(model);
        };
        Err(ArtifactError::shape(format!("{name}.session_items.u32"), reason))
    }

    fn predict(&self, visit: &[u32], k: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        out.clear();
        let mut sums = std::mem::take(&mut scratch.sums);
        let mut voted = std::mem::take(&mut scratch.voted);
        sums.resize(sums.len().max(self.n_items()), 0.0);
        self.neighbors(visit, scratch, |neighbor| {
            for (&item, &near) in neighbor.items.iter().zip(neighbor.near) {
                let sum = &mut sums[item as usize];
                if *sum == 0.0 {
                    voted.push(item);
                }
                *sum += neighbor.fresh * near;
            }
        });
        scratch.keys.clear();
        scratch.keys.extend(voted.drain(..).filter_map(|item| {
            let sum = std::mem::take(&mut sums[item as usize]);
            (sum > 0.0).then(|| top::key(sum, item))
        }));
        top::keep_best(&mut scratch.keys, k);
        out.extend(scratch.keys.iter().map(|&key| (top::item(key), top::score(key))));
        scratch.sums = sums;
        scratch.voted = voted;
    }
}
