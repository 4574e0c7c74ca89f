//! The next purchase, asked at one moment and judged by what was bought after.
//!
//! Orders are cut at a moment. All before is learnt from. A case is a customer with orders before and after: the first order after the cut is what should
//! have been recommended. Everyone is asked at the moment of the cut, as a mailing would be, so nothing is known of later days, not even their date. Four
//! questions are asked:
//!
//! * `for_you`: what the customer buys next, things bought before included;
//! * `for_you_new`: the same for what they never bought; neither the list nor what is right holds anything of the history;
//! * `bought_together`: given all but one item of the order and nothing of the customer, which one is it; up to ten items of an order, evenly spaced in the
//!   order of their numbers, are held out in turn;
//! * `bought_together_known`: the same with the customer's history.
//!
//! What was never sold before the cut counts as a miss. Of items with equal scores, each stands at the last place of them.

use std::time::Duration;

use rayon::prelude::*;
use serde::Serialize;

use super::{percentiles, ratio};
use crate::orders::{DAY, GUEST, Histories, Line, Orders};

/// Items of one order that are held out, each in its turn.
const HELD_OUT: usize = 10;

/// Orders, cut.
#[derive(Debug, Clone)]
pub struct PurchaseSplit {
    /// What may be learnt from.
    pub train: Orders,
    /// The moment of the cut, in seconds.
    pub cut: f64,
    /// For each case, the customer and the order to be predicted: its items, ascending.
    pub cases: Vec<(u32, Vec<u32>)>,
    histories: Histories,
}

impl PurchaseSplit {
    /// Cuts off the newest `test_days` days.
    pub fn new(orders: &Orders, test_days: f64) -> Self {
        let cut = orders.newest() - test_days * DAY;
        let before = orders.before(cut);
        let train = orders.first(before);
        let histories = train.by_customer();
        let mut met = std::collections::HashSet::new();
        let cases = (before..orders.len())
            .map(|order| orders.get(order))
            .filter(|o| o.customer != GUEST && !histories.of(o.customer).is_empty() && met.insert(o.customer))
            .map(|order| (order.customer, order.lines.iter().map(|line| line.item).collect()))
            .collect();
        Self { train, cut, cases, histories }
    }
}

/// What a strategy is asked.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What the customer bought before, oldest first.
    pub history: &'a [Line],
    /// What lies in the basket; not to be answered.
    pub basket: &'a [u32],
    /// The moment, in seconds.
    pub now: f64,
    /// Whether only what is not in the history may be answered.
    pub only_new: bool,
    /// How long a list is wanted.
    pub k: usize,
}

/// One of the four questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    ForYou,
    ForYouNew,
    BoughtTogether,
    BoughtTogetherKnown,
}

impl Question {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 4] = [Self::ForYou, Self::ForYouNew, Self::BoughtTogether, Self::BoughtTogetherKnown];
}

/// How well one strategy answers one question; means over cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PurchaseReport {
    pub question: Question,
    pub strategy: String,
    pub k: usize,
    /// Lists judged.
    pub cases: u64,
    /// Lists with something right among the first `k`.
    pub hit_rate: f64,
    /// Right ones among the first `k`, of all that are right.
    pub recall: f64,
    /// Right ones among the first `k`, of as many as could be there: `min(k, all that are right)`.
    pub recall_capped: f64,
    /// Discounted gain beside that of a perfect list of length `k`.
    pub ndcg: f64,
    /// Items of the training orders that were in any list.
    pub coverage: f64,
    pub us_per_query_p50: f64,
    pub us_per_query_p99: f64,
}

struct Case<'a> {
    history: &'a [Line],
    basket: Vec<u32>,
    right: Vec<u32>,
}

