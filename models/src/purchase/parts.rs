//! The models that name candidates, learnt from orders up to some moment.

use std::sync::Arc;

use crate::artifact::{Artifact, ArtifactError, Column, Draft};
use crate::cooccurrence::{self, Score, neighbors};
use crate::ease::{Ease, Groups};
use crate::interactions::InteractionsBuilder;
use crate::model::Model;
use crate::orders::{DAY, Orders};
use crate::popularity::{decayed_counts, rank};
use crate::repeat::Repeat;
use crate::sparse_rows::SparseRows;

use super::Options;

/// Facts of an item; see the constants for their places.
pub(super) const N_FACTS: usize = 11;
/// Days after which a purchase counts half in what sells; 0 is never. The first facts are the logarithms of one more than these counts.
pub(super) const SELLS: [f64; 5] = [3.0, 7.0, 14.0, 60.0, 0.0];
/// What sells now, beside the item that sells best; by the third of [`SELLS`].
pub(super) const POPULARITY: usize = 5;
/// Logarithm of the pace now beside the pace before, over days and over weeks.
pub(super) const RISING: usize = 6;
/// Days since the item was first bought.
pub(super) const AGE: usize = 8;
/// Logarithm of one more than the customers who bought it.
pub(super) const BUYERS: usize = 9;
/// Logarithm of the mean price, 0 where none is known.
pub(super) const PRICE: usize = 10;

/// Best sellers that are candidates for everyone.
const POPULAR: usize = 200;
/// Neighbours of an item by cosine.
const NEIGHBORS: usize = 100;

/// The models, and what is known of each item.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parts {
    pub(super) ease: Ease,
    pub(super) cosine: SparseRows,
    pub(super) repeat: Repeat,
    /// [`N_FACTS`] for each item.
    facts: Column<f32>,
    /// Best sellers, best first.
    popular: Column<u32>,
}

impl Parts {
    /// Learns all of it as of the newest order.
    pub(super) fn fit(orders: &Orders, options: &Options) -> Self {
        let n_items = orders.n_items();
        let now = orders.newest();
        let (mut starts, mut items, mut weights) = (vec![0], Vec::new(), Vec::new());
        let mut groups = InteractionsBuilder::new(n_items);
        for order in orders.iter() {
            let from = items.len();
            items.extend(order.lines.iter().map(|line| line.item));
            starts.push(items.len());
            weights.push((-(now - order.time) / DAY / options.half_life_days.max(1.0)).exp2() as f32);
            groups.push_group(&items[from..]);
        }
        let ease = Ease::fit(&Groups { starts: &starts, items: &items, weights: &weights, n_items }, &options.ease);
        let pairs = neighbors(
            &groups.finish(),
            &cooccurrence::Options { top: NEIGHBORS, score: Score::Cosine, ..cooccurrence::Options::default() },
        );
        let facts = facts(orders);
        let sells: Vec<f32> = facts.chunks_exact(N_FACTS).map(|facts| facts[POPULARITY]).collect();
        Self {
            ease,
            cosine: SparseRows::new(pairs.indptr, pairs.items, pairs.scores),
            repeat: Repeat::fit(orders, &options.repeat),
            facts: facts.into(),
            popular: rank(&sells, POPULAR).into_iter().map(|(item, _)| item).collect::<Vec<_>>().into(),
        }
    }

    pub(super) fn n_items(&self) -> usize {
        self.facts.len() / N_FACTS
    }

    /// Returns what is known of all items, to be indexed with [`facts_of`].
    pub(super) fn facts(&self) -> &[f32] {
        &self.facts
    }

    /// Returns the best sellers, best first.
    pub(super) fn popular(&self) -> &[u32] {
        &self.popular
    }

    pub(super) fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.ease.save(draft, &format!("{name}.ease"))?;
        self.cosine.save(draft, &format!("{name}.cosine"))?;
        self.repeat.save(draft, &format!("{name}.repeat"))?;
        self.facts.save(draft, &format!("{name}.facts.f32"))?;
        self.popular.save(draft, &format!("{name}.popular.u32"))
    }

    pub(super) fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        let file = format!("{name}.facts.f32");
        let parts = Self {
            ease: Ease::open(artifact, &format!("{name}.ease"))?,
            cosine: SparseRows::open(artifact, &format!("{name}.cosine"))?,
            repeat: Repeat::open(artifact, &format!("{name}.repeat"))?,
            facts: Column::open(artifact, &file)?,
            popular: Column::open(artifact, &format!("{name}.popular.u32"))?,
        };
        let n_items = parts.n_items();
        if !parts.facts.len().is_multiple_of(N_FACTS) || parts.cosine.n_items() != n_items {
            return Err(ArtifactError::shape(file, "it is not of the same items as its neighbours"));
        }
        if parts.facts.iter().any(|fact| !fact.is_finite()) {
            return Err(ArtifactError::shape(file, "a value is not finite"));
        }
        Ok(parts)
    }
}

/// Returns what is known of one item; nothing for an unknown one.
pub(super) fn facts_of(facts: &[f32], item: u32) -> &[f32; N_FACTS] {
    const NOTHING: [f32; N_FACTS] = [0.0; N_FACTS];
    let from = item as usize * N_FACTS;
    facts.get(from..).and_then(<[f32]>::first_chunk).unwrap_or(&NOTHING)
}

/// Works out the facts of each item as of the newest order.
fn facts(orders: &Orders) -> Vec<f32> {
    let n_items = orders.n_items();
    let now = orders.newest();
    let rows = || orders.iter().flat_map(|order| order.lines.iter().map(move |line| (line.item, (now - line.time) / DAY, 1.0)));
    let sells: Vec<Vec<f32>> = SELLS.iter().map(|&half_life| decayed_counts(rows(), half_life, n_items)).collect();
    let most = sells[2].iter().copied().fold(f32::MIN_POSITIVE, f32::max);

    let mut buyers = vec![0_u32; n_items];
    let mut history = crate::history::History::default();
    for lines in orders.by_customer().iter() {
        history.read(lines, now, n_items);
        history.own().iter().for_each(|own| buyers[own.item as usize] += 1);
    }
    let mut first = vec![now; n_items];
    let mut log_prices = vec![(0.0_f64, 0_u32); n_items];
    for line in orders.iter().rev().flat_map(|order| order.lines) {
        first[line.item as usize] = line.time;
        if line.price > 0.0 {
            let sum = &mut log_prices[line.item as usize];
            *sum = (sum.0 + f64::from(line.price).ln(), sum.1 + 1);
        }
    }
    // A count that halves every `h` days settles at `h / ln 2` times the purchases a day.
    let pace = |item: usize, by: usize| (sells[by][item] + 1.0) / (SELLS[by] as f32 + 1.0);
    let mut facts = Vec::with_capacity(n_items * N_FACTS);
    for item in 0..n_items {
        facts.extend(sells.iter().map(|counts| counts[item].ln_1p()));
        facts.push(sells[2][item] / most);
        facts.push((pace(item, 0) / pace(item, 2)).ln());
        facts.push((pace(item, 1) / pace(item, 3)).ln());
        facts.push(((now - first[item]) / DAY) as f32);
        facts.push((buyers[item] as f32).ln_1p());
        let (sum, known) = log_prices[item];
        facts.push(if known > 0 { (sum / f64::from(known)) as f32 } else { 0.0 });
    }
    facts
}
