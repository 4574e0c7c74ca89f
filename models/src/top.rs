//! The best of many scores, by integer comparison.
//!
//! A positive `f32` orders like its bits, so score and item fit into one `u64` whose order is total: higher score first, then the lower item. Nothing
//! depends on the order in which candidates were met, hence nothing depends on threads.

/// Packs a positive score and its item; a greater key is a better candidate.
#[inline]
pub(crate) fn key(score: f32, item: u32) -> u64 {
    debug_assert!(score >= 0.0, "only positive scores order like their bits");
    (u64::from(score.to_bits()) << 32) | u64::from(!item)
}

/// Returns the item of a key.
#[inline]
pub(crate) fn item(key: u64) -> u32 {
    !(key as u32)
}

/// Returns the score of a key.
#[inline]
pub(crate) fn score(key: u64) -> f32 {
    f32::from_bits((key >> 32) as u32)
}

/// Packs any score that is a number, also a negative one; read back with [`any_score`].
#[inline]
pub(crate) fn any_key(score: f32, item: u32) -> u64 {
    let bits = score.to_bits();
    // Negative numbers order against their bits, and below all positive ones.
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    (u64::from(ordered) << 32) | u64::from(!item)
}

/// Returns the score of a key made by [`any_key`].
#[inline]
pub(crate) fn any_score(key: u64) -> f32 {
    let ordered = (key >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
}

/// Keeps the `limit` best keys, best first.
pub(crate) fn keep_best(keys: &mut Vec<u64>, limit: usize) {
    cut(keys, limit);
    keys.sort_unstable_by(|a, b| b.cmp(a));
}

/// Keeps the `limit` best keys in no particular order.
pub(crate) fn cut(keys: &mut Vec<u64>, limit: usize) {
    if limit == 0 {
        keys.clear();
    } else if keys.len() > limit {
        keys.select_nth_unstable_by(limit - 1, |a, b| b.cmp(a));
        keys.truncate(limit);
    }
}

/// Collects candidates and forgets early those that can no longer be among the best.
#[derive(Debug)]
pub(crate) struct Best {
    /// The candidates, and behind them what did not become one.
    keys: Vec<u64>,
    len: usize,
    limit: usize,
    /// Keys that are collected before the worst are forgotten.
    room: usize,
    floor: u64,
}

/// The greatest key of a score of 0, which is no candidate.
const NOTHING: u64 = u32::MAX as u64;

impl Best {
    /// Creates a collector of the `limit` best keys.
    pub(crate) fn new(limit: usize) -> Self {
        // Selecting is linear in the buffer, so a buffer of several limits makes it cheap per candidate.
        let room = limit.saturating_mul(2).max(128);
        Self { keys: vec![0; room.min(1024)], len: 0, limit, room, floor: NOTHING }
    }

    /// Offers a candidate; one with a score of 0 is none.
    #[inline]
    pub(crate) fn offer(&mut self, key: u64) {
        // Whether a candidate passes is anybody's guess, so it is written either way and kept without a branch.
        self.keys[self.len] = key;
        self.len += usize::from(key > self.floor);
        if self.len < self.keys.len() {
            return;
        }
        if self.len < self.room {
            // A limit may be far beyond what there is, so the buffer grows with what it meets.
            self.keys.resize((2 * self.len).min(self.room), 0);
        } else {
            self.cut();
            // After selecting, the worst of those kept stands last.
            self.floor = if self.limit == 0 { u64::MAX } else { self.keys[self.limit - 1] };
        }
    }

    /// Tells whether no candidate of this score can be among the best any more, whichever its item.
    #[inline]
    pub(crate) fn is_hopeless(&self, score: f32) -> bool {
        key(score, 0) <= self.floor
    }

    /// Returns the best keys, best first, valid until the next `clear`.
    pub(crate) fn sorted(&mut self) -> &[u64] {
        self.cut();
        let kept = &mut self.keys[..self.len];
        kept.sort_unstable_by(|a, b| b.cmp(a));
        kept
    }

    /// Forgets all candidates and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.floor = NOTHING;
    }

    fn cut(&mut self) {
        let kept = self.len.min(self.limit);
        if 0 < kept && kept < self.len {
            self.keys[..self.len].select_nth_unstable_by(kept - 1, |a, b| b.cmp(a));
        }
        self.len = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_score_wins_then_lower_item() {
        assert!(key(2.0, 9) > key(1.0, 1));
        assert!(key(1.0, 1) > key(1.0, 2));
        assert_eq!((item(key(0.5, 77)), score(key(0.5, 77))), (77, 0.5));
    }

    #[test]
    fn negative_scores_stand_below() {
        let scores = [f32::MIN, -2.0, -0.5, 0.0, 1e-30, 3.0];
        let keys: Vec<u64> = scores.iter().map(|&score| any_key(score, 4)).collect();
        assert!(keys.is_sorted() && keys.iter().zip(scores).all(|(&key, score)| any_score(key) == score && item(key) == 4));
    }

    #[test]
    fn forgetting_early_changes_nothing() {
        let candidates: Vec<u64> = (0..10_000_u32).map(|i| key(((i * 7919) % 503) as f32 + 1.0, i)).collect();
        for limit in [0, 1, 7, 400, 20_000] {
            let mut best = Best::new(limit);
            candidates.iter().for_each(|&k| best.offer(k));
            let mut all = candidates.clone();
            all.sort_unstable_by(|a, b| b.cmp(a));
            all.truncate(limit);
            assert_eq!(best.sorted(), all, "limit {limit}");
        }
    }
}
