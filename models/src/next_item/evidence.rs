//! What speaks for each candidate of one visit.

use super::Parts;
use crate::session_knn;
use crate::top;

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
/// Entries of a row that are read: of the item on screen, and of those before it.
const ROW: [usize; 2] = [100, 50];

#[derive(Debug, Default)]
pub(super) struct Scratch {
    knn: session_knn::Scratch,
    rows: Vec<Evidence>,
    /// By item: the number of its row, from 1.
    row_of: Vec<u32>,
    keys: Vec<u64>,
    chosen: Vec<Evidence>,
    seen: Vec<u32>,
    pub most: Most,
}

/// Returns the row of an item, a new one where it has none.
#[inline]
fn row<'a>(rows: &'a mut Vec<Evidence>, row_of: &mut [u32], item: u32) -> &'a mut Evidence {
    let place = &mut row_of[item as usize];
    if *place == 0 {
        rows.push(Evidence { item, back: -1.0, ..Evidence::default() });
        *place = rows.len() as u32;
    }
    &mut rows[*place as usize - 1]
}

impl Scratch {
    /// Collects the evidence of a visit, oldest item first, and blends it.
    pub(super) fn gather(&mut self, parts: &Parts, visit: &[u32], weights: &[f32]) {
        let Self { knn, rows, row_of, seen, .. } = self;
        let n_items = parts.knn.n_items();
        row_of.resize(row_of.len().max(n_items), 0);
        for evidence in rows.drain(..) {
            row_of[evidence.item as usize] = 0;
        }
        parts.knn.votes(visit, knn, |vote| {
            let evidence = row(rows, row_of, vote.item);
            let near = vote.fresh * vote.near;
            evidence.fresh += near;
            evidence.plain += vote.shared;
            evidence.votes += 1.0;
            evidence.strongest = evidence.strongest.max(near);
            evidence.follows += if vote.next { vote.fresh } else { 0.0 };
            evidence.several += if vote.common > 1 { near } else { 0.0 };
            evidence.anchored += if vote.anchor == 0 { near } else { 0.0 };
        });
        seen.clear();
        for (step, &item) in visit.iter().rev().take(64).enumerate() {
            if item as usize >= n_items {
                continue;
            }
            let evidence = row(rows, row_of, item);
            evidence.times += 1.0;
            if seen.contains(&item) {
                continue;
            }
            evidence.back = step as f32;
            if seen.len() == MAX_ITEMS {
                continue;
            }
            seen.push(item);
            let loud = (-(step as f32) / 2.5).exp();
            let (items, shares) = parts.next.view().row(item);
            for (&item, &weight) in items.iter().zip(shares).take(ROW[usize::from(seen.len() > 1)]) {
                let evidence = row(rows, row_of, item);
                evidence.together += loud * weight;
                evidence.linked += 1.0;
                match seen.len() {
                    1 => evidence.last = weight,
                    2 => evidence.second = weight,
                    _ => {}
                }
            }
            if seen.len() <= 2 {
                let (items, shares) = parts.rules.view().row(item);
                for (&item, &weight) in items.iter().zip(shares).take(ROW[usize::from(seen.len() > 1)]) {
                    let evidence = row(rows, row_of, item);
                    if seen.len() == 1 {
                        evidence.rule = weight;
                    } else {
                        evidence.second_rule = weight;
                    }
                }
            }
        }
        let mut most = Most::default();
        for e in rows.iter() {
            most.fresh = most.fresh.max(e.fresh);
            most.plain = most.plain.max(e.plain);
            most.follows = most.follows.max(e.follows);
            most.anchored = most.anchored.max(e.anchored);
            most.strongest = most.strongest.max(e.strongest);
            most.together = most.together.max(e.together);
            most.last = most.last.max(e.last);
            most.second = most.second.max(e.second);
            most.rule = most.rule.max(e.rule);
            most.whole += e.fresh;
        }
        self.most = most;
        self.blend(weights);
        self.hop(parts);
        self.blend(weights);
    }

    fn blend(&mut self, weights: &[f32]) {
        for e in &mut self.rows {
            e.blend = linear(e, &self.most).iter().zip(weights).map(|(x, w)| x * w).sum();
        }
    }

    /// Lets the best candidates speak for what goes with them: where few saw an item, its neighbours' neighbours are known.
    fn hop(&mut self, parts: &Parts) {
        self.best(HOPS);
        let Self { rows, row_of, chosen, most, .. } = self;
        let best = chosen.first().map_or(0.0, |e| e.blend);
        for e in chosen.iter().filter(|e| e.back < 0.0) {
            let loud = (e.blend - best).exp();
            let (items, shares) = parts.next.view().row(e.item);
            for (&item, &weight) in items.iter().zip(shares).take(HOP_ROW) {
                let evidence = row(rows, row_of, item);
                evidence.hop += loud * weight;
                most.hop = most.hop.max(evidence.hop);
            }
        }
    }

    /// Returns the best `n` by the blend, best first; ties in the order of the items.
    pub(super) fn best(&mut self, n: usize) -> &[Evidence] {
        let Self { rows, row_of, keys, chosen, .. } = self;
        keys.clear();
        keys.extend(rows.iter().map(|e| top::any_key(e.blend, e.item)));
        top::keep_best(keys, n);
        chosen.clear();
        chosen.extend(keys.iter().map(|&key| rows[row_of[top::item(key) as usize] as usize - 1]));
        chosen
    }

    /// Returns what [`Self::best`] chose last.
    pub(super) fn chosen(&self) -> &[Evidence] {
        &self.chosen
    }
}

/// Returns `part` as a share of `whole`, 0 where there is nothing.
#[inline]
pub(super) fn share(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Returns the features of the blend.
#[inline]
pub(super) fn linear(e: &Evidence, most: &Most) -> [f32; LINEAR.len()] {
    let fresh = share(e.fresh, most.fresh);
    let together = share(e.together, most.together);
    let rule = share(e.rule, most.rule);
    let hop = share(e.hop, most.hop);
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
        f32::from(e.back > 0.0),
        if e.back > 0.0 { e.back.recip() } else { 0.0 },
        f32::from(e.back == 0.0),
        hop,
        hop.sqrt(),
    ]
}
