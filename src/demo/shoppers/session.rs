//! One visit, page by page.

use serde_json::{Value, json};

use super::super::catalog::{self, Product};
use super::tastes::complements;
use super::wire::{Batch, timestamp};
use super::{Simulation, suits};

/// A shopper on their way through the shop.
pub(super) struct Walk<'a> {
    simulation: &'a mut Simulation,
    shopper: usize,
    /// Start in microseconds for the past, none for what is played live.
    start: Option<i64>,
    elapsed_ms: u64,
    batches: Vec<Batch>,
    events: Vec<Value>,
    viewing: Option<usize>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(simulation: &'a mut Simulation, shopper: usize, start: Option<i64>) -> Self {
        Self { simulation, shopper, start, elapsed_ms: 0, batches: Vec::new(), events: Vec::new(), viewing: None }
    }

    /// Walks through a whole visit.
    pub(super) fn shop(&mut self) {
        let mut viewed = self.enter();
        let mut pages = 1 + self.dice_below(4);
        if self.chance(0.25) {
            pages += self.dice_below(5);
        }
        for page in 0..pages {
            let item = match viewed {
                Some(item) if page == 0 => item,
                Some(last) => self.onward(last),
                None => self.favourite(),
            };
            self.view(item);
            self.consider(item);
            viewed = Some(item);
        }
        self.leave();
    }

    /// Opens a recommended product.
    pub(super) fn follow(&mut self, item: usize, recommendation_id: &str) {
        let mut event = self.event("select_item", &[(item, 1)]);
        event["recommendation_id"] = recommendation_id.into();
        self.events.push(event);
        self.view(item);
        if self.chance(0.3) {
            self.add(item);
        }
    }

    pub(super) fn finish(mut self) -> Vec<Batch> {
        self.page_ends();
        self.batches
    }

    /// Comes in by the front page, a department, a search or a link; returns the product the link led to.
    fn enter(&mut self) -> Option<usize> {
        let returning = self.shopper().last_viewed;
        if let Some(item) = returning
            && self.chance(0.3)
        {
            return Some(item);
        }
        let goal = self.favourite();
        match self.dice_below(100) {
            0..=39 => {
                let mut event = self.event("page_view", &[]);
                event["page_type"] = "home".into();
                self.events.push(event);
                self.page_ends();
                None
            }
            40..=64 => {
                let department = self.product(goal).category[0].clone();
                let mut shown: Vec<(usize, u32)> = Vec::new();
                for (index, product) in self.simulation.products.iter().enumerate() {
                    if product.category[0] == department && shown.len() < 6 {
                        shown.push((index, 1));
                    }
                }
                let mut event = self.event("view_item_list", &shown);
                event["item_list_id"] = format!("category/{department}").into();
                event["item_list_name"] = department.into();
                self.events.push(event);
                self.page_ends();
                Some(goal)
            }
            65..=84 => {
                let coloured = self.chance(0.5);
                let product = self.product(goal);
                let thing = product.category[1].to_lowercase();
                let term = if coloured { format!("{} {thing}", product.colour.name) } else { thing };
                let mut event = self.event("search", &[]);
                event["search_term"] = term.into();
                self.events.push(event);
                self.page_ends();
                Some(goal)
            }
            _ => Some(goal),
        }
    }

    fn view(&mut self, item: usize) {
        self.page_ends();
        let event = self.event("view_item", &[(item, 1)]);
        self.events.push(event);
        self.viewing = Some(item);
        let shopper = self.shopper;
        self.simulation.shoppers[shopper].last_viewed = Some(item);
    }

    /// Decides about the product on the screen: the cart, the wish list, or neither.
    fn consider(&mut self, item: usize) {
        let wanted = suits(self.shopper(), self.product(item));
        if self.shopper().cart.contains(&item) || self.product(item).stock == 0 {
            return;
        }
        if self.chance((wanted / 40.0).clamp(0.05, 0.45)) {
            self.add(item);
            // One thing leads to another.
            while self.shopper().cart.len() < 6 && self.chance(0.6) {
                let Some(companion) = self.companion(item) else { break };
                self.view(companion);
                if self.chance(0.7) && !self.shopper().cart.contains(&companion) && self.product(companion).stock > 0 {
                    self.add(companion);
                }
            }
        } else if self.chance(0.05) {
            let event = self.event("add_to_wishlist", &[(item, 1)]);
            self.events.push(event);
        }
    }

    fn add(&mut self, item: usize) {
        let event = self.event("add_to_cart", &[(item, 1)]);
        self.events.push(event);
        let shopper = self.shopper;
        self.simulation.shoppers[shopper].cart.push(item);
    }

    /// Buys what is in the cart, or leaves it for another day.
    fn leave(&mut self) {
        let cart = self.shopper().cart.clone();
        if cart.is_empty() || !self.chance(0.62) {
            return;
        }
        self.page_ends();
        self.viewing = None;
        let lines: Vec<(usize, u32)> = cart.iter().map(|item| (*item, self.quantity(*item))).collect();
        let viewed = self.event("view_cart", &lines);
        self.events.push(viewed);
        if self.chance(0.9) {
            self.page_ends();
            let begun = self.event("begin_checkout", &lines);
            self.events.push(begun);
            self.page_ends();
            let mut bought = self.event("purchase", &lines);
            bought["transaction_id"] = format!("T-{}", bought["id"].as_str().unwrap_or_default()).into();
            self.events.push(bought);
            let shopper = self.shopper;
            self.simulation.shoppers[shopper].cart.clear();
        }
    }

    fn quantity(&mut self, item: usize) -> u32 {
        let cheap = self.product(item).price_minor < 1_600;
        if cheap && self.chance(0.4) { 2 + self.dice_below(3) as u32 } else { 1 }
    }

    /// Returns where someone goes from a product: to what goes with it, to something like it, or elsewhere.
    fn onward(&mut self, last: usize) -> usize {
        let next = match self.dice_below(100) {
            0..=34 => self.companion(last),
            35..=74 => {
                let section = self.product(last).category[1].clone();
                self.pick(|product| if product.category[1] == section { 1.0 } else { 0.0 })
            }
            _ => None,
        };
        next.filter(|item| *item != last).unwrap_or_else(|| self.favourite())
    }

    fn favourite(&mut self) -> usize {
        self.pick(|_| 1.0).unwrap_or_default()
    }

    /// Returns something that goes with a product, mostly of the same collection.
    fn companion(&mut self, item: usize) -> Option<usize> {
        let product = self.product(item).clone();
        let kinds = complements(product.shape);
        self.pick(|candidate| {
            let Some(place) = kinds.iter().position(|shape| *shape == candidate.shape) else { return 0.0 };
            let matches = product.collection.is_some() && candidate.collection == product.collection;
            if candidate.id == product.id {
                return 0.0;
            }
            if matches { 8.0 / (1.0 + place as f64) } else { 1.0 / (1.0 + place as f64) }
        })
    }

    /// Draws a product by popularity, by how it suits the shopper, and by `weight`.
    fn pick(&mut self, weight: impl Fn(&Product) -> f64) -> Option<usize> {
        let simulation = &mut *self.simulation;
        let shopper = &simulation.shoppers[self.shopper];
        let weights: Vec<f64> = simulation
            .products
            .iter()
            .zip(&simulation.popularity)
            .map(|(product, popularity)| match weight(product) {
                0.0 => 0.0,
                weight => weight * popularity * suits(shopper, product),
            })
            .collect();
        simulation.dice.weighted(weights.iter().copied())
    }

    fn event(&mut self, kind: &str, lines: &[(usize, u32)]) -> Value {
        self.simulation.serial += 1;
        let id = format!("{:08x}-{:07x}", self.simulation.run & 0xffff_ffff, self.simulation.serial);
        let mut event = json!({ "id": id, "type": kind });
        match self.start {
            // Less than the shortest thought apart, so that order survives.
            Some(start) => {
                let ts = start + self.elapsed_ms as i64 * 1_000 + self.events.len() as i64 * 700_000;
                event["ts"] = timestamp(ts).into();
            }
            None => event["age_ms"] = 0.into(),
        }
        if lines.is_empty() {
            return event;
        }
        let mut total = 0;
        let items: Vec<Value> = lines
            .iter()
            .map(|(item, quantity)| {
                let product = &self.simulation.products[*item];
                total += product.price_minor * i64::from(*quantity);
                json!({
                    "item_id": product.id,
                    "item_name": product.title,
                    "item_brand": product.brand,
                    "item_category": product.category[0],
                    "item_category2": product.category[1],
                    "price": product.price(),
                    "quantity": quantity,
                })
            })
            .collect();
        event["items"] = items.into();
        event["currency"] = catalog::CURRENCY.into();
        if kind != "view_item_list" && kind != "select_item" {
            event["value"] = (total as f64 / 100.0).into();
        }
        event
    }

    /// Closes a page: live, what happened on it is sent and the shopper thinks; the past is sent whole.
    fn page_ends(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let thinking = 2_500 + self.dice_below(14_000) as u64;
        if self.start.is_some() && !self.batches.is_empty() {
            let events = std::mem::take(&mut self.events);
            self.batches[0].events.extend(events);
        } else {
            let batch = Batch {
                seq: self.batches.len() as u32 + 1,
                offset_ms: if self.start.is_some() { 0 } else { self.elapsed_ms },
                events: std::mem::take(&mut self.events),
                viewing: self.viewing.map(|item| self.product(item).id.clone()),
                cart: self.shopper().cart.iter().map(|item| self.product(*item).id.clone()).collect(),
            };
            self.batches.push(batch);
        }
        self.elapsed_ms += thinking;
    }

    fn shopper(&self) -> &super::Shopper {
        &self.simulation.shoppers[self.shopper]
    }

    fn product(&self, item: usize) -> &Product {
        &self.simulation.products[item]
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.simulation.dice.chance(probability)
    }

    fn dice_below(&mut self, n: usize) -> usize {
        self.simulation.dice.below(n)
    }
}
