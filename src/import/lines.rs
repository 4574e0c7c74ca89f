//! Formats of one thing a line: our own events, catalog items, bare sessions.

use csv::StringRecord;

use super::ids::Ids;
use super::values::{self, short};
use super::{Bad, Format, Options, Out, Parsed, Rows};
use crate::catalog::draft::ItemDraft;
use crate::event::time::{ClientTime, MINUTE, SECOND};
use crate::event::{ConsentClaim, Draft, DraftLine, EventKind, RejectionCode, Timestamp, json};

/// Our own events. Ids and times are the file's own; `ts` is believed.
pub(super) struct Events {
    currency: Option<String>,
    consent: Option<ConsentClaim>,
}

impl Events {
    pub(super) fn new(options: &Options) -> Self {
        Self { currency: super::clicks::currency(Format::EventsJsonl, options), consent: options.consent }
    }

    fn draft(&self, line: &str) -> Result<Draft, Bad> {
        let mut draft = json::draft_from_str(line)?;
        let time = draft.time;
        // An age counts back from sending, which only a file that also says when can tell.
        let sent = draft.recorded.received_at.or(time.sent_at);
        let aged = time.age.zip(sent).map(|(age, sent)| sent.plus(-age));
        let Some(ts) = time.ts.or(aged) else {
            let detail = "`ts` is missing: an imported event must say when it happened.";
            return Err(Bad::new("missing_time", RejectionCode::InvalidTime, detail));
        };
        draft.time = ClientTime { age: None, ts: Some(ts), sent_at: time.sent_at };
        if draft.consent.is_none() {
            draft.consent = self.consent;
        }
        let money = draft.value.is_some() || draft.items.iter().any(|item| item.price.is_some());
        if draft.currency.is_none() && money {
            draft.currency.clone_from(&self.currency);
        }
        Ok(draft)
    }
}

impl Rows for Events {
    fn row(&mut self, line: u64, fields: &StringRecord, out: &mut Out) {
        let text = fields.get(0).unwrap_or_default();
        match self.draft(text) {
            Ok(draft) => {
                out.word(&draft.kind);
                out.event(line, 1, draft);
            }
            Err(bad) => {
                let kind = known_kind(text);
                out.word(kind.unwrap_or("unreadable"));
                out.reject(line, 1, kind, bad);
            }
        }
    }
}

/// Returns the kind a rejected line names, if it is one of ours.
fn known_kind(line: &str) -> Option<&'static str> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let name = value.get("type")?.as_str()?;
    EventKind::KNOWN.iter().map(EventKind::as_str).find(|known| *known == name)
}

/// Items, one JSON object a line.
pub(super) struct Catalog;

impl Rows for Catalog {
    fn row(&mut self, line: u64, fields: &StringRecord, out: &mut Out) {
        out.word("item");
        match ItemDraft::from_json(fields.get(0).unwrap_or_default()) {
            Ok(draft) => out.queue.push_back(Parsed::Item { draft: Box::new(draft), line }),
            Err(rejection) => out.reject(line, 1, None, rejection.into()),
        }
    }
}

/// Most items of a session; beyond that it is a robot or a broken file.
const MAX_SESSION_ITEMS: usize = 5_000;

/// One session a line. The order of the file is time: session *n* begins *n* minutes after the base time and looks at one
/// item a second, as a visitor of its own, `session-<n>`.
pub(super) struct Sessions {
    base: Timestamp,
    next: i64,
    ids: Ids,
    consent: Option<ConsentClaim>,
}

impl Sessions {
    pub(super) fn new(options: &Options) -> Self {
        let ids = Ids::new(Format::Sessions.as_str());
        Self { base: options.base_time, next: 0, ids, consent: options.consent }
    }
}

impl Rows for Sessions {
    fn row(&mut self, line: u64, fields: &StringRecord, out: &mut Out) {
        out.word("session");
        let number = self.next;
        self.next += 1;
        let text = fields.get(0).unwrap_or_default();
        let kind = super::baskets::static_name(&EventKind::ViewItem);
        let items: Vec<&str> = text.split_ascii_whitespace().collect();
        if items.len() > MAX_SESSION_ITEMS {
            let detail = format!("The session has {} items; at most {MAX_SESSION_ITEMS} are read.", items.len());
            return out.reject(line, 1, Some(kind), Bad::new("too_many_items", RejectionCode::TooManyItems, detail));
        }
        for item in &items {
            if let Err(mut bad) = values::id("item id", item, "missing_item_id") {
                bad.rejection.detail = format!("An item id is longer than 200 bytes: `{}`.", short(item));
                return out.reject(line, 1, Some(kind), bad);
            }
        }
        let visitor = format!("session-{number}");
        let start = self.base.plus(number.saturating_mul(MINUTE));
        let mut at = start;
        for (index, item) in items.iter().enumerate() {
            let id = self.ids.id(&[&at.0.to_le_bytes(), visitor.as_bytes(), item.as_bytes()]);
            let draft = Draft {
                id,
                kind: kind.to_owned(),
                visitor_id: Some(visitor.clone()),
                session_id: Some(visitor.clone()),
                time: ClientTime { ts: Some(at), ..ClientTime::default() },
                consent: self.consent,
                items: vec![DraftLine { item_id: (*item).to_owned(), ..DraftLine::default() }],
                ..Draft::default()
            };
            out.event(line, u32::from(index == 0), draft);
            at = at.plus(SECOND);
        }
    }
}
