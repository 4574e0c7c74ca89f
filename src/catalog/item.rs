//! One item of the catalog.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::draft::{Availability, ItemDraft};
use crate::event::{Currency, Event, ItemId, Line, Timestamp, UnitPrice};

/// What is sold, as it is now.
// In this order in memory: what every answer reads stands together.
#[repr(C)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    #[serde(skip)]
    pub written: Written,
    pub id: ItemId,
    /// Pieces in stock; nothing where the shop does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// Whether the shop shows it at all.
    #[serde(default = "yes")]
    pub visible: bool,
    /// Whether it may be recommended; postage and the like may not.
    #[serde(default = "yes")]
    pub recommendable: bool,
    /// Only events have named it so far.
    #[serde(default)]
    pub observed: bool,
    /// It was taken out of the catalog; its slot stays.
    #[serde(skip)]
    pub withdrawn: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// From the broadest to the narrowest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<UnitPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_price: Option<UnitPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Box<str>>,
    /// What variants of one product have in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// The shop's own vector of it, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Arc<[f32]>>,
    /// When an event last said something about it; of an observed item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// The revision of its document; 0 while it has none.
    #[serde(skip)]
    pub revision: u64,
}

fn yes() -> bool {
    true
}

/// An item as answers write it, kept beside it from the first time on.
///
/// It says nothing that the item does not say: a changed item is another one, whose text is written anew.
#[derive(Debug, Default)]
pub struct Written(OnceLock<Box<str>>);

impl Written {
    /// Returns the text, written by `write` if it is wanted for the first time.
    pub fn get_or_write(&self, write: impl FnOnce() -> Box<str>) -> &str {
        self.0.get_or_init(write)
    }
}

impl Clone for Written {
    /// Items are cloned to be changed.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Item {
    /// Returns an item of which only the id is known.
    pub fn unknown(id: ItemId) -> Self {
        Self {
            written: Written::default(),
            id,
            title: None,
            description: None,
            categories: Vec::new(),
            brand: None,
            price: None,
            sale_price: None,
            currency: None,
            stock: None,
            availability: None,
            visible: true,
            recommendable: true,
            image_url: None,
            url: None,
            group_id: None,
            attributes: BTreeMap::new(),
            vector: None,
            observed: false,
            observed_at: None,
            revision: 0,
            withdrawn: false,
        }
    }

    /// Returns whether it may be shown: the one place that decides what can be bought.
    pub fn is_available(&self, authoritative: bool) -> bool {
        let can_be_had = match self.availability {
            Some(Availability::OutOfStock) => false,
            // Orders are taken whatever is in stock.
            Some(Availability::Preorder | Availability::Backorder) => true,
            Some(Availability::InStock) | None => self.stock.is_none_or(|n| n > 0),
        };
        can_be_had && self.visible && self.recommendable && !self.withdrawn && !(authoritative && self.observed)
    }

