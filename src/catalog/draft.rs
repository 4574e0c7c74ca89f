//! An item as its sender described it: the body of `PUT /v1/catalog/items/{id}` and a row of a product feed.

use std::fmt;

use serde_json::{Map, Value};

use crate::event::fields::Fields;
use crate::event::ids::ItemId;
use crate::event::{Currency, Rejection, RejectionCode, UnitPrice};
use crate::spelling::nearest;

/// Deepest category, as in GA4.
pub const MAX_CATEGORIES: usize = 5;
/// Longest title, brand, category or variant group, in bytes.
pub const MAX_TEXT_BYTES: usize = 1_000;
/// Longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 20_000;
/// Longest address, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;
/// Numbers of the shortest and the longest vector.
pub const VECTOR_NUMBERS: std::ops::RangeInclusive<usize> = 2..=1024;
/// Largest set of attributes, in bytes of JSON.
pub const MAX_ATTRIBUTES_BYTES: usize = 32 * 1024;

/// What a sender says about an item. A field that is absent (or `null`) says nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemDraft {
    pub item_id: String,
    pub title: Option<String>,
    pub description: Option<String>,
    /// From the broadest to the narrowest.
    pub categories: Vec<String>,
    pub brand: Option<String>,
    pub price: Option<f64>,
    pub sale_price: Option<f64>,
    /// ISO 4217; absent means the site's.
    pub currency: Option<String>,
    /// Pieces; negative where a shop has sold more than it had.
    pub stock: Option<i64>,
    pub availability: Option<Availability>,
    /// Whether shoppers may see it at all.
    pub visible: Option<bool>,
    /// Whether it may be recommended: postage and vouchers may not.
    pub recommendable: Option<bool>,
    pub image_url: Option<String>,
    pub url: Option<String>,
    /// What variants have in common.
    pub group_id: Option<String>,
    pub attributes: Map<String, Value>,
    /// The shop's own vector of the item: items with near directions are similar. Empty takes away the one there is.
    pub vector: Option<Vec<f32>>,
    /// The sender's version of the item: an older one arriving late is ignored.
    pub revision: Option<u64>,
}

/// Whether an item can be bought, in the words of product feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    InStock,
    OutOfStock,
    Preorder,
    Backorder,
}

impl Availability {
    /// Returns the word of product feeds.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InStock => "in_stock",
            Self::OutOfStock => "out_of_stock",
            Self::Preorder => "preorder",
            Self::Backorder => "backorder",
        }
    }

    /// Returns the availability of a word: `in_stock`, `in stock`, `InStock`, `https://schema.org/InStock`.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.rsplit('/').next().unwrap_or(text);
        let word: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).take(20).collect();
        match word.as_str() {
            "instock" => Some(Self::InStock),
            "outofstock" => Some(Self::OutOfStock),
            "preorder" => Some(Self::Preorder),
            "backorder" => Some(Self::Backorder),
            _ => None,
        }
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The fields, for messages about others.
/// Names that product feeds and GA4 have for the same.
const ALIASES: &[(&str, &str)] = &[
    ("id", "item_id"),
    ("name", "title"),
    ("item_name", "title"),
    ("category", "categories"),
    ("item_category", "categories"),
    ("product_type", "categories"),
    ("item_brand", "brand"),
    ("visibility", "visible"),
    ("image_link", "image_url"),
    ("image", "image_url"),
    ("link", "url"),
    ("item_group_id", "group_id"),
];

const FIELDS: &[&str] = &[
    "item_id",
    "title",
    "description",
    "categories",
    "brand",
    "price",
    "sale_price",
    "currency",
    "stock",
    "availability",
    "visible",
    "recommendable",
    "image_url",
    "url",
    "group_id",
    "attributes",
    "vector",
    "revision",
];

impl ItemDraft {
    /// Returns the JSON that [`ItemDraft::from_json`] reads back.
    pub fn to_json(&self) -> String {
        let mut value = serde_json::json!({
            "item_id": self.item_id,
            "title": self.title,
            "description": self.description,
            "categories": self.categories,
            "brand": self.brand,
            "price": self.price,
            "sale_price": self.sale_price,
            "currency": self.currency,
            "stock": self.stock,
            "availability": self.availability.map(Availability::as_str),
            "visible": self.visible,
            "recommendable": self.recommendable,
            "image_url": self.image_url,
            "url": self.url,
            "group_id": self.group_id,
            "attributes": self.attributes,
            "vector": self.vector,
            "revision": self.revision,
        });
        if let Value::Object(map) = &mut value {
            map.retain(|_, field| !field.is_null());
        }
        value.to_string()
    }

