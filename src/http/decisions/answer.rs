//! How a decision is written.

use std::sync::Arc;

use rapport_models::cooccurrence;
use serde_json::{Value, json};

use super::super::json_text::Json;
use super::asked::Wanted;
use super::fields::Fields;
use crate::catalog::item::Item;
use crate::decide::candidates::Candidate;
use crate::decide::placement::{Kind, Rung};
use crate::decide::{Answer, Shown};
use crate::live::Snapshot;
use crate::live::serving::Relation;

/// A decided page, ready to be written.
#[derive(Debug)]
pub struct Decided<'a> {
    pub request_id: String,
    pub snapshot: Arc<Snapshot>,
    /// One for each of `wanted`.
    pub answers: Vec<Answer>,
    pub wanted: Vec<Wanted<'a>>,
    pub explain: bool,
}

/// Bytes of an answer without its items, and of an item with common fields: a guess that saves growing.
const FRAME_BYTES: usize = 512;
const ITEM_BYTES: usize = 384;

impl Decided<'_> {
    /// Writes the answer of `GET /v1/recommendations/{placement}`.
    pub fn one(&self) -> Vec<u8> {
        let mut json = self.begin();
        for (number, (answer, wanted)) in self.placements().enumerate().take(1) {
            json.raw(",");
            self.placement(number, answer, wanted, &mut json);
        }
        json.raw("}");
        json.into_bytes()
    }

    /// Writes the answer of `POST /v1/decide`: all placements, and what became of the request's events.
    pub fn whole(&self, events: Option<&Value>) -> Vec<u8> {
        let mut json = self.begin();
        json.raw(r#","placements":{"#);
        json.list(self.placements().enumerate(), |json, (number, (answer, wanted))| {
            json.text(answer.placement.id).raw(":{");
            self.placement(number, answer, wanted, json);
            json.raw("}");
        });
        json.raw("}");
        if let Some(events) = events {
            json.raw(r#","events":"#).value(events);
        }
        json.raw("}");
        json.into_bytes()
    }

    fn begin(&self) -> Json {
        let items: usize = self.answers.iter().map(|answer| answer.items.len()).sum();
        let mut json = Json::with_capacity(self.answers.len() * FRAME_BYTES + items * ITEM_BYTES);
        json.raw(r#"{"request_id":""#).raw(&self.request_id).raw("\"");
        json
    }

    fn placements(&self) -> impl Iterator<Item = (&Answer, &Wanted<'_>)> {
        self.answers.iter().zip(&self.wanted)
    }

    /// Writes the members of a placement's answer.
    fn placement(&self, number: usize, answer: &Answer, wanted: &Wanted<'_>, json: &mut Json) {
        json.raw(r#""placement":"#).text(answer.placement.id);
        json.raw(r#","recommendation_id":""#).raw(&self.request_id).raw("-").value(&number).raw(r#"","build":"#);
        match &self.snapshot.build {
            Some(build) => json.text(&build.id),
            None => json.raw("null"),
        };
        json.raw(r#","rules_revision":0,"served_by":"#).text(answer.served_by.map_or("empty", Rung::as_str));
        json.raw(r#","in_holdout":false,"experiments":[]"#);
        if matches!(answer.placement.kind, Kind::Creative) {
            // There are no campaigns yet.
            json.raw(r#","kind":"creative","creative":null"#);
            return;
        }
        json.raw(r#","items":["#);
        let mut anchor = None;
        json.list(answer.items.iter().enumerate(), |json, (place, shown)| self.item(place, shown, wanted, &mut anchor, json));
        json.raw("]");
        if self.explain {
            json.raw(r#","explain":"#).value(&explain_answer(answer));
        }
    }

    /// Writes an item; `anchor` is the item that the one before goes with, which is mostly the same.
    fn item(&self, place: usize, shown: &Shown, wanted: &Wanted<'_>, anchor: &mut Option<(u32, Arc<Item>)>, json: &mut Json) {
        let Candidate { score, rung, because, .. } = shown.candidate;
        json.raw("{");
        if wanted.fields == Fields::DEFAULT {
            // Most answers say the same of an item every time.
            json.raw(shown.item.written.get_or_write(|| named(&shown.item, Fields::DEFAULT)));
        } else {
            json.raw(&named(&shown.item, wanted.fields));
        }
        json.raw(r#","position":"#).value(&(place + 1)).raw(r#","score":"#).value(&score);
        json.raw(r#","source":""#).raw(rung.as_str()).raw(r#"","reasons":[{"code":""#).raw(rung.reason()).raw("\"");
        if let Some(number) = because {
            if anchor.as_ref().is_none_or(|(known, _)| *known != number) {
                *anchor = self.snapshot.index.slot(number).map(|slot| (number, slot.item_full()));
            }
            if let Some((_, item)) = anchor {
                json.raw(r#","item_id":"#).text(item.id.as_str());
            }
        }
        json.raw(r#"}],"rules":[],"pinned":false"#);
        if self.explain {
            json.raw(r#","explain":"#).value(&explain_item(&self.snapshot, &shown.candidate));
        }
        json.raw("}");
    }
}

/// Writes an item's id and the chosen fields.
fn named(item: &Item, fields: Fields) -> Box<str> {
    let mut json = Json::with_capacity(ITEM_BYTES);
    json.raw(r#""item_id":"#).text(item.id.as_str());
    fields.write(item, &mut json);
    json.into_text()
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
