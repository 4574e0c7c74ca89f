//! Rows that are lines of one order become one event.

use std::collections::{HashMap, VecDeque};

use super::ids::Ids;
use super::{Bad, Out};
use crate::event::time::ClientTime;
use crate::event::{Draft, DraftLine, EventKind, RejectionCode, Timestamp};

/// Most lines of an imported purchase.
pub(super) const MAX_LINES: usize = 5_000;

/// Orders whose lines are still coming.
///
/// Lines of an order stand together in most files, but not in all: an order is given out when `window` others have begun
/// after it. Lines that come later still make an event of their own, with `#2` behind the order's number, because orders
/// are deduplicated by number and their money would be lost.
pub(super) struct Baskets {
    window: usize,
    open: VecDeque<Basket>,
    /// Serial number of each open basket by its key.
    by_key: HashMap<Box<str>, u64>,
    /// Serial number of the first open basket.
    first: u64,
    /// How often an order was given out already, by the hash of its key.
    closed: HashMap<u64, u32>,
    ids: Ids,
}

/// One order being put together.
pub(super) struct Basket {
    key: Box<str>,
    line: u64,
    rows: u32,
    draft: Draft,
    kind: &'static str,
    /// Hash over the lines, in order.
    content: u128,
    /// Σ quantity × price in millionths, where every line has a price.
    total: Option<i128>,
}

/// One line of an order.
pub(super) struct OrderLine<'a> {
    pub(super) key: &'a str,
    pub(super) kind: &'static str,
    pub(super) line: u64,
    pub(super) time: Timestamp,
    pub(super) item: DraftLine,
    /// Quantity × price in millionths.
    pub(super) amount: Option<i128>,
}

impl Baskets {
    pub(super) fn new(format: &'static str, window: usize) -> Self {
        Self { window, open: VecDeque::new(), by_key: HashMap::new(), first: 0, closed: HashMap::new(), ids: Ids::new(format) }
    }

    /// Adds a line; `describe` fills in what the first line says about the order.
    pub(super) fn add(&mut self, row: OrderLine<'_>, out: &mut Out, describe: impl FnOnce(&mut Draft)) {
        let index = match self.open.back() {
            Some(last) if *last.key == *row.key => Some(self.open.len() - 1),
            _ => self.by_key.get(row.key).and_then(|serial| usize::try_from(serial - self.first).ok()),
        };
        let basket = match index.and_then(|index| self.open.get_mut(index)) {
            Some(basket) => basket,
            None => {
                if self.open.len() >= self.window {
                    self.close_first(out);
                }
                let mut draft = Draft { kind: row.kind.to_owned(), ..Draft::default() };
                describe(&mut draft);
                self.by_key.insert(row.key.into(), self.first + self.open.len() as u64);
                let (kind, line) = (row.kind, row.line);
                self.open.push_back(Basket { key: row.key.into(), line, rows: 0, draft, kind, content: 0, total: Some(0) });
                let last = self.open.len() - 1;
                &mut self.open[last]
            }
        };
        basket.content = self.ids.hash(&[
            &basket.content.to_le_bytes(),
            &row.time.0.to_le_bytes(),
            row.item.item_id.as_bytes(),
            &row.item.quantity.unwrap_or(0).to_le_bytes(),
            &row.amount.unwrap_or(0).to_le_bytes(),
        ]);
        basket.rows = basket.rows.saturating_add(1);
        basket.total = basket.total.zip(row.amount).map(|(total, amount)| total.saturating_add(amount));
        let earlier = basket.draft.time.ts.is_none();
        if earlier {
            basket.draft.time = ClientTime { ts: Some(row.time), ..ClientTime::default() };
        }
        // One more than allowed is enough to know.
        if basket.draft.items.len() <= MAX_LINES {
            basket.draft.items.push(row.item);
        }
    }

    /// Gives out every open order.
    pub(super) fn finish(&mut self, out: &mut Out) {
        while !self.open.is_empty() {
            self.close_first(out);
        }
    }

    fn close_first(&mut self, out: &mut Out) {
        let Some(basket) = self.open.pop_front() else { return };
        self.first += 1;
        self.by_key.remove(&basket.key);
        let part = self.closed.entry(xxhash_rust::xxh3::xxh3_64(basket.key.as_bytes())).or_default();
        *part += 1;
        let part = *part;
        let mut draft = basket.draft;
        if draft.items.len() > MAX_LINES {
            let detail = format!("Order {} has {} lines; at most {MAX_LINES} are kept.", basket.key, basket.rows);
            let bad = Bad::new("too_many_items", RejectionCode::TooManyItems, detail);
            out.reject(basket.line, basket.rows, Some(basket.kind), bad);
            return;
        }
        draft.id = self.ids.id(&[basket.kind.as_bytes(), basket.key.as_bytes(), &basket.content.to_le_bytes()]);
        let number = if part == 1 { basket.key.into_string() } else { format!("{}#{part}", basket.key) };
        draft.transaction_id = Some(number);
        if draft.currency.is_some() {
            #[expect(clippy::cast_precision_loss, reason = "amounts beyond 2^53 millionths are rounded, not lost")]
            let value = basket.total.map(|total| total as f64 / 1e6);
            draft.value = value;
        }
        out.event(basket.line, basket.rows, draft);
    }
}

/// Returns the kind of an order as the file's rows mean it.
pub(super) fn purchase() -> &'static str {
    static_name(&EventKind::Purchase)
}

/// Returns the kind of money given back.
pub(super) fn refund() -> &'static str {
    static_name(&EventKind::Refund)
}

/// Returns the name of a kind importers make.
pub(super) fn static_name(kind: &EventKind) -> &'static str {
    EventKind::KNOWN.iter().find(|known| *known == kind).map_or("other", EventKind::as_str)
}
