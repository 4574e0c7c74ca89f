//! Which fields of the catalog an answer holds.

use super::super::json_text::Json;
use crate::catalog::draft::Availability;
use crate::catalog::item::Item;
use crate::event::UnitPrice;

/// A choice of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields(u16);

macro_rules! fields {
    ($($name:ident = $place:literal, $text:literal;)*) => {
        impl Fields {
            $(const $name: Self = Self(1 << $place);)*

            /// The names of all fields, in the order they are written.
            pub const NAMES: &[&str] = &[$($text),*];

            /// Returns the field of that name.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

fields! {
    TITLE = 0, "title";
    DESCRIPTION = 1, "description";
    CATEGORIES = 2, "categories";
    BRAND = 3, "brand";
    PRICE = 4, "price";
    LIST_PRICE = 5, "list_price";
    CURRENCY = 6, "currency";
    STOCK = 7, "stock";
    AVAILABILITY = 8, "availability";
    IMAGE_URL = 9, "image_url";
    URL = 10, "url";
    GROUP_ID = 11, "group_id";
    ATTRIBUTES = 12, "attributes";
}

impl Fields {
    /// No field.
    pub const NONE: Self = Self(0);
    /// What an answer holds where the request does not choose.
    pub const DEFAULT: Self = Self(Self::TITLE.0 | Self::PRICE.0 | Self::CURRENCY.0 | Self::IMAGE_URL.0 | Self::URL.0);

    /// Returns these fields and another.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, field: Self) -> bool {
        self.0 & field.0 != 0
    }

    /// Writes the chosen fields of an item, each after a comma; what is not known is left out.
    pub fn write(self, item: &Item, json: &mut Json) {
        let text = |json: &mut Json, field: Self, name: &str, text: Option<&str>| {
            if let Some(text) = text.filter(|_| self.has(field)) {
                json.raw(name).text(text);
            }
        };
        let price = |json: &mut Json, field: Self, name: &str, price: Option<UnitPrice>| {
            if let Some(price) = price.filter(|_| self.has(field)) {
                json.raw(name).value(&price.to_decimal());
            }
        };
        text(json, Self::TITLE, r#","title":"#, item.title.as_deref());
        text(json, Self::DESCRIPTION, r#","description":"#, item.description.as_deref());
        if self.has(Self::CATEGORIES) {
            json.raw(r#","categories":"#).value(&item.categories);
        }
        text(json, Self::BRAND, r#","brand":"#, item.brand.as_deref());
        price(json, Self::PRICE, r#","price":"#, item.current_price());
        price(json, Self::LIST_PRICE, r#","list_price":"#, item.price);
        text(json, Self::CURRENCY, r#","currency":"#, item.currency.as_ref().map(|c| c.as_str()));
        if let Some(stock) = item.stock.filter(|_| self.has(Self::STOCK)) {
            json.raw(r#","stock":"#).value(&stock);
        }
        text(json, Self::AVAILABILITY, r#","availability":"#, item.availability.map(Availability::as_str));
        text(json, Self::IMAGE_URL, r#","image_url":"#, item.image_url.as_deref());
        text(json, Self::URL, r#","url":"#, item.url.as_deref());
        text(json, Self::GROUP_ID, r#","group_id":"#, item.group_id.as_deref());
        if self.has(Self::ATTRIBUTES) {
            json.raw(r#","attributes":"#).value(&item.attributes);
        }
    }
}
