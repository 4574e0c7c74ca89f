//! What [`NextPurchase`] is compared with, and the comparison.

use std::time::Duration;

use super::purchases::{Ask, PurchaseReport, PurchaseSplit, Question, judge};
use crate::cooccurrence::{self, Score, neighbors};
use crate::ease::{self, Ease};
use crate::history::History;
use crate::interactions::InteractionsBuilder;
use crate::model::Model;
use crate::orders::{DAY, Orders};
use crate::popularity::{decayed_counts, rank};
use crate::purchase::{NextPurchase, Options, Query, Scratch};
use crate::repeat::{self, Repeat};
use crate::sparse_rows::{SparseRows, Sum};

use super::UnknownStrategy;

/// Names that [`evaluate_purchases`] knows.
pub const PURCHASE_STRATEGIES: &[&str] = &["popularity", "personal", "buy_again", "cosine", "llr", "ease", "blend", "default"];

/// Days that count in what sells.
const POPULAR_DAYS: f64 = 14.0;

/// Answers of one strategy.
enum Strategy {
    /// Scores of items by what was bought how often; at the end what sells breaks ties.
    Popularity,
    /// Purchases of one's own, halved every 140 days.
    Personal,
    BuyAgain(Box<Repeat>),
    /// The sum of the rows of what lies in the basket, else of all that was ever bought.
    Rows(SparseRows),
    Ease(Box<Ease>),
    Next(Box<NextPurchase>),
}

#[derive(Default)]
struct Memory {
    history: History,
    sum: Sum,
    scores: Vec<f32>,
    next: Scratch,
    amounts: Vec<(u32, f32)>,
    ease: ease::Scratch,
    again: repeat::Scratch,
    list: Vec<(u32, f32)>,
}

/// What was learnt, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct PurchaseFigures {
    pub reports: Vec<PurchaseReport>,
    /// Seconds that learning took, by strategy.
    pub train_seconds: Vec<(String, f64)>,
    /// What the learned order looks at, greatest share first; nothing where `default` was not asked for or had too few cases.
    pub importance: Vec<(&'static str, f32)>,
}

/// Learns the strategies named and asks each all four questions.
///
/// * `popularity`: what sold in the last 14 days.
/// * `personal`: what the customer bought, halved every 140 days, ties broken by `popularity`, by which the list is filled up as well.
/// * `buy_again`: [`Repeat`]; filled up likewise.
/// * `cosine`, `llr`: neighbours by co-occurrence in orders, the best hundred of each item, summed over what the customer ever bought, or over the basket.
///   An item bought before may be answered: it is a neighbour of others.
/// * `ease`: [`Ease`] on orders of equal weight, asked likewise.
/// * `blend`: [`NextPurchase`] with the weighted sum alone; `default`: all of it.
pub fn evaluate_purchases(
    split: &PurchaseSplit,
    strategies: &[&str],
    options: &Options,
    k: usize,
    clock: impl Fn() -> Duration + Sync + Send,
) -> Result<PurchaseFigures, UnknownStrategy> {
    if let Some(unknown) = strategies.iter().find(|name| !PURCHASE_STRATEGIES.contains(name)) {
        return Err(UnknownStrategy { strategy: (*unknown).to_owned(), known: PURCHASE_STRATEGIES });
    }
    let train = &split.train;
    let recent = decayed_counts(
        (train.iter().flat_map(|order| order.lines))
            .filter(|line| line.time >= split.cut - POPULAR_DAYS * DAY)
            .map(|line| (line.item, 0.0, 1.0)),
        0.0,
        train.n_items(),
    );
    // Below every other score, and never equal to 1.
    let most = recent.iter().copied().fold(1.0, f32::max);
    let recent: Vec<f32> = recent.into_iter().map(|count| count / most).collect();

    let mut figures = PurchaseFigures { reports: Vec::new(), train_seconds: Vec::new(), importance: Vec::new() };
    let mut next: Option<NextPurchase> = None;
    for &name in strategies {
        let start = clock();
        let strategy = match name {
            "popularity" => Strategy::Popularity,
            "personal" => Strategy::Personal,
            "buy_again" => Strategy::BuyAgain(Box::new(Repeat::fit(train, &options.repeat))),
            "cosine" => Strategy::Rows(rows(train, Score::Cosine)),
            "llr" => Strategy::Rows(rows(train, Score::LogLikelihood)),
            "ease" => Strategy::Ease(Box::new(plain_ease(train, &options.ease))),
            _ => {
                let model = next.get_or_insert_with(|| NextPurchase::fit(train, options));
                if name == "default" {
                    figures.importance = model.importance();
                }
                Strategy::Next(Box::new(if name == "blend" { model.without_forests() } else { model.clone() }))
            }
        };
        figures.train_seconds.push((name.to_owned(), clock().saturating_sub(start).as_secs_f64()));
        let recommend = |ask: &Ask<'_>, memory: &mut Memory, out: &mut Vec<(u32, f32)>| {
            answer(&strategy, &recent, ask, memory, out);
        };
        for question in Question::ALL {
            figures.reports.push(judge(split, question, name, k, Memory::default, recommend, &clock));
        }
    }
    Ok(figures)
}

