//! `GET /v1/recommendations/{placement}` and `POST /v1/decide`: what to show on this page.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::SET_COOKIE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::caller::{Caller, Query};
use super::events::{self, BatchAnswer, BatchWords, Whose};
use super::problem::{Code, Problem};
use super::{body, now};
use crate::app::App;
use crate::catalog::item::Item;
use crate::collect::beacon::{self, Entry};
use crate::collect::validate::Envelope;
use crate::decide::filter::Filter;
use crate::decide::placement::{self, Kind, Placement};
use crate::decide::{Answer, Ask, Context, decide};
use crate::event::ids::random_hex;
use crate::event::json::Object;
use crate::event::{ItemId, Timestamp, VisitorId, json};
use crate::live::serving::Relation;
use crate::live::{Snapshot, serving};
use crate::profile::store::ProfileStore;
use crate::profile::{Profile, view};
use rapport_models::cooccurrence;

/// Waiting for a profile takes no longer than this; a decision without one beats a late one.
const PROFILE_DEADLINE: Duration = Duration::from_millis(100);
/// Items of a visit a request may name, and ids it may exclude.
const MAX_IDS: usize = 500;
/// Fields of the catalog an answer holds where the request does not choose.
const DEFAULT_FIELDS: &[&str] = &["title", "price", "currency", "image_url", "url"];
const FIELDS: &[&str] = &[
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

/// The body of `/v1/decide`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DecideBody<'a> {
    key: Option<String>,
    visitor_id: Option<String>,
    session_id: Option<String>,
    seq: Option<i64>,
    sent_at: Option<Value>,
    consent: Option<Value>,
    context: Object<ContextBody>,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    placements: Vec<Object<PlacementBody>>,
    explain: bool,
    deadline_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContextBody {
    item_id: Option<IdBody>,
    cart: Vec<IdBody>,
    viewed: Vec<IdBody>,
}

/// An id may be written as a whole number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum IdBody {
    Text(String),
    Number(u64),
}

impl IdBody {
    fn item(&self, field: &str) -> Result<ItemId, Problem> {
        let id = match self {
            Self::Text(text) => ItemId::new(text),
            Self::Number(number) => ItemId::new(&number.to_string()),
        };
        id.map_err(|e| Problem::new(Code::InvalidRequest, format!("`{field}` {e}.")))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PlacementBody {
    id: String,
    count: Option<usize>,
    filter: Option<Value>,
    exclude_ids: Vec<IdBody>,
    fields: Option<Vec<String>>,
}

/// One placement, checked.
struct Wanted {
    placement: &'static Placement,
    count: usize,
    filter: Option<Filter>,
    exclude: HashSet<String>,
    fields: Vec<String>,
}

/// What a decision is about, checked; the same for both routes.
struct Page {
    item: Option<ItemId>,
    cart: Vec<ItemId>,
    viewed: Vec<ItemId>,
    wanted: Vec<Wanted>,
    explain: bool,
    deadline: Duration,
}

/// `GET /v1/recommendations/{placement}`
pub async fn recommendations(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let _timer = app.metrics.decision_seconds.start_timer();
    let now = now(&app);
    let query = Query::of(&request)?;
    let caller = Caller::of(&app, &request, &query, None, now)?;
    let whose = events::whose(&app, &caller, &request, query.get("visitor_id"))?;
    let name = request.match_info().query("placement");
    let filter = match query.get("filter") {
        None | Some("") => None,
        Some(text) => Some(
            serde_json::from_str(text).map_err(|e| Problem::new(Code::InvalidFilter, format!("`filter` is no JSON: {e}.")))?,
        ),
    };
    let list = |field: &str| -> Vec<IdBody> {
        let text = query.get(field).unwrap_or_default();
        text.split(',').filter(|id| !id.is_empty()).map(|id| IdBody::Text(id.to_owned())).collect()
    };
    let count = match query.get("count") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::invalid("count", "must be a whole number"))?),
    };
    let explain = match query.get("explain") {
        None | Some("false" | "0") => false,
        Some("" | "true" | "1") => true,
        Some(_) => return Err(Problem::invalid("explain", "must be true or false")),
    };
    let wanted = PlacementBody {
        id: name.to_owned(),
        count,
        filter,
        exclude_ids: list("exclude_ids"),
        fields: query.get("fields").map(|text| text.split(',').filter(|f| !f.is_empty()).map(str::to_owned).collect()),
    };
    let context = ContextBody {
        item_id: query.get("item_id").filter(|id| !id.is_empty()).map(|id| IdBody::Text(id.to_owned())),
        cart: list("cart"),
        viewed: list("viewed"),
    };
    let page = check(&app, &caller, &context, vec![wanted], explain, None)?;
    let envelope = events::envelope(&app, &caller, &request, &whose, &BatchWords::default(), now);
    let (request_id, mut answers) = page_answers(&app, &caller, &envelope, &whose, page, &[], now).await;
    let Some((_, Value::Object(mut answer))) = answers.pop() else {
        return Err(Problem::internal(&"a placement had no answer"));
    };
    answer.insert("request_id".to_owned(), request_id.into());
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header(("Cache-Control", "no-store"))
        .body(Value::Object(answer).to_string()))
}

