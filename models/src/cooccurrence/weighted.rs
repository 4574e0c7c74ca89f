//! Pairs that do not all weigh the same: by age, by distance, by direction.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::row::Kept;
use super::scores::Scorer;
use super::table::Table;
use super::{BLOCK, Neighbors, Options, Score, row_limit, significance};
use crate::top;

/// A group in its order: a session, or the baskets of one customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sequence<'a> {
    /// What was touched, first to last.
    pub items: &'a [u32],
    /// How long ago, in any unit, from zero on.
    pub age: f64,
}

/// What a pair of a group is worth, beside 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Whether only what comes later goes with an item.
    pub directed: bool,
    /// The age at which a group is worth half, in the unit of the ages; not finite, groups are worth the same at any age.
    pub half_life: f64,
    /// The power of the distance within the group that a pair is divided by; 0 does not look at distance.
    pub distance_decay: f64,
}

impl Default for Weights {
    /// All pairs weigh the same.
    fn default() -> Self {
        Self { directed: false, half_life: f64::INFINITY, distance_decay: 0.0 }
    }
}

/// Returns the best neighbours of each item, by the score of their counts times what their groups are worth on average.
///
/// Floors look at plain counts: how sure a pair is does not fade with time, what it is worth does. An item that comes again stands where it came first;
/// items outside the catalog keep their place and teach nothing. A group longer than `max_group` counts with its latest items. Runs on the current rayon
/// pool; the result is the same for any number of threads.
pub fn weighted_neighbors(
    sequences: &[Sequence<'_>],
    n_items: usize,
    max_group: usize,
    weights: &Weights,
    options: &Options,
) -> Neighbors {
    let groups = Ordered::of(sequences, n_items, max_group, weights);
    let item_counts: Vec<u32> = groups.starts.windows(2).map(|bounds| (bounds[1] - bounds[0]) as u32).collect();
    let limit = row_limit(options.top, n_items);
    let options = &Options { min_llr: options.min_llr.max(groups.floor(n_items, options.family_error)), ..*options };
    let scorer = Scorer::new(options, &item_counts, groups.n);
    let by_distance: Vec<f64> = (0..=max_group).map(|distance| (distance.max(1) as f64).powf(-weights.distance_decay)).collect();

    let mut table = Table::new((0..n_items).map(|item| groups.most_neighbors(item).min(limit)));
    let lengths = table.blocks(BLOCK).into_par_iter().enumerate().map_init(
        || Row { sums: vec![(0.0, 0); n_items], touched: Vec::new(), best: top::Best::new(limit) },
        |row, (number, mut block)| {
            let items = number * BLOCK..((number + 1) * BLOCK).min(n_items);
            let lengths = items.map(|item| {
                for &(group, position) in groups.places(item) {
                    row.add(groups.get(group), position as usize, weights.directed, groups.worth[group as usize], &by_distance);
                }
                let before = block.len();
                row.cut(item, &scorer, |kept| block.push(kept));
                (block.len() - before) as u32
            });
            lengths.collect::<Vec<u32>>()
        },
    );
    let lengths: Vec<Vec<u32>> = lengths.collect();
    table.finish(&lengths, item_counts, groups.n)
}

/// Groups of distinct items in their order, and where each item stands in them.
struct Ordered {
    indptr: Vec<usize>,
    items: Vec<u32>,
    worth: Vec<f64>,
    starts: Vec<usize>,
    places: Vec<(u32, u32)>,
    n: u32,
}

impl Ordered {
    fn of(sequences: &[Sequence<'_>], n_items: usize, max_group: usize, weights: &Weights) -> Self {
        let (mut indptr, mut items, mut worth) = (vec![0], Vec::new(), Vec::new());
        for sequence in sequences {
            let start = items.len();
            for &item in &sequence.items[sequence.items.len().saturating_sub(max_group)..] {
                if !items[start..].contains(&item) {
                    items.push(item);
                }
            }
            if items[start..].iter().all(|&item| item as usize >= n_items) {
                items.truncate(start);
                continue;
            }
            indptr.push(items.len());
            worth.push(if weights.half_life.is_finite() { (-sequence.age / weights.half_life).exp2() } else { 1.0 });
        }
        let known = || {
            (0_u32..).zip(indptr.windows(2)).flat_map(|(group, bounds)| {
                let positions = (0_u32..).zip(&items[bounds[0]..bounds[1]]);
                positions.map(move |(position, &item)| (item as usize, (group, position))).filter(|&(item, _)| item < n_items)
            })
        };
        let mut starts = vec![0; n_items + 1];
        known().for_each(|(item, _)| starts[item + 1] += 1);
        for item in 0..n_items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut places = vec![(0, 0); starts[n_items]];
        for (item, place) in known() {
            places[next[item]] = place;
            next[item] += 1;
        }
        let n = u32::try_from(worth.len()).unwrap_or(u32::MAX);
        Self { indptr, items, worth, starts, places, n }
    }

    fn get(&self, group: u32) -> &[u32] {
        &self.items[self.indptr[group as usize]..self.indptr[group as usize + 1]]
    }

    fn places(&self, item: usize) -> &[(u32, u32)] {
        &self.places[self.starts[item]..self.starts[item + 1]]
    }

    fn most_neighbors(&self, item: usize) -> usize {
        self.places(item).iter().map(|&(group, _)| self.get(group).len() - 1).sum()
    }

    fn floor(&self, n_items: usize, family_error: f64) -> f64 {
        significance::floor(self.indptr.windows(2).map(|bounds| bounds[1] - bounds[0]), n_items, family_error)
    }
}

/// One thread's row: what the pairs of each item are worth together and how many they are.
struct Row {
    sums: Vec<(f64, u32)>,
    touched: Vec<u32>,
    best: top::Best,
}

impl Row {
    fn add(&mut self, group: &[u32], position: usize, directed: bool, worth: f64, by_distance: &[f64]) {
        let from = if directed { position + 1 } else { 0 };
        for (at, &other) in group.iter().enumerate().skip(from) {
            if let Some((sum, count)) = self.sums.get_mut(other as usize).filter(|_| at != position) {
                if *count == 0 {
                    self.touched.push(other);
                }
                *sum += worth * by_distance[at.abs_diff(position)];
                *count += 1;
            }
        }
    }

    fn cut(&mut self, item: usize, scorer: &Scorer<'_>, keep: impl FnMut(Kept)) {
        for &other in &self.touched {
            let (sum, count) = self.sums[other as usize];
            let j = other as usize;
            let score = match scorer.kind() {
                Score::LogLikelihood => scorer.log_likelihood(item, j, count),
                Score::Cosine => scorer.cosine(item, j, count),
                Score::Jaccard => scorer.jaccard(item, j, count),
                Score::Lift => scorer.lift(item, j, count),
            };
            self.best.offer(top::key((f64::from(score) * sum / f64::from(count)) as f32, other));
        }
        let kept = self.best.sorted().iter().map(|&key| {
            let item = top::item(key);
            Kept { item, score: top::score(key), support: self.sums[item as usize].1 }
        });
        kept.for_each(keep);
        for &other in &self.touched {
            self.sums[other as usize] = (0.0, 0);
        }
        self.touched.clear();
        self.best.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interactions::InteractionsBuilder;

    fn fit(sequences: &[(&[u32], f64)], weights: Weights, options: &Options) -> Neighbors {
        let sequences: Vec<Sequence<'_>> = sequences.iter().map(|&(items, age)| Sequence { items, age }).collect();
        weighted_neighbors(&sequences, 6, 60, &weights, options)
    }

    fn row(found: &Neighbors, item: u32) -> Vec<(u32, f32)> {
        found.row(item).map(|n| (n.item, n.score)).collect()
    }

    const ONCE: Options =
        Options { top: 10, min_support: 1, min_llr: 0.0, family_error: 0.0, score: Score::Cosine, shrinkage: 0.0 };

    #[test]
    fn without_weights_it_is_the_plain_table() {
        let sequences: [(&[u32], f64); 5] =
            [(&[0, 1, 2], 0.0), (&[2, 0], 9.0), (&[3, 1, 3], 2.0), (&[4], 0.0), (&[0, 2, 4, 1], 1.0)];
        let mut builder = InteractionsBuilder::new(6);
        sequences.iter().for_each(|(items, _)| builder.push_group(items));
        let groups = builder.finish();
        for score in [Score::Cosine, Score::Jaccard, Score::Lift, Score::LogLikelihood] {
            for family_error in [0.0, 1.0] {
                let options = Options { score, family_error, ..ONCE };
                assert_eq!(fit(&sequences, Weights::default(), &options), super::super::neighbors(&groups, &options));
            }
        }
    }

    #[test]
    fn directed_pairs_only_look_ahead() {
        let found = fit(&[(&[0, 1, 2], 0.0)], Weights { directed: true, ..Weights::default() }, &ONCE);
        assert_eq!(row(&found, 0), [(1, 1.0), (2, 1.0)]);
        assert_eq!(row(&found, 1), [(2, 1.0)]);
        assert_eq!(row(&found, 2), []);
    }

    #[test]
    fn the_old_and_the_distant_weigh_less() {
        let aged = fit(&[(&[0, 1], 10.0), (&[0, 2], 0.0)], Weights { half_life: 10.0, ..Weights::default() }, &ONCE);
        assert_eq!(row(&aged, 0), [(2, 0.5_f32.sqrt()), (1, 0.5 * 0.5_f32.sqrt())]);
        let distant = fit(&[(&[0, 99, 1, 2], 0.0)], Weights { distance_decay: 1.0, ..Weights::default() }, &ONCE);
        assert_eq!(row(&distant, 1), [(2, 1.0), (0, 0.5)]);
        assert_eq!(distant.n_items(), 6);
    }
}
