//! Product feeds: the columns of the Google Merchant product data specification.

use csv::StringRecord;
use serde_json::Value;

use super::columns::{Header, normal};
use super::values::{filled, short};
use super::{Bad, ImportError, Options, Out, Parsed, Rows};
use crate::catalog::draft::{Availability, ItemDraft, MAX_CATEGORIES};
use crate::event::{Currency, RejectionCode};

/// What a column of a feed says about an item; columns without a meaning of their own become attributes.
enum Meaning {
    Id,
    Title,
    Description,
    Link,
    ImageLink,
    Availability,
    Price,
    SalePrice,
    Brand,
    ProductType,
    GoogleCategory,
    GroupId,
    Stock,
    Visible,
    Recommendable,
    Attribute(String),
}

pub(super) struct Feed {
    columns: Vec<Meaning>,
    currency: Option<Currency>,
}

impl Feed {
    pub(super) fn new(header: &Header, options: &Options) -> Result<Self, ImportError> {
        let id = header.required(&["id", "item_id", "sku"])?;
        let columns = header
            .names
            .iter()
            .enumerate()
            .map(|(index, name)| if Some(index) == id { Meaning::Id } else { meaning(name) })
            .collect();
        Ok(Self { columns, currency: options.currency })
    }

    fn item(&self, fields: &StringRecord) -> Result<ItemDraft, Bad> {
        let mut draft = ItemDraft::default();
        let mut google_category = None;
        let mut currencies = [None, None];
        for (column, field) in self.columns.iter().zip(fields) {
            let field = field.trim();
            if field.is_empty() {
                continue;
            }
            match column {
                Meaning::Id => field.clone_into(&mut draft.item_id),
                Meaning::Title => draft.title = filled(field),
                Meaning::Description => draft.description = filled(field),
                Meaning::Link => draft.url = filled(field),
                Meaning::ImageLink => draft.image_url = filled(field),
                Meaning::Availability => draft.availability = Some(availability(field)?),
                Meaning::Price => (draft.price, currencies[0]) = money("price", field)?,
                Meaning::SalePrice => (draft.sale_price, currencies[1]) = money("sale_price", field)?,
                Meaning::Brand => draft.brand = filled(field),
                // Several types may be given; the first is the main one.
                Meaning::ProductType if draft.categories.is_empty() => draft.categories = path(field),
                Meaning::ProductType => {}
                Meaning::GoogleCategory => {
                    google_category = filled(field);
                    draft.attributes.insert("google_product_category".to_owned(), Value::from(field));
                }
                Meaning::GroupId => draft.group_id = filled(field),
                Meaning::Stock => draft.stock = Some(super::values::whole("quantity", field)?),
                Meaning::Visible => draft.visible = Some(flag("visible", field)?),
                Meaning::Recommendable => draft.recommendable = Some(flag("recommendable", field)?),
                Meaning::Attribute(name) => {
                    draft.attributes.insert(name.clone(), Value::from(field));
                }
            }
        }
        if draft.item_id.is_empty() {
            return Err(Bad::new("missing_item_id", RejectionCode::InvalidId, "`id` is empty."));
        }
        // Google's own category may be a number, which says nothing to a shopper.
        if draft.categories.is_empty()
            && let Some(text) = google_category.filter(|text| text.bytes().any(|b| !b.is_ascii_digit()))
        {
            draft.categories = path(&text);
        }
        let currency = match currencies {
            [Some(a), Some(b)] if a != b => {
                let detail = format!("`price` is in {a} and `sale_price` in {b}.");
                return Err(Bad::new("invalid_currency", RejectionCode::InvalidCurrency, detail));
            }
            [a, b] => a.or(b).or(self.currency.filter(|_| draft.price.is_some() || draft.sale_price.is_some())),
        };
        draft.currency = currency.map(|currency| currency.as_str().to_owned());
        draft.check()?;
        Ok(draft)
    }
}

impl Rows for Feed {
    fn row(&mut self, line: u64, fields: &StringRecord, out: &mut Out) {
        out.word("item");
        match self.item(fields) {
            Ok(draft) => out.queue.push_back(Parsed::Item { draft: Box::new(draft), line }),
            Err(bad) => out.reject(line, 1, None, bad),
        }
    }
}

