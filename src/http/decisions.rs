//! `GET /v1/recommendations/{placement}` and `POST /v1/decide`: what to show on this page.

pub mod answer;
pub mod asked;
pub mod fields;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use self::answer::Decided;
use self::asked::{ContextBody, DecideBody, IdBody, MAX_IDS, Page, PlacementBody, check};
use super::caller::{Caller, Query};
use super::events::{self, BatchAnswer, BatchWords, Whose};
use super::now;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::collect::beacon::{self, Entry};
use crate::collect::refused::Sent;
use crate::collect::validate::Envelope;
use crate::decide::placement::{self, Placement};
use crate::decide::{Ask, Context, decide};
use crate::event::ids::random_hex;
use crate::event::object::Object;
use crate::event::{ItemId, Timestamp, VisitorId, json};
use crate::profile::store::ProfileStore;
use crate::profile::{Profile, view};

/// `GET /v1/recommendations/{placement}`; nothing stands for a name that is no placement's.
pub async fn recommendations(
    placement: Option<&'static Placement>,
    app: web::Data<Arc<App>>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let _timer = app.metrics.decision_seconds.start_timer();
    let now = now(&app);
    let query = Query::of(&request);
    let caller = Caller::of(&app, &request, &query, None, now)?;
    let whose = events::whose(&app, &caller, &request, query.get("visitor_id"))?;
    let filter = match query.get("filter") {
        None | Some("") => None,
        Some(text) => Some(
            serde_json::from_str(text).map_err(|e| Problem::new(Code::InvalidFilter, format!("`filter` is no JSON: {e}.")))?,
        ),
    };
    let ids = |field: &str| parts(query.get(field).unwrap_or_default()).map(IdBody).collect();
    let count = match query.get("count") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::invalid("count", "must be a whole number"))?),
    };
    let share = |field: &str| match query.get(field) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Problem::invalid(field, "must be a number from 0 to 1")),
    };
    let explain = match query.get("explain") {
        None | Some("false" | "0") => false,
        Some("" | "true" | "1") => true,
        Some(_) => return Err(Problem::invalid("explain", "must be true or false")),
    };
    let wanted = PlacementBody {
        id: placement.map_or_else(|| request.match_info().query("placement"), |known| known.id).into(),
        count,
        filter,
        exclude_ids: ids("exclude_ids"),
        fields: query.get("fields").map(|text| parts(text).collect()),
        diversity: share("diversity")?,
        min_relevance: share("min_relevance")?,
    };
    let context = ContextBody {
        item_id: query.get("item_id").filter(|id| !id.is_empty()).map(|id| IdBody(id.into())),
        cart: ids("cart"),
        viewed: ids("viewed"),
    };
    let page = check(&app, &caller, context, std::iter::once(wanted), explain, None)?;
    let envelope = events::envelope(&app, &caller, &request, &whose, &BatchWords::default(), now);
    let decided = decide_asked(&app, &caller, &envelope, &whose, page, &[], now).await;
    Ok(answer().body(decided.one()))
}

/// Returns what stands between the commas of a parameter.
fn parts(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(',').filter(|part| !part.is_empty()).map(Cow::Borrowed)
}

/// `POST /v1/decide`
pub async fn decide_page(app: web::Data<Arc<App>>, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let mut refusable = Refusable { caller: None, has_events: true };
    let answered = decide_body(&app, &request, payload, &mut refusable).await;
    answered.inspect_err(|problem| {
        if refusable.has_events {
            events::count_refused(&app, &request, refusable.caller.as_ref(), problem);
        }
    })
}

/// What is known of a request for a decision when it is refused.
#[derive(Debug)]
struct Refusable {
    caller: Option<Caller>,
    /// It carries events, or could not be read.
    has_events: bool,
}