fn cases(split: &PurchaseSplit, question: Question) -> Vec<Case<'_>> {
    let of = |customer: u32| split.histories.of(customer);
    let mut cases = Vec::new();
    for (customer, order) in &split.cases {
        match question {
            Question::ForYou => cases.push(Case { history: of(*customer), basket: Vec::new(), right: order.clone() }),
            Question::ForYouNew => {
                let mut right = order.clone();
                right.retain(|item| of(*customer).iter().all(|line| line.item != *item));
                cases.push(Case { history: of(*customer), basket: Vec::new(), right });
            }
            Question::BoughtTogether | Question::BoughtTogetherKnown => {
                let turns = if order.len() > 1 { order.len().min(HELD_OUT) } else { 0 };
                cases.extend((0..turns).map(|turn| {
                    let held_out = order[turn * order.len() / turns];
                    let history = if question == Question::BoughtTogether { &[] } else { of(*customer) };
                    let basket = order.iter().copied().filter(|&item| item != held_out).collect();
                    Case { history, basket, right: vec![held_out] }
                }));
            }
        }
    }
    cases.retain(|case| !case.right.is_empty());
    cases
}

/// What one list gained.
struct Gain {
    hits: usize,
    right: usize,
    discounted: f64,
    nanoseconds: u64,
    shown: Vec<u32>,
}

