//! What speaks for each candidate of one visit.

use pulp::Arch;

use self::rows::{
    ANCHORED, BACK, FOLLOWS, FRESH, HOP, LANES, LAST, LINKED, PLAIN, RULE, Row, Rows, SECOND, SECOND_RULE, SEVERAL, STRONGEST,
    TIMES, TOGETHER, VOTES, Weights,
};
use super::Parts;
use crate::{prefetch, session_knn, top};

mod rows;

/// Everything that speaks for one candidate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Evidence {
    pub item: u32,
    /// Votes of the session neighbours: faded by age and distance; neither; only of what stands right behind; only of neighbours that share the
    /// item on screen; only of those that share several places.
    pub fresh: f32,
    pub plain: f32,
    pub follows: f32,
    pub anchored: f32,
    pub several: f32,
    /// How many neighbours vote, and the strongest of them.
    pub votes: f32,
    pub strongest: f32,
    /// Co-visitation with the visit, with the item on screen, and with the one before.
    pub together: f32,
    pub last: f32,
    pub second: f32,
    /// Items of the visit that it goes with.
    pub linked: f32,
    /// Co-visitation with the best candidates: what goes with what goes with the visit.
    pub hop: f32,
    /// Share of those who saw the item on screen that went on to this one; the same for the item before.
    pub rule: f32,
    pub second_rule: f32,
    /// Times in the visit, and steps back of the latest (the item on screen is 0); less than 0 where it was not there.
    pub times: f32,
    pub back: f32,
    pub blend: f32,
}

/// Features of the blend. Scores are shares of the best score of their kind; the roots let small shares speak.
pub(super) const LINEAR: [&str; 14] = [
    "neighbors",
    "neighbors_root",
    "follows",
    "anchored_root",
    "together",
    "together_root",
    "last_root",
    "rule",
    "rule_root",
    "repeated",
    "repeated_lately",
    "on_screen",
    "hop",
    "hop_root",
];
/// Weights of a shop too small to learn its own.
pub(super) const PRIOR: [f32; LINEAR.len()] = [3.0, 3.0, 0.5, 1.0, 0.5, 2.0, 0.5, 0.5, 1.5, 0.5, 1.0, 1.0, 0.2, 0.8];

/// Greatest values of a query, by which scores become shares.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Most {
    pub fresh: f32,
    pub plain: f32,
    pub follows: f32,
    pub anchored: f32,
    pub strongest: f32,
    pub together: f32,
    pub last: f32,
    pub second: f32,
    pub rule: f32,
    pub hop: f32,
    /// Sum of the neighbours' votes.
    pub whole: f32,
}

/// Candidates that speak for others, and how many each.
const HOPS: usize = 10;
const HOP_ROW: usize = 40;
/// Items of a visit whose rows are summed.
const MAX_ITEMS: usize = 10;
/// Places of a visit that are told apart.
const MAX_PLACES: usize = 64;
/// Entries of a row that are read: of the item on screen, and of those before it.
const ROW: [usize; 2] = [100, 50];

#[derive(Debug, Default)]
pub(super) struct Scratch {
    knn: session_knn::Scratch,
    rows: Rows,
    /// By row.
    blend: Vec<f32>,
    keys: Vec<u64>,
    chosen: Vec<Evidence>,
    seen: Vec<u32>,
    /// Rows that the second hop reached.
    reached: Vec<u32>,
    pub most: Most,
}

impl Scratch {
    /// Collects the evidence of a visit, oldest item first, and blends it.
    pub(super) fn gather(&mut self, parts: &Parts, visit: &[u32], weights: &[f32]) {
        self.rows.clear(parts.knn.n_items());
        self.vote(parts, visit);
        self.link(parts, visit);
        let arch = Arch::new();
        let (greatest, whole) = self.rows.greatest(arch);
        self.most = Most {
            fresh: greatest.votes[FRESH],
            plain: greatest.votes[PLAIN],
            follows: greatest.votes[FOLLOWS],
            anchored: greatest.votes[ANCHORED],
            strongest: greatest.links[STRONGEST],
            together: greatest.links[TOGETHER],
            last: greatest.links[LAST],
            second: greatest.links[SECOND],
            rule: greatest.links[RULE],
            hop: 0.0,
            whole,
        };
        let by_lane = lanes(weights, &self.most);
        self.rows.blend(arch, &by_lane, &mut self.blend);
        self.revisit(weights, &by_lane);
        self.hop(parts);
        // Only these have changed.
        let by_lane = lanes(weights, &self.most);
        for &number in &self.reached {
            let row = self.rows.row(number as usize);
            self.blend[number as usize] = by_lane.of(row);
        }
        self.revisit(weights, &by_lane);
    }

