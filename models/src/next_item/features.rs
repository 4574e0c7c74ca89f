//! What the learned order asks about a candidate. All of it is at hand when a visit is answered.

use super::evidence::{Scratch, share};
use super::{Parts, facts};
use crate::prefetch;

/// The features, in their order.
pub const FEATURES: [&str; 46] = [
    "blend",
    "blend_rank",
    "blend_behind_best",
    "neighbors",
    "neighbors_share",
    "neighbors_plain",
    "neighbors_votes",
    "neighbors_strongest",
    "neighbors_follow",
    "neighbors_follow_share",
    "neighbors_on_screen",
    "together",
    "together_share",
    "together_last",
    "together_last_share",
    "together_second",
    "together_second_share",
    "rule",
    "rule_share",
    "second_rule",
    "times_in_visit",
    "steps_back",
    "popular",
    "recent",
    "newest",
    "trend",
    "burst",
    "first_seen",
    "last_seen",
    "returns",
    "per_view",
    "visit_length",
    "visit_items",
    "evidence",
    "neighbors_peak",
    "on_screen_popular",
    "on_screen_returns",
    "on_screen_times",
    "popularity_gap",
    "age_gap",
    "neighbors_several",
    "linked",
    "hop",
    "hop_share",
    "plain_raw",
    "fresh_raw",
];

/// Fills the columns with the features of the candidates chosen, `stride` values to a column.
pub(super) fn fill(parts: &Parts, visit: &[u32], evidence: &Scratch, stride: usize, columns: &mut [f32]) {
    let most = &evidence.most;
    let chosen = evidence.chosen();
    let values = parts.facts.values();
    let on_screen = visit.last().copied().unwrap_or(u32::MAX);
    let screen = facts::of(values, on_screen);
    let mut distinct = 0.0;
    for (at, item) in visit.iter().enumerate() {
        distinct += f32::from(!visit[..at].contains(item));
    }
    let screen_times = visit.iter().filter(|&&item| item == on_screen).count() as f32;
    let best = chosen.first().map_or(0.0, |e| e.blend);
    let peak = share(most.fresh, most.whole);
    for e in chosen {
        prefetch::touch(values, e.item as usize * facts::N);
    }
    for (row, e) in chosen.iter().enumerate() {
        let fact = facts::of(values, e.item);
        let features: [f32; FEATURES.len()] = [
            e.blend,
            row as f32,
            best - e.blend,
            share(e.fresh, most.fresh),
            share(e.fresh, most.whole),
            share(e.plain, most.plain),
            e.votes,
            share(e.strongest, most.strongest),
            share(e.follows, most.follows),
            share(e.follows, most.whole),
            share(e.anchored, most.anchored),
            e.together,
            share(e.together, most.together),
            e.last,
            share(e.last, most.last),
            e.second,
            share(e.second, most.second),
            e.rule,
            share(e.rule, most.rule),
            e.second_rule,
            e.times,
            e.back,
            fact.popular,
            fact.recent,
            fact.newest,
            fact.recent - fact.popular,
            fact.newest - fact.recent,
            fact.first,
            fact.last,
            fact.returns,
            e.plain.max(1e-9).ln() - fact.popular,
            visit.len() as f32,
            distinct,
            most.whole,
            peak,
            screen.popular,
            screen.returns,
            screen_times,
            fact.popular - screen.popular,
            fact.first - screen.first,
            share(e.several, most.whole),
            e.linked,
            e.hop,
            share(e.hop, most.hop),
            e.plain,
            e.fresh,
        ];
        for (feature, value) in features.into_iter().enumerate() {
            columns[feature * stride + row] = value;
        }
    }
}
