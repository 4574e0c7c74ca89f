//! What a customer's orders say of each item in them, at some moment.

use crate::orders::{DAY, Line};

/// Days after which a purchase counts half, for each of the decayed counts.
pub(crate) const HALF_LIVES: [f64; 3] = [20.0, 60.0, 140.0];
/// Lines that are looked at, the newest ones; a reseller's ten thousand would say nothing new.
const MAX_LINES: usize = 4_000;

/// What is known of one item of a history. Times are in days before the moment asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Own {
    pub(crate) item: u32,
    /// Purchases, decayed by each of [`HALF_LIVES`].
    pub(crate) decayed: [f32; 3],
    /// Purchases.
    pub(crate) orders: f32,
    /// Days since the oldest and the newest of them.
    pub(crate) first: f32,
    pub(crate) last: f32,
}

/// A history, item by item; reused from customer to customer.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Place of each item in `own`, or `u32::MAX`.
    places: Vec<u32>,
    own: Vec<Own>,
    orders: u32,
    lines: u32,
    /// Days since the oldest and the newest order.
    first: f32,
    last: f32,
    /// Sum of the logarithms of known prices, and how many there are.
    log_prices: (f32, u32),
}

impl History {
    /// Reads a history, oldest line first, as it looks at `now` (seconds); what is later counts as bought now.
    pub(crate) fn read(&mut self, lines: &[Line], now: f64, n_items: usize) {
        for own in &self.own {
            self.places[own.item as usize] = u32::MAX;
        }
        self.own.clear();
        if self.places.len() < n_items {
            self.places.resize(n_items, u32::MAX);
        }
        (self.orders, self.lines, self.first, self.last, self.log_prices) = (0, 0, 0.0, 0.0, (0.0, 0));
        let mut time = f64::NAN;
        let (mut days, mut weights) = (0.0_f32, [0.0_f32; 3]);
        for line in lines.iter().rev().take(MAX_LINES) {
            if line.time != time {
                time = line.time;
                let age = ((now - time) / DAY).max(0.0);
                days = age as f32;
                weights = HALF_LIVES.map(|half_life| (-age / half_life).exp2() as f32);
                self.last = if self.orders == 0 { days } else { self.last };
                self.first = days;
                self.orders += 1;
            }
            let Some(place) = self.places.get_mut(line.item as usize).filter(|_| (line.item as usize) < n_items) else {
                continue;
            };
            self.lines += 1;
            if line.price > 0.0 {
                self.log_prices = (self.log_prices.0 + line.price.ln(), self.log_prices.1 + 1);
            }
            if *place == u32::MAX {
                *place = self.own.len() as u32;
                self.own.push(Own { item: line.item, decayed: [0.0; 3], orders: 0.0, first: days, last: days });
            }
            let own = &mut self.own[*place as usize];
            own.first = days;
            own.orders += 1.0;
            for (sum, weight) in own.decayed.iter_mut().zip(weights) {
                *sum += weight;
            }
        }
    }

    /// Returns what is known of each item, the one bought last first.
    pub(crate) fn own(&self) -> &[Own] {
        &self.own
    }

    /// Returns what is known of an item, if it was ever bought.
    pub(crate) fn of(&self, item: u32) -> Option<&Own> {
        self.own.get(*self.places.get(item as usize)? as usize)
    }

    /// Returns the number of orders.
    pub(crate) fn orders(&self) -> f32 {
        self.orders as f32
    }

    /// Returns the days since the newest order.
    pub(crate) fn last(&self) -> f32 {
        self.last
    }

    /// Returns the mean lines of an order; 0 without orders.
    pub(crate) fn size(&self) -> f32 {
        if self.orders == 0 { 0.0 } else { self.lines as f32 / self.orders as f32 }
    }

    /// Returns the mean days between orders, where there are two.
    pub(crate) fn gap(&self) -> Option<f32> {
        (self.orders > 1).then(|| (self.first - self.last) / (self.orders - 1) as f32)
    }

    /// Returns the mean of the logarithms of what things cost, where prices are known.
    pub(crate) fn log_price(&self) -> Option<f32> {
        (self.log_prices.1 > 0).then(|| self.log_prices.0 / self.log_prices.1 as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_counted_and_forgotten() {
        let line = |item, day: f64, price| Line { item, time: day * DAY, price };
        let lines = [line(1, 0.0, 2.0), line(2, 0.0, 0.0), line(1, 40.0, 2.0), line(9, 40.0, 1.0)];
        let mut history = History::default();
        for _ in 0..2 {
            history.read(&lines, 60.0 * DAY, 5);
            let own = history.of(1).unwrap();
            assert_eq!((own.orders, own.first, own.last), (2.0, 60.0, 20.0));
            assert!((own.decayed[0] - 0.625).abs() < 1e-6, "{own:?}");
            assert_eq!((history.of(9), history.of(3), history.own().len()), (None, None, 2));
            assert_eq!((history.orders(), history.last(), history.gap(), history.size()), (2.0, 20.0, Some(40.0), 1.5));
            assert!((history.log_price().unwrap() - 2.0_f32.ln()).abs() < 1e-6);
        }
        history.read(&[], 0.0, 5);
        assert_eq!((history.of(1), history.orders(), history.gap(), history.log_price()), (None, 0.0, None, None));
    }
}