    /// Returns whether another item is described in the same words.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.title == other.title
            && self.description == other.description
            && self.categories == other.categories
            && self.brand == other.brand
            && self.attributes == other.attributes
            && self.vector == other.vector
    }

    /// Returns what it costs now.
    pub fn current_price(&self) -> Option<UnitPrice> {
        self.sale_price.or(self.price)
    }

    /// Returns the stored form.
    pub fn encode(&self) -> Vec<u8> {
        // Plain fields and JSON values: there is nothing that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns the item of its stored form.
    pub fn decode(bytes: &[u8], revision: u64) -> Result<Self, serde_json::Error> {
        let item: Self = serde_json::from_slice(bytes)?;
        Ok(Self { revision, ..item })
    }

    /// Returns the item after a line of the shop's catalog: fields it does not name stay as they are.
    pub fn merge(base: Option<&Self>, draft: ItemDraft) -> Self {
        // Only saying that it is postage does not make an observed item one the shop has named.
        let mark = ItemDraft { item_id: draft.item_id.clone(), recommendable: draft.recommendable, ..ItemDraft::default() };
        let marked = draft == mark;
        // A draft was checked where it was read; an id that is none would have been refused there.
        let id = ItemId::new(&draft.item_id).unwrap_or_default();
        let mut item = base.cloned().unwrap_or_else(|| Self::unknown(id));
        let text = |field: &mut Option<Box<str>>, value: Option<String>| {
            if let Some(value) = value {
                *field = Some(value.into());
            }
        };
        text(&mut item.title, draft.title);
        text(&mut item.description, draft.description);
        text(&mut item.brand, draft.brand);
        text(&mut item.image_url, draft.image_url);
        text(&mut item.url, draft.url);
        text(&mut item.group_id, draft.group_id);
        if !draft.categories.is_empty() {
            item.categories = draft.categories.into_iter().map(Into::into).collect();
        }
        item.price = draft.price.and_then(UnitPrice::from_decimal).or(item.price);
        item.sale_price = draft.sale_price.and_then(UnitPrice::from_decimal).or(item.sale_price);
        item.currency = draft.currency.as_deref().and_then(Currency::parse).or(item.currency);
        item.stock = draft.stock.or(item.stock);
        item.availability = draft.availability.or(item.availability);
        item.visible = draft.visible.unwrap_or(item.visible);
        item.recommendable = draft.recommendable.unwrap_or(item.recommendable);
        item.attributes.extend(draft.attributes);
        if let Some(vector) = draft.vector {
            item.vector = (!vector.is_empty()).then(|| vector.into());
        }
        item.observed = marked && base.is_none_or(|base| base.observed);
        item.withdrawn = false;
        item
    }

    /// Returns the item after what an event says about it; nothing where it says nothing new.
    ///
    /// The latest word holds for what changes (price), the first for what does not (title, categories, brand).
    pub fn observe(base: Option<&Self>, line: &Line, event: &Event) -> Option<Self> {
        let mut item = base.cloned().unwrap_or_else(|| Self { observed: true, ..Self::unknown(line.item.clone()) });
        let later = item.observed_at.is_none_or(|at| at <= event.ts);
        let mut changed = base.is_none();
        let mut fill = |field: &mut Option<Box<str>>, value: &Option<Box<str>>| {
            if field.is_none() && value.is_some() {
                field.clone_from(value);
                changed = true;
            }
        };
        fill(&mut item.title, &line.name);
        fill(&mut item.brand, &line.brand);
        if item.categories.is_empty() && !line.categories.is_empty() {
            item.categories.clone_from(&line.categories);
            changed = true;
        }
        if later && line.price.is_some() && line.price != item.price {
            item.price = line.price;
            item.currency = event.currency.or(item.currency);
            item.observed_at = Some(event.ts);
            changed = true;
        }
        changed.then_some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(change: impl FnOnce(&mut Item)) -> Item {
        let mut item = Item::unknown(ItemId::new("a").unwrap());
        change(&mut item);
        item
    }

    #[test]
    fn what_cannot_be_bought_is_not_available() {
        let cases: [(&str, Item, bool); 9] = [
            ("nothing known", item(|_| {}), true),
            ("in stock", item(|i| i.stock = Some(3)), true),
            ("sold out", item(|i| i.stock = Some(0)), false),
            ("oversold", item(|i| i.stock = Some(-2)), false),
            ("hidden", item(|i| i.visible = false), false),
            ("postage", item(|i| i.recommendable = false), false),
            ("said to be out of stock", item(|i| i.availability = Some(Availability::OutOfStock)), false),
            ("sold out but on order", item(|i| (i.stock, i.availability) = (Some(0), Some(Availability::Backorder))), true),
            ("taken out", item(|i| i.withdrawn = true), false),
        ];
        for (name, item, available) in cases {
            assert_eq!(item.is_available(false), available, "{name}");
        }
        assert!(!item(|i| i.observed = true).is_available(true), "only observed, where the catalog is authoritative");
    }

    #[test]
    fn stored_and_read_back_it_is_the_same() {
        let item = item(|i| {
            i.title = Some("A mug".into());
            i.price = Some(UnitPrice(1_950_000));
            i.attributes.insert("color".into(), "teal".into());
        });
        assert_eq!(Item::decode(&item.encode(), 0).unwrap(), item);
    }
}
