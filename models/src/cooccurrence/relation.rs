//! What two items are to each other: bought with one another, or instead of one another.

use super::{Neighbors, log_likelihood_ratio};

/// How two items relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Bought together more often than by chance, surely: a lamp and its bulb.
    Complement,
    /// Viewed together more often than by chance, and hardly bought together: two lamps.
    Substitute,
    /// Neither is sure.
    Unclear,
}

/// G² from which a relation counts as sure: the 0.1 % level of χ² with one degree of freedom.
const SURE: f64 = 10.83;

/// Tells what two items are to each other, from what is viewed and what is bought together (McAuley, Pandey & Leskovec 2015, by counting).
///
/// Two items are substitutes if they are surely viewed together and, although those who look at both would be expected to buy both as often as others buy
/// any two, are bought together no more often than by chance. That can only be said of items that are bought at all: there must be so many purchases
/// of both that one would expect at least one basket with both, if the shares of viewers that hold both held for buyers as well.
/// A pair that is no neighbour, or was cut off behind better ones, counts as never seen together. Works for positions of the same catalog only.
pub fn relation(bought: &Neighbors, viewed: &Neighbors, item: u32, other: u32) -> Relation {
    let (bought, viewed) = (Pair::of(bought, item, other), Pair::of(viewed, item, other));
    if bought.is_sure() {
        return Relation::Complement;
    }
    let met_by_chance_at_most = bought.both * bought.n <= bought.a * bought.b;
    if viewed.is_sure() && met_by_chance_at_most && bought.expected_like(&viewed) >= 1.0 {
        return Relation::Substitute;
    }
    Relation::Unclear
}

/// The table of a pair: groups that hold both, each, and all.
struct Pair {
    both: f64,
    a: f64,
    b: f64,
    n: f64,
    g: f64,
}

impl Pair {
    fn of(table: &Neighbors, item: u32, other: u32) -> Self {
        // A row is cut at its best, so a pair may stand in the row of one of the two only.
        let found = |from, to| table.row(from).find(|neighbor| neighbor.item == to).map(|neighbor| neighbor.support);
        let both = found(item, other).or_else(|| found(other, item)).unwrap_or(0);
        let count = |item: u32| table.item_counts.get(item as usize).copied().unwrap_or(0);
        let (a, b) = (count(item), count(other));
        let g = log_likelihood_ratio(both, a, b, table.n_groups);
        Self { both: f64::from(both), a: f64::from(a), b: f64::from(b), n: f64::from(table.n_groups), g }
    }

    fn is_sure(&self) -> bool {
        self.g >= SURE
    }

    /// Returns how many groups would hold both if the rarer item brought the other along as often as in another table.
    fn expected_like(&self, like: &Self) -> f64 {
        let share = like.both / like.a.min(like.b).max(1.0);
        share * self.a.min(self.b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cooccurrence::{Options, neighbors};
    use crate::interactions::InteractionsBuilder;

    /// So many groups of each kind.
    fn table(groups: &[(usize, &[u32])]) -> Neighbors {
        let mut builder = InteractionsBuilder::new(10);
        for &(times, group) in groups {
            (0..times).for_each(|_| builder.push_group(group));
        }
        neighbors(&builder.finish(), &Options::default())
    }

    #[test]
    fn lamps_and_bulbs() {
        // 0 and 1 are lamps, 2 is their bulb, 3 a poster, 9 everything else.
        let viewed = table(&[(40, &[0, 1]), (10, &[0, 1, 2]), (10, &[0]), (10, &[1]), (20, &[2]), (20, &[3]), (1000, &[9])]);
        let bought = table(&[(10, &[0, 2]), (10, &[1, 2]), (5, &[0]), (5, &[1]), (5, &[3]), (300, &[9])]);
        let of = |item, other| {
            let relation = relation(&bought, &viewed, item, other);
            assert_eq!(relation, super::relation(&bought, &viewed, other, item), "in either direction");
            relation
        };
        assert_eq!(of(0, 1), Relation::Substitute);
        assert_eq!(of(0, 2), Relation::Complement);
        assert_eq!(of(1, 2), Relation::Complement);
        assert_eq!(of(0, 3), Relation::Unclear);
        assert_eq!(of(0, 77), Relation::Unclear);
    }

    #[test]
    fn what_nobody_buys_is_no_substitute() {
        let viewed = table(&[(50, &[0, 1]), (1000, &[9])]);
        let bought = table(&[(300, &[9])]);
        assert_eq!(relation(&bought, &viewed, 0, 1), Relation::Unclear);
    }
}