    /// Reads an item from JSON text.
    pub fn from_json(text: &str) -> Result<Self, Rejection> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Rejection::new(RejectionCode::InvalidJson, format!("The item is not readable as JSON: {error}.")))?;
        let Value::Object(map) = value else {
            return Err(Rejection::new(RejectionCode::InvalidJson, "An item must be a JSON object."));
        };
        Self::from_map(map)
    }

    /// Reads an item from its fields and checks it.
    ///
    /// What product feeds and GA4 call otherwise is understood. A field of the shop's own becomes an attribute, unless it
    /// is nearly one of ours: a misspelt `availabilty` would offer what cannot be bought, so it is refused.
    pub fn from_map(mut map: Map<String, Value>) -> Result<Self, Rejection> {
        for (theirs, ours) in ALIASES {
            if !map.contains_key(*ours)
                && let Some(value) = map.remove(*theirs)
            {
                map.insert((*ours).to_owned(), value);
            }
        }
        let mut fields = Fields(map);
        let item_id = fields.id("item_id")?.ok_or_else(|| Rejection::new(RejectionCode::InvalidId, "`item_id` is missing."))?;
        let mut draft = Self {
            item_id,
            title: fields.text("title")?,
            description: fields.text("description")?,
            categories: fields.texts("categories")?,
            brand: fields.text("brand")?,
            price: fields.number("price")?,
            sale_price: fields.number("sale_price")?,
            currency: fields.text("currency")?,
            stock: fields.integer("stock")?,
            availability: fields.availability()?,
            visible: fields.visible()?,
            recommendable: fields.flag("recommendable")?,
            image_url: fields.text("image_url")?,
            url: fields.text("url")?,
            group_id: fields.id("group_id")?,
            attributes: fields.object("attributes")?,
            vector: fields.vector("vector")?,
            revision: fields
                .integer("revision")?
                .map(|n| u64::try_from(n).map_err(|_| out_of_range("`revision` must not be negative.")))
                .transpose()?,
        };
        for (name, value) in fields.0 {
            if let Some(meant) = nearest(&name, FIELDS) {
                let detail = format!("There is no field `{}`; did you mean `{meant}`?", shown(&name));
                return Err(Rejection::new(RejectionCode::WrongType, detail));
            }
            // Names that scripts give a meaning of their own are nobody's attribute.
            if name.starts_with("__") {
                return Err(Rejection::new(RejectionCode::WrongType, format!("`{}` is no name of a field.", shown(&name))));
            }
            draft.attributes.entry(name).or_insert(value);
        }
        draft.check()?;
        Ok(draft)
    }

    /// Checks what types cannot say: lengths, signs, codes.
    pub fn check(&self) -> Result<(), Rejection> {
        for (name, id) in [("item_id", Some(&self.item_id)), ("group_id", self.group_id.as_ref())] {
            if let Some(id) = id {
                ItemId::new(id).map_err(|error| Rejection::new(RejectionCode::InvalidId, format!("`{name}` {error}.")))?;
            }
        }
        let texts = [
            ("title", &self.title, MAX_TEXT_BYTES),
            ("description", &self.description, MAX_DESCRIPTION_BYTES),
            ("brand", &self.brand, MAX_TEXT_BYTES),
            ("image_url", &self.image_url, MAX_URL_BYTES),
            ("url", &self.url, MAX_URL_BYTES),
        ];
        for (name, text, max) in texts {
            if text.as_ref().is_some_and(|text| text.len() > max) {
                return Err(too_long(name, max));
            }
        }
        if self.categories.len() > MAX_CATEGORIES {
            let detail = format!("`categories` has {} levels; at most {MAX_CATEGORIES} are kept.", self.categories.len());
            return Err(out_of_range(&detail));
        }
        if self.categories.iter().any(String::is_empty) {
            return Err(Rejection::new(RejectionCode::WrongType, "`categories` holds an empty name."));
        }
        if self.categories.iter().any(|category| category.len() > MAX_TEXT_BYTES) {
            return Err(too_long("categories", MAX_TEXT_BYTES));
        }
        for (name, price) in [("price", self.price), ("sale_price", self.sale_price)] {
            if price.is_some_and(|price| price < 0.0 || UnitPrice::from_decimal(price).is_none()) {
                return Err(out_of_range(&format!("`{name}` must be 0 or more, and below 9 thousand million.")));
            }
        }
        if let Some(code) = &self.currency
            && Currency::parse(code).is_none()
        {
            let detail = format!("`currency` must be an ISO 4217 code such as EUR, not `{}`.", shown(code));
            return Err(Rejection::new(RejectionCode::InvalidCurrency, detail));
        }
        for (name, url) in [("image_url", &self.image_url), ("url", &self.url)] {
            // Pages print these addresses as links: a `javascript:` one would run.
            let usable = |url: &String| url.starts_with("https://") || url.starts_with("http://") || url.starts_with('/');
            if url.as_ref().is_some_and(|url| !usable(url)) {
                let detail = format!("`{name}` must begin with https://, http:// or /.");
                return Err(Rejection::new(RejectionCode::WrongType, detail));
            }
        }
        if let Some(vector) = self.vector.as_ref().filter(|vector| !vector.is_empty()) {
            if !VECTOR_NUMBERS.contains(&vector.len()) {
                let detail = format!("`vector` has {} numbers; from 2 to 1,024 are read.", vector.len());
                return Err(out_of_range(&detail));
            }
            let length = vector.iter().map(|x| x * x).sum::<f32>();
            if !(length.is_finite() && length >= f32::MIN_POSITIVE) {
                return Err(out_of_range("`vector` must have a direction: not all of it 0, and nothing beyond 10^18."));
            }
        }
        let attributes = serde_json::to_string(&self.attributes).map_or(usize::MAX, |text| text.len());
        if attributes > MAX_ATTRIBUTES_BYTES {
            return Err(too_long("attributes", MAX_ATTRIBUTES_BYTES));
        }
        Ok(())
    }
}

