//! Simulated shoppers: people with tastes who look, come back and buy.
//!
//! Each has one or two themes (`tastes::Theme`), a few collections they like and a purse. What they pick is drawn from
//! popularity, which drifts from day to day, times how well a product suits them; what they add afterwards tends to go
//! with what they have, in the same collection. The server is told only what a storefront would tell it.

mod session;
mod tastes;
mod wire;

use super::catalog::Product;
use super::dice::Dice;
use session::Walk;
use tastes::Theme;
pub use wire::{Batch, SessionScript};

const DAY_MICROS: i64 = 86_400_000_000;

/// How many of the latest shoppers may come back.
const REMEMBERED: usize = 2_500;

/// One simulated person in one browser.
#[derive(Debug, Clone)]
struct Shopper {
    visitor_id: String,
    themes: Vec<(Theme, f64)>,
    collections: Vec<&'static str>,
    purse: f64,
    /// Products left in the cart or on the mind since the last visit.
    cart: Vec<usize>,
    last_viewed: Option<usize>,
    visits: u32,
}

/// A population of shoppers walking through the shop.
#[derive(Debug)]
pub struct Simulation {
    dice: Dice,
    products: Vec<Product>,
    /// Per product: log popularity, length of its trend in days, and where in it it starts.
    trends: Vec<(f64, f64, f64)>,
    popularity: Vec<f64>,
    shoppers: Vec<Shopper>,
    day: f64,
    run: u64,
    serial: u64,
}

impl Simulation {
    pub fn new(seed: u64, products: &[Product]) -> Self {
        let mut dice = Dice::new(seed ^ 0x7368_6f70);
        let trends = products.iter().map(|_| (dice.normal() * 0.6, 8.0 + dice.unit() * 30.0, dice.unit())).collect();
        Self {
            run: seed,
            dice,
            products: products.to_vec(),
            trends,
            popularity: vec![1.0; products.len()],
            shoppers: Vec::new(),
            day: 0.0,
            serial: 0,
        }
    }