    /// Lets the session neighbours vote.
    fn vote(&mut self, parts: &Parts, visit: &[u32]) {
        let Self { knn, rows, .. } = self;
        parts.knn.neighbors(visit, knn, |neighbor| {
            let fresh = neighbor.fresh;
            let (mut faded, mut whole) = ([0.0_f32; LANES], [0.0_f32; LANES]);
            faded[FRESH] = fresh;
            faded[ANCHORED] = if neighbor.anchor == 0 { fresh } else { 0.0 };
            faded[SEVERAL] = if neighbor.common > 1 { fresh } else { 0.0 };
            whole[PLAIN] = neighbor.shared;
            whole[VOTES] = 1.0;
            for (&item, &near) in neighbor.items.iter().zip(neighbor.near) {
                let Row { votes, links } = rows.of(item);
                for lane in 0..LANES {
                    votes[lane] += near * faded[lane] + whole[lane];
                }
                let vote = near * fresh;
                links[STRONGEST] = if vote > links[STRONGEST] { vote } else { links[STRONGEST] };
            }
            if let Some(next) = neighbor.next {
                rows.of(next).votes[FOLLOWS] += fresh;
            }
        });
    }

    /// Adds what goes with the items of the visit, and these themselves, for shoppers return.
    fn link(&mut self, parts: &Parts, visit: &[u32]) {
        let Self { rows, seen, .. } = self;
        seen.clear();
        for (step, &item) in visit.iter().rev().take(MAX_PLACES).enumerate() {
            if item as usize >= parts.knn.n_items() {
                continue;
            }
            let row = rows.of(item);
            row.votes[TIMES] += 1.0;
            if row.votes[BACK] > 0.0 {
                continue;
            }
            row.votes[BACK] = (step + 1) as f32;
            seen.push(item);
            if seen.len() > MAX_ITEMS {
                continue;
            }
            let loud = (-(step as f32) / 2.5).exp();
            let most = ROW[usize::from(seen.len() > 1)];
            let own = match seen.len() {
                1 => Some((LAST, RULE)),
                2 => Some((SECOND, SECOND_RULE)),
                _ => None,
            };
            let (items, shares) = parts.next.view().row(item);
            for (&item, &weight) in items.iter().zip(shares).take(most) {
                let links = &mut rows.of(item).links;
                links[TOGETHER] += loud * weight;
                links[LINKED] += 1.0;
                if let Some((link, _)) = own {
                    links[link] = weight;
                }
            }
            if let Some((_, rule)) = own {
                let (items, shares) = parts.rules.view().row(item);
                for (&item, &weight) in items.iter().zip(shares).take(most) {
                    rows.of(item).links[rule] = weight;
                }
            }
        }
    }

    /// Works out the blend of what was seen in this visit, of which more is known.
    fn revisit(&mut self, weights: &[f32], by_lane: &Weights) {
        for &item in &self.seen {
            let number = self.rows.known(item);
            let row = self.rows.row(number);
            let back = row.votes[BACK] - 1.0;
            let repeated = returned(back).iter().zip(&weights[REPEATED..]).map(|(x, w)| x * w).sum::<f32>();
            self.blend[number] = by_lane.of(row) + repeated;
        }
    }

    /// Lets the best candidates speak for what goes with them: where few saw an item, its neighbours' neighbours are known.
    fn hop(&mut self, parts: &Parts) {
        self.best(HOPS);
        let Self { rows, blend, chosen, reached, most, .. } = self;
        reached.clear();
        let best = chosen.first().map_or(0.0, |e| e.blend);
        let next = parts.next.view();
        for e in chosen.iter() {
            let (items, shares) = next.row(e.item);
            prefetch::touch(items, 0);
            prefetch::touch(shares, 0);
        }
        for e in chosen.iter().filter(|e| e.back < 0.0) {
            let loud = (e.blend - best).exp();
            let (items, shares) = next.row(e.item);
            for (&item, &weight) in items.iter().zip(shares).take(HOP_ROW) {
                let number = rows.number(item);
                let hop = &mut rows.row_mut(number).links[HOP];
                if *hop == 0.0 {
                    reached.push(number as u32);
                }
                *hop += loud * weight;
                most.hop = most.hop.max(*hop);
            }
        }
        blend.resize(rows.items().len(), 0.0);
    }

    /// Returns the best `n` by the blend, best first; ties in the order of the items.
    pub(super) fn best(&mut self, n: usize) -> &[Evidence] {
        let Self { rows, blend, keys, chosen, .. } = self;
        keys.clear();
        keys.extend(blend.iter().zip(rows.items()).map(|(&blend, &item)| top::any_key(blend, item)));
        top::keep_best(keys, n);
        chosen.clear();
        chosen.extend(keys.iter().map(|&key| {
            let number = rows.known(top::item(key));
            Evidence::of(rows.row(number), top::item(key), blend[number])
        }));
        chosen
    }

