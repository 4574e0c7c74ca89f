//! `POST /v1/events` and `/v1/segment/…`: beacons.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::header::SET_COOKIE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::caller::{self, Caller, Query};
use super::problem::{Code, Problem};
use super::{body, now};
use crate::app::App;
use crate::collect::Fates;
use crate::collect::beacon::{self, Beacon, BeaconError, Caps, Entry};
use crate::collect::loss::GivenUp;
use crate::collect::outcome::Outcome;
use crate::collect::refused::Sent;
use crate::collect::segment::{self, Call};
use crate::collect::validate::Envelope;
use crate::event::{ConsentClaim, SiteId, Timestamp, VisitorId};
use crate::secrets::Secrets;

/// The answer to a batch.
#[derive(Debug, Serialize)]
pub struct BatchAnswer {
    /// One result per event id.
    pub results: HashMap<String, EventResult>,
    /// Events whose id could not be read, by their place in the batch.
    pub errors: Vec<EventError>,
}

/// What became of one event.
#[derive(Debug, Serialize)]
pub struct EventResult {
    pub result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What is wrong with an event that has no readable id.
#[derive(Debug, Serialize)]
pub struct EventError {
    pub index: usize,
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl From<BeaconError> for Problem {
    fn from(error: BeaconError) -> Self {
        let code = match error {
            BeaconError::Malformed(_) => Code::MalformedJson,
            BeaconError::Invalid(_) => Code::InvalidBatch,
        };
        Self::new(code, error.to_string())
    }
}

/// Returns how large a caller's batches may be, or refuses a body that is larger.
pub fn caps_of(app: &App, caller: &Caller, body_bytes: usize) -> Result<Caps, Problem> {
    let c = &app.config.collect;
    let (body_kib, events, event_kib) = if caller.is_server() {
        (c.server_body_kib, c.server_batch_events, c.server_event_kib)
    } else {
        (c.browser_body_kib, c.browser_batch_events, c.browser_event_kib)
    };
    if body_bytes > body_kib << 10 {
        return Err(Problem::new(Code::BodyTooLarge, format!("The body may have {} bytes with this key.", body_kib << 10)));
    }
    Ok(Caps { events, event_bytes: event_kib << 10 })
}

/// Who a batch is about, and whether the browser must be told.
#[derive(Debug)]
pub struct Whose {
    pub visitor: Option<VisitorId>,
    /// The cookie proved it, or a secret key said so.
    pub proven: bool,
    /// The id was made just now; it becomes a cookie if consent allows.
    minted: bool,
    had_cookie: bool,
}

impl Whose {
    /// Returns whether there may be something to remember: proven, and not made up just now.
    pub fn is_known(&self) -> bool {
        self.visitor.is_some() && self.proven && !self.minted
    }

