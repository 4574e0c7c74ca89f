//! Events as JSON: reading what senders write, writing what we kept.
//!
//! The flat form is one object per event: our own fields (`id`, `type`, `ts` …) beside the GA4 parameters. Beacons,
//! `events-jsonl` files and exports all use it, so that what one writes the other reads.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::draft::Recorded;
use super::time::ClientTime;
use super::{ConsentClaim, Draft, DraftLine, Event, Line, Rejection, RejectionCode, Source, Timestamp};

/// Longest chain of categories of an item (GA4 has five).
const CATEGORY_FIELDS: [&str; 5] = ["item_category", "item_category2", "item_category3", "item_category4", "item_category5"];

/// Reads one event.
pub fn draft_from_str(text: &str) -> Result<Draft, Rejection> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Rejection::new(RejectionCode::InvalidJson, format!("The event is not readable as JSON: {error}.")))?;
    let Value::Object(map) = value else {
        return Err(Rejection::new(RejectionCode::InvalidJson, "An event must be a JSON object."));
    };
    draft_from_map(map)
}

/// Reads one event from its fields; what has no field of its own becomes a parameter.
pub fn draft_from_map(map: Map<String, Value>) -> Result<Draft, Rejection> {
    let mut fields = Fields(map);
    let id = fields.id("id")?.ok_or_else(|| Rejection::new(RejectionCode::MissingId, "Give every event an `id` of its own."))?;
    let kind = fields.text("type")?.ok_or_else(|| Rejection::new(RejectionCode::InvalidType, "`type` is missing."))?;
    let time = ClientTime { age: fields.age("age_ms")?, ts: fields.time("ts")?, sent_at: fields.time("sent_at")? };
    let recorded = Recorded {
        source: fields.text("source")?.and_then(|name| Source::parse(&name)),
        received_at: fields.time("received_at")?,
        client_ts: fields.time("client_ts")?,
    };
    let consent = fields.0.remove("consent").filter(|v| !v.is_null()).map(claim_from_value).transpose()?;
    let items = match fields.0.remove("items") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(lines)) => lines
            .into_iter()
            .enumerate()
            .map(|(index, line)| {
                line_from_value(line).map_err(|r| Rejection::new(r.code, format!("items[{index}]: {}", r.detail)))
            })
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(Rejection::new(RejectionCode::WrongType, "`items` must be an array.")),
    };
    // Exports carry where the event was kept; an importer has no use for it.
    fields.0.remove("position");
    fields.0.remove("site");
    Ok(Draft {
        id,
        kind,
        visitor_id: fields.id("visitor_id")?,
        customer_id: fields.id("customer_id")?,
        session_id: fields.id("session_id")?,
        seq: fields.integer("seq")?,
        time,
        consent,
        items,
        currency: fields.text("currency")?,
        value: fields.number("value")?,
        transaction_id: fields.id("transaction_id")?,
        search_term: fields.text("search_term")?,
        creative_id: fields.id("creative_id")?,
        placement: fields.text("placement")?,
        recommendation_id: fields.text("recommendation_id")?,
        params: fields.0,
        recorded,
    })
}

fn line_from_value(value: Value) -> Result<DraftLine, Rejection> {
    let Value::Object(map) = value else {
        return Err(Rejection::new(RejectionCode::WrongType, "a line must be an object."));
    };
    let mut fields = Fields(map);
    let item_id = fields.id("item_id")?.ok_or_else(|| Rejection::new(RejectionCode::InvalidId, "`item_id` is missing."))?;
    let mut categories = Vec::new();
    for name in CATEGORY_FIELDS {
        // A gap ends the chain: what stands below it has no parent.
        let Some(category) = fields.text(name)? else { break };
        categories.push(category);
    }
    Ok(DraftLine {
        item_id,
        name: fields.text("item_name")?,
        brand: fields.text("item_brand")?,
        categories,
        variant: fields.text("item_variant")?,
        price: fields.number("price")?,
        quantity: fields.integer("quantity")?,
        index: fields.integer("index")?,
    })
}

/// Reads a consent in our normal form or with the names of Google Consent Mode v2.
pub fn claim_from_value(value: Value) -> Result<ConsentClaim, Rejection> {
    let invalid = |detail: &str| Rejection::new(RejectionCode::InvalidConsent, detail.to_owned());
    let Value::Object(mut map) = value else {
        return Err(invalid("`consent` must be an object such as {\"analytics\":true,\"personalization\":false}."));
    };
    let mut flag = |name: &str| -> Result<Option<bool>, Rejection> {
        match map.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(granted)) => Ok(Some(granted)),
            Some(Value::String(text)) if text == "granted" => Ok(Some(true)),
            Some(Value::String(text)) if text == "denied" => Ok(Some(false)),
            Some(_) => Err(invalid(&format!("`consent.{name}` must be true, false, \"granted\" or \"denied\"."))),
        }
    };
    let analytics = flag("analytics")?.or(flag("analytics_storage")?);
    let personalization = flag("personalization")?.or(flag("personalization_storage")?);
    // Both advertising signals must be granted before either purpose is.
    let ads = match (flag("ad_user_data")?, flag("ad_personalization")?) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(true) && b.unwrap_or(true)),
    };
    let marketing = flag("marketing")?.or(ads);
    let sale_share = flag("sale_share")?.or(ads);
    let at = Fields(map).time("at").map_err(|r| invalid(&r.detail))?;
    Ok(ConsentClaim { analytics, personalization, marketing, sale_share, at })
}

