//! Click streams: one thing that happened a row.

use csv::StringRecord;

use super::baskets::{Baskets, OrderLine, purchase, static_name};
use super::columns::{Column, Header, text};
use super::ids::Ids;
use super::values::{self, Times, filled, frame_id, short};
use super::{Bad, Format, ImportError, Options, Out, Rows};
use crate::event::time::ClientTime;
use crate::event::{ConsentClaim, Draft, DraftLine, EventKind, RejectionCode, Timestamp};

/// Deepest category that is kept, as in GA4.
const MAX_CATEGORIES: usize = 5;

/// `event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session`.
///
/// A purchase row is one piece of one item without an order number: which rows were bought together follows from the
/// session. A price of 0 stands for "unknown" in these files.
pub(super) struct Rees46 {
    time: Column,
    kind: Column,
    product: Column,
    category_id: Column,
    category_code: Column,
    brand: Column,
    price: Column,
    user: Column,
    session: Column,
    times: Times,
    ids: Ids,
    currency: Option<String>,
    consent: Option<ConsentClaim>,
}

impl Rees46 {
    pub(super) fn new(header: &Header, options: &Options) -> Result<Self, ImportError> {
        let format = Format::Rees46;
        Ok(Self {
            time: header.required(&["event_time"])?,
            kind: header.required(&["event_type"])?,
            product: header.required(&["product_id"])?,
            category_id: header.optional(&["category_id"]),
            category_code: header.optional(&["category_code"]),
            brand: header.optional(&["brand"]),
            price: header.required(&["price"])?,
            user: header.required(&["user_id"])?,
            session: header.required(&["user_session"])?,
            times: Times::new(zone(format, options)?),
            ids: Ids::new(format.as_str()),
            currency: currency(format, options),
            consent: options.consent,
        })
    }

    fn draft(&mut self, kind: &'static str, fields: &StringRecord) -> Result<Draft, Bad> {
        let time = self.times.read("event_time", text(fields, self.time))?;
        let product = values::id("product_id", text(fields, self.product), "missing_item_id")?;
        let user = values::id("user_id", text(fields, self.user), "missing_visitor")?;
        let price = values::price("price", text(fields, self.price))?;
        if price.is_some_and(|price| price < 0.0) {
            return Err(Bad::new("invalid_price", RejectionCode::OutOfRange, "`price` is negative."));
        }
        let price = price.filter(|price| *price > 0.0);
        let session = text(fields, self.session);
        let (category_id, code, brand) =
            (text(fields, self.category_id), text(fields, self.category_code), text(fields, self.brand));
        let id = self.ids.id(&[
            &time.0.to_le_bytes(),
            kind.as_bytes(),
            product.as_bytes(),
            &price.unwrap_or(0.0).to_bits().to_le_bytes(),
            user.as_bytes(),
            session.as_bytes(),
        ]);
        let bought = kind == purchase();
        let mut params = serde_json::Map::new();
        if !category_id.is_empty() {
            params.insert("category_id".to_owned(), category_id.into());
        }
        let item = DraftLine {
            item_id: product.to_owned(),
            brand: filled(brand),
            categories: code.split('.').filter(|c| !c.is_empty()).take(MAX_CATEGORIES).map(str::to_owned).collect(),
            price,
            quantity: bought.then_some(1),
            ..DraftLine::default()
        };
        Ok(Draft {
            id,
            kind: kind.to_owned(),
            visitor_id: Some(user.to_owned()),
            session_id: filled(session),
            time: ClientTime { ts: Some(time), ..ClientTime::default() },
            consent: self.consent,
            items: vec![item],
            currency: price.and(self.currency.clone()),
            value: if bought { price } else { None },
            params,
            ..Draft::default()
        })
    }
}

impl Rows for Rees46 {
    fn row(&mut self, line: u64, fields: &StringRecord, out: &mut Out) {
        let word = text(fields, self.kind);
        out.word(word);
        let kind = match word {
            "view" => static_name(&EventKind::ViewItem),
            "cart" => static_name(&EventKind::AddToCart),
            "remove_from_cart" => static_name(&EventKind::RemoveFromCart),
            "purchase" => purchase(),
            _ => {
                let bad = unknown_type("event_type", word, "view, cart, remove_from_cart or purchase");
                return out.reject(line, 1, None, bad);
            }
        };
        match self.draft(kind, fields) {
            Ok(draft) => out.event(line, 1, draft),
            Err(bad) => out.reject(line, 1, Some(kind), bad),
        }
    }
}