    /// Returns what [`Self::best`] chose last.
    pub(super) fn chosen(&self) -> &[Evidence] {
        &self.chosen
    }
}

impl Evidence {
    fn of(row: &Row, item: u32, blend: f32) -> Self {
        let Row { votes, links } = row;
        Self {
            item,
            fresh: votes[FRESH],
            plain: votes[PLAIN],
            follows: votes[FOLLOWS],
            anchored: votes[ANCHORED],
            several: votes[SEVERAL],
            votes: votes[VOTES],
            strongest: links[STRONGEST],
            together: links[TOGETHER],
            last: links[LAST],
            second: links[SECOND],
            linked: links[LINKED],
            hop: links[HOP],
            rule: links[RULE],
            second_rule: links[SECOND_RULE],
            times: votes[TIMES],
            back: votes[BACK] - 1.0,
            blend,
        }
    }
}

/// Returns `part` as a share of `whole`, 0 where there is nothing.
#[inline]
pub(super) fn share(part: f32, whole: f32) -> f32 {
    part * scale(whole)
}

/// Returns what makes a share of a value.
#[inline]
fn scale(whole: f32) -> f32 {
    if whole > 0.0 { whole.recip() } else { 0.0 }
}

/// Where the features about returning stand in [`LINEAR`].
const REPEATED: usize = 9;

/// Returns the features of what was seen so many steps back.
#[inline]
fn returned(back: f32) -> [f32; 3] {
    [f32::from(back > 0.0), if back > 0.0 { back.recip() } else { 0.0 }, f32::from(back == 0.0)]
}

/// Returns the features of the blend.
pub(super) fn linear(e: &Evidence, most: &Most) -> [f32; LINEAR.len()] {
    let fresh = share(e.fresh, most.fresh);
    let together = share(e.together, most.together);
    let rule = share(e.rule, most.rule);
    let hop = share(e.hop, most.hop);
    let [repeated, repeated_lately, on_screen] = returned(e.back);
    [
        fresh,
        fresh.sqrt(),
        share(e.follows, most.follows).sqrt(),
        share(e.anchored, most.anchored).sqrt(),
        together,
        together.sqrt(),
        share(e.last, most.last).sqrt(),
        rule,
        rule.sqrt(),
        repeated,
        repeated_lately,
        on_screen,
        hop,
        hop.sqrt(),
    ]
}

/// Returns the weights of the blend lane by lane; those of returning, which few candidates do, are left out.
fn lanes(weights: &[f32], most: &Most) -> Weights {
    let mut by_lane = Weights::default();
    let &[fresh, fresh_root, follows, anchored, together, together_root, last, rule, rule_root, _, _, _, hop, hop_root] = weights
    else {
        return by_lane;
    };
    let Weights { scale: scales, linear, root } = &mut by_lane;
    for (lane, greatest, weight, weight_of_root) in
        [(FRESH, most.fresh, fresh, fresh_root), (FOLLOWS, most.follows, 0.0, follows), (ANCHORED, most.anchored, 0.0, anchored)]
    {
        (scales.votes[lane], linear.votes[lane], root.votes[lane]) = (scale(greatest), weight, weight_of_root);
    }
    for (lane, greatest, weight, weight_of_root) in [
        (TOGETHER, most.together, together, together_root),
        (LAST, most.last, 0.0, last),
        (RULE, most.rule, rule, rule_root),
        (HOP, most.hop, hop, hop_root),
    ] {
        (scales.links[lane], linear.links[lane], root.links[lane]) = (scale(greatest), weight, weight_of_root);
    }
    by_lane
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighing_lane_by_lane_is_weighing_the_features() {
        let number = |place: usize| ((place * 7919) % 97) as f32 / 97.0;
        let mut row = Row::default();
        for lane in 0..LANES {
            (row.votes[lane], row.links[lane]) = (number(lane + 1), number(lane + 50));
        }
        let most =
            Most { fresh: 2.0, follows: 1.5, anchored: 1.0, together: 3.0, last: 2.0, rule: 1.0, hop: 4.0, ..Most::default() };
        for back in [0.0, 1.0, 2.0, 5.0] {
            row.votes[BACK] = back;
            let features = linear(&Evidence::of(&row, 0, 0.0), &most);
            let expected: f32 = features.iter().zip(&PRIOR).map(|(x, w)| x * w).sum();
            let repeated: f32 = returned(back - 1.0).iter().zip(&PRIOR[REPEATED..]).map(|(x, w)| x * w).sum();
            let found = lanes(&PRIOR, &most).of(&row) + repeated;
            assert!((expected - found).abs() < 1e-5, "{expected} {found}");
        }
    }
}
