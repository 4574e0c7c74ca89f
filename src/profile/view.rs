//! What a profile says, computed when it is read: everything that decays or depends on order.

use super::{CartOp, Memory, Tally};
use crate::event::time::SESSION_SILENCE;
use crate::event::{ItemId, Timestamp};

/// Interest halves in this many days.
const AFFINITY_HALF_LIFE_DAYS: f64 = 30.0;

/// Returns what is in the cart, in the order it was first put there.
pub fn cart(memory: &Memory) -> Vec<(ItemId, u32)> {
    let mut cart: Vec<(ItemId, u32)> = Vec::new();
    for change in memory.cart_changes.iter().rev() {
        match &change.what {
            CartOp::Clear => cart.clear(),
            CartOp::Add(item, pieces) => match cart.iter_mut().find(|(i, _)| i == item) {
                Some((_, n)) => *n = n.saturating_add(*pieces),
                None => cart.push((item.clone(), *pieces)),
            },
            CartOp::Remove(item, pieces) => {
                for (i, n) in &mut cart {
                    if i == item {
                        *n = n.saturating_sub(*pieces);
                    }
                }
                cart.retain(|(_, n)| *n > 0);
            }
        }
    }
    cart
}

/// Returns categories (or brands) with their decayed interest, strongest first.
pub fn affinities(tallies: &[Tally], now: Timestamp) -> Vec<(&str, f64)> {
    let today = now.day();
    let mut sums: Vec<(&str, f64)> = Vec::new();
    for tally in tallies {
        let age = f64::from(today.saturating_sub(tally.day).max(0));
        let weight = f64::from(tally.weight) * (-age / AFFINITY_HALF_LIFE_DAYS).exp2();
        match sums.iter_mut().find(|(key, _)| *key == &*tally.key) {
            Some((_, sum)) => *sum += weight,
            None => sums.push((&tally.key, weight)),
        }
    }
    sums.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    sums
}

/// Returns how often a creative was shown in the last `days` days.
pub fn impressions(memory: &Memory, creative: &str, now: Timestamp, days: i32) -> u32 {
    let since = now.day().saturating_sub(days);
    memory.impressions.iter().filter(|t| t.day > since && &*t.key == creative).map(|t| t.weight).sum()
}

/// Returns the items of the visit that is still open at `now`, newest first: back to the first silence.
pub fn session_items(memory: &Memory, now: Timestamp) -> Vec<(&ItemId, Timestamp)> {
    let mut items: Vec<(&ItemId, Timestamp)> =
        memory.viewed.iter().chain(&memory.carted).map(|seen| (&seen.item, seen.at)).collect();
    items.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut last = now;
    let open = items
        .iter()
        .take_while(|(_, at)| {
            let open = last.since(*at) <= SESSION_SILENCE;
            last = *at;
            open
        })
        .count();
    items.truncate(open);
    // Each list names an item once, so only the other list can have named it before, and both are short.
    let mut kept: Vec<(&ItemId, Timestamp)> = Vec::with_capacity(items.len());
    for (item, at) in items {
        if !kept.iter().any(|(known, _)| *known == item) {
            kept.push((item, at));
        }
    }
    kept
}