/// `timestamp,visitorid,event,itemid,transactionid`, times in milliseconds.
///
/// The rows of one transaction are lines of one purchase. They may stand anywhere in the file, so purchases are held
/// until its end; there are few of them.
pub(super) struct Retailrocket {
    time: Column,
    visitor: Column,
    event: Column,
    item: Column,
    transaction: Column,
    ids: Ids,
    baskets: Baskets,
    consent: Option<ConsentClaim>,
}

impl Retailrocket {
    pub(super) fn new(header: &Header, options: &Options) -> Result<Self, ImportError> {
        let format = Format::Retailrocket.as_str();
        Ok(Self {
            time: header.required(&["timestamp"])?,
            visitor: header.required(&["visitorid"])?,
            event: header.required(&["event"])?,
            item: header.required(&["itemid"])?,
            transaction: header.required(&["transactionid"])?,
            ids: Ids::new(format),
            baskets: Baskets::new(format, usize::MAX),
            consent: options.consent,
        })
    }

    fn add(&mut self, kind: &'static str, line: u64, fields: &StringRecord, out: &mut Out) -> Result<(), Bad> {
        let millis = text(fields, self.time);
        let time = millis.parse().ok().and_then(Timestamp::from_millis).ok_or_else(|| {
            let detail = format!("`timestamp` is not milliseconds since 1970: `{}`.", short(millis));
            Bad::new("invalid_time", RejectionCode::InvalidTime, detail)
        })?;
        let visitor = values::id("visitorid", text(fields, self.visitor), "missing_visitor")?;
        let item = values::id("itemid", text(fields, self.item), "missing_item_id")?;
        let transaction = frame_id(text(fields, self.transaction));
        let item_line = DraftLine { item_id: item.to_owned(), ..DraftLine::default() };
        let consent = self.consent;
        if kind == purchase() && !transaction.is_empty() {
            let key = values::id("transactionid", transaction, "missing_transaction")?;
            let row = OrderLine { key, kind, line, time, item: item_line, amount: None };
            self.baskets.add(row, out, |draft| {
                draft.visitor_id = Some(visitor.to_owned());
                draft.consent = consent;
            });
            return Ok(());
        }
        let id = self.ids.id(&[&time.0.to_le_bytes(), kind.as_bytes(), item.as_bytes(), visitor.as_bytes()]);
        let draft = Draft {
            id,
            kind: kind.to_owned(),
            visitor_id: Some(visitor.to_owned()),
            time: ClientTime { ts: Some(time), ..ClientTime::default() },
            consent,
            items: vec![item_line],
            ..Draft::default()
        };
        out.event(line, 1, draft);
        Ok(())
    }
}

impl Rows for Retailrocket {
    fn row(&mut self, line: u64, fields: &StringRecord, out: &mut Out) {
        let word = text(fields, self.event);
        out.word(word);
        let kind = match word {
            "view" => static_name(&EventKind::ViewItem),
            "addtocart" => static_name(&EventKind::AddToCart),
            "transaction" => purchase(),
            _ => {
                let bad = unknown_type("event", word, "view, addtocart or transaction");
                return out.reject(line, 1, None, bad);
            }
        };
        if let Err(bad) = self.add(kind, line, fields, out) {
            out.reject(line, 1, Some(kind), bad);
        }
    }

    fn finish(&mut self, out: &mut Out) {
        self.baskets.finish(out);
    }
}

fn unknown_type(column: &str, word: &str, known: &str) -> Bad {
    let detail = format!("`{column}` is `{}`; it must be {known}.", short(word));
    Bad::new("invalid_type", RejectionCode::InvalidType, detail)
}

/// Returns the currency to assume.
pub(super) fn currency(format: Format, options: &Options) -> Option<String> {
    options.currency.or(format.default_currency()).map(|currency| currency.as_str().to_owned())
}

/// Returns the time zone to assume.
pub(super) fn zone(format: Format, options: &Options) -> Result<jiff::tz::TimeZone, ImportError> {
    options.timezone.clone().map_or_else(|| format.default_timezone(), Ok)
}
