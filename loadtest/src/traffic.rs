//! A shop's traffic, as data: how many come when, what they ask, who they are, what breaks, and what must hold.
//!
//! A [`Traffic`] file mixes the requests of scenarios by weight, over arrival rates that are fixed in advance. [`play`](mod@play) sends
//! it, to the target and to the floor; [`findings`] makes figures of every single request; [`limits`] and [`kept`] judge them;
//! [`page`] shows them.

mod findings;
mod kept;
mod limits;
mod memory;
mod page;
mod play;
mod plot;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use self::limits::Limits;
pub(crate) use self::play::{Plan, play};
use crate::{
    scenario::{Crowd, Scenario, shipped_or_file},
    schedule::{Arrivals, Schedule, Stretch},
};

/// The traffic files that are part of the program.
pub(crate) const BUILT_IN: [(&str, &str); 5] = [
    ("browse", include_str!("../traffic/browse.json")),
    ("sale-peak", include_str!("../traffic/sale-peak.json")),
    ("flash-crowd", include_str!("../traffic/flash-crowd.json")),
    ("bot-storm", include_str!("../traffic/bot-storm.json")),
    ("store-fault", include_str!("../traffic/store-fault.json")),
];

/// One traffic file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traffic {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) connections: usize,
    pub(crate) arrivals: Vec<Rate>,
    pub(crate) requests: Vec<Share>,
    pub(crate) visitors: Crowd,
    /// The part of all picked items that is one and the same.
    #[serde(default)]
    pub(crate) one_item: f64,
    #[serde(default)]
    pub(crate) at: Vec<Order>,
    /// What must hold of every kind of request that has no limits of its own.
    #[serde(default)]
    limits: Limits,
}

/// Some seconds at one rate, or from one to another.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    seconds: f64,
    rate: f64,
    to: Option<f64>,
}

/// One kind of request, and how often it comes beside the others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// The name of a shipped scenario, or a file.
    pub(crate) scenario: String,
    pub(crate) weight: f64,
    limits: Option<Limits>,
}

/// Something done to the system under test while it is under load.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// When, counted from the first intended start.
    pub(crate) seconds: f64,
    /// A line for `sh -c`.
    pub(crate) run: String,
}

impl Traffic {
    /// Reads traffic from a file, or from the program itself by its name.
    pub(crate) fn load(name_or_file: &str) -> Result<Self> {
        shipped_or_file(name_or_file, &BUILT_IN, Self::parse)
    }

    /// Reads traffic from its text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let traffic: Self = serde_json::from_str(text).context("not traffic")?;
        let is_share = |number: f64| (0.0..=1.0).contains(&number);
        let is_rate = |number: f64| number.is_finite() && number >= 0.0;
        if !traffic.arrivals.iter().all(|rate| rate.seconds.is_finite() && rate.seconds > 0.0) {
            bail!("every stretch of `arrivals` must last some `seconds`");
        }
        if !traffic.arrivals.iter().all(|rate| is_rate(rate.rate) && rate.to.is_none_or(is_rate)) {
            bail!("`rate` and `to` must be numbers of at least 0");
        }
        if traffic.arrivals.is_empty() || traffic.requests.is_empty() {
            bail!("`arrivals` and `requests` must not be empty");
        }
        if traffic.requests.len() > usize::from(u8::MAX) {
            bail!("`requests` may hold {} kinds", u8::MAX);
        }
        if !traffic.requests.iter().all(|share| share.weight.is_finite() && share.weight > 0.0) {
            bail!("every `weight` must be positive");
        }
        if !is_share(traffic.visitors.returning) || !is_share(traffic.one_item) {
            bail!("`returning` and `one_item` are parts of the whole, from 0 to 1");
        }
        if traffic.connections == 0 || traffic.visitors.pages.is_nan() || traffic.visitors.pages < 1.0 {
            bail!("`connections` and `pages` must be at least 1");
        }
        if !traffic.at.iter().all(|order| order.seconds.is_finite() && order.seconds >= 0.0) {
            bail!("every `seconds` of `at` must be at least 0");
        }
        Ok(traffic)
    }

    /// Returns the intended starts, with every rate times `scale` and every stretch `stretch` times as long.
    pub(crate) fn schedule(&self, scale: f64, stretch: f64, seed: u64) -> Schedule {
        let stretches: Vec<Stretch> = self
            .arrivals
            .iter()
            .map(|part| Stretch {
                seconds: part.seconds * stretch,
                from: part.rate * scale,
                to: part.to.unwrap_or(part.rate) * scale,
            })
            .collect();
        Schedule::over(&stretches, Arrivals::Poisson { seed })
    }

    /// Returns the scenarios that are mixed.
    pub(crate) fn scenarios(&self) -> Result<Vec<(Share, Scenario)>> {
        self.requests.iter().map(|share| Ok((share.clone(), Scenario::load(&share.scenario)?))).collect()
    }

    /// Returns what must hold of one kind of request.
    pub(crate) fn limits<'a>(&'a self, share: &'a Share) -> &'a Limits {
        share.limits.as_ref().unwrap_or(&self.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_file_parses_under_its_own_name_and_knows_its_scenarios() {
        for (name, text) in BUILT_IN {
            let traffic = Traffic::parse(text).expect(name);
            assert_eq!(traffic.name, name);
            assert!(!traffic.scenarios().expect(name).is_empty());
            assert!(traffic.schedule(1.0, 1.0, 1).len() > 1_000, "{name}");
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/traffic");
        assert_eq!(std::fs::read_dir(folder).expect("the folder is there").count(), BUILT_IN.len());
    }

    #[test]
    fn rates_scale_and_stretches_stretch() {
        let traffic = Traffic::parse(BUILT_IN[0].1).expect("traffic");
        let (whole, small) = (traffic.schedule(1.0, 1.0, 1), traffic.schedule(0.5, 0.1, 1));
        let ratio = whole.len() as f64 / small.len() as f64;
        assert!((17.0..24.0).contains(&ratio), "{ratio}");
        assert_eq!(small.duration().as_secs(), 6);
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        let good = BUILT_IN[2].1;
        for (from, to, says) in [
            ("\"one_item\": 0.9", "\"one_item\": 9", "one_item"),
            ("\"rate\": 100 }", "\"rate\": -1 }", "rate"),
            ("\"weight\": 50", "\"weight\": 0", "weight"),
            ("\"seconds\": 2,", "\"seconds\": 0,", "seconds"),
            ("\"p99_ms\"", "\"p98_ms\"", "p98_ms"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            let error = format!("{:#}", Traffic::parse(&bad).expect_err(to));
            assert!(error.contains(says), "{error}");
        }
    }
}
