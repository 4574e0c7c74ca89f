//! A smoke run for continuous integration: everything at once, every answer read in full.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use serde::Serialize;

use crate::{
    client::Target,
    report,
    run::{Figures, Load, run},
    scenario::{BUILT_IN, Fillings, Scenario, Template},
    schedule::{Arrivals, Schedule},
    verify::Depth,
};

/// How hard and how long to look.
#[derive(Debug, Clone)]
pub(crate) struct Smoke {
    pub(crate) target: Target,
    pub(crate) fillings: Fillings,
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
    pub(crate) connections: usize,
    pub(crate) timeout: Duration,
    pub(crate) seed: u64,
}

/// What the smoke run found.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) passed: bool,
    pub(crate) figures: Figures,
}

/// Mixes all shipped scenarios that can be filled, as shoppers come, and reads every answer.
pub(crate) async fn check(smoke: Smoke) -> Result<Finding> {
    let mut templates = Vec::new();
    for (_, text) in BUILT_IN {
        let scenario = Scenario::parse(text)?;
        if scenario.lacks(&smoke.fillings).is_none() {
            templates.push(Arc::new(Template::new(&scenario, &smoke.target, &smoke.fillings)?));
        }
    }
    let arrivals = Arrivals::Poisson { seed: smoke.seed };
    let schedule = Schedule::new(smoke.rate, Duration::ZERO, smoke.duration, arrivals);
    let figures = run(Load {
        target: smoke.target,
        templates,
        cast: None,
        samples: false,
        schedule: Arc::new(schedule),
        connections: smoke.connections,
        timeout: smoke.timeout,
        depth: Depth::Full,
        first: 0,
    })
    .await?
    .figures();
    Ok(Finding { passed: figures.errors == 0 && figures.requests > 0, figures })
}

impl Finding {
    /// Says what was found in a few lines.
    pub(crate) fn text(&self) -> String {
        let figures = &self.figures;
        let results: Vec<String> = figures.results.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let verdict = match report::errors(figures) {
            None if self.passed => "passed".to_owned(),
            None => "failed: nothing was sent".to_owned(),
            Some(errors) => format!("failed: {errors}"),
        };
        format!(
            "{} requests, {:.0}/s, p50 {:.3} ms, p99 {:.3} ms; events acknowledged: {}\n{verdict}\n",
            figures.requests,
            figures.achieved_per_second,
            figures.latency.p50_ms,
            figures.latency.p99_ms,
            if results.is_empty() { "none".to_owned() } else { results.join(", ") },
        )
    }
}