/// `POST /v1/decide`
pub async fn decide_page(app: web::Data<Arc<App>>, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let _timer = app.metrics.decision_seconds.start_timer();
    let now = now(&app);
    let query = Query::of(&request)?;
    body::check_type(&request)?;
    let bytes = body::read(&request, payload, app.config.collect.server_body_kib << 10).await?;
    let text =
        std::str::from_utf8(&bytes).map_err(|e| Problem::new(Code::MalformedJson, format!("The body is not UTF-8: {e}.")))?;
    let Object::<DecideBody<'_>>(body) = serde_json::from_str(text).map_err(|e| {
        let code = if e.is_data() { Code::InvalidRequest } else { Code::MalformedJson };
        Problem::new(code, format!("The body cannot be read: {e}."))
    })?;
    let caller = Caller::of(&app, &request, &query, body.key.as_deref(), now)?;
    let caps = events::caps_of(&app, &caller, bytes.len())?;
    let whose = events::whose(&app, &caller, &request, body.visitor_id.as_deref())?;
    let invalid = |r: crate::event::Rejection| Problem::new(Code::InvalidRequest, r.detail);
    let words = BatchWords {
        session_id: body.session_id,
        seq: body.seq,
        sent_at: body.sent_at.map(|v| json::time_from_value("sent_at", v)).transpose().map_err(invalid)?.flatten(),
        consent: body
            .consent
            .filter(|v| !v.is_null())
            .map(json::claim_from_value)
            .transpose()
            .map_err(invalid)?
            .unwrap_or_default(),
    };
    let placements = body.placements.into_iter().map(|Object(placement)| placement).collect();
    let page = check(&app, &caller, &body.context.0, placements, body.explain, body.deadline_ms)?;
    let envelope = events::envelope(&app, &caller, &request, &whose, &words, now);
    let entries = beacon::entries(&body.events, caps);
    // What the page just did counts for its own answer, kept or not.
    let just_seen = just_seen(&entries);
    let mut kept_any = false;
    let mut events: Option<BatchAnswer> = None;
    if !entries.is_empty() {
        match events::accept(&app, &request, &envelope, entries).await {
            Ok((results, kept)) => {
                kept_any = kept;
                events = Some(results);
            }
            // A decision is answered whether or not its events could be kept; the page keeps them and sends them again.
            Err(problem) => tracing::warn!(%problem, "Events of a decision were not kept"),
        }
    }
    let events_lost = events.is_none() && !body.events.is_empty();
    let (request_id, answers) = page_answers(&app, &caller, &envelope, &whose, page, &just_seen, now).await;
    let mut answer = Map::new();
    answer.insert("request_id".to_owned(), request_id.into());
    answer.insert("placements".to_owned(), Value::Object(answers.into_iter().map(|(id, a)| (id.to_owned(), a)).collect()));
    if let Some(events) = &events {
        answer.insert("events".to_owned(), serde_json::to_value(events).map_err(|e| Problem::internal(&e))?);
    } else if events_lost {
        answer.insert("events".to_owned(), retry_all(&body.events));
    }
    let mut response = HttpResponse::Ok();
    response.content_type("application/json").insert_header(("Cache-Control", "no-store"));
    if let Some(cookie) = events::set_cookie(&app, &request, &envelope, &whose, kept_any) {
        response.insert_header((SET_COOKIE, cookie));
    }
    Ok(response.body(Value::Object(answer).to_string()))
}

