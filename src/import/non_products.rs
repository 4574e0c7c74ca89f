//! What shops sell on an invoice but nobody would recommend: postage, fees, vouchers.

use std::collections::BTreeMap;

use super::Format;
use crate::event::Draft;

/// Stock codes of the UCI Online Retail shop that are no products, in small letters.
const CODES: &[(&str, &str)] = &[
    ("post", "postage"),
    ("dot", "postage"),
    ("c2", "carriage"),
    ("c3", "carriage"),
    ("m", "manual"),
    ("d", "discount"),
    ("s", "samples"),
    ("b", "bad_debt"),
    ("bank charges", "bank_charges"),
    ("amazonfee", "marketplace_fee"),
    ("adjust", "adjustment"),
    ("adjust2", "adjustment"),
    ("cruk", "commission"),
    ("pads", "no_product"),
];

/// Names that say the same under any code, in small letters.
const NAMES: &[(&str, &str)] = &[
    ("postage", "postage"),
    ("dotcom postage", "postage"),
    ("shipping", "postage"),
    ("carriage", "carriage"),
    ("discount", "discount"),
    ("manual", "manual"),
    ("samples", "samples"),
    ("bank charges", "bank_charges"),
    ("amazon fee", "marketplace_fee"),
    ("adjust bad debt", "bad_debt"),
    ("cruk commission", "commission"),
    ("gift voucher", "gift_voucher"),
    ("gift card", "gift_voucher"),
];

/// The item ids to mark as not recommendable, with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NonProducts {
    items: BTreeMap<String, &'static str>,
}

impl NonProducts {
    /// Looks through the lines of an event. They stay in it: the money was paid.
    ///
    /// Only invoices are looked at. Other formats carry the shop's own catalog ids, of which nothing is known.
    pub fn observe(&mut self, format: Format, draft: &Draft) {
        if format != Format::OnlineRetail {
            return;
        }
        for line in &draft.items {
            if let Some(reason) = reason(&line.item_id, line.name.as_deref().unwrap_or_default())
                && !self.items.contains_key(&line.item_id)
            {
                self.items.insert(line.item_id.clone(), reason);
            }
        }
    }

    /// Returns ids and reasons, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.items.iter().map(|(id, reason)| (id.as_str(), *reason))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Returns why an item is no product, if it is none.
///
/// A code decides before a name. Names count only where the code is not one of a product (digits, perhaps with letters
/// behind): clerks type "postage" or "samples" into the text of real products.
pub fn reason(code: &str, name: &str) -> Option<&'static str> {
    let find = |table: &[(&str, &'static str)], text: &str| {
        table.iter().find(|(known, _)| text.eq_ignore_ascii_case(known)).map(|(_, reason)| *reason)
    };
    if let Some(reason) = find(CODES, code) {
        return Some(reason);
    }
    if code.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("gift_")) {
        return Some("gift_voucher");
    }
    if code.len() >= 5 && code.bytes().take(5).all(|b| b.is_ascii_digit()) {
        return None;
    }
    find(NAMES, name.trim()).or_else(|| {
        let voucher = name.to_ascii_lowercase().contains("gift voucher");
        voucher.then_some("gift_voucher")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_are_told_from_products() {
        let cases = [
            ("POST", "POSTAGE", Some("postage")),
            ("m", "Manual", Some("manual")),
            ("M", "Manual", Some("manual")),
            ("BANK CHARGES", "Bank Charges", Some("bank_charges")),
            ("gift_0001_20", "Dotcomgiftshop Gift Voucher £20.00", Some("gift_voucher")),
            ("X1", "Postage", Some("postage")),
            ("DCGS0003", "BOXED GLASS ASHTRAY", None),
            ("DCGSSGIRL", "GIRLS PARTY BAG", None),
            ("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", None),
            ("22423", "Manual", None),
        ];
        for (code, name, expected) in cases {
            assert_eq!(reason(code, name), expected, "{code} {name}");
        }
    }
}
