//! `/v1/catalog/items`: the shop's server says what is sold.

use std::sync::Arc;

use actix_web::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::caller::{Caller, Query};
use super::problem::{Code, Problem};
use super::{body, now};
use crate::app::App;
use crate::catalog::draft::ItemDraft;
use crate::catalog::item::Item;
use crate::catalog::{Upsert, vector_length};
use crate::documents::Expect;
use crate::event::{ItemId, Rejection, RejectionCode};

/// Largest body of a bulk upsert, in bytes; larger feeds are sent in parts.
const MAX_BULK: usize = 32 << 20;
/// Snapshots of catalogs up to this size are renewed before an upsert is answered; larger ones within a moment.
const AT_ONCE: usize = 50_000;

fn caller(app: &App, request: &HttpRequest) -> Result<Caller, Problem> {
    Caller::of(app, request, &Query::of(request), None, now(app))?.server()
}

/// `POST /v1/catalog/items`: one item, an array, or NDJSON with an item a line. Each line has its own result.
pub async fn post_items(app: web::Data<Arc<App>>, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let caller = caller(&app, &request)?;
    body::check_type(&request)?;
    let bytes = body::read(&request, payload, MAX_BULK).await?;
    let text =
        std::str::from_utf8(&bytes).map_err(|e| Problem::new(Code::MalformedJson, format!("The body is not UTF-8: {e}.")))?;
    let drafts = read_lines(&request, text)?;
    let mut results: Vec<Value> = Vec::with_capacity(drafts.len());
    let mut places = Vec::new();
    let mut lines = Vec::new();
    for (line, draft) in drafts {
        match draft {
            Ok(draft) => {
                places.push(results.len());
                results.push(json!({"line": line, "item_id": draft.item_id}));
                lines.push((draft, Expect::Any));
            }
            Err(rejection) => {
                results.push(
                    json!({"line": line, "result": "rejected", "code": rejection.code.as_str(), "detail": rejection.detail}),
                );
            }
        }
    }
    let outcomes = caller.site.catalog.upsert(lines).await.map_err(|e| Problem::store(&e))?;
    let (mut stored, mut stale) = (0, 0);
    for (place, outcome) in places.into_iter().zip(outcomes) {
        match outcome {
            Upsert::Stored { revision } => {
                stored += 1;
                results[place]["result"] = "ok".into();
                results[place]["revision"] = revision.into();
            }
            Upsert::Stale { current } => {
                stale += 1;
                results[place]["result"] = "stale".into();
                results[place]["current"] = current.into();
            }
            Upsert::Conflict { current } => {
                results[place]["result"] = "conflict".into();
                results[place]["current"] = current.into();
            }
            Upsert::VectorLength { expected } => {
                results[place]["result"] = "rejected".into();
                results[place]["code"] = RejectionCode::OutOfRange.as_str().into();
                results[place]["detail"] = vector_length(expected).into();
            }
        }
    }
    renew(&caller).await;
    let rejected = results.iter().filter(|r| r["result"] == "rejected").count();
    Ok(HttpResponse::Ok().json(json!({"stored": stored, "stale": stale, "rejected": rejected, "results": results})))
}

/// Lets new items into the snapshot, so that who has just been told of them can see them.
async fn renew(caller: &Caller) {
    if caller.site.catalog.index().len() <= AT_ONCE {
        let site = caller.site.clone();
        // Where the catalog has doubled, all of it is read again. A failure means that the server is stopping.
        let _ = web::block(move || site.live.refresh(&site.catalog)).await;
    }
}

type Line = (usize, Result<ItemDraft, Rejection>);

fn read_lines(request: &HttpRequest, text: &str) -> Result<Vec<Line>, Problem> {
    let malformed = |e: serde_json::Error| Problem::new(Code::MalformedJson, format!("The body is no JSON: {e}."));
    let kind = request.headers().get(CONTENT_TYPE).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let lines =
        kind.contains("ndjson") || kind.contains("jsonl") || text.trim_start().starts_with('{') && text.trim_end().contains('\n');
    if lines && serde_json::from_str::<Value>(text).is_err() {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        return Ok(lines.map(|(n, line)| (n + 1, ItemDraft::from_json(line))).collect());
    }
    let items = match serde_json::from_str::<Value>(text).map_err(malformed)? {
        Value::Array(items) => items,
        item @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![item],
    };
    Ok(items.into_iter().enumerate().map(|(n, item)| (n + 1, draft(item))).collect())
}

fn draft(value: Value) -> Result<ItemDraft, Rejection> {
    match value {
        Value::Object(map) => ItemDraft::from_map(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Rejection::new(crate::event::RejectionCode::InvalidJson, "An item must be a JSON object."))
        }
    }
}

fn item_id(request: &HttpRequest) -> Result<ItemId, Problem> {
    ItemId::new(&super::path_part(request, "item_id"))
        .map_err(|e| Problem::new(Code::InvalidRequest, format!("The item id {e}.")))
}

fn unknown() -> Problem {
    Problem::new(Code::UnknownItem, "There is no item of that id.")
}

/// Returns what a conditional request expects.
fn expectation(request: &HttpRequest) -> Result<Expect, Problem> {
    if request.headers().get(IF_NONE_MATCH).is_some_and(|h| h.as_bytes() == b"*") {
        return Ok(Expect::Absent);
    }
    match request.headers().get(IF_MATCH) {
        None => Ok(Expect::Any),
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| revision(text.trim()))
            .map(Expect::Revision)
            .ok_or_else(|| Problem::invalid("If-Match", "must be a revision as `ETag` gave it")),
    }
}