    /// Returns past sessions in order of time, spread over the `days` before `end` (microseconds since 1970).
    ///
    /// Ids depend on the seed alone: posting the same history twice changes nothing.
    pub fn history(&mut self, days: u32, sessions: usize, end: i64) -> impl Iterator<Item = SessionScript> + '_ {
        let begin = end - i64::from(days) * DAY_MICROS;
        let starts = self.starts(days, sessions);
        starts.into_iter().map(move |offset| {
            self.day = offset / DAY_MICROS as f64;
            // A visit lasts minutes; none may reach into the future.
            let start = (begin + offset as i64).min(end - 1_800_000_000);
            self.visit(Some(start))
        })
    }

    /// Starts a new series of ids for what happens from now on.
    ///
    /// Without it, a demonstration restarted on the same data would repeat its ids, and the server would rightly take
    /// everything for duplicates. `run` is anything that differs between runs, such as the time of the start.
    pub fn begin_live(&mut self, run: u64) {
        self.run = self.run.wrapping_mul(31) ^ run;
        self.dice = Dice::new(self.run);
        self.shoppers.clear();
        self.serial = 0;
    }

    /// Returns the next visit, to be played in real time: a batch a page, with time to think between them.
    pub fn next_live(&mut self) -> SessionScript {
        self.day += 1.0 / 400.0;
        self.visit(None)
    }

    /// Returns what a shopper does with recommendations they see, if anything: open one, and perhaps add it to the cart.
    pub fn react(&mut self, script: &SessionScript, recommendation_id: &str, item_ids: &[&str]) -> Option<Batch> {
        let shopper = self.shoppers.iter().position(|shopper| shopper.visitor_id == script.visitor_id)?;
        let shown: Vec<usize> =
            item_ids.iter().filter_map(|id| self.products.iter().position(|product| product.id == *id)).collect();
        let appeal: Vec<f64> = shown.iter().map(|item| suits(&self.shoppers[shopper], &self.products[*item])).collect();
        let best = appeal.iter().copied().fold(0.0, f64::max);
        if !self.dice.chance((best / 12.0).clamp(0.04, 0.5)) {
            return None;
        }
        let item = shown[self.dice.weighted(appeal.iter().copied())?];
        let mut walk = Walk::new(self, shopper, None);
        walk.follow(item, recommendation_id);
        let mut batches = walk.finish();
        let mut batch = batches.pop()?;
        for earlier in batches.into_iter().rev() {
            batch.events.splice(0..0, earlier.events);
        }
        batch.seq = script.batches.len() as u32 + 1;
        Some(batch)
    }

    fn visit(&mut self, start: Option<i64>) -> SessionScript {
        self.refresh_popularity();
        let shopper = self.arrive();
        let visitor_id = self.shoppers[shopper].visitor_id.clone();
        self.shoppers[shopper].visits += 1;
        let session_id = format!("{visitor_id}-s{}", self.shoppers[shopper].visits);
        let mut walk = Walk::new(self, shopper, start);
        walk.shop();
        SessionScript { visitor_id, session_id, batches: walk.finish() }
    }

    /// Returns who comes in: nearly every second visit is a return.
    fn arrive(&mut self) -> usize {
        if !self.shoppers.is_empty() && self.dice.chance(0.48) {
            return self.dice.below(self.shoppers.len());
        }
        self.serial += 1;
        let dice = &mut self.dice;
        let first = Theme::ALL[dice.below(Theme::ALL.len())];
        let second = Theme::ALL[dice.below(Theme::ALL.len())];
        let liked: Vec<&'static str> = (0..3).filter_map(|_| self.products[dice.below(self.products.len())].collection).collect();
        let shopper = Shopper {
            visitor_id: format!("demo-{:08x}-{:05}", self.run & 0xffff_ffff, self.serial),
            themes: vec![(first, 6.0), (second, 2.5)],
            collections: liked,
            purse: 18.0 * (dice.normal() * 0.5).exp() + 8.0,
            cart: Vec::new(),
            last_viewed: None,
            visits: 0,
        };
        if self.shoppers.len() < REMEMBERED {
            self.shoppers.push(shopper);
            return self.shoppers.len() - 1;
        }
        let replaced = self.dice.below(REMEMBERED);
        self.shoppers[replaced] = shopper;
        replaced
    }

    fn refresh_popularity(&mut self) {
        for (popularity, (log, period, phase)) in self.popularity.iter_mut().zip(&self.trends) {
            let wave = ((self.day / period + phase) * std::f64::consts::TAU).sin();
            *popularity = (log + 0.6 * wave).exp();
        }
    }

    /// Returns when sessions start, in microseconds after the beginning: more of late, and few at night.
    fn starts(&mut self, days: u32, sessions: usize) -> Vec<f64> {
        let mut starts: Vec<f64> = Vec::with_capacity(sessions);
        while starts.len() < sessions {
            let day = self.dice.unit().powf(0.8) * f64::from(days);
            let hour = day.fract() * 24.0;
            let busy = 0.08 + 0.92 * (0.5 - 0.5 * ((hour - 3.5) / 24.0 * std::f64::consts::TAU).cos());
            if self.dice.chance(busy) {
                starts.push(day * DAY_MICROS as f64);
            }
        }
        starts.sort_by(f64::total_cmp);
        starts
    }
}