/// The fields of an object, taken out one by one with their types checked. `null` is the same as absent.
struct Fields(Map<String, Value>);

impl Fields {
    fn wrong(name: &str, wanted: &str) -> Rejection {
        Rejection::new(RejectionCode::WrongType, format!("`{name}` must be {wanted}."))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Rejection> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Self::wrong(name, "a string")),
        }
    }

    /// An id may be written as a whole number: shops with numeric SKUs do.
    fn id(&mut self, name: &str) -> Result<Option<String>, Rejection> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
            Some(_) => Err(Self::wrong(name, "a string or a whole number")),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<f64>, Rejection> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            // Storefronts print prices from templates; "12.50" is meant as a number.
            Some(Value::String(text)) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(Self::wrong(name, "a number")),
            },
            Some(_) => Err(Self::wrong(name, "a number")),
        }
    }

    fn integer(&mut self, name: &str) -> Result<Option<i64>, Rejection> {
        match self.number(name)? {
            None => Ok(None),
            Some(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "a whole number within 2^53, checked above")]
                Ok(Some(number as i64))
            }
            Some(_) => Err(Rejection::new(RejectionCode::OutOfRange, format!("`{name}` must be a whole number within 2^53."))),
        }
    }

    /// Milliseconds, as microseconds.
    fn age(&mut self, name: &str) -> Result<Option<i64>, Rejection> {
        match self.number(name)? {
            None => Ok(None),
            Some(millis) if (0.0..=1e13).contains(&millis) =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "bounded in the pattern")]
                Ok(Some((millis * 1000.0) as i64))
            }
            Some(_) => {
                Err(Rejection::new(RejectionCode::OutOfRange, format!("`{name}` must be between 0 and 10^13 milliseconds.")))
            }
        }
    }

    fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Rejection> {
        let time = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => Timestamp::parse(&text),
            Some(Value::Number(number)) => number.as_i64().and_then(Timestamp::from_millis),
            Some(_) => None,
        };
        match time {
            Some(time) => Ok(Some(time)),
            None => Err(Rejection::new(
                RejectionCode::InvalidTime,
                format!("`{name}` must be an RFC 3339 time (2026-11-23T10:00:00.000Z) or milliseconds since 1970."),
            )),
        }
    }
}

/// A value that must be a JSON object.
///
/// Derived code also reads a struct from an array, field by field, which no sender means.
#[derive(Debug, Default)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Reads a moment from a JSON value: RFC 3339 text or milliseconds since 1970.
pub fn time_from_value(name: &str, value: Value) -> Result<Option<Timestamp>, Rejection> {
    let mut map = Map::new();
    map.insert(name.to_owned(), value);
    Fields(map).time(name)
}

/// Writes a kept event in the flat form, with its place in the log.
pub fn event_to_map(event: &Event, position: Option<u64>) -> Map<String, Value> {
    let mut map =
        event.params.as_deref().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok()).unwrap_or_default();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            map.insert(name.to_owned(), value);
        }
    };
    let text = |t: &Option<Box<str>>| t.as_deref().map_or(Value::Null, Value::from);
    let time = |t: Option<Timestamp>| t.map_or(Value::Null, |t| Value::from(t.to_string()));
    put("id", json!(event.id.as_str()));
    put("site", json!(event.site.as_str()));
    put("type", json!(event.kind.as_str()));
    put("visitor_id", json!(event.visitor.as_str()));
    put("customer_id", event.customer.as_ref().map_or(Value::Null, |c| json!(c.as_str())));
    put("session_id", text(&event.session));
    put("seq", json!(event.seq));
    put("ts", json!(event.ts.to_string()));
    put("client_ts", time(event.client_ts));
    put("sent_at", time(event.sent_at));
    put("received_at", json!(event.received_at.to_string()));
    put("consent", consent_to_value(&event.consent));
    put("source", json!(event.source.as_str()));
    if !event.items.is_empty() {
        put("items", event.items.iter().map(line_to_value).collect());
    }
    put("currency", event.currency.map_or(Value::Null, |c| json!(c.as_str())));
    if let (Some(minor), Some(currency)) = (event.value_minor, event.currency) {
        put("value", json!(currency.to_decimal(minor)));
    }
    put("transaction_id", text(&event.transaction_id));
    put("search_term", text(&event.search_term));
    put("creative_id", text(&event.creative_id));
    put("placement", text(&event.placement));
    put("recommendation_id", text(&event.recommendation_id));
    put("position", json!(position));
    map
}

fn line_to_value(line: &Line) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            map.insert(name.to_owned(), value);
        }
    };
    put("item_id", json!(line.item.as_str()));
    put("item_name", json!(line.name));
    put("item_brand", json!(line.brand));
    for (name, category) in CATEGORY_FIELDS.iter().zip(&line.categories) {
        put(name, json!(category));
    }
    put("item_variant", json!(line.variant));
    put("price", json!(line.price.map(super::UnitPrice::to_decimal)));
    put("quantity", json!(line.quantity));
    put("index", json!(line.index));
    Value::Object(map)
}

/// Writes a consent in the normal form.
pub fn consent_to_value(consent: &super::Consent) -> Value {
    let purposes = consent.purposes;
    let mut value = json!({
        "analytics": purposes.analytics,
        "personalization": purposes.personalization,
        "marketing": purposes.marketing,
        "sale_share": purposes.sale_share,
    });
    if let Some(at) = consent.at {
        value["at"] = json!(at.to_string());
    }
    value
}
