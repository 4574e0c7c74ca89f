use std::path::PathBuf;

use super::*;
use crate::artifact::Manifest;
use crate::orders::DAY;

/// A shop with two tastes of thirty items each. Every week each customer buys their two staples and three more items of their taste.
fn shop(customers: u32, weeks: u32) -> Orders {
    let mut state = 11_u64;
    let mut next = move |below: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % below
    };
    let mut orders = Vec::new();
    for week in 0..weeks {
        for customer in 0..customers {
            let taste = customer % 2 * 30;
            let staples = [taste + customer % 10, taste + (customer + 3) % 10];
            let items = staples.into_iter().chain((0..3).map(|_| taste + next(30))).map(|item| (item, 1.0 + item as f32));
            orders.push((customer, f64::from(week * 7) * DAY + f64::from(customer), items.collect()));
        }
    }
    Orders::new(60, orders)
}

fn options(min_cases: usize) -> Options {
    let forest = trees::Options { trees: 20, depth: 4, ..trees::Options::default() };
    Options { ease: ease::Options { l2: 10.0, ..ease::Options::default() }, min_cases, forest, ..Options::default() }
}

fn ask(model: &NextPurchase, query: Query<'_>, k: usize) -> Vec<u32> {
    let mut out = Vec::new();
    model.predict(query, k, &mut Scratch::default(), &mut out);
    assert!(out.iter().all(|(_, score)| score.is_finite() && *score > 0.0) && out.is_sorted_by(|a, b| a.1 >= b.1));
    out.into_iter().map(|(item, _)| item).collect()
}

#[test]
fn staples_come_first_and_tastes_are_kept_apart() {
    let orders = shop(60, 26);
    let histories = orders.by_customer();
    let learned = NextPurchase::fit(&orders, &options(50));
    assert_eq!(learned.learned(), (true, true));
    let (importance, plain) = (learned.importance(), NextPurchase::fit(&orders, &Options { slices: 0, ..options(50) }));
    assert!(importance.len() == FEATURES.len() && importance[0].1 > importance[40].1, "{importance:?}");
    assert_eq!(plain.learned(), (false, false));
    for model in [&learned, &learned.without_forests(), &plain] {
        for customer in [0, 7, 33] {
            let history = histories.of(customer);
            let taste = customer % 2 * 30;
            let query = Query { history, basket: &[], now: orders.newest(), only_new: false };
            let list = ask(model, query, 5);
            assert!(
                list[..2].contains(&(taste + customer % 10)) && list[..2].contains(&(taste + (customer + 3) % 10)),
                "{list:?}"
            );

            let list = ask(model, Query { only_new: true, ..query }, 5);
            assert!(list.iter().all(|item| history.iter().all(|line| line.item != *item)), "{list:?}");

            let basket = [taste + 20, taste + 21, taste + 22];
            let list = ask(model, Query { history: &[], basket: &basket, ..query }, 5);
            assert!(list.iter().all(|item| (taste..taste + 30).contains(item) && !basket.contains(item)), "{list:?}");
        }
        let stranger = Query { history: &[], basket: &[], now: orders.newest(), only_new: false };
        assert_eq!(ask(model, stranger, 3).len(), 3, "somebody unknown sees what sells");
        let odd = [Line { item: 77, time: f64::NAN, price: f32::NAN }, Line { item: 3, time: 1e300, price: -1.0 }];
        ask(model, Query { history: &odd, basket: &[99, u32::MAX, 3], ..stranger }, 3);
    }
}

#[test]
fn any_number_of_threads_learns_the_same() {
    let orders = shop(20, 20);
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| NextPurchase::fit(&orders, &options(50)))
    };
    let one = fit(1);
    assert!(one == fit(3));
}

#[test]
fn a_small_shop_gets_the_sum() {
    let orders = shop(10, 3);
    let model = NextPurchase::fit(&orders, &Options::default());
    assert_eq!((model.learned(), model.weights()[0]), ((false, false), Weights::FOR_YOU.0));
    let nothing = NextPurchase::fit(&Orders::new(3, []), &Options::default());
    let query = Query { history: &[], basket: &[1], now: 0.0, only_new: false };
    assert_eq!(ask(&nothing, query, 5), [0; 0]);
}

/// A directory that goes away with the value.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_saved_answers_alike() {
    let orders = shop(40, 20);
    let model = NextPurchase::fit(&orders, &options(50));
    let dir = Dir(std::env::temp_dir().join(format!("rapport-purchase-{}", std::process::id())));
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    model.save(&mut draft, "next").unwrap();
    let id = draft.finish(Manifest::default(), "2026-11-23T01-20Z").unwrap();
    let artifact = Arc::new(Artifact::open(dir.0.join(id.as_str())).unwrap());
    let opened = NextPurchase::open(&artifact, "next").unwrap();
    assert!(opened == model);
    assert!(NextPurchase::open(&artifact, "other").is_err());
    let histories = orders.by_customer();
    let query = Query { history: histories.of(3), basket: &[31], now: orders.newest(), only_new: false };
    assert_eq!(ask(&opened, query, 10), ask(&model, query, 10));
}
