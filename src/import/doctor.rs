//! What imported data will and will not support, in terms of models and placements.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::NonProducts;
use super::report::grouped;
use crate::catalog::draft::ItemDraft;
use crate::event::time::{DAY, HOUR};
use crate::event::{Draft, EventKind};

/// Fewer baskets than this give few pairs that are no accident.
const FEW_BASKETS: u64 = 1_000;

/// Less than this says nothing about what is normal in a week.
const SHORT_SPAN: i64 = 7 * DAY;

/// Watches an import and says what to expect of it. Remembers ids as 64-bit hashes only.
#[derive(Debug, Default)]
pub struct Doctor {
    events: u64,
    views: u64,
    carts: u64,
    purchases: u64,
    lines: u64,
    lines_without_price: u64,
    lines_without_name: u64,
    lines_without_category: u64,
    purchases_without_customer: u64,
    purchases_without_currency: u64,
    baskets: u64,
    /// First item bought under a session or visitor by rows without an order number; nothing once there was another.
    loose_baskets: HashMap<u64, Option<u64>>,
    items: HashSet<u64>,
    visitors: HashMap<u64, u32>,
    oldest: Option<i64>,
    newest: Option<i64>,
    rejected_purchases: u64,
    rejected_purchases_without_item: u64,
    rejected: HashMap<String, u64>,
    catalog: CatalogCounts,
}

#[derive(Debug, Default)]
struct CatalogCounts {
    items: u64,
    without_title: u64,
    without_price: u64,
    without_image: u64,
    without_url: u64,
    without_category: u64,
    without_availability: u64,
}

impl Doctor {
    /// Looks at an event that was accepted.
    pub fn observe(&mut self, draft: &Draft) {
        self.events += 1;
        if let Some(ts) = draft.time.ts {
            self.oldest = Some(self.oldest.map_or(ts.0, |t| t.min(ts.0)));
            self.newest = Some(self.newest.map_or(ts.0, |t| t.max(ts.0)));
        }
        if let Some(visitor) = &draft.visitor_id {
            *self.visitors.entry(xxh3_64(visitor.as_bytes())).or_default() += 1;
        }
        for line in &draft.items {
            self.items.insert(xxh3_64(line.item_id.as_bytes()));
            self.lines += 1;
            self.lines_without_price += u64::from(line.price.is_none());
            self.lines_without_name += u64::from(line.name.is_none());
            self.lines_without_category += u64::from(line.categories.is_empty());
        }
        if draft.kind == EventKind::ViewItem.as_str() {
            self.views += 1;
        } else if draft.kind == EventKind::AddToCart.as_str() {
            self.carts += 1;
        } else if draft.kind == EventKind::Purchase.as_str() {
            self.observe_purchase(draft);
        }
    }

    fn observe_purchase(&mut self, draft: &Draft) {
        self.purchases += 1;
        self.purchases_without_customer += u64::from(draft.customer_id.is_none());
        self.purchases_without_currency += u64::from(draft.currency.is_none());
        let mut items = draft.items.iter().map(|line| xxh3_64(line.item_id.as_bytes()));
        let Some(first) = items.next() else { return };
        if items.any(|item| item != first) {
            self.baskets += 1;
        } else if draft.transaction_id.is_none()
            && let Some(key) = draft.session_id.as_ref().or(draft.visitor_id.as_ref())
        {
            let seen = self.loose_baskets.entry(xxh3_64(key.as_bytes())).or_insert(Some(first));
            if seen.is_some_and(|item| item != first) {
                *seen = None;
                self.baskets += 1;
            }
        }
    }

    /// Looks at a catalog item that was accepted.
    pub fn observe_item(&mut self, draft: &ItemDraft) {
        let counts = &mut self.catalog;
        counts.items += 1;
        counts.without_title += u64::from(draft.title.is_none());
        counts.without_price += u64::from(draft.price.is_none());
        counts.without_image += u64::from(draft.image_url.is_none());
        counts.without_url += u64::from(draft.url.is_none());
        counts.without_category += u64::from(draft.categories.is_empty());
        counts.without_availability += u64::from(draft.availability.is_none() && draft.stock.is_none());
    }

    /// Looks at rows that were rejected, by reading or by validation.
    pub fn observe_rejected(&mut self, kind: Option<&str>, reason: &str, rows: u32) {
        let rows = u64::from(rows);
        match self.rejected.get_mut(reason) {
            Some(count) => *count += rows,
            None => {
                self.rejected.insert(reason.to_owned(), rows);
            }
        }
        if kind == Some(EventKind::Purchase.as_str()) {
            self.rejected_purchases += rows;
            if matches!(reason, "missing_item_id" | "missing_items") {
                self.rejected_purchases_without_item += rows;
            }
        }
    }

    /// Returns what to expect, most important first.
    pub fn advice(&self, non_products: &NonProducts) -> Vec<String> {
        let mut advice = Vec::new();
        if self.events == 0 && self.catalog.items == 0 {
            advice.push("Nothing was accepted: there is nothing to learn from.".to_owned());
        }
        self.on_rejected(&mut advice);
        if self.events > 0 {
            self.on_kinds(&mut advice);
            self.on_people(&mut advice);
            self.on_fields(&mut advice);
        }
        self.on_catalog(&mut advice);
        if !non_products.is_empty() {
            let ids: Vec<&str> = non_products.iter().map(|(id, _)| id).take(5).collect();
            advice.push(format!(
                "{} item ids are no products ({}{}): they stay on their orders and are never recommended.",
                non_products.len(),
                ids.join(", "),
                if non_products.len() > ids.len() { ", …" } else { "" }
            ));
        }
        advice
    }