fn too_long(name: &str, max: usize) -> Rejection {
    Rejection::new(RejectionCode::TooLong, format!("`{name}` is longer than {max} bytes."))
}

fn out_of_range(detail: &str) -> Rejection {
    Rejection::new(RejectionCode::OutOfRange, detail)
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Fields that only items have.
impl Fields {
    fn texts(&mut self, name: &str) -> Result<Vec<String>, Rejection> {
        let wrong = || Self::wrong(name, "an array of strings, from the broadest to the narrowest");
        match self.take(name) {
            None => Ok(Vec::new()),
            // Feeds write the way down in one text.
            Some(Value::String(path)) => {
                Ok(path.split('>').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
            }
            Some(Value::Array(values)) => values
                .into_iter()
                .map(|value| match value {
                    Value::String(text) => Ok(text),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(wrong()),
                })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    fn vector(&mut self, name: &str) -> Result<Option<Vec<f32>>, Rejection> {
        let wrong = || Self::wrong(name, "an array of numbers");
        let Some(value) = self.take(name) else { return Ok(None) };
        let Value::Array(values) = value else { return Err(wrong()) };
        #[expect(clippy::cast_possible_truncation, reason = "what becomes infinite is refused by `check`")]
        let numbers = values.iter().map(|value| value.as_f64().map(|x| x as f32).ok_or_else(wrong));
        numbers.collect::<Result<_, _>>().map(Some)
    }

    fn flag(&mut self, name: &str) -> Result<Option<bool>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(Self::wrong(name, "true or false")),
        }
    }

    fn visible(&mut self) -> Result<Option<bool>, Rejection> {
        match self.take("visible") {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(word)) if word == "visible" => Ok(Some(true)),
            Some(Value::String(word)) if word == "hidden" => Ok(Some(false)),
            Some(_) => Err(Self::wrong("visible", "true or false")),
        }
    }

    fn availability(&mut self) -> Result<Option<Availability>, Rejection> {
        match self.text("availability")? {
            None => Ok(None),
            Some(text) => match Availability::parse(&text) {
                Some(availability) => Ok(Some(availability)),
                None => Err(Self::wrong("availability", "in_stock, out_of_stock, preorder or backorder")),
            },
        }
    }

    fn object(&mut self, name: &str) -> Result<Map<String, Value>, Rejection> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(_) => Err(Self::wrong(name, "an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_item_is_read() {
        let draft = ItemDraft::from_json(
            r#"{"item_id":22386,"title":"Jumbo bag","description":null,"categories":["Bags","Shoppers"],"brand":"Rex",
                "price":"2.08","sale_price":1.5,"currency":"gbp","stock":-3,"availability":"in stock","visible":true,
                "recommendable":false,"image_url":"/i/1.jpg","url":"https://shop.example/22386","group_id":"bags",
                "attributes":{"colour":"pink"},"revision":7}"#,
        )
        .unwrap();
        assert_eq!(draft.item_id, "22386");
        assert_eq!(draft.categories, ["Bags", "Shoppers"]);
        assert_eq!((draft.price, draft.sale_price, draft.stock), (Some(2.08), Some(1.5), Some(-3)));
        assert_eq!(draft.availability, Some(Availability::InStock));
        assert_eq!((draft.visible, draft.recommendable, draft.revision), (Some(true), Some(false), Some(7)));
        assert_eq!(draft.attributes["colour"], "pink");
        assert_eq!(draft.description, None);
    }

    #[test]
    fn what_feeds_call_otherwise_is_understood() {
        let draft = ItemDraft::from_json(
            r#"{"id":7,"name":"Jumbo bag","category":"Bags > Shoppers","visibility":"hidden","link":"/p/7","colour":"red","warranty_years":2}"#,
        )
        .unwrap();
        assert_eq!((draft.item_id.as_str(), draft.title.as_deref()), ("7", Some("Jumbo bag")));
        assert_eq!(draft.categories, ["Bags", "Shoppers"]);
        assert_eq!((draft.visible, draft.url.as_deref()), (Some(false), Some("/p/7")));
        assert_eq!(draft.attributes["colour"], "red");
        assert_eq!(
            ItemDraft::from_json(r#"{"item_id":"a","title":"ours","name":"theirs"}"#).unwrap().title.as_deref(),
            Some("ours")
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (r#"{"title":"x"}"#, RejectionCode::InvalidId, "`item_id` is missing"),
            (r#"{"item_id":""}"#, RejectionCode::InvalidId, "must not be empty"),
            (r#"{"item_id":1.5}"#, RejectionCode::WrongType, "`item_id`"),
            (r#"{"item_id":"a","price":-1}"#, RejectionCode::OutOfRange, "`price`"),
            (r#"{"item_id":"a","sale_price":1e300}"#, RejectionCode::OutOfRange, "`sale_price`"),
            (r#"{"item_id":"a","price":"cheap"}"#, RejectionCode::WrongType, "`price` must be a number"),
            (r#"{"item_id":"a","stock":1.5}"#, RejectionCode::OutOfRange, "`stock`"),
            (r#"{"item_id":"a","currency":"EURO"}"#, RejectionCode::InvalidCurrency, "EURO"),
            (r#"{"item_id":"a","availability":"maybe"}"#, RejectionCode::WrongType, "in_stock"),
            (r#"{"item_id":"a","availabilty":"in_stock"}"#, RejectionCode::WrongType, "did you mean `availability`?"),
            (r#"{"item_id":"a","visible":"yes"}"#, RejectionCode::WrongType, "true or false"),
            (r#"{"item_id":"a","categories":["a","b","c","d","e","f"]}"#, RejectionCode::OutOfRange, "6 levels"),
            (r#"{"item_id":"a","categories":7}"#, RejectionCode::WrongType, "array"),
            (r#"{"item_id":"a","url":"javascript:alert(1)"}"#, RejectionCode::WrongType, "`url`"),
            (r#"{"item_id":"a","revision":-1}"#, RejectionCode::OutOfRange, "`revision`"),
            (r#"{"item_id":"a","attributes":[]}"#, RejectionCode::WrongType, "`attributes`"),
            (r#"{"item_id":"a","vector":7}"#, RejectionCode::WrongType, "`vector` must be an array of numbers"),
            (r#"{"item_id":"a","vector":[1,"2"]}"#, RejectionCode::WrongType, "`vector` must be an array of numbers"),
            (r#"{"item_id":"a","vector":[1]}"#, RejectionCode::OutOfRange, "has 1 numbers"),
            (r#"{"item_id":"a","vector":[0,0,0]}"#, RejectionCode::OutOfRange, "direction"),
            (r#"{"item_id":"a","vector":[1,1e300]}"#, RejectionCode::OutOfRange, "direction"),
            (r"[]", RejectionCode::InvalidJson, "object"),
            (r"{", RejectionCode::InvalidJson, "JSON"),
        ];
        for (text, code, part) in cases {
            let rejection = ItemDraft::from_json(text).unwrap_err();
            assert_eq!(rejection.code, code, "{text}");
            assert!(rejection.detail.contains(part), "{text}: {}", rejection.detail);
        }
        let long = format!(r#"{{"item_id":"a","title":"{}"}}"#, "x".repeat(MAX_TEXT_BYTES + 1));
        assert_eq!(ItemDraft::from_json(&long).unwrap_err().code, RejectionCode::TooLong);
    }

    #[test]
    fn availability_in_every_spelling() {
        let cases = [
            ("in_stock", Availability::InStock),
            ("In Stock", Availability::InStock),
            ("https://schema.org/OutOfStock", Availability::OutOfStock),
            ("out of stock", Availability::OutOfStock),
            ("pre-order", Availability::Preorder),
            ("backorder", Availability::Backorder),
        ];
        for (text, expected) in cases {
            assert_eq!(Availability::parse(text), Some(expected), "{text}");
        }
        assert_eq!(Availability::parse("sold"), None);
    }
}
