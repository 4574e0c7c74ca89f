//! Segment's dialect: its HTTP tracking API, mapped to our events.
//!
//! Calls follow the Segment HTTP API (`track`, `identify`, `page`, `batch`), names the Segment e-commerce specification
//! v2. Traits of `identify` are not kept: who somebody is comes from the shop's own customer records.

use serde_json::{Map, Value};

use crate::collect::beacon::{self, BeaconError, Caps, Entry};
use crate::collect::refused::Words;
use crate::event::{Rejection, RejectionCode, Timestamp, json};

/// The kinds of a Segment call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Track,
    Identify,
    Page,
    Batch,
}

/// What a Segment body holds.
#[derive(Debug, Default)]
pub struct SegmentBody {
    pub sent_at: Option<Timestamp>,
    pub entries: Vec<Entry>,
}

/// Segment's names and ours.
const EVENTS: &[(&str, &str)] = &[
    ("product list viewed", "view_item_list"),
    ("product clicked", "select_item"),
    ("product viewed", "view_item"),
    ("product added", "add_to_cart"),
    ("product removed", "remove_from_cart"),
    ("cart viewed", "view_cart"),
    ("checkout started", "begin_checkout"),
    ("payment info entered", "add_payment_info"),
    ("order completed", "purchase"),
    ("order refunded", "refund"),
    ("products searched", "search"),
    ("product added to wishlist", "add_to_wishlist"),
    ("product removed from wishlist", "remove_from_wishlist"),
    ("promotion viewed", "view_promotion"),
    ("promotion clicked", "select_promotion"),
    ("signed in", "login"),
    ("signed up", "sign_up"),
];

/// Reads the body of a Segment call.
///
/// The caps are asked for once the key is known, since they depend on whose it is.
pub fn decode<E: From<BeaconError>>(
    call: Call,
    body: &[u8],
    caps: impl FnOnce(Option<&str>) -> Result<Caps, E>,
) -> Result<SegmentBody, E> {
    let value: Value = serde_json::from_slice(body).map_err(|e| BeaconError::Malformed(e.to_string()))?;
    let Value::Object(mut map) = value else {
        return Err(BeaconError::Invalid("The body must be one JSON object.".to_owned()).into());
    };
    let write_key = map.remove("writeKey").and_then(|v| v.as_str().map(str::to_owned));
    let caps = caps(write_key.as_deref())?;
    let sent_at = map.get("sentAt").and_then(Value::as_str).and_then(Timestamp::parse);
    let messages = messages(call, map)?;
    let entries = messages
        .into_iter()
        .enumerate()
        .map(|(index, message)| {
            let id = message.get("messageId").and_then(beacon::id_from_value);
            if index >= caps.events {
                return Entry::beyond(caps.events, id);
            }
            // Only a body larger than an event can hold an event that is too large.
            let bytes = if body.len() > caps.event_bytes { message.to_string().len() } else { 0 };
            if bytes > caps.event_bytes {
                return Entry::too_large(bytes, caps.event_bytes, id);
            }
            Entry { id, decoded: to_wire(message).and_then(json::draft_from_map) }
        })
        .collect();
    Ok(SegmentBody { sent_at, entries })
}

/// Returns the calls of a body.
fn messages(call: Call, mut map: Map<String, Value>) -> Result<Vec<Value>, BeaconError> {
    let name = match call {
        Call::Batch => {
            return match map.remove("batch") {
                Some(Value::Array(messages)) => Ok(messages),
                _ => Err(BeaconError::Invalid("`batch` must be an array of calls.".to_owned())),
            };
        }
        Call::Track => "track",
        Call::Identify => "identify",
        Call::Page => "page",
    };
    map.insert("type".to_owned(), name.into());
    Ok(vec![Value::Object(map)])
}

/// Returns the text of each call of a body, without the key, in order; of a body that cannot be read none.
pub fn calls_of(call: Call, body: &[u8]) -> Vec<String> {
    let Ok(Value::Object(mut map)) = serde_json::from_slice(body) else { return Vec::new() };
    map.remove("writeKey");
    let calls = messages(call, map).unwrap_or_default();
    calls.iter().map(Value::to_string).collect()
}

/// Reads one call that stands alone.
pub fn entry(text: &str, max_bytes: usize) -> Entry {
    let message = serde_json::from_str::<Value>(text).unwrap_or_default();
    let id = message.get("messageId").and_then(beacon::id_from_value);
    if text.len() > max_bytes {
        return Entry::too_large(text.len(), max_bytes, id);
    }
    Entry { id, decoded: to_wire(message).and_then(json::draft_from_map) }
}

/// Reads what a call that cannot be used says of whose it is.
pub fn words(text: &str) -> Words {
    let Ok(message) = serde_json::from_str::<Value>(text) else { return Words::default() };
    let id = |name: &str| message.get(name).and_then(beacon::id_from_value);
    Words {
        visitor_id: id("anonymousId").or_else(|| id("userId")),
        consent: Some(message.get("context").and_then(consent).unwrap_or_default()),
    }
}

