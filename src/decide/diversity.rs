//! A list whose items differ: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
//!
//! Items are chosen one after the other, each by `(1 − d) · relevance − d · likeness`, with the likeness to whatever chosen
//! item it is most like. Scores of different rungs cannot be compared, so relevance is the place in the ladder's order, from
//! 1 down to 0.

/// Candidates that compete for each place.
const POOL: usize = 4;
/// Candidates at most.
const MOST: usize = 200;

/// Returns how many candidates are needed to choose `count` of them.
pub(super) fn pool(count: usize, diversity: f32) -> usize {
    if diversity > 0.0 { count.saturating_mul(POOL).clamp(count, MOST.max(count)) } else { count }
}

/// Leaves `count` of the items, best first; `alike` tells how alike two are, from 0 to 1.
pub(super) fn choose<T>(items: &mut Vec<T>, count: usize, diversity: f32, alike: impl Fn(&T, &T) -> f32) {
    #[expect(clippy::cast_precision_loss, reason = "some hundred items")]
    let relevance = |place: usize, of: usize| 1.0 - place as f32 / of as f32;
    let of = items.len();
    // Each with its relevance and its likeness to the chosen ones.
    let mut left: Vec<(T, f32, f32)> =
        items.drain(..).enumerate().map(|(place, item)| (item, relevance(place, of), 0.0)).collect();
    while items.len() < count {
        let worth = |(_, relevance, likeness): &(T, f32, f32)| (1.0 - diversity) * relevance - diversity * likeness;
        // Of equals the first, which ranked higher.
        let best = left.iter().enumerate().max_by(|(x, a), (y, b)| worth(a).total_cmp(&worth(b)).then(y.cmp(x)));
        let Some((best, _)) = best else { return };
        let (chosen, ..) = left.remove(best);
        for (item, _, likeness) in &mut left {
            *likeness = likeness.max(alike(&chosen, item));
        }
        items.push(chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(diversity: f32, count: usize) -> String {
        // Letters are kinds: those of one kind are alike.
        let mut items: Vec<(char, usize)> = "aaabbcaad".chars().zip(0..).collect();
        choose(&mut items, count, diversity, |x, y| if x.0 == y.0 { 1.0 } else { 0.0 });
        items.into_iter().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn the_more_diversity_the_sooner_another_kind_comes() {
        assert_eq!(chosen(0.0, 5), "aaabb");
        assert_eq!(chosen(0.3, 5), "abaca");
        assert_eq!(chosen(0.9, 5), "abcda");
        assert_eq!(chosen(1.0, 4), "abcd");
    }

    #[test]
    fn nothing_is_lost_or_made_up() {
        assert_eq!(chosen(0.5, 20).len(), 9);
        assert_eq!(chosen(0.5, 0), "");
        assert_eq!((pool(8, 0.0), pool(8, 0.2), pool(100, 0.2), pool(500, 1.0)), (8, 32, 200, 500));
    }
}