/// Returns the revision of an entity tag, in its quotes or without.
fn revision(tag: &str) -> Option<u64> {
    let digits = tag.strip_prefix('"').map_or(Some(tag), |rest| rest.strip_suffix('"'))?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// `GET /v1/catalog/items/{item_id}`
pub async fn get_item(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = caller(&app, &request)?;
    let item = caller.site.catalog.item(item_id(&request)?.as_str()).ok_or_else(unknown)?;
    let revision = item.revision;
    Ok(HttpResponse::Ok().insert_header((ETAG, format!("\"{revision}\""))).json(whole(&item)))
}

/// `PUT /v1/catalog/items/{item_id}`: fields that are not named stay as they are.
pub async fn put_item(app: web::Data<Arc<App>>, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let caller = caller(&app, &request)?;
    body::check_type(&request)?;
    let id = item_id(&request)?;
    let expect = expectation(&request)?;
    let bytes = body::read(&request, payload, 1 << 20).await?;
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|e| Problem::new(Code::MalformedJson, format!("The body is no JSON: {e}.")))?;
    let Value::Object(mut map) = value else { return Err(Problem::invalid("body", "must be a JSON object")) };
    if map.get("item_id").is_some_and(|given| given.as_str() != Some(id.as_str())) {
        return Err(Problem::invalid("item_id", "differs from the one in the address"));
    }
    map.insert("item_id".to_owned(), id.as_str().into());
    let draft = ItemDraft::from_map(map).map_err(|r| Problem::new(Code::InvalidRequest, r.detail))?;
    let outcome = caller.site.catalog.upsert(vec![(draft, expect)]).await.map_err(|e| Problem::store(&e))?.pop();
    renew(&caller).await;
    match outcome {
        Some(Upsert::Stored { revision }) => {
            let item = caller.site.catalog.item(id.as_str()).ok_or_else(unknown)?;
            Ok(HttpResponse::Ok().insert_header((ETAG, format!("\"{revision}\""))).json(whole(&item)))
        }
        Some(Upsert::Stale { current }) => {
            Err(Problem::new(Code::PreconditionFailed, format!("Revision {current} of the feed is stored already.")))
        }
        Some(Upsert::Conflict { current }) => Err(conflict(current)),
        Some(Upsert::VectorLength { expected }) => Err(Problem::new(Code::InvalidRequest, vector_length(expected))),
        None => Err(Problem::internal(&"an upsert had no outcome")),
    }
}

fn conflict(current: Option<u64>) -> Problem {
    let detail = match current {
        Some(revision) => format!("The item has revision {revision} by now; read it again."),
        None => "There is no such item any more.".to_owned(),
    };
    Problem::new(Code::PreconditionFailed, detail)
}

/// `DELETE /v1/catalog/items/{item_id}`
pub async fn delete_item(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = caller(&app, &request)?;
    let id = item_id(&request)?;
    match caller.site.catalog.delete(id.as_str(), expectation(&request)?).await.map_err(|e| Problem::store(&e))? {
        None => Err(unknown()),
        Some(Upsert::Stored { .. }) => Ok(HttpResponse::NoContent().finish()),
        Some(Upsert::Conflict { current }) => Err(conflict(current)),
        Some(Upsert::Stale { current }) => Err(conflict(Some(current))),
        Some(Upsert::VectorLength { .. }) => Err(Problem::internal(&"an item was taken out for its vector")),
    }
}

/// `GET /v1/catalog/items?cursor&limit`: in the order items became known.
pub async fn list_items(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = caller(&app, &request)?;
    let query = Query::of(&request);
    let number = |name: &str, default: usize| match query.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Problem::invalid(name, "must be a whole number")),
    };
    let (after, limit) = (number("cursor", 0)?, number("limit", 100)?.clamp(1, 1_000));
    let index = caller.site.catalog.index();
    let items: Vec<Value> = index.items().skip(after).take(limit).filter(|i| !i.withdrawn).map(|i| to_json(&i)).collect();
    let end = after.saturating_add(limit);
    let next = (end < index.len()).then(|| end.to_string());
    Ok(HttpResponse::Ok().json(json!({"items": items, "next_cursor": next})))
}

/// All there is to say about an item; lists leave its vector out, which is longer than the rest.
fn whole(item: &Item) -> Value {
    let mut value = to_json(item);
    if let Some(vector) = &item.vector {
        value["vector"] = json!(vector);
    }
    value
}

fn to_json(item: &Item) -> Value {
    let mut value = json!({
        "item_id": item.id.as_str(),
        "title": item.title,
        "description": item.description,
        "categories": item.categories,
        "brand": item.brand,
        "price": item.price.map(crate::event::UnitPrice::to_decimal),
        "sale_price": item.sale_price.map(crate::event::UnitPrice::to_decimal),
        "currency": item.currency.map(|c| c.as_str().to_owned()),
        "stock": item.stock,
        "availability": item.availability.map(crate::catalog::draft::Availability::as_str),
        "visible": item.visible,
        "recommendable": item.recommendable,
        "image_url": item.image_url,
        "url": item.url,
        "group_id": item.group_id,
        "attributes": item.attributes,
        "observed": item.observed,
    });
    if let Value::Object(map) = &mut value {
        map.retain(|_, v| !v.is_null());
    }
    value
}