/// Asks a strategy and judges its answers.
///
/// `recommend` fills a list, best first, of at most [`Ask::k`]; it gets memory of its own for each thread, made by `scratch`. `clock` reads a monotonic
/// clock. Runs on the current rayon pool.
pub fn judge<S: Send>(
    split: &PurchaseSplit,
    question: Question,
    strategy: &str,
    k: usize,
    scratch: impl Fn() -> S + Sync + Send,
    recommend: impl Fn(&Ask<'_>, &mut S, &mut Vec<(u32, f32)>) + Sync + Send,
    clock: impl Fn() -> Duration + Sync + Send,
) -> PurchaseReport {
    let cases = cases(split, question);
    let gains: Vec<Gain> = cases
        .par_iter()
        .map_init(
            || (scratch(), Vec::new()),
            |(scratch, list), case| {
                // One more than counts shows a tie over the edge of the list.
                let ask = Ask {
                    history: case.history,
                    basket: &case.basket,
                    now: split.cut,
                    only_new: question == Question::ForYouNew,
                    k: k.saturating_add(1),
                };
                list.clear();
                let before = clock();
                recommend(&ask, scratch, list);
                let nanoseconds = u64::try_from(clock().saturating_sub(before).as_nanos()).unwrap_or(u64::MAX);
                gain(case, list, k, nanoseconds)
            },
        )
        .collect();

    let mut shown = vec![false; split.train.n_items()];
    let mut sold = shown.clone();
    split.train.iter().flat_map(|order| order.lines).for_each(|line| sold[line.item as usize] = true);
    let ideal: Vec<f64> = (0..=k)
        .scan(0.0, |sum, rank| {
            let now = *sum;
            *sum += discount(rank + 1);
            Some(now)
        })
        .collect();
    let mean = |of: &dyn Fn(&Gain) -> f64| ratio(gains.iter().map(of).sum(), gains.len() as f64);
    for &item in gains.iter().flat_map(|gain| &gain.shown) {
        if let Some(shown) = shown.get_mut(item as usize) {
            *shown = true;
        }
    }
    let (p50, p99) = percentiles(&mut gains.iter().map(|gain| gain.nanoseconds).collect::<Vec<_>>());
    PurchaseReport {
        question,
        strategy: strategy.to_owned(),
        k,
        cases: gains.len() as u64,
        hit_rate: mean(&|gain| f64::from(u8::from(gain.hits > 0))),
        recall: mean(&|gain| gain.hits as f64 / gain.right as f64),
        recall_capped: mean(&|gain| ratio(gain.hits as f64, gain.right.min(k) as f64)),
        ndcg: mean(&|gain| ratio(gain.discounted, ideal[gain.right.min(k)])),
        coverage: ratio(count(&shown), count(&sold)),
        us_per_query_p50: p50,
        us_per_query_p99: p99,
    }
}

fn count(marks: &[bool]) -> f64 {
    marks.iter().filter(|mark| **mark).count() as f64
}

/// What a hit at a rank, from 1, is worth.
fn discount(rank: usize) -> f64 {
    (rank as f64 + 1.0).log2().recip()
}

fn gain(case: &Case<'_>, list: &[(u32, f32)], k: usize, nanoseconds: u64) -> Gain {
    let (mut hits, mut discounted) = (0, 0.0);
    let mut from = 0;
    while from < list.len() {
        let tied = list[from..].iter().take_while(|(_, score)| *score == list[from].1).count();
        let rank = from + tied;
        let right = list[from..rank].iter().filter(|(item, _)| case.right.binary_search(item).is_ok()).count();
        if rank <= k {
            hits += right;
            discounted += right as f64 * discount(rank);
        }
        from = rank;
    }
    let shown = list.iter().take(k).map(|(item, _)| *item).collect();
    Gain { hits, right: case.right.len(), discounted, nanoseconds, shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Customer 0 bought 0 and 1, then 1, 2 and 3; customer 1 came later only; customer 2 never came back.
    fn split() -> PurchaseSplit {
        let day = |day: f64| day * DAY;
        let orders = Orders::new(
            5,
            [
                (0, day(0.0), vec![(0, 1.0), (1, 1.0)]),
                (2, day(1.0), vec![(3, 1.0)]),
                (0, day(40.0), vec![(1, 1.0), (2, 1.0), (3, 1.0)]),
                (1, day(41.0), vec![(1, 1.0)]),
                (0, day(50.0), vec![(4, 1.0)]),
            ],
        );
        PurchaseSplit::new(&orders, 30.0)
    }

    fn judged(question: Question, k: usize, list: &'static [(u32, f32)]) -> PurchaseReport {
        let recommend = |ask: &Ask<'_>, (): &mut (), out: &mut Vec<(u32, f32)>| {
            assert_eq!(ask.now, 20.0 * DAY);
            assert_eq!(ask.history.is_empty(), question == Question::BoughtTogether);
            out.extend(list.iter().filter(|(item, _)| !ask.basket.contains(item)));
        };
        judge(&split(), question, "fixed", k, || (), recommend, || Duration::ZERO)
    }

    #[test]
    fn the_first_order_of_those_with_a_history_counts() {
        let split = split();
        assert_eq!(split.cases, [(0, vec![1, 2, 3])]);
        assert_eq!(split.train.len(), 2);
    }

    #[test]
    fn figures_are_worked_out_by_hand() {
        let report = judged(Question::ForYou, 2, &[(1, 3.0), (0, 2.0), (2, 1.0)]);
        assert_eq!((report.cases, report.hit_rate, report.recall, report.recall_capped), (1, 1.0, 1.0 / 3.0, 0.5));
        let ideal = 1.0 + 3.0_f64.log2().recip();
        assert!((report.ndcg - 1.0 / ideal).abs() < 1e-9);
        assert!((report.coverage - 2.0 / 3.0).abs() < 1e-9, "of the three items sold before, two were shown");

        let report = judged(Question::ForYouNew, 2, &[(2, 3.0), (4, 2.0), (3, 1.0)]);
        assert_eq!((report.recall, report.recall_capped), (0.5, 0.5), "item 1 was bought before");
        let report = judged(Question::BoughtTogether, 1, &[(3, 3.0), (2, 2.0), (1, 1.0)]);
        assert_eq!((report.cases, report.recall), (3, 1.0), "each item is held out once and is then the only one left");
    }

    #[test]
    fn ties_count_against_us() {
        let report = judged(Question::ForYou, 2, &[(1, 3.0), (0, 2.0), (2, 2.0)]);
        assert_eq!(report.recall, 1.0 / 3.0);
        assert_eq!(judged(Question::ForYou, 1, &[(1, 3.0), (0, 3.0)]).hit_rate, 0.0);
    }
}
