//! How a decision is written.

use std::sync::Arc;

use rapport_models::cooccurrence;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::asked::Wanted;
use crate::catalog::item::Item;
use crate::decide::candidates::Candidate;
use crate::decide::placement::{Kind, Rung};
use crate::decide::{Answer, Shown};
use crate::event::ItemId;
use crate::live::Snapshot;
use crate::live::serving::Relation;

/// Fields of the catalog an answer holds where the request does not choose.
pub const DEFAULT_FIELDS: &[&str] = &["title", "price", "currency", "image_url", "url"];
/// Fields of the catalog an answer can hold.
pub const FIELDS: &[&str] = &[
    "title",
    "description",
    "categories",
    "brand",
    "price",
    "list_price",
    "currency",
    "stock",
    "availability",
    "image_url",
    "url",
    "group_id",
    "attributes",
];

/// A decided page, ready to be written.
#[derive(Debug)]
pub struct Decided {
    pub request_id: String,
    pub snapshot: Arc<Snapshot>,
    pub answers: Vec<Answer>,
    pub wanted: Vec<Wanted>,
    pub explain: bool,
}

/// The answer of `GET /v1/recommendations/{placement}`.
#[derive(Debug, Serialize)]
pub struct One<'a> {
    request_id: &'a str,
    #[serde(flatten)]
    placement: PlacementAnswer<'a>,
}

/// The answer of `POST /v1/decide`.
#[derive(Debug, Serialize)]
pub struct Whole<'a> {
    request_id: &'a str,
    placements: Placements<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Value>,
}

/// The placements of a page, by name.
#[derive(Debug)]
struct Placements<'a>(&'a Decided);

impl Serialize for Placements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.answers.len()))?;
        for number in 0..self.0.answers.len() {
            if let Some(answer) = self.0.placement(number) {
                map.serialize_entry(answer.placement, &answer)?;
            }
        }
        map.end()
    }
}

impl Decided {
    /// Returns the answer of the only placement.
    pub fn one(&self) -> Option<One<'_>> {
        Some(One { request_id: &self.request_id, placement: self.placement(0)? })
    }

    /// Returns the answers of all placements, and what became of the request's events.
    pub fn whole(&self, events: Option<Value>) -> Whole<'_> {
        Whole { request_id: &self.request_id, placements: Placements(self), events }
    }

    fn placement(&self, number: usize) -> Option<PlacementAnswer<'_>> {
        let (answer, wanted) = (self.answers.get(number)?, self.wanted.get(number)?);
        let banner = matches!(answer.placement.kind, Kind::Creative);
        let items = answer.items.iter().enumerate().map(|(place, shown)| self.item(place, shown, wanted)).collect();
        Some(PlacementAnswer {
            placement: answer.placement.id,
            recommendation_id: format!("{}-{number}", self.request_id),
            build: self.snapshot.build.as_ref().map(|build| build.id.as_str()),
            rules_revision: 0,
            served_by: answer.served_by.map_or("empty", Rung::as_str),
            in_holdout: false,
            experiments: [],
            kind: banner.then_some("creative"),
            creative: banner.then_some(()),
            items: (!banner).then_some(items),
            explain: (self.explain && !banner).then(|| explain_answer(answer)),
        })
    }

    fn item<'a>(&'a self, place: usize, shown: &'a Shown, wanted: &Wanted) -> ItemAnswer<'a> {
        let rung = shown.candidate.rung;
        let because = shown.candidate.because.and_then(|slot| self.snapshot.index.slot(slot)).map(|slot| slot.item().id.clone());
        ItemAnswer {
            item_id: shown.item.id.as_str(),
            position: place + 1,
            score: shown.candidate.score,
            source: rung.as_str(),
            reasons: [Reason { code: rung.reason(), item_id: because }],
            rules: [],
            pinned: false,
            fields: CatalogFields::of(&shown.item, &wanted.fields),
            explain: self.explain.then(|| explain_item(&self.snapshot, &shown.candidate)),
        }
    }
}

/// One placement's answer.
#[derive(Debug, Serialize)]
struct PlacementAnswer<'a> {
    placement: &'a str,
    recommendation_id: String,
    build: Option<&'a str>,
    rules_revision: u64,
    served_by: &'a str,
    in_holdout: bool,
    experiments: [&'a str; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    /// Always `null`, in a banner's answer: there are no campaigns yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    creative: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<ItemAnswer<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

#[derive(Debug, Serialize)]
struct ItemAnswer<'a> {
    item_id: &'a str,
    position: usize,
    score: f32,
    source: &'a str,
    reasons: [Reason; 1],
    rules: [&'a str; 0],
    pinned: bool,
    #[serde(flatten)]
    fields: CatalogFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Reason {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    item_id: Option<ItemId>,
}

fn as_text<S: Serializer>(id: &Option<ItemId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.as_ref().map(ItemId::as_str).serialize(serializer)
}

/// The chosen fields of the catalog; what is not chosen or not known is left out.
#[derive(Debug, Default, Serialize)]
struct CatalogFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<&'a [Box<str>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a std::collections::BTreeMap<String, Value>>,
}

impl<'a> CatalogFields<'a> {
    fn of(item: &'a Item, chosen: &[String]) -> Self {
        let mut fields = Self::default();
        for name in chosen {
            match name.as_str() {
                "title" => fields.title = item.title.as_deref(),
                "description" => fields.description = item.description.as_deref(),
                "categories" => fields.categories = Some(&item.categories),
                "brand" => fields.brand = item.brand.as_deref(),
                "price" => fields.price = item.current_price().map(crate::event::UnitPrice::to_decimal),
                "list_price" => fields.list_price = item.price.map(crate::event::UnitPrice::to_decimal),
                "currency" => fields.currency = item.currency.map(|c| c.as_str().to_owned()),
                "stock" => fields.stock = item.stock,
                "availability" => fields.availability = item.availability.map(crate::catalog::draft::Availability::as_str),
                "image_url" => fields.image_url = item.image_url.as_deref(),
                "url" => fields.url = item.url.as_deref(),
                "group_id" => fields.group_id = item.group_id.as_deref(),
                "attributes" => fields.attributes = Some(&item.attributes),
                // The request was checked against the list above.
                _ => {}
            }
        }
        fields
    }
}

fn explain_answer(answer: &Answer) -> Value {
    let rungs: Vec<Value> = answer
        .explanation
        .rungs
        .iter()
        .map(|(rung, found, shown)| json!({"rung": rung.as_str(), "candidates": found, "shown": shown}))
        .collect();
    let displaced: Vec<Value> = answer
        .explanation
        .displaced
        .iter()
        .map(|(item, why)| json!({"item_id": item.as_str(), "because": why.as_str()}))
        .collect();
    json!({"ladder": rungs, "displaced": displaced})
}

fn explain_item(snapshot: &Snapshot, candidate: &Candidate) -> Value {
    let mut explained = json!({"source": candidate.rung.as_str(), "score": candidate.score});
    let relation = if candidate.rung == Rung::CoView { Relation::Viewed } else { Relation::Bought };
    if let (Some(anchor), true) = (candidate.because, candidate.support > 0) {
        let (a, b) = (snapshot.count(relation, anchor), snapshot.count(relation, candidate.slot));
        let groups = snapshot.groups(relation);
        explained["support"] = json!({"together": candidate.support, "anchor": a, "item": b, "groups": groups});
        explained["llr"] = json!(cooccurrence::log_likelihood_ratio(candidate.support, a, b, groups));
        explained["lift"] = json!(cooccurrence::lift(candidate.support, a, b, groups));
    }
    explained
}
