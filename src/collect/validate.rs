//! What makes a draft an event: lengths, ranges, names, and whose it is.

use crate::collect::loss::GivenUp;
use crate::config::SitePolicy;
use crate::event::draft::DraftLine;
use crate::event::time::{ClientTime, corrected};
use crate::event::{
    ConsentClaim, Currency, CustomerId, Draft, Event, EventId, EventKind, ItemId, Line, Purposes, Rejection, RejectionCode,
    SiteId, Source, Timestamp, UnitPrice, VisitorId,
};

/// Longest name of an item, search term or other text, in bytes.
const MAX_TEXT_BYTES: usize = 500;
/// Most pieces of one line.
const MAX_QUANTITY: i64 = 1_000_000_000;

/// What a batch says about all of its events, and what we know about its sender.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub site: SiteId,
    pub policy: SitePolicy,
    pub source: Source,
    /// Who it is: the cookie's word, or the body's where it is trusted or there is no cookie.
    pub visitor: Option<VisitorId>,
    pub session: Option<String>,
    /// Which batch of the session this is.
    pub seq: Option<i64>,
    /// What the sender gave up since its last batch that was acknowledged.
    pub discarded: Vec<GivenUp>,
    pub sent_at: Option<Timestamp>,
    pub received_at: Timestamp,
    pub consent: ConsentClaim,
    /// `Sec-GPC: 1` was set.
    pub gpc: bool,
    pub max_items: usize,
}

impl Envelope {
    /// Returns the consent for something that happened at `ts`: the event's word, then the batch's, then the policy,
    /// and always less what the browser's privacy signal denies.
    pub fn consent(&self, event: Option<ConsentClaim>, ts: Timestamp) -> crate::event::Consent {
        let own = event.unwrap_or_default();
        let claim = ConsentClaim {
            analytics: own.analytics.or(self.consent.analytics),
            personalization: own.personalization.or(self.consent.personalization),
            marketing: own.marketing.or(self.consent.marketing),
            sale_share: own.sale_share.or(self.consent.sale_share),
            at: own.at.or(self.consent.at),
        };
        let said_something = claim.analytics.or(claim.personalization).or(claim.marketing).or(claim.sale_share).is_some();
        let mut consent = claim.resolve(self.policy.consent.defaults());
        // Something said without a date was said when it happened; nobody consents in the future.
        consent.at = if said_something { Some(consent.at.unwrap_or(ts).min(self.received_at)) } else { None };
        if self.gpc {
            consent.purposes = Purposes {
                sale_share: false,
                personalization: consent.purposes.personalization && !self.policy.consent.gpc_denies_personalization,
                ..consent.purposes
            };
        }
        consent
    }
}

