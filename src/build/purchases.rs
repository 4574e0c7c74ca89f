//! The model of the next purchase, learnt from the baskets.

use std::collections::BTreeMap;
use std::time::Duration;

use rapport_models::ease;
use rapport_models::evaluate::purchases::{PurchaseSplit, Question, judge};
use rapport_models::model::Model;
use rapport_models::orders::Orders;
use rapport_models::purchase::{NextPurchase, Options, Query, Scratch};

use super::groups::Learned;
use super::{K, MIN_CASES, put_cases};
use crate::config;
use crate::event::time::{DAY, SECOND};

/// Orders that are learnt from, the newest ones: more would make builds of big shops long and say little new.
const MAX_ORDERS: usize = 300_000;
/// Items whose company is weighed exactly; the work grows with the third power of it, and is done at several moments of the past.
const HEAD: usize = 4_000;
/// Places in past visits that cost as much as one list of candidates for a next purchase.
const EXAMPLES_PER_CASE: usize = 100;
/// Cases below which looking back teaches nothing.
const LEAST_CASES: usize = 100;

/// Returns the orders, where enough of them are of people who came back; nothing else tells what is bought next.
pub(super) fn orders(learned: &Learned) -> Option<Orders> {
    let skipped = learned.baskets.len().saturating_sub(MAX_ORDERS);
    let orders = learned.baskets.iter().skip(skipped).map(|basket| {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a float to the microsecond")]
        let seconds = basket.at.0 as f64 / SECOND as f64;
        let prices = basket.prices.iter().copied().chain(std::iter::repeat(0.0));
        (basket.visitor, seconds, basket.items.iter().copied().zip(prices).collect())
    });
    let orders = Orders::new(learned.items.len(), orders);
    let mut met = std::collections::HashSet::new();
    let returned = orders.iter().filter(|order| !met.insert(order.customer)).count() as u64;
    (returned >= MIN_CASES).then_some(orders)
}

/// Learns from all orders.
pub(super) fn fit(orders: &Orders, settings: &config::Build) -> NextPurchase {
    NextPurchase::fit(orders, &options(settings))
}

/// Learns from all but the newest tenth of the orders and looks how well that tells the first order of each customer after it.
pub(super) fn evaluate(
    orders: &Orders,
    settings: &config::Build,
    clock: impl Fn() -> Duration + Sync + Send,
) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let cut = orders.get(orders.len() - orders.len().div_ceil(10)).time;
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let day = (DAY / SECOND) as f64;
    let split = PurchaseSplit::new(orders, (orders.newest() - cut) / day);
    if (split.cases.len() as u64) < MIN_CASES {
        return figures;
    }
    let model = fit(&split.train, settings);
    let report = judge(
        &split,
        Question::ForYou,
        "next_purchase",
        K,
        Scratch::default,
        |ask, scratch, out| {
            let query = Query { history: ask.history, basket: ask.basket, now: ask.now, only_new: ask.only_new };
            model.predict(query, ask.k, scratch, out);
        },
        clock,
    );
    figures.insert("next_purchase_recall_20".to_owned(), report.recall);
    figures.insert("next_purchase_ndcg_20".to_owned(), report.ndcg);
    put_cases(&mut figures, "next_purchase_cases", report.cases);
    figures
}

/// As much effort as the settings give to the order of the next item: none where there are too few examples to look back.
fn options(settings: &config::Build) -> Options {
    let defaults = Options::default();
    let max_cases = (settings.examples / EXAMPLES_PER_CASE).min(defaults.max_cases);
    let slices = if max_cases < LEAST_CASES { 0 } else { defaults.slices };
    Options { max_cases, slices, ease: ease::Options { max_items: HEAD, ..defaults.ease }, ..defaults }
}
