//! What a request for a decision asks, checked.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::caller::Caller;
use super::super::problem::{Code, Problem};
use super::fields::Fields;
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
    #[serde(borrow)]
    pub visitor_id: Option<IdBody<'a>>,
    pub session_id: Option<String>,
    pub seq: Option<i64>,
    pub sent_at: Option<Value>,
    pub consent: Option<Value>,
    #[serde(borrow)]
    pub context: Object<ContextBody<'a>>,
    #[serde(borrow)]
    pub events: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub placements: Vec<Object<PlacementBody<'a>>>,
    pub explain: bool,
    pub deadline_ms: Option<u64>,
}

/// What the page says about itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContextBody<'a> {
    #[serde(borrow)]
    pub item_id: Option<IdBody<'a>>,
    #[serde(borrow)]
    pub cart: Vec<IdBody<'a>>,
    #[serde(borrow)]
    pub viewed: Vec<IdBody<'a>>,
}

/// An id; it may be written as a whole number.
#[derive(Debug)]
pub struct IdBody<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for IdBody<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = IdBody<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a text or a whole number")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(IdBody(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(IdBody(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(IdBody(Cow::Owned(number.to_string())))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// One placement, as it was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PlacementBody<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    pub count: Option<usize>,
    pub filter: Option<Value>,
    #[serde(borrow)]
    pub exclude_ids: Vec<IdBody<'a>>,
    pub fields: Option<Vec<Cow<'a, str>>>,
    pub diversity: Option<f32>,
    pub min_relevance: Option<f32>,
}

/// One placement, checked.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub placement: &'static Placement,
    pub count: usize,
    pub filter: Option<Filter>,
    pub exclude: Vec<Cow<'a, str>>,
    pub fields: Fields,
    pub diversity: f32,
    pub min_relevance: f32,
}

/// What a decision is about, checked; the same for both routes.
#[derive(Debug)]
pub struct Page<'a> {
    pub item: Option<Cow<'a, str>>,
    pub cart: Vec<Cow<'a, str>>,
    pub viewed: Vec<Cow<'a, str>>,
    pub wanted: Vec<Wanted<'a>>,
    pub explain: bool,
    pub deadline: Duration,
}

/// Checks what both routes ask for alike.
pub fn check<'a>(
    app: &App,
    caller: &Caller,
    context: ContextBody<'a>,
    placements: impl ExactSizeIterator<Item = PlacementBody<'a>>,
    explain: bool,
    deadline_ms: Option<u64>,
) -> Result<Page<'a>, Problem> {
    let limits = app.config.decide;
    if explain && !caller.may_explain() {
        return Err(Problem::new(Code::ExplainNeedsSecretKey, "`explain` needs a secret key or a role token."));
    }
    if placements.len() == 0 {
        return Err(Problem::invalid("placements", "must name at least one placement"));
    }
    if placements.len() > limits.max_placements {
        return Err(Problem::invalid("placements", &format!("may name {} placements", limits.max_placements)));
    }
    let mut wanted: Vec<Wanted<'a>> = Vec::with_capacity(placements.len());
    for asked in placements {
        let placement = placement::find(&asked.id).ok_or_else(|| {
            let known: Vec<&str> = placement::BUILT_IN.iter().map(|p| p.id).collect();
            Problem::new(Code::UnknownPlacement, format!("There is no such placement; there are {}.", known.join(", ")))
        })?;
        if wanted.iter().any(|known| known.placement.id == placement.id) {
            return Err(Problem::invalid("placements", &format!("names `{}` twice", placement.id)));
        }
        let count = asked.count.unwrap_or(limits.default_count);
        if !(1..=limits.max_count).contains(&count) {
            return Err(Problem::invalid("count", &format!("must be between 1 and {}", limits.max_count)));
        }
        let filter = asked
            .filter
            .filter(|f| !f.is_null())
            .map(|f| Filter::compile(&f).map_err(|e| Problem::new(Code::InvalidFilter, format!("{e}."))))
            .transpose()?;
        let fields = asked.fields.map_or(Ok(Fields::DEFAULT), |names| chosen(&names))?;
        wanted.push(Wanted {
            placement,
            count,
            filter,
            exclude: items("exclude_ids", asked.exclude_ids)?,
            fields,
            diversity: share("diversity", asked.diversity)?,
            min_relevance: share("min_relevance", asked.min_relevance)?,
        });
    }
    if deadline_ms == Some(0) {
        return Err(Problem::invalid("deadline_ms", "must be at least 1"));
    }
    Ok(Page {
        item: context.item_id.map(|id| item("item_id", id)).transpose()?,
        cart: items("cart", context.cart)?,
        viewed: items("viewed", context.viewed)?,
        wanted,
        explain,
        deadline: deadline_ms.map_or(PROFILE_DEADLINE, |ms| Duration::from_millis(ms).min(PROFILE_DEADLINE)),
    })
}

/// Checks a number from 0 to 1; 0 where it is left out.
fn share(field: &str, given: Option<f32>) -> Result<f32, Problem> {
    let share = given.unwrap_or(0.0);
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(Problem::invalid(field, "must be between 0 and 1")) }
}

fn chosen(names: &[Cow<'_, str>]) -> Result<Fields, Problem> {
    names.iter().try_fold(Fields::NONE, |fields, name| match Fields::named(name) {
        Some(field) => Ok(fields.with(field)),
        None => Err(Problem::invalid("fields", &format!("names `{name}`; there are {}", Fields::NAMES.join(", ")))),
    })
}

fn item<'a>(field: &str, id: IdBody<'a>) -> Result<Cow<'a, str>, Problem> {
    match ItemId::check(&id.0) {
        Ok(()) => Ok(id.0),
        Err(e) => Err(Problem::new(Code::InvalidRequest, format!("`{field}` {e}."))),
    }
}

fn items<'a>(field: &str, list: Vec<IdBody<'a>>) -> Result<Vec<Cow<'a, str>>, Problem> {
    if list.len() > MAX_IDS {
        return Err(Problem::invalid(field, &format!("may hold {MAX_IDS} ids")));
    }
    list.into_iter().map(|id| item(field, id)).collect()
}
