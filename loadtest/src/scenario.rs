//! What is asked, as data: a JSON file with placeholders, compiled into pieces of bytes.
//!
//! Placeholders are `{key}`, `{item}`, `{visitor}`, `{session}`, `{event_id}`, `{n}`, `{seq}` and
//! `{sent_at}`. A body string that is exactly `"{n}"` or `"{seq}"` becomes a number,
//! `"{event}"` becomes as many copies of the event as the scenario wants, and `"{viewed}"` the
//! pages of a real visit, newest first.

mod cast;
mod template;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::{
    cast::{Cast, Crowd},
    template::{Fillings, Template, mixed, rfc3339},
};

/// The scenario files that are part of the program.
pub(crate) const BUILT_IN: [(&str, &str); 11] = [
    ("also-bought", include_str!("../scenarios/also-bought.json")),
    ("for-you", include_str!("../scenarios/for-you.json")),
    ("for-you-visits", include_str!("../scenarios/for-you-visits.json")),
    ("recently-viewed", include_str!("../scenarios/recently-viewed.json")),
    ("decide-page", include_str!("../scenarios/decide-page.json")),
    ("beacon-1", include_str!("../scenarios/beacon-1.json")),
    ("beacon-10", include_str!("../scenarios/beacon-10.json")),
    ("beacon-20", include_str!("../scenarios/beacon-20.json")),
    ("beacon-100", include_str!("../scenarios/beacon-100.json")),
    ("bot-beacon", include_str!("../scenarios/bot-beacon.json")),
    ("catalog-upsert", include_str!("../scenarios/catalog-upsert.json")),
];

/// What is compared unless something else is asked for.
pub(crate) const COMPARED: [&str; 6] = ["also-bought", "for-you", "for-you-visits", "decide-page", "beacon-1", "beacon-20"];

/// Stands in a body's array for the pages of a real visit.
const VIEWED: &str = "\"{viewed}\"";

/// What a good answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expect {
    /// Status 200, whatever the body.
    #[default]
    Status,
    /// One placement's items.
    Recommendations,
    /// Several placements, and a result for every event that came along.
    Decision,
    /// Every event kept.
    Results,
    /// A result for every event, whatever it is: a robot's events are dropped.
    Answered,
}

/// One scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: Option<Value>,
    #[serde(default)]
    pub(crate) event: Option<Value>,
    /// How many events one request carries.
    #[serde(default)]
    pub(crate) events: usize,
    /// How many visitors take turns.
    #[serde(default = "many_visitors")]
    pub(crate) visitors: u64,
    #[serde(default)]
    pub(crate) expect: Expect,
    pub(crate) rates: Vec<f64>,
    pub(crate) duration_seconds: f64,
    pub(crate) connections: usize,
}

/// Reads what is part of the program by its name, anything else from a file.
pub(crate) fn shipped_or_file<T>(name_or_file: &str, shipped: &[(&str, &str)], parse: fn(&str) -> Result<T>) -> Result<T> {
    if let Some((_, text)) = shipped.iter().find(|(name, _)| *name == name_or_file) {
        return parse(text);
    }
    let text = std::fs::read_to_string(name_or_file).with_context(|| {
        let names: Vec<&str> = shipped.iter().map(|(name, _)| *name).collect();
        format!("cannot read `{name_or_file}`, which is none of {} either", names.join(", "))
    })?;
    parse(&text).with_context(|| format!("in {name_or_file}"))
}

fn many_visitors() -> u64 {
    20_000
}

impl Scenario {
    /// Reads a scenario from a file, or from the program itself by its name.
    pub(crate) fn load(name_or_file: &str) -> Result<Self> {
        shipped_or_file(name_or_file, &BUILT_IN, Self::parse)
    }

    /// Reads a scenario from its text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let scenario: Self = serde_json::from_str(text).context("not a scenario")?;
        if !scenario.path.starts_with('/') {
            bail!("`path` must start with a slash");
        }
        if scenario.rates.is_empty() || scenario.rates.iter().any(|rate| !is_positive(*rate)) {
            bail!("`rates` must hold positive numbers");
        }
        if !is_positive(scenario.duration_seconds) {
            bail!("`duration_seconds` must be positive");
        }
        if scenario.connections == 0 || scenario.visitors == 0 {
            bail!("`connections` and `visitors` must be at least 1");
        }
        if (scenario.events > 0) != scenario.event.is_some() {
            bail!("`events` says how many copies of `event` a request carries: give both or none");
        }
        Ok(scenario)
    }

    /// Tells whether its requests are about real visits, which have to be given.
    fn needs_visits(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.to_string().contains(VIEWED))
    }

    /// Returns what its requests need and `with` does not hold, as the option that gives it.
    pub(crate) fn lacks(&self, with: &Fillings) -> Option<&'static str> {
        let has_secret = self.headers.values().any(|value| value.contains("{secret}"));
        if self.needs_visits() && with.visits.is_none() {
            Some("--visits")
        } else if has_secret && with.secret.is_none() {
            Some("--secret-key")
        } else {
            None
        }
    }

    /// Returns how long to measure unless told otherwise.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration_seconds)
    }
}

fn is_positive(number: f64) -> bool {
    number.is_finite() && number > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_parses_under_its_own_name() {
        for (name, text) in BUILT_IN {
            let scenario = Scenario::parse(text).expect(name);
            assert_eq!(scenario.name, name);
            assert!(!scenario.description.is_empty());
        }
    }

    #[test]
    fn every_scenario_file_is_part_of_the_program() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let mut built_in: Vec<String> = BUILT_IN.iter().map(|(name, _)| format!("{name}.json")).collect();
        built_in.sort();
        assert_eq!(files, built_in);
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        let good = BUILT_IN[0].1;
        for (from, to, says) in [
            ("\"rates\"", "\"rate\"", "rate"),
            ("[1000, 2000, 4000]", "[]", "rates"),
            ("\"/v1/", "\"v1/", "slash"),
            ("\"connections\": 64", "\"connections\": 0", "connections"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            let error = format!("{:#}", Scenario::parse(&bad).expect_err(to));
            assert!(error.contains(says), "{error}");
        }
    }
}