/// Nothing could be kept: every event of the request is to be sent again.
fn retry_all(events: &[&RawValue]) -> Value {
    let ids = events.iter().filter_map(|raw| beacon::id_of(raw.get()));
    let results: Map<String, Value> = ids.map(|id| (id, json!({"result": "retry", "code": "log_unavailable"}))).collect();
    json!({"results": results, "errors": []})
}

/// Returns the items the request's own events looked at, newest first.
fn just_seen(entries: &[Entry]) -> Vec<ItemId> {
    let drafts = entries.iter().rev().filter_map(|e| e.decoded.as_ref().ok());
    let interest = drafts.filter(|d| matches!(d.kind.as_str(), "view_item" | "select_item" | "add_to_cart"));
    interest.flat_map(|d| &d.items).filter_map(|line| ItemId::new(&line.item_id).ok()).take(MAX_IDS).collect()
}

fn check(
    app: &App,
    caller: &Caller,
    context: &ContextBody,
    placements: Vec<PlacementBody>,
    explain: bool,
    deadline_ms: Option<u64>,
) -> Result<Page, Problem> {
    let limits = app.config.decide;
    if explain && !caller.may_explain() {
        return Err(Problem::new(Code::ExplainNeedsSecretKey, "`explain` needs a secret key or a role token."));
    }
    if placements.is_empty() {
        return Err(Problem::invalid("placements", "must name at least one placement"));
    }
    if placements.len() > limits.max_placements {
        return Err(Problem::invalid("placements", &format!("may name {} placements", limits.max_placements)));
    }
    let ids = |field: &str, list: &[IdBody]| -> Result<Vec<ItemId>, Problem> {
        if list.len() > MAX_IDS {
            return Err(Problem::invalid(field, &format!("may hold {MAX_IDS} ids")));
        }
        list.iter().map(|id| id.item(field)).collect()
    };
    let mut named = HashSet::new();
    let wanted = placements
        .into_iter()
        .map(|wanted| {
            let placement = placement::find(&wanted.id).ok_or_else(|| {
                let known: Vec<&str> = placement::BUILT_IN.iter().map(|p| p.id).collect();
                Problem::new(Code::UnknownPlacement, format!("There is no such placement; there are {}.", known.join(", ")))
            })?;
            if !named.insert(placement.id) {
                return Err(Problem::invalid("placements", &format!("names `{}` twice", placement.id)));
            }
            let count = wanted.count.unwrap_or(limits.default_count);
            if !(1..=limits.max_count).contains(&count) {
                return Err(Problem::invalid("count", &format!("must be between 1 and {}", limits.max_count)));
            }
            let filter = wanted
                .filter
                .filter(|f| !f.is_null())
                .map(|f| Filter::compile(&f).map_err(|e| Problem::new(Code::InvalidFilter, format!("{e}."))))
                .transpose()?;
            let fields = wanted.fields.unwrap_or_else(|| DEFAULT_FIELDS.iter().map(|f| (*f).to_owned()).collect());
            if let Some(stranger) = fields.iter().find(|f| !FIELDS.contains(&f.as_str())) {
                return Err(Problem::invalid("fields", &format!("names `{stranger}`; there are {}", FIELDS.join(", "))));
            }
            let exclude = ids("exclude_ids", &wanted.exclude_ids)?.iter().map(|id| id.as_str().to_owned()).collect();
            Ok(Wanted { placement, count, filter, exclude, fields })
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    if deadline_ms == Some(0) {
        return Err(Problem::invalid("deadline_ms", "must be at least 1"));
    }
    Ok(Page {
        item: context.item_id.as_ref().map(|id| id.item("item_id")).transpose()?,
        cart: ids("cart", &context.cart)?,
        viewed: ids("viewed", &context.viewed)?,
        wanted,
        explain,
        deadline: deadline_ms.map_or(PROFILE_DEADLINE, |ms| Duration::from_millis(ms).min(PROFILE_DEADLINE)),
    })
}

/// Returns the profile that may be used: of a visitor who is proven, and who allowed it.
async fn usable_profile(app: &App, envelope: &Envelope, whose: &Whose, deadline: Duration, now: Timestamp) -> Option<Profile> {
    let visitor: &VisitorId = whose.visitor.as_ref().filter(|_| whose.is_known())?;
    let visitors = [visitor.as_str()];
    let read = app.profiles.get_many(envelope.site.as_str(), &visitors);
    let stored = match tokio::time::timeout(deadline, read).await {
        Ok(Ok(mut stored)) => stored.pop().flatten()?,
        Ok(Err(_)) | Err(_) => {
            app.metrics.profiles_unavailable.inc();
            return None;
        }
    };
    let profile = Profile::decode(&stored.blob).ok()?;
    let said = envelope.consent(None, now);
    let mut purposes = said.later(profile.consent).purposes;
    if envelope.gpc {
        purposes = crate::event::Purposes::from_bits(purposes.bits() & said.purposes.bits());
    }
    purposes.personalization.then_some(profile)
}

/// Decides a page and writes its answers.
async fn page_answers(
    app: &App,
    caller: &Caller,
    envelope: &Envelope,
    whose: &Whose,
    page: Page,
    just_seen: &[ItemId],
    now: Timestamp,
) -> (String, Vec<(&'static str, Value)>) {
    let profile = usable_profile(app, envelope, whose, page.deadline, now).await;
    let memory = profile.as_ref().map(|p| &p.memory);
    let mut visit: Vec<ItemId> = just_seen.to_vec();
    visit.extend(page.item.iter().cloned());
    visit.extend(page.viewed);
    let mut cart = page.cart;
    if let Some(memory) = memory {
        visit.extend(view::session_items(memory, now).into_iter().map(|(item, _)| item.clone()));
        if cart.is_empty() {
            cart = view::cart(memory).into_iter().map(|(item, _)| item).collect();
        }
    }
    let mut known = HashSet::new();
    visit.retain(|item| known.insert(item.clone()));
    let context = Context { item: page.item, cart, visit, memory };
    let asks: Vec<Ask<'_>> = page
        .wanted
        .iter()
        .map(|w| Ask { placement: w.placement, count: w.count, filter: w.filter.as_ref(), exclude: &w.exclude })
        .collect();
    let snapshot = caller.site.live.snapshot();
    let authoritative = caller.site.policy.catalog.authoritative;
    let answers = decide(&snapshot, authoritative, &context, &asks, now, &app.metrics);
    let request_id = random_hex(&mut rand::rng());
    let written = answers
        .into_iter()
        .zip(&page.wanted)
        .enumerate()
        .map(|(n, (answer, wanted))| {
            (answer.placement.id, write(&snapshot, &answer, wanted, &format!("{request_id}-{n}"), page.explain))
        })
        .collect();
    (request_id, written)
}

/// What every placement's answer says.
#[derive(Serialize)]
struct Frame<'a> {
    placement: &'a str,
    recommendation_id: &'a str,
    build: Option<&'a str>,
    rules_revision: u64,
    served_by: &'a str,
    in_holdout: bool,
    experiments: [&'a str; 0],
}

fn write(snapshot: &Snapshot, answer: &Answer, wanted: &Wanted, recommendation_id: &str, explain: bool) -> Value {
    let build = snapshot.build.as_deref();
    let frame = Frame {
        placement: answer.placement.id,
        recommendation_id,
        build: build.map(|b| b.id.as_str()),
        rules_revision: 0,
        served_by: answer.served_by.map_or("empty", placement::Rung::as_str),
        in_holdout: false,
        experiments: [],
    };
    let mut value = serde_json::to_value(frame).unwrap_or_default();
    if matches!(answer.placement.kind, Kind::Creative) {
        value["kind"] = "creative".into();
        value["creative"] = Value::Null;
        return value;
    }
    let items: Vec<Value> = answer
        .items
        .iter()
        .enumerate()
        .map(|(n, shown)| {
            let rung = shown.candidate.rung;
            let because = shown.candidate.because.and_then(|slot| snapshot.index.slot(slot)).map(|slot| slot.item().id.clone());
            let mut reason = json!({"code": rung.reason()});
            if let Some(because) = &because {
                reason["item_id"] = because.as_str().into();
            }
            let mut item = json!({
                "item_id": shown.item.id.as_str(),
                "position": n + 1,
                "score": shown.candidate.score,
                "source": rung.as_str(),
                "reasons": [reason],
                "rules": [],
                "pinned": false,
            });
            put_fields(&mut item, &shown.item, &wanted.fields);
            if explain {
                item["explain"] = explain_item(snapshot, build, &shown.candidate);
            }
            item
        })
        .collect();
    value["items"] = Value::Array(items);
    if explain {
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
        value["explain"] = json!({"ladder": rungs, "displaced": displaced});
    }
    value
}

fn explain_item(
    snapshot: &Snapshot,
    build: Option<&serving::ServedBuild>,
    candidate: &crate::decide::candidates::Candidate,
) -> Value {
    let mut explained = json!({"source": candidate.rung.as_str(), "score": candidate.score});
    let relation = if candidate.rung == placement::Rung::CoView { Relation::Viewed } else { Relation::Bought };
    let both = candidate.because.and_then(|slot| snapshot.item_of(slot)).zip(snapshot.item_of(candidate.slot));
    if let (Some(build), Some((anchor, item)), true) = (build, both, candidate.support > 0) {
        let (a, b) = (build.count(relation, anchor), build.count(relation, item));
        let groups = match relation {
            Relation::Bought => build.baskets,
            Relation::Viewed => build.sessions,
        };
        explained["support"] = json!({"together": candidate.support, "anchor": a, "item": b, "groups": groups});
        let groups = u32::try_from(groups).unwrap_or(u32::MAX);
        explained["llr"] = json!(cooccurrence::log_likelihood_ratio(candidate.support, a, b, groups));
        explained["lift"] = json!(cooccurrence::lift(candidate.support, a, b, groups));
    }
    explained
}

/// Puts the chosen fields of the catalog into an item of an answer.
fn put_fields(answer: &mut Value, item: &Item, fields: &[String]) {
    let text = |t: &Option<Box<str>>| t.as_deref().map(Value::from);
    for field in fields {
        let value = match field.as_str() {
            "title" => text(&item.title),
            "description" => text(&item.description),
            "categories" => Some(item.categories.iter().map(|c| Value::from(&**c)).collect()),
            "brand" => text(&item.brand),
            "price" => item.current_price().map(|p| json!(p.to_decimal())),
            "list_price" => item.price.map(|p| json!(p.to_decimal())),
            "currency" => item.currency.map(|c| json!(c.as_str())),
            "stock" => item.stock.map(Value::from),
            "availability" => item.availability.map(|a| Value::from(a.as_str())),
            "image_url" => text(&item.image_url),
            "url" => text(&item.url),
            "group_id" => text(&item.group_id),
            "attributes" => Some(json!(item.attributes)),
            _ => None,
        };
        if let Some(value) = value {
            answer[field.as_str()] = value;
        }
    }
}

/// `GET /v1/placements`
pub async fn placements(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request)?;
    Caller::of(&app, &request, &query, None, now(&app))?.with_role(crate::secrets::Role::Analyst)?;
    let list: Vec<BTreeMap<&str, Value>> = placement::BUILT_IN
        .iter()
        .map(|p| {
            let ladder = match p.kind {
                Kind::Items(rungs) => rungs.iter().map(|r| Value::from(r.as_str())).collect(),
                Kind::Creative => Value::Null,
            };
            BTreeMap::from([("id", p.id.into()), ("title", p.title.into()), ("ladder", ladder)])
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({"placements": list})))
}