/// Maps one call to the fields of our own wire event.
fn to_wire(message: Value) -> Result<Map<String, Value>, Rejection> {
    let Value::Object(mut message) = message else {
        return Err(Rejection::new(RejectionCode::InvalidJson, "A call must be a JSON object."));
    };
    let call = message.remove("type").and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let mut properties = match message.remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let kind = match call.as_str() {
        "track" => {
            let name = message.get("event").and_then(Value::as_str).unwrap_or_default();
            event_name(name)
        }
        "page" | "screen" => "page_view".to_owned(),
        "identify" => "login".to_owned(),
        other => {
            return Err(Rejection::new(RejectionCode::InvalidType, format!("A call of type `{other}` means nothing here.")));
        }
    };
    let mut event = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|v| !v.is_null()) {
            event.insert(name.to_owned(), value);
        }
    };
    put("id", message.remove("messageId"));
    put("type", Some(kind.into()));
    put("ts", message.remove("originalTimestamp").or_else(|| message.remove("timestamp")));
    put("sent_at", message.remove("sentAt"));
    let user = message.remove("userId");
    put("visitor_id", message.remove("anonymousId").filter(|v| !v.is_null()).or_else(|| user.clone()));
    put("customer_id", user);
    put("transaction_id", properties.remove("order_id"));
    put("currency", properties.remove("currency"));
    put("value", properties.remove("total").or_else(|| properties.remove("revenue")).or_else(|| properties.remove("value")));
    put("search_term", properties.remove("query"));
    put("creative_id", properties.remove("promotion_id"));
    let lines: Vec<Value> = match properties.remove("products") {
        Some(Value::Array(products)) => products.into_iter().map(line).collect(),
        _ if properties.contains_key("product_id") || properties.contains_key("sku") => {
            vec![line(Value::Object(std::mem::take(&mut properties)))]
        }
        _ => Vec::new(),
    };
    put("items", (!lines.is_empty()).then_some(Value::Array(lines)));
    put("consent", message.get("context").and_then(consent));
    for (name, value) in properties {
        event.entry(name).or_insert(value);
    }
    Ok(event)
}

/// Names we do not know become valid names of their own: `Video Played` is `video_played`.
fn event_name(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    EVENTS.iter().find(|(theirs, _)| *theirs == lower).map_or_else(
        || lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect(),
        |(_, ours)| (*ours).to_owned(),
    )
}

fn line(product: Value) -> Value {
    let Value::Object(mut product) = product else { return product };
    let mut line = Map::new();
    for (theirs, ours) in [
        ("product_id", "item_id"),
        ("sku", "item_id"),
        ("name", "item_name"),
        ("brand", "item_brand"),
        ("category", "item_category"),
        ("variant", "item_variant"),
        ("price", "price"),
        ("quantity", "quantity"),
        ("position", "index"),
    ] {
        if let Some(value) = product.remove(theirs) {
            line.entry(ours.to_owned()).or_insert(value);
        }
    }
    Value::Object(line)
}

/// Segment's consent categories, as its own default integrations name them.
fn consent(context: &Value) -> Option<Value> {
    let preferences = context.get("consent")?.get("categoryPreferences")?.as_object()?;
    let mut ours = Map::new();
    for (theirs, name) in [
        ("Analytics", "analytics"),
        ("Functional", "personalization"),
        ("Advertising", "marketing"),
        ("DataSharing", "sale_share"),
    ] {
        if let Some(granted) = preferences.get(theirs) {
            ours.insert(name.to_owned(), granted.clone());
        }
    }
    Some(Value::Object(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(call: Call, body: &[u8]) -> SegmentBody {
        decode(call, body, |_| Ok::<_, BeaconError>(Caps { events: 10, event_bytes: 2_000 })).unwrap()
    }

    #[test]
    fn an_order_is_a_purchase() {
        let body = br#"{"sentAt":"2026-11-23T10:00:01Z","batch":[{"type":"track","event":"Order Completed","messageId":"m1",
            "anonymousId":"anon","userId":"u7","timestamp":"2026-11-23T10:00:00Z",
            "context":{"consent":{"categoryPreferences":{"Analytics":true,"Functional":true,"Advertising":false}}},
            "properties":{"order_id":"o1","total":30,"currency":"EUR","coupon":"X","products":[{"product_id":"p1","name":"Mug","price":15,"quantity":2}]}},
            {"type":"page","messageId":"m2","anonymousId":"anon"},{"type":"group","messageId":"m3"}]}"#;
        let batch = read(Call::Batch, body);
        let purchase = batch.entries[0].decoded.as_ref().unwrap();
        assert_eq!(purchase.kind, "purchase");
        assert_eq!(purchase.items[0].item_id, "p1");
        assert_eq!(purchase.items[0].quantity, Some(2));
        assert_eq!((purchase.visitor_id.as_deref(), purchase.customer_id.as_deref()), (Some("anon"), Some("u7")));
        assert_eq!(purchase.params["coupon"], "X");
        let consent = purchase.consent.unwrap();
        assert_eq!((consent.analytics, consent.personalization, consent.marketing), (Some(true), Some(true), Some(false)));
        assert_eq!(batch.entries[1].decoded.as_ref().unwrap().kind, "page_view");
        assert_eq!(batch.entries[2].decoded.as_ref().unwrap_err().code, RejectionCode::InvalidType);
    }

    #[test]
    fn a_single_product_stands_in_the_properties() {
        let body =
            br#"{"event":"Product Viewed","messageId":"m","anonymousId":"a","properties":{"product_id":"p9","price":"3.50"}}"#;
        let call = read(Call::Track, body);
        let view = call.entries[0].decoded.as_ref().unwrap();
        assert_eq!((view.kind.as_str(), view.items[0].item_id.as_str(), view.items[0].price), ("view_item", "p9", Some(3.5)));
    }
}