    /// Makes up a visitor where a page names nobody: what it sends may have to be kept under some id.
    #[must_use]
    pub fn or_new(self) -> Self {
        if self.visitor.is_some() || self.proven {
            return self;
        }
        Self { visitor: Secrets::mint(&mut rand::rng()), proven: true, minted: true, ..self }
    }
}

/// Returns who a request is about. The cookie wins over the body, except with a secret key.
pub fn whose(app: &App, caller: &Caller, request: &HttpRequest, body_id: Option<&str>) -> Result<Whose, Problem> {
    let body_id = body_id
        .filter(|id| !id.is_empty())
        .map(VisitorId::new)
        .transpose()
        .map_err(|e| Problem::new(Code::InvalidRequest, format!("`visitor_id` {e}.")))?;
    if caller.is_server() {
        return Ok(Whose { visitor: body_id, proven: true, minted: false, had_cookie: false });
    }
    if let Some(visitor) = caller::cookie_visitor(app, &caller.site.id, request) {
        return Ok(Whose { visitor: Some(visitor), proven: true, minted: false, had_cookie: true });
    }
    Ok(Whose { visitor: body_id, proven: false, minted: false, had_cookie: false })
}

/// Returns what a batch says about all of its events.
pub fn envelope(
    app: &App,
    caller: &Caller,
    request: &HttpRequest,
    whose: &Whose,
    batch: &BatchWords,
    now: Timestamp,
) -> Envelope {
    Envelope {
        site: caller.site.id.clone(),
        policy: caller.site.policy,
        source: caller.source(),
        visitor: whose.visitor.clone(),
        session: batch.session_id.clone(),
        seq: batch.seq,
        discarded: batch.discarded.clone(),
        sent_at: batch.sent_at,
        received_at: now,
        consent: batch.consent,
        gpc: caller::gpc(request),
        max_items: app.config.collect.max_items,
    }
}

/// The words of a batch that hold for all of its events.
#[derive(Debug, Default)]
pub struct BatchWords {
    pub session_id: Option<String>,
    pub seq: Option<i64>,
    pub discarded: Vec<GivenUp>,
    pub sent_at: Option<Timestamp>,
    pub consent: ConsentClaim,
}

/// Returns the `Set-Cookie` header an answer needs: a new visitor who consented gets one, who withdrew loses it.
pub fn set_cookie(app: &App, request: &HttpRequest, envelope: &Envelope, whose: &Whose, kept_any: bool) -> Option<String> {
    let visitor = whose.visitor.as_ref()?;
    let consent = envelope.consent(None, envelope.received_at);
    let http = &app.config.http;
    let cookie =
        |days| app.secrets.visitor_cookie(&envelope.site, visitor, days, http.cookie_cross_site, caller::is_secure(app, request));
    if whose.minted && (kept_any || consent.purposes.storage().is_some()) {
        return Some(cookie(http.cookie_days));
    }
    // Only an explicit word takes it away, not a batch that forgot to say anything.
    (whose.had_cookie && consent.at.is_some() && consent.purposes.storage().is_none()).then(|| cookie(0))
}

/// Counts a request that was refused as a whole, whose events nobody has counted one by one.
pub fn count_refused(app: &App, request: &HttpRequest, caller: Option<&Caller>, problem: &Problem) {
    // Before these, each event has got its outcome.
    if !matches!(problem.code, Code::EventsNotKept | Code::Internal) {
        let known = caller.map(|caller| &caller.site.id).or(problem.site.as_ref()).cloned();
        let site = known.or_else(|| caller::site_of_key(app, request));
        let labels = [site.as_ref().map_or("", SiteId::as_str), problem.code.slug()];
        app.metrics.batches_refused.with_label_values(&labels).inc();
    }
}

/// Reads a body that may hold events.
pub async fn batch_body(app: &App, request: &HttpRequest, payload: web::Payload) -> Result<web::Bytes, Problem> {
    body::check_type(request)?;
    body::read(request, payload, app.config.collect.server_body_kib << 10).await
}

/// Returns the caps of whose key a batch carries, in its body or elsewhere in the request; `known` is who that is.
fn caps_by_key(
    app: &App,
    request: &HttpRequest,
    key: Option<&str>,
    now: Timestamp,
    body_bytes: usize,
    known: &mut Option<Caller>,
) -> Result<Caps, Problem> {
    let caller = known.insert(Caller::of(app, request, &Query::of(request), key, now)?.with_key()?);
    caps_of(app, caller, body_bytes)
}

/// `POST /v1/events`
pub async fn post(app: web::Data<Arc<App>>, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let mut caller = None;
    let answered = post_batch(&app, &request, payload, &mut caller).await;
    answered.inspect_err(|problem| count_refused(&app, &request, caller.as_ref(), problem))
}

async fn post_batch(
    app: &App,
    request: &HttpRequest,
    payload: web::Payload,
    known: &mut Option<Caller>,
) -> Result<HttpResponse, Problem> {
    let _timer = app.metrics.beacon_seconds.start_timer();
    let now = now(app);
    let bytes = batch_body(app, request, payload).await?;
    let beacon: Beacon = beacon::decode(&bytes, |key| caps_by_key(app, request, key, now, bytes.len(), known))?;
    let Some(caller) = known else { return Err(Problem::new(Code::MissingKey, "No key was sent.")) };
    let whose = whose(app, caller, request, beacon.visitor_id.as_deref())?.or_new();
    let words = BatchWords {
        session_id: beacon.session_id,
        seq: beacon.seq,
        discarded: beacon.discarded,
        sent_at: beacon.sent_at,
        consent: beacon.consent,
    };
    let envelope = envelope(app, caller, request, &whose, &words, now);
    answer(app, request, &envelope, &whose, beacon.events, Sent::Beacon(&bytes), serde_json::to_vec).await
}

/// `POST /v1/segment/{track,identify,page,batch}`
pub async fn post_segment(
    call: Call,
    app: web::Data<Arc<App>>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut caller = None;
    let answered = post_calls(call, &app, &request, payload, &mut caller).await;
    answered.inspect_err(|problem| count_refused(&app, &request, caller.as_ref(), problem))
}

async fn post_calls(
    call: Call,
    app: &App,
    request: &HttpRequest,
    payload: web::Payload,
    known: &mut Option<Caller>,
) -> Result<HttpResponse, Problem> {
    let _timer = app.metrics.beacon_seconds.start_timer();
    let now = now(app);
    let bytes = batch_body(app, request, payload).await?;
    let batch = segment::decode(call, &bytes, |key| caps_by_key(app, request, key, now, bytes.len(), known))?;
    let Some(caller) = known else { return Err(Problem::new(Code::MissingKey, "No key was sent.")) };
    // A call names its own visitor; a page without one is whom the cookie says.
    let named = batch.entries.iter().find_map(|e| e.decoded.as_ref().ok()?.visitor_id.clone());
    let whose = whose(app, caller, request, named.as_deref())?.or_new();
    let words = BatchWords { sent_at: batch.sent_at, ..BatchWords::default() };
    let envelope = envelope(app, caller, request, &whose, &words, now);
    answer(app, request, &envelope, &whose, batch.entries, Sent::Segment(call, &bytes), |results| {
        let mut value = serde_json::to_value(results)?;
        value["success"] = true.into();
        serde_json::to_vec(&value)
    })
    .await
}

/// Takes a batch in and says what became of it.
pub async fn accept(
    app: &App,
    request: &HttpRequest,
    envelope: &Envelope,
    entries: Vec<Entry>,
    sent: Sent<'_>,
) -> Result<(BatchAnswer, bool), Problem> {
    let (ids, decoded): (Vec<_>, Vec<_>) = entries.into_iter().map(|entry| (entry.id, entry.decoded)).unzip();
    let Fates { outcomes, lost } = app.collector.accept(envelope, caller::user_agent(request), decoded, sent).await;
    // A batch without events may hold a withdrawal, and its sender must know that it was not recorded.
    if lost.is_some() && outcomes.iter().all(|outcome| matches!(outcome, Outcome::Retry(_))) {
        return Err(Problem::new(Code::EventsNotKept, "None of the events could be kept; send them again."));
    }
    // Only now: a sender that is refused tells it again.
    app.collector.note_given_up(envelope);
    let kept_any = outcomes.iter().any(|o| matches!(o, Outcome::Ok(_)));
    let mut answer = BatchAnswer { results: HashMap::with_capacity(ids.len()), errors: Vec::new() };
    for (index, (id, outcome)) in ids.into_iter().zip(outcomes).enumerate() {
        let detail = outcome.detail().map(str::to_owned);
        match id {
            // An id that is sent twice in a batch has the result of its first copy.
            Some(id) => {
                answer.results.entry(id).or_insert(EventResult { result: outcome.result(), code: outcome.code(), detail });
            }
            None => answer.errors.push(EventError { index, code: outcome.code().unwrap_or("missing_id"), detail }),
        }
    }
    Ok((answer, kept_any))
}

async fn answer(
    app: &App,
    request: &HttpRequest,
    envelope: &Envelope,
    whose: &Whose,
    entries: Vec<Entry>,
    sent: Sent<'_>,
    write: impl FnOnce(&BatchAnswer) -> serde_json::Result<Vec<u8>>,
) -> Result<HttpResponse, Problem> {
    let (results, kept_any) = accept(app, request, envelope, entries, sent).await?;
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if let Some(cookie) = set_cookie(app, request, envelope, whose, kept_any) {
        response.insert_header((SET_COOKIE, cookie));
    }
    let body = write(&results).map_err(|e| Problem::internal(&e))?;
    Ok(response.body(body))
}