/// Returns how well a product suits a shopper; around 1 for indifference.
fn suits(shopper: &Shopper, product: &Product) -> f64 {
    let themes = tastes::themes(product.shape);
    let interest: f64 = shopper
        .themes
        .iter()
        .filter_map(|(theme, weight)| {
            let place = themes.iter().position(|of_product| of_product == theme)?;
            Some(if place == 0 { *weight } else { weight * 0.4 })
        })
        .sum();
    let liked = product.collection.is_some_and(|collection| shopper.collections.contains(&collection));
    let dear = (product.price() / shopper.purse - 1.0).max(0.0);
    (0.25 + interest) * if liked { 3.0 } else { 1.0 } * (-0.5 * dear).exp()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::super::catalog::{self, Shape};
    use super::*;

    const END: i64 = 1_795_000_000_000_000;

    fn history(seed: u64, sessions: usize) -> Vec<SessionScript> {
        let products = catalog::products(7);
        Simulation::new(seed, &products).history(45, sessions, END).collect()
    }

    #[test]
    fn a_seed_gives_the_same_shoppers() {
        assert_eq!(history(3, 200), history(3, 200));
        assert_ne!(history(3, 200), history(4, 200));
    }

    #[test]
    fn history_is_of_a_useful_size_in_order_and_past() {
        let sessions = history(3, 2_000);
        let events: Vec<_> = sessions.iter().flat_map(|s| &s.batches).flat_map(|b| &b.events).collect();
        let per_session = events.len() as f64 / sessions.len() as f64;
        assert!((5.0..9.0).contains(&per_session), "{per_session} events a session");
        let ids: HashSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), events.len());
        let end = jiff::Timestamp::from_microsecond(END).unwrap();
        for event in &events {
            let ts: jiff::Timestamp = event["ts"].as_str().unwrap().parse().unwrap();
            assert!(ts < end, "{event}");
        }
        let share = |kind: &str| events.iter().filter(|e| e["type"] == kind).count() as f64 / sessions.len() as f64;
        assert!((0.05..0.35).contains(&share("purchase")), "{} purchases a session", share("purchase"));
        assert!(share("search") > 0.1 && share("add_to_wishlist") > 0.03);
        let visitors: HashSet<_> = sessions.iter().map(|s| &s.visitor_id).collect();
        assert!(visitors.len() < sessions.len() * 2 / 3, "{} visitors", visitors.len());
        let largest = sessions.iter().flat_map(|s| &s.batches).map(|b| b.events.len()).max();
        assert!(largest.is_some_and(|events| events <= 100), "{largest:?}");
    }

    #[test]
    fn what_goes_together_is_bought_together() {
        let products = catalog::products(7);
        let shapes: HashMap<&str, Shape> = products.iter().map(|p| (p.id.as_str(), p.shape)).collect();
        let baskets: Vec<HashSet<Shape>> = history(3, 6_000)
            .iter()
            .flat_map(|s| &s.batches)
            .flat_map(|b| &b.events)
            .filter(|event| event["type"] == "purchase")
            .map(|event| {
                let items = event["items"].as_array().unwrap();
                items.iter().map(|item| shapes[item["item_id"].as_str().unwrap()]).collect()
            })
            .collect();
        for (one, other) in [(Shape::Teapot, Shape::Mug), (Shape::PlantPot, Shape::WateringCan), (Shape::Soap, Shape::HandWash)] {
            let count = |wanted: &[Shape]| baskets.iter().filter(|b| wanted.iter().all(|s| b.contains(s))).count() as f64;
            let by_chance = count(&[one]) * count(&[other]) / baskets.len() as f64;
            let together = count(&[one, other]);
            assert!(together > 3.0 * by_chance, "{one:?} + {other:?}: {together}, by chance {by_chance}");
        }
    }

    #[test]
    fn live_visits_take_time_and_never_repeat_an_id() {
        let products = catalog::products(7);
        let mut ids = HashSet::new();
        for run in 1..3 {
            let mut simulation = Simulation::new(3, &products);
            simulation.begin_live(run);
            for _ in 0..200 {
                let script = simulation.next_live();
                assert_eq!(script.batches[0].offset_ms, 0);
                assert!(script.batches.windows(2).all(|pair| pair[0].offset_ms < pair[1].offset_ms));
                let shown: Vec<&str> = products[..20].iter().map(|p| p.id.as_str()).collect();
                let reaction = simulation.react(&script, "rec-1", &shown);
                for event in script.batches.iter().chain(&reaction).flat_map(|batch| &batch.events) {
                    assert!(ids.insert(event["id"].as_str().unwrap().to_owned()), "{event}");
                    assert_eq!(event["age_ms"], 0);
                }
            }
        }
    }

    #[test]
    fn a_body_is_what_the_server_reads() {
        let products = catalog::products(7);
        let mut simulation = Simulation::new(3, &products);
        let script = simulation.history(10, 1, END).next().unwrap();
        let body = script.batches[0].body(&script, Some("pk_test"), END);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["v"], 1);
        assert_eq!(body["key"], "pk_test");
        assert_eq!(body["consent"]["personalization"], true);
        assert_eq!(body["visitor_id"], script.visitor_id.as_str());
        assert!(body["sent_at"].as_str().unwrap().ends_with('Z'));
        assert!(!body["events"].as_array().unwrap().is_empty());
    }
}