async fn decide_body(
    app: &App,
    request: &HttpRequest,
    payload: web::Payload,
    refusable: &mut Refusable,
) -> Result<HttpResponse, Problem> {
    let _timer = app.metrics.decision_seconds.start_timer();
    let now = now(app);
    let query = Query::of(request);
    let bytes = events::batch_body(app, request, payload).await?;
    let text =
        std::str::from_utf8(&bytes).map_err(|e| Problem::new(Code::MalformedJson, format!("The body is not UTF-8: {e}.")))?;
    let Object::<DecideBody<'_>>(body) = serde_json::from_str(text).map_err(|e| {
        let code = if e.is_data() { Code::InvalidRequest } else { Code::MalformedJson };
        Problem::new(code, format!("The body cannot be read: {e}."))
    })?;
    refusable.has_events = !body.events.is_empty();
    let caller = &*refusable.caller.insert(Caller::of(app, request, &query, body.key.as_deref(), now)?);
    let caps = events::caps_of(app, caller, bytes.len())?;
    let whose = events::whose(app, caller, request, body.visitor_id.as_ref().map(|id| &*id.0))?.or_new();
    let invalid = |r: crate::event::Rejection| Problem::new(Code::InvalidRequest, r.detail);
    let words = BatchWords {
        session_id: body.session_id,
        seq: body.seq,
        discarded: Vec::new(),
        sent_at: body.sent_at.map(|v| json::time_from_value("sent_at", v)).transpose().map_err(invalid)?.flatten(),
        consent: body
            .consent
            .filter(|v| !v.is_null())
            .map(json::claim_from_value)
            .transpose()
            .map_err(invalid)?
            .unwrap_or_default(),
    };
    let placements = body.placements.into_iter().map(|Object(placement)| placement);
    let page = check(app, caller, body.context.0, placements, body.explain, body.deadline_ms)?;
    let envelope = events::envelope(app, caller, request, &whose, &words, now);
    let entries = beacon::entries(&body.events, caps);
    // What the page just did counts for its own answer, kept or not.
    let just_seen = just_seen(&entries);
    let mut kept_any = false;
    let mut events: Option<BatchAnswer> = None;
    // A withdrawal is recorded whether or not anything else happened.
    if !entries.is_empty() || envelope.consent.denies_something() {
        // Aside, so that a decision without events does not carry the room this takes.
        match Box::pin(events::accept(app, request, &envelope, entries, Sent::Events(&body.events))).await {
            Ok((results, kept)) => {
                kept_any = kept;
                events = Some(results).filter(|_| !body.events.is_empty());
            }
            // A decision is answered whether or not its events could be kept; the page keeps them and sends them again.
            Err(problem) => tracing::warn!(%problem, "Events of a decision were not kept"),
        }
    }
    let events_lost = events.is_none() && !body.events.is_empty();
    let decided = decide_asked(app, caller, &envelope, &whose, page, &just_seen, now).await;
    let events = match &events {
        Some(events) => Some(serde_json::to_value(events).map_err(|e| Problem::internal(&e))?),
        None => events_lost.then(|| retry_all(&body.events)),
    };
    let mut response = answer();
    if let Some(cookie) = events::set_cookie(app, request, &envelope, &whose, kept_any) {
        response.insert_header((SET_COOKIE, cookie));
    }
    Ok(response.body(decided.whole(events.as_ref())))
}

/// Begins an answer: JSON that holds for this moment and this visitor only.
fn answer() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response
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

/// Decides a page.
async fn decide_asked<'a>(
    app: &App,
    caller: &Caller,
    envelope: &Envelope,
    whose: &Whose,
    page: Page<'a>,
    just_seen: &[ItemId],
    now: Timestamp,
) -> Decided<'a> {
    let profile = if whose.is_known() {
        // Aside, as few requests wait for a profile and all would carry the room it takes.
        Box::pin(usable_profile(app, envelope, whose, page.deadline, now)).await
    } else {
        None
    };
    let memory = profile.as_ref().map(|p| &p.memory);
    let stored_visit = memory.map(|memory| view::session_items(memory, now)).unwrap_or_default();
    let stored_cart = memory.filter(|_| page.cart.is_empty()).map(view::cart).unwrap_or_default();
    let said = just_seen.iter().map(ItemId::as_str).chain(page.item.as_deref()).chain(page.viewed.iter().map(|id| &**id));
    let context = Context {
        item: page.item.as_deref(),
        cart: page.cart.iter().map(|id| &**id).chain(stored_cart.iter().map(|(item, _)| item.as_str())).collect(),
        visit: said.chain(stored_visit.iter().map(|(item, _)| item.as_str())).collect(),
        memory,
        explain: page.explain,
    };
    let asks: Vec<Ask<'_>> = page
        .wanted
        .iter()
        .map(|w| Ask {
            placement: w.placement,
            count: w.count,
            filter: w.filter.as_ref(),
            exclude: &w.exclude,
            diversity: w.diversity,
            min_relevance: w.min_relevance,
        })
        .collect();
    let snapshot = caller.site.live.snapshot();
    let authoritative = caller.site.policy.catalog.authoritative;
    let answers = decide(&snapshot, authoritative, &context, &asks, now, &app.metrics);
    Decided { request_id: random_hex(&mut rand::rng()), snapshot, answers, wanted: page.wanted, explain: page.explain }
}

/// `GET /v1/placements`
pub async fn placements(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request);
    Caller::of(&app, &request, &query, None, now(&app))?.with_role(crate::secrets::Role::Analyst)?;
    let list: Vec<BTreeMap<&str, Value>> = placement::BUILT_IN
        .iter()
        .map(|p| {
            let ladder = p.kind.ladder(true).map_or(Value::Null, |rungs| rungs.iter().map(|r| Value::from(r.as_str())).collect());
            BTreeMap::from([("id", p.id.into()), ("title", p.title.into()), ("ladder", ladder)])
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({"placements": list})))
}