/// Checks a draft and makes it an event.
///
/// The consent of the result is what the sender and the policy say; what is known from elsewhere comes later.
pub fn validate(draft: Draft, envelope: &Envelope) -> Result<Event, Rejection> {
    // Our own record of a withdrawal comes back only from a file we wrote.
    let ours = |kind: &EventKind| *kind == EventKind::ConsentUpdate && envelope.source != Source::Import;
    let kind = EventKind::parse(&draft.kind).filter(|kind| !ours(kind)).ok_or_else(|| {
        Rejection::new(
            RejectionCode::InvalidType,
            "`type` must be a GA4 event name: a letter, then up to 39 letters, digits or `_`.",
        )
    })?;
    let id = EventId::new(&draft.id).map_err(|e| invalid_id("id", e))?;
    let visitor = match (&draft.visitor_id, &envelope.visitor) {
        // A page speaks for the visitor its cookie names; a server or a file names its own.
        (Some(own), batch) if envelope.source.is_trusted() || batch.is_none() => {
            VisitorId::new(own).map_err(|e| invalid_id("visitor_id", e))?
        }
        (_, Some(visitor)) => visitor.clone(),
        (_, None) => {
            return Err(Rejection::new(
                RejectionCode::MissingVisitor,
                "Nobody is named: send `visitor_id`, or let the cookie through.",
            ));
        }
    };
    let time = ClientTime { sent_at: draft.time.sent_at.or(envelope.sent_at), ..draft.time };
    let (ts, received_at) = match envelope.source {
        // Files tell what was recorded; their clocks were corrected when it was.
        Source::Import => (time.ts.unwrap_or(envelope.received_at), draft.recorded.received_at.unwrap_or(envelope.received_at)),
        Source::Browser | Source::Server => (corrected(time, envelope.received_at), envelope.received_at),
    };
    if draft.items.len() > envelope.max_items {
        return Err(Rejection::new(
            RejectionCode::TooManyItems,
            format!("`items` has {} lines; at most {} are allowed.", draft.items.len(), envelope.max_items),
        ));
    }
    if draft.items.is_empty() && kind.needs_items() {
        return Err(Rejection::new(RejectionCode::MissingItems, format!("A `{}` needs `items`.", kind.as_str())));
    }
    let currency =
        match &draft.currency {
            None => None,
            Some(code) => Some(Currency::parse(code).ok_or_else(|| {
                Rejection::new(RejectionCode::InvalidCurrency, "`currency` must be an ISO 4217 code such as EUR.")
            })?),
        };
    let mut params = draft.params;
    let value_minor = match (draft.value, currency) {
        (None, _) => None,
        (Some(value), Some(currency)) => Some(currency.to_minor(value).ok_or_else(|| out_of_range("value"))?),
        (Some(value), None) => {
            // An amount of nothing in particular is no money, but it is not ours to throw away either.
            params.insert("value".to_owned(), value.into());
            None
        }
    };
    let items = draft
        .items
        .into_iter()
        .enumerate()
        .map(|(index, line)| validate_line(line).map_err(|r| Rejection::new(r.code, format!("items[{index}]: {}", r.detail))))
        .collect::<Result<Vec<Line>, Rejection>>()?;
    let customer = draft.customer_id.as_deref().map(CustomerId::new).transpose().map_err(|e| invalid_id("customer_id", e))?;
    let source = match (envelope.source, draft.recorded.source) {
        (Source::Import, Some(recorded)) => recorded,
        (source, _) => source,
    };
    Ok(Event {
        site: envelope.site.clone(),
        id,
        kind,
        visitor,
        customer,
        session: short("session_id", draft.session_id.or_else(|| envelope.session.clone()))?,
        seq: draft.seq.or(envelope.seq),
        ts,
        client_ts: draft.recorded.client_ts.or(if envelope.source == Source::Import { None } else { time.ts }),
        sent_at: time.sent_at,
        received_at,
        consent: envelope.consent(draft.consent, ts),
        source,
        items,
        currency,
        value_minor,
        transaction_id: short("transaction_id", draft.transaction_id)?,
        search_term: text("search_term", draft.search_term)?,
        creative_id: short("creative_id", draft.creative_id)?,
        placement: short("placement", draft.placement)?,
        recommendation_id: short("recommendation_id", draft.recommendation_id)?,
        params: if params.is_empty() { None } else { Some(serde_json::Value::Object(params).to_string().into()) },
    })
}

fn validate_line(line: DraftLine) -> Result<Line, Rejection> {
    let item = ItemId::new(&line.item_id).map_err(|e| invalid_id("item_id", e))?;
    let price = match line.price {
        None => None,
        Some(price) if price >= 0.0 => Some(UnitPrice::from_decimal(price).ok_or_else(|| out_of_range("price"))?),
        Some(_) => return Err(out_of_range("price")),
    };
    if line.quantity.is_some_and(|q| !(0..=MAX_QUANTITY).contains(&q)) {
        return Err(out_of_range("quantity"));
    }
    Ok(Line {
        item,
        name: text("item_name", line.name)?,
        brand: text("item_brand", line.brand)?,
        categories: line
            .categories
            .into_iter()
            .filter_map(|c| text("item_category", Some(c)).transpose())
            .collect::<Result<_, _>>()?,
        variant: text("item_variant", line.variant)?,
        price,
        quantity: line.quantity,
        index: line.index,
    })
}

fn invalid_id(field: &str, error: crate::event::ids::IdError) -> Rejection {
    Rejection::new(RejectionCode::InvalidId, format!("`{field}` {error}."))
}

fn out_of_range(field: &str) -> Rejection {
    Rejection::new(RejectionCode::OutOfRange, format!("`{field}` is negative, not finite or too large."))
}

fn text(field: &str, value: Option<String>) -> Result<Option<Box<str>>, Rejection> {
    bounded(field, value, MAX_TEXT_BYTES)
}

fn short(field: &str, value: Option<String>) -> Result<Option<Box<str>>, Rejection> {
    bounded(field, value, crate::event::ids::MAX_ID_BYTES)
}

/// An empty text says nothing and is the same as none.
fn bounded(field: &str, value: Option<String>, most: usize) -> Result<Option<Box<str>>, Rejection> {
    match value {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) if text.len() > most => {
            Err(Rejection::new(RejectionCode::TooLong, format!("`{field}` is longer than {most} bytes.")))
        }
        Some(text) => Ok(Some(text.into())),
    }
}