    fn on_rejected(&self, advice: &mut Vec<String>) {
        let rejected: u64 = self.rejected.values().sum();
        let rows = self.lines + self.catalog.items + rejected;
        if self.rejected_purchases_without_item > 0 {
            let bought = self.purchases + self.rejected_purchases;
            advice.push(format!(
                "{} of purchases lack an item id: also-bought, bought-together and buy-again learn from the others only.",
                percent(self.rejected_purchases_without_item, bought)
            ));
        }
        if rejected * 20 > rows
            && let Some((reason, n)) = self.rejected.iter().max_by_key(|(reason, n)| (**n, std::cmp::Reverse(*reason)))
        {
            advice.push(format!(
                "{} of the rows were rejected, most of them ({}) for {reason}: check the export before building.",
                percent(rejected, rows),
                grouped(*n)
            ));
        }
    }

    fn on_kinds(&self, advice: &mut Vec<String>) {
        if self.views == 0 {
            advice.push("No views: also-viewed and for-you will be served from purchases.".to_owned());
        }
        if self.purchases == 0 {
            let instead = if self.carts > 0 { "carts and views" } else { "views" };
            advice.push(format!(
                "No purchases: also-bought and bought-together will be served from {instead}; buy-again and customer value have nothing."
            ));
        } else if self.baskets < FEW_BASKETS {
            let (verb, s) = if self.baskets == 1 { ("holds", "") } else { ("hold", "s") };
            advice.push(format!(
                "Only {} basket{s} {verb} two or more items: expect few also-bought and bought-together pairs; the rest falls back to views.",
                grouped(self.baskets)
            ));
        }
        if let (Some(oldest), Some(newest)) = (self.oldest, self.newest) {
            let span = newest - oldest;
            if span < SHORT_SPAN {
                advice.push(format!("Only {} of data: trending and evaluation on the last day mean little.", duration(span)));
            }
        }
    }

    fn on_people(&self, advice: &mut Vec<String>) {
        let visitors = self.visitors.len() as u64;
        let once = self.visitors.values().filter(|n| **n == 1).count() as u64;
        if visitors > 0 && once * 2 > visitors {
            advice.push(format!(
                "{} of visitors did one thing only: for-you knows little of them, and next-item models learn nothing from them.",
                percent(once, visitors)
            ));
        }
        if self.purchases > 0 && self.purchases_without_customer == self.purchases {
            advice.push("No customer ids on purchases: stages, customer value and buy-again know visitors only.".to_owned());
        } else if self.purchases_without_customer * 20 > self.purchases {
            advice.push(format!(
                "No customer ids on {} of purchases: stages, customer value and buy-again know only the others.",
                percent(self.purchases_without_customer, self.purchases)
            ));
        }
    }

    fn on_fields(&self, advice: &mut Vec<String>) {
        if self.lines == 0 {
            advice.push("No event names an item: only the page timeline can be built.".to_owned());
            return;
        }
        if self.lines_without_price == self.lines {
            advice.push("Prices missing: import a catalog for price filters, price alerts and order values.".to_owned());
        } else if self.lines_without_price * 20 > self.lines {
            advice.push(format!(
                "Prices missing on {} of lines: order values and price alerts cover the others only.",
                percent(self.lines_without_price, self.lines)
            ));
        }
        if self.purchases_without_currency > 0 && self.lines_without_price < self.lines {
            advice.push(format!(
                "No currency on {} of purchases: name it with --currency, or they are no revenue.",
                percent(self.purchases_without_currency, self.purchases)
            ));
        }
        // With a catalog in the same import, names come from there.
        if self.catalog.items == 0 {
            if self.lines_without_name == self.lines {
                advice.push("No titles: items show by their id until a catalog is imported.".to_owned());
            }
            if self.lines_without_category == self.lines {
                advice.push("No categories: similar and rules by category need a catalog.".to_owned());
            }
        }
    }

    fn on_catalog(&self, advice: &mut Vec<String>) {
        let c = &self.catalog;
        let cases = [
            (c.without_title, "a title: they show by their id"),
            (c.without_price, "a price: price filters and price alerts skip them"),
            (c.without_category, "a category: similar and rules by category skip them"),
            (c.without_image, "an image: image placements show an empty box"),
            (c.without_url, "a link: mails and alerts cannot lead to them"),
            (c.without_availability, "availability and stock: they count as available"),
        ];
        for (n, what) in cases {
            if n * 20 > c.items {
                advice.push(format!("{} of items lack {what}.", percent(n, c.items)));
            }
        }
    }
}

/// Returns a share as people say it. What is not all is never 100 %, what is not nothing never 0 %.
fn percent(part: u64, whole: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    if part < whole && share > 99.0 {
        "more than 99 %".to_owned()
    } else if part > 0 && share < 1.0 {
        "less than 1 %".to_owned()
    } else {
        format!("{share:.0} %")
    }
}

/// Returns a time span as people say it.
fn duration(micros: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let hours = micros as f64 / HOUR as f64;
    if hours < 1.0 {
        format!("{:.0} minutes", hours * 60.0)
    } else if hours < 48.0 {
        format!("{hours:.1} hours")
    } else {
        format!("{:.1} days", hours / 24.0)
    }
}