fn rows(train: &Orders, score: Score) -> SparseRows {
    let mut groups = InteractionsBuilder::new(train.n_items());
    let mut items = Vec::new();
    for order in train.iter() {
        items.clear();
        items.extend(order.lines.iter().map(|line| line.item));
        groups.push_group(&items);
    }
    let pairs = neighbors(&groups.finish(), &cooccurrence::Options { score, ..cooccurrence::Options::default() });
    SparseRows::new(pairs.indptr, pairs.items, pairs.scores)
}

fn plain_ease(train: &Orders, options: &ease::Options) -> Ease {
    let (mut starts, mut items) = (vec![0], Vec::new());
    for order in train.iter() {
        items.extend(order.lines.iter().map(|line| line.item));
        starts.push(items.len());
    }
    let weights = vec![1.0; train.len()];
    Ease::fit(&ease::Groups { starts: &starts, items: &items, weights: &weights, n_items: train.n_items() }, options)
}

/// What sells breaks ties and fills lists up, but outweighs nothing else.
const TIE_BREAK: f32 = 1e-5;

fn answer(strategy: &Strategy, recent: &[f32], ask: &Ask<'_>, memory: &mut Memory, out: &mut Vec<(u32, f32)>) {
    let n_items = recent.len();
    if let Strategy::Next(model) = strategy {
        let query = Query { history: ask.history, basket: ask.basket, now: ask.now, only_new: ask.only_new };
        return model.predict(query, ask.k, &mut memory.next, out);
    }
    let Memory { history, sum, scores, amounts, ease, again, list, .. } = memory;
    history.read(ask.history, ask.now, n_items);
    amounts.clear();
    if ask.basket.is_empty() {
        amounts.extend(history.own().iter().map(|own| (own.item, 1.0)));
    } else {
        amounts.extend(ask.basket.iter().map(|&item| (item, 1.0)));
    }
    scores.clear();
    scores.resize(n_items, 0.0);
    let filled_up = |scores: &mut [f32]| scores.iter_mut().zip(recent).for_each(|(score, sells)| *score += TIE_BREAK * sells);
    match strategy {
        Strategy::Popularity => scores.copy_from_slice(recent),
        Strategy::Personal => {
            history.own().iter().for_each(|own| scores[own.item as usize] = own.decayed[2]);
            filled_up(scores);
        }
        Strategy::BuyAgain(model) => {
            model.predict(repeat::Query { history: ask.history, now: ask.now }, n_items, again, list);
            // Intensities are fractions of a purchase a day; beside them the tie-break must stay small.
            list.iter().for_each(|&(item, intensity)| scores[item as usize] = 1e3 * intensity);
            filled_up(scores);
        }
        Strategy::Rows(rows) => {
            sum.reset(n_items);
            amounts.iter().for_each(|&(item, amount)| sum.add_row(rows.view().row(item), amount));
            sum.touched().iter().for_each(|&item| scores[item as usize] = sum.get(item));
        }
        Strategy::Ease(model) => {
            model.predict(amounts, n_items, ease, list);
            list.iter().for_each(|&(item, score)| scores[item as usize] = score);
        }
        Strategy::Next(_) => {}
    }
    for &item in ask.basket {
        if let Some(score) = scores.get_mut(item as usize) {
            *score = 0.0;
        }
    }
    if ask.only_new {
        history.own().iter().for_each(|own| scores[own.item as usize] = 0.0);
    }
    out.extend(rank(scores, ask.k));
}
