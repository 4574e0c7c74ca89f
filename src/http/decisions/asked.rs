//! What a request for a decision asks, checked.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::caller::Caller;
use super::super::problem::{Code, Problem};
use super::answer::{DEFAULT_FIELDS, FIELDS};
use crate::app::App;
use crate::decide::filter::Filter;
use crate::decide::placement::{self, Placement};
use crate::event::ItemId;
use crate::event::object::Object;

/// Waiting for a profile takes no longer than this; a decision without one beats a late one.
const PROFILE_DEADLINE: Duration = Duration::from_millis(100);
/// Items of a visit a request may name, and ids it may exclude.
pub const MAX_IDS: usize = 500;

/// The body of `/v1/decide`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DecideBody<'a> {
    pub key: Option<String>,
    pub visitor_id: Option<IdBody>,
    pub session_id: Option<String>,
    pub seq: Option<i64>,
    pub sent_at: Option<Value>,
    pub consent: Option<Value>,
    pub context: Object<ContextBody>,
    #[serde(borrow)]
    pub events: Vec<&'a RawValue>,
    pub placements: Vec<Object<PlacementBody>>,
    pub explain: bool,
    pub deadline_ms: Option<u64>,
}

/// What the page says about itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContextBody {
    pub item_id: Option<IdBody>,
    pub cart: Vec<IdBody>,
    pub viewed: Vec<IdBody>,
}

/// An id may be written as a whole number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum IdBody {
    Text(String),
    Number(u64),
}

impl IdBody {
    /// Returns the id as text.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }

    fn item(&self, field: &str) -> Result<ItemId, Problem> {
        let id = ItemId::new(&self.text());
        id.map_err(|e| Problem::new(Code::InvalidRequest, format!("`{field}` {e}.")))
    }
}

/// One placement, as it was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PlacementBody {
    pub id: String,
    pub count: Option<usize>,
    pub filter: Option<Value>,
    pub exclude_ids: Vec<IdBody>,
    pub fields: Option<Vec<String>>,
}

/// One placement, checked.
#[derive(Debug)]
pub struct Wanted {
    pub placement: &'static Placement,
    pub count: usize,
    pub filter: Option<Filter>,
    pub exclude: HashSet<String>,
    pub fields: Vec<String>,
}

/// What a decision is about, checked; the same for both routes.
#[derive(Debug)]
pub struct Page {
    pub item: Option<ItemId>,
    pub cart: Vec<ItemId>,
    pub viewed: Vec<ItemId>,
    pub wanted: Vec<Wanted>,
    pub explain: bool,
    pub deadline: Duration,
}

/// Checks what both routes ask for alike.
pub fn check(
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