fn meaning(name: &str) -> Meaning {
    match normal(name).as_str() {
        "title" => Meaning::Title,
        "description" => Meaning::Description,
        "link" | "url" => Meaning::Link,
        "imagelink" | "imageurl" => Meaning::ImageLink,
        "availability" => Meaning::Availability,
        "price" => Meaning::Price,
        "saleprice" => Meaning::SalePrice,
        "brand" => Meaning::Brand,
        "producttype" => Meaning::ProductType,
        "googleproductcategory" => Meaning::GoogleCategory,
        "itemgroupid" => Meaning::GroupId,
        "quantity" | "stock" | "inventory" | "sellongooglequantity" | "quantitytosellonfacebook" => Meaning::Stock,
        "visible" => Meaning::Visible,
        "recommendable" => Meaning::Recommendable,
        _ => Meaning::Attribute(name.trim().to_lowercase().replace(' ', "_")),
    }
}

fn availability(text: &str) -> Result<Availability, Bad> {
    Availability::parse(text).ok_or_else(|| {
        let detail = format!("`availability` must be in_stock, out_of_stock, preorder or backorder, not `{}`.", short(text));
        Bad::new("invalid_availability", RejectionCode::WrongType, detail)
    })
}

fn flag(column: &str, text: &str) -> Result<bool, Bad> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => {
            let detail = format!("`{column}` must be true or false, not `{}`.", short(text));
            Err(Bad::new("wrong_type", RejectionCode::WrongType, detail))
        }
    }
}

/// Returns the levels of `Home > Kitchen > Cups`, the first of several separated by commas, at most as many as are kept.
fn path(text: &str) -> Vec<String> {
    let first = if text.contains('>') { text.split(',').next().unwrap_or(text) } else { text };
    first.split('>').map(str::trim).filter(|level| !level.is_empty()).take(MAX_CATEGORIES).map(str::to_owned).collect()
}

/// Returns amount and currency of `12.50 GBP`, `GBP 12.50`, `1,299.00 USD` or `12,50 EUR`.
fn money(column: &str, text: &str) -> Result<(Option<f64>, Option<Currency>), Bad> {
    let bad = || {
        let detail = format!("`{column}` is no price: `{}`; write 12.50 GBP.", short(text));
        Bad::new("invalid_price", RejectionCode::OutOfRange, detail)
    };
    let is_code = |word: &str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_alphabetic());
    let (code, amount) = match text.split_once(char::is_whitespace) {
        Some((amount, code)) if is_code(code.trim()) => (Some(code.trim()), amount),
        Some((code, amount)) if is_code(code) => (Some(code), amount.trim()),
        Some(_) => return Err(bad()),
        None => match text.len().checked_sub(3).and_then(|at| text.split_at_checked(at)) {
            Some((amount, code)) if is_code(code) => (Some(code), amount),
            Some(_) | None => (None, text),
        },
    };
    let amount = decimal(amount).ok_or_else(bad)?;
    if amount < 0.0 {
        return Err(bad());
    }
    Ok((Some(amount), code.and_then(Currency::parse)))
}

/// Returns a number whose thousands may be separated by commas, or whose decimals may follow one.
fn decimal(text: &str) -> Option<f64> {
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b',' | b'-')) {
        return None;
    }
    let decimals_behind_comma =
        !text.contains('.') && text.rsplit_once(',').is_some_and(|(before, last)| last.len() != 3 && !before.contains(','));
    let plain = if decimals_behind_comma { text.replace(',', ".") } else { text.replace(',', "") };
    plain.parse().ok().filter(|n: &f64| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_in_every_spelling() {
        let cases = [
            ("12.50 GBP", 12.5, Some("GBP")),
            ("GBP 12.50", 12.5, Some("GBP")),
            ("12.50GBP", 12.5, Some("GBP")),
            ("12", 12.0, None),
            ("1,299.00 USD", 1299.0, Some("USD")),
            ("1,299 USD", 1299.0, Some("USD")),
            ("12,50 EUR", 12.5, Some("EUR")),
            ("1,234,567 JPY", 1_234_567.0, Some("JPY")),
        ];
        for (text, amount, code) in cases {
            let (price, currency) = money("price", text).unwrap();
            assert_eq!(price, Some(amount), "{text}");
            assert_eq!(currency.as_ref().map(Currency::as_str), code, "{text}");
        }
        for bad in ["free", "-1 GBP", "12.5.0 GBP", "€12", "12 pounds", "inf GBP"] {
            assert!(money("price", bad).is_err(), "{bad}");
        }
    }
}
