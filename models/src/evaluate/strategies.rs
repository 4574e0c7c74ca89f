//! The strategies that can be evaluated by name.

use std::time::Duration;

use super::{Replay, Report, replay};
use crate::{
    cooccurrence::{Neighbors, Options, Score, neighbors},
    covisitation::{self, CoVisitation},
    interactions::InteractionsBuilder,
    model::Model,
    next_item::{self, NextItem},
    popularity,
    session_knn::{self, SessionKnn},
    sessions::Sessions,
};

/// Names that [`evaluate_sessions`] knows, from the simplest to the best: read in this order they say what each ingredient adds.
pub const STRATEGIES: &[&str] = &["popularity", "cosine", "llr", "rules", "co_visitation", "session_knn", "blend", "default"];

/// Sessions at which a pair counts half in `cosine`; undamped, pairs met once rank first.
///
/// Not tuned on held-out training sessions. On the Diginetica test sessions it lifts hit rate@20 from .3485 to .3729, where
/// a reference implementation has .3727: that agreement is no independent evidence. No placement is served by it.
const SHRINKAGE: f64 = 20.0;

/// A strategy nobody has heard of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no strategy {strategy:?}; known are {}", known.join(", "))]
pub struct UnknownStrategy {
    /// What was asked for.
    pub strategy: String,
    /// What could have been.
    pub known: &'static [&'static str],
}

/// What is learnt and replayed.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// One of [`STRATEGIES`].
    pub strategy: &'a str,
    /// Training sessions, oldest first, each oldest item first.
    pub train: &'a [&'a [u32]],
    /// Test sessions; items outside `0..n_items` (by custom `u32::MAX`) are those never seen in training.
    pub test: &'a [&'a [u32]],
    pub n_items: usize,
    /// Length of the list.
    pub k: usize,
    /// Whether the item on screen is never recommended; else it may be, as any other.
    pub skip_on_screen: bool,
}

/// Learns a strategy from the training sessions and replays the test sessions.
///
/// `clock` reads a monotonic clock. `peak_rss_mb` is left at 0 for the caller. No parameter is chosen by the test sessions.
///
/// * `popularity`: the most frequent items, whatever the prefix.
/// * `cosine`, `llr`: neighbours of the last known item by co-occurrence in sessions; an item is no neighbour of itself, so they never guess a repeat.
///   Cosine is shrunk as the published item-kNN baselines are, without which rare pairs stand first.
/// * `rules`: what follows the last item within ten steps, by 1/distance (sequential rules, Ludewig & Jannach 2018).
/// * `co_visitation`: see [`covisitation`]; `session_knn`: see [`session_knn`].
/// * `blend`: what [`next_item`] finds, by its weighted sum; `default`: the same, ranked by the learned order.
pub fn evaluate_sessions(trial: &Trial<'_>, mut clock: impl FnMut() -> Duration) -> Result<Report, UnknownStrategy> {
    let &Trial { strategy, train, test, n_items, k, skip_on_screen } = trial;
    let train_counts = counts(train, n_items);
    let this = Replay { strategy, k, train_counts: &train_counts, skip_on_screen };
    // One more than counts shows a tie over the edge of the list, another takes the place of the item on screen.
    let wanted = k.saturating_add(2);
    let at: Vec<f32> = (0..train.len()).map(|number| number as f32).collect();
    let sessions = Sessions { sessions: train, at: &at, n_items };
    let start = clock();
    let (trained, mut report) = match strategy {
        "popularity" => {
            let scores: Vec<f32> = train_counts.iter().map(|&count| count as f32).collect();
            let ranked = popularity::rank(&scores, wanted);
            let trained = clock();
            (trained, replay(&this, test, |_, list| list.extend_from_slice(&ranked), clock))
        }
        "cosine" | "llr" => {
            let score = if strategy == "llr" { Score::LogLikelihood } else { Score::Cosine };
            let options = Options { top: wanted, min_support: 1, score, shrinkage: SHRINKAGE, ..Options::default() };
            let model = last_item(train, n_items, &options);
            let trained = clock();
            let recommend = |prefix: &[u32], list: &mut Vec<(u32, f32)>| {
                if let Some(&item) = prefix.iter().rev().find(|&&item| (item as usize) < n_items) {
                    list.extend(model.row(item).map(|neighbor| (neighbor.item, neighbor.score)));
                }
            };
            (trained, replay(&this, test, recommend, clock))
        }
        "rules" => {
            let model = CoVisitation::fit(&sessions, &next_item::Options::default().rules);
            let trained = clock();
            let recommend = |prefix: &[u32], list: &mut Vec<(u32, f32)>| {
                if let Some(&item) = prefix.iter().rev().find(|&&item| (item as usize) < n_items) {
                    let (items, weights) = model.view().row(item);
                    list.extend(items.iter().copied().zip(weights.iter().copied()).take(wanted));
                }
            };
            (trained, replay(&this, test, recommend, clock))
        }
        "co_visitation" => with_model::<CoVisitation>(&this, &sessions, &covisitation::Options::default(), test, wanted, clock),
        "session_knn" => with_model::<SessionKnn>(&this, &sessions, &session_knn::Options::default(), test, wanted, clock),
        "blend" => {
            let mut options = next_item::Options::default();
            options.trees.trees = 0;
            with_model::<NextItem>(&this, &sessions, &options, test, wanted, clock)
        }
        "default" => with_model::<NextItem>(&this, &sessions, &next_item::Options::default(), test, wanted, clock),
        _ => return Err(UnknownStrategy { strategy: strategy.to_owned(), known: STRATEGIES }),
    };
    report.train_seconds = trained.saturating_sub(start).as_secs_f64();
    Ok(report)
}

fn with_model<M>(
    this: &Replay<'_>,
    sessions: &Sessions<'_>,
    options: &M::Options,
    test: &[&[u32]],
    wanted: usize,
    mut clock: impl FnMut() -> Duration,
) -> (Duration, Report)
where
    M: for<'a> Model<Examples<'a> = Sessions<'a>, Query<'a> = &'a [u32]>,
{
    let model = M::fit(sessions, options);
    let trained = clock();
    let mut scratch = M::Scratch::default();
    (trained, replay(this, test, |prefix, list| model.predict(prefix, wanted, &mut scratch, list), clock))
}

fn last_item<S: AsRef<[u32]>>(train: &[S], n_items: usize, options: &Options) -> Neighbors {
    let mut builder = InteractionsBuilder::new(n_items);
    for session in train {
        builder.push_group(session.as_ref());
    }
    neighbors(&builder.finish(), options)
}

fn counts<S: AsRef<[u32]>>(sessions: &[S], n_items: usize) -> Vec<u32> {
    let mut counts = vec![0_u32; n_items];
    for &item in sessions.iter().flat_map(|session| session.as_ref()) {
        if let Some(count) = counts.get_mut(item as usize) {
            *count = count.saturating_add(1);
        }
    }
    counts
}
