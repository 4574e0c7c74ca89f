//! Invoice lines: `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country`.

use csv::StringRecord;
use serde_json::Value;

use super::baskets::{Baskets, OrderLine, purchase, refund};
use super::clicks::{currency, zone};
use super::columns::{Column, Header, text};
use super::values::{self, Times, filled, frame_id};
use super::{Bad, Format, ImportError, Options, Out, Rows};
use crate::event::{ConsentClaim, DraftLine, RejectionCode, UnitPrice};

/// Invoices that may be interleaved. In real files lines of an invoice stand together, or one or two others between them.
const WINDOW: usize = 64;

/// One purchase an invoice, one refund a cancellation (`C…`), at the time of its first line.
///
/// A customer shops as visitor `c-<CustomerID>`; a guest is a visitor of that one invoice, `guest-<InvoiceNo>`. Rows that
/// are no sale are rejected: stock adjustments (a quantity of 0 or less outside cancellations) and rows without a price
/// above 0 (samples, losses, written-off debt).
pub(super) struct OnlineRetail {
    invoice: Column,
    stock_code: Column,
    description: Column,
    quantity: Column,
    date: Column,
    price: Column,
    customer: Column,
    country: Column,
    times: Times,
    baskets: Baskets,
    currency: Option<String>,
    consent: Option<ConsentClaim>,
}

impl OnlineRetail {
    pub(super) fn new(header: &Header, options: &Options) -> Result<Self, ImportError> {
        let format = Format::OnlineRetail;
        Ok(Self {
            // The second edition of the data set names three of its columns differently.
            invoice: header.required(&["InvoiceNo", "Invoice"])?,
            stock_code: header.required(&["StockCode"])?,
            description: header.required(&["Description"])?,
            quantity: header.required(&["Quantity"])?,
            date: header.required(&["InvoiceDate"])?,
            price: header.required(&["UnitPrice", "Price"])?,
            customer: header.required(&["CustomerID", "Customer ID"])?,
            country: header.optional(&["Country"]),
            times: Times::new(zone(format, options)?),
            baskets: Baskets::new(format.as_str(), WINDOW),
            currency: currency(format, options),
            consent: options.consent,
        })
    }

    fn add(&mut self, kind: &'static str, line: u64, fields: &StringRecord, out: &mut Out) -> Result<(), Bad> {
        let invoice = values::id("InvoiceNo", text(fields, self.invoice), "missing_invoice")?;
        let item = values::id("StockCode", text(fields, self.stock_code), "missing_item_id")?;
        let quantity = values::whole("Quantity", text(fields, self.quantity))?;
        let cancelled = kind == refund();
        if !cancelled && quantity <= 0 {
            let detail = format!("`Quantity` is {quantity} outside a cancellation: stock was adjusted, nothing was sold.");
            return Err(Bad::new("stock_adjustment", RejectionCode::OutOfRange, detail));
        }
        if cancelled && quantity >= 0 {
            let detail = format!("`Quantity` is {quantity} in a cancellation; it must be negative.");
            return Err(Bad::new("quantity_of_cancellation", RejectionCode::OutOfRange, detail));
        }
        let price = values::price("UnitPrice", text(fields, self.price))?.unwrap_or(0.0);
        let unit = UnitPrice::from_decimal(price).unwrap_or_default();
        if unit.0 <= 0 {
            let detail = format!("`UnitPrice` is {price}: a sample, a loss or a correction, not a sale.");
            return Err(Bad::new("non_positive_price", RejectionCode::OutOfRange, detail));
        }
        let description = text(fields, self.description);
        if description.is_empty() {
            return Err(Bad::new("missing_description", RejectionCode::InvalidRow, "`Description` is empty."));
        }
        let customer = frame_id(text(fields, self.customer));
        if !customer.is_empty() {
            values::id("CustomerID", customer, "missing_visitor")?;
        }
        let time = self.times.read("InvoiceDate", text(fields, self.date))?;
        let quantity = quantity.abs();
        let item = DraftLine {
            item_id: item.to_owned(),
            name: filled(description),
            price: Some(price),
            quantity: Some(quantity),
            ..DraftLine::default()
        };
        let amount = Some(i128::from(quantity) * i128::from(unit.0));
        let country = text(fields, self.country);
        let (currency, consent) = (&self.currency, self.consent);
        let row = OrderLine { key: invoice, kind, line, time, item, amount };
        self.baskets.add(row, out, |draft| {
            if customer.is_empty() {
                draft.visitor_id = Some(format!("guest-{invoice}"));
            } else {
                draft.visitor_id = Some(format!("c-{customer}"));
                draft.customer_id = Some(customer.to_owned());
            }
            draft.currency.clone_from(currency);
            draft.consent = consent;
            if !country.is_empty() {
                draft.params.insert("country".to_owned(), Value::from(country));
            }
        });
        Ok(())
    }
}

impl Rows for OnlineRetail {
    fn row(&mut self, line: u64, fields: &StringRecord, out: &mut Out) {
        let (kind, word) = match text(fields, self.invoice).as_bytes().first() {
            Some(b'C' | b'c') => (refund(), "cancellation"),
            _ => (purchase(), "invoice"),
        };
        out.word(word);
        if let Err(bad) = self.add(kind, line, fields, out) {
            out.reject(line, 1, Some(kind), bad);
        }
    }

    fn finish(&mut self, out: &mut Out) {
        self.baskets.finish(out);
    }
}
