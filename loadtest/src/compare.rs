//! The target and its floor, side by side: same machine, same minutes, same requests, same answers.

mod child;
mod search;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub(crate) use self::child::FloorProcess;
use self::search::Search;
use crate::{
    client::{Connection, Target},
    floor::{Answer, Work},
    report::{self, Comparison, Maximum, Row, Who},
    run::{Load, Measured, run},
    scenario::{Expect, Fillings, Scenario, Template},
    schedule::{Arrivals, Schedule},
    verify::{Depth, Results, verify},
};

/// How a comparison is done; the same for target and floor.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) fillings: Fillings,
    pub(crate) rates: Option<Vec<f64>>,
    pub(crate) duration: Option<Duration>,
    pub(crate) connections: Option<usize>,
    pub(crate) warmup: Duration,
    pub(crate) rounds: u32,
    pub(crate) workers: usize,
    pub(crate) timeout: Duration,
    /// What the 99th percentile may be at a rate that counts as sustained.
    pub(crate) bound: Duration,
    /// How long each step of the search for the highest rate lasts; none searches not at all.
    pub(crate) probe: Option<Duration>,
    pub(crate) max_rate: f64,
    /// Whether both are also measured at half of the target's highest rate.
    pub(crate) half: bool,
}

/// Compares one scenario's target with a floor made from its own answer.
pub(crate) async fn compare(plan: &Plan, scenario: &Scenario, sent: &mut u64) -> Result<Comparison> {
    let mut notes = Vec::new();
    let (answer, request_bytes) = record(&plan.target, &plan.fillings, plan.timeout, scenario, *sent, &mut notes).await?;
    *sent += 1;
    let answer_bytes = answer.body.len();
    let floor = FloorProcess::start(std::slice::from_ref(&answer), plan.workers, Work::Nothing)?;
    let mut sides = Sides {
        plan,
        scenario,
        target: Side::new(scenario, &plan.target, &plan.fillings)?,
        floor: Side::new(scenario, &floor.target, &plan.fillings)?,
        sent,
    };

    let mut rows = Vec::new();
    let mut borne: [Option<f64>; 2] = [None, None];
    let rates = plan.rates.clone().unwrap_or_else(|| scenario.rates.clone());
    for (turn, rate) in rates.iter().copied().enumerate() {
        sides.rows(turn, rate, &mut borne, &mut rows).await?;
    }

    let mut maximum = None;
    if let Some(probe) = plan.probe {
        let lowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let found = sides.search(probe, borne, lowest).await?;
        if let Some(rate) = found.target_per_second.filter(|_| plan.half) {
            sides.rows(rates.len(), (rate / 2.0).round(), &mut borne, &mut rows).await?;
        }
        maximum = Some(found);
    }
    Ok(Comparison {
        scenario: scenario.name.clone(),
        description: scenario.description.clone(),
        request_bytes,
        answer_bytes,
        rows,
        maximum,
        notes,
    })
}

/// Asks the target once and returns its answer, which must be a good one.
pub(crate) async fn record(
    target: &Target,
    fillings: &Fillings,
    patience: Duration,
    scenario: &Scenario,
    first: u64,
    notes: &mut Vec<String>,
) -> Result<(Answer, usize)> {
    let template = Template::new(scenario, target, fillings)?;
    let mut connection = Connection::new(target.clone());
    let (mut scratch, mut request) = (Vec::new(), Vec::new());
    template.render(first, std::time::SystemTime::now(), &mut scratch, &mut request);
    let asking = connection.send(&request);
    let status = tokio::time::timeout(patience, asking).await.with_context(|| format!("{target} did not answer in time"))??;
    let body = connection.body();
    for depth in [Depth::Full, Depth::Quick] {
        let events = template.events;
        if let Err(fault) = verify(depth, template.expect, events, status, body, &mut Results::new()) {
            let shown: String = String::from_utf8_lossy(body).chars().take(300).collect();
            bail!("`{}` cannot be measured: {fault}; the answer was: {shown}", scenario.name);
        }
    }
    if scenario.expect != Expect::Results && has_no_items(body) {
        notes.push("The recorded answer holds no items; is there data to recommend from?".to_owned());
    }
    let answer = Answer { content_type: connection.content_type().unwrap_or("application/json").to_owned(), body: body.to_vec() };
    Ok((answer, request.len()))
}

fn has_no_items(body: &[u8]) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    let is_empty = |placement: &Value| placement["items"].as_array().is_some_and(Vec::is_empty);
    match answer["placements"].as_object() {
        Some(placements) => placements.values().all(is_empty),
        None => is_empty(&answer),
    }
}

struct Side {
    target: Target,
    template: Arc<Template>,
}

impl Side {
    fn new(scenario: &Scenario, target: &Target, fillings: &Fillings) -> Result<Self> {
        let template = Template::new(scenario, target, fillings)?;
        Ok(Self { target: target.clone(), template: Arc::new(template) })
    }
}

struct Sides<'a> {
    plan: &'a Plan,
    scenario: &'a Scenario,
    target: Side,
    floor: Side,
    sent: &'a mut u64,
}

impl Sides<'_> {
    /// Measures both at one rate, in turns, and notes which of them bore it.
    async fn rows(&mut self, turn: usize, rate: f64, borne: &mut [Option<f64>; 2], rows: &mut Vec<Row>) -> Result<()> {
        let mut both: [Option<Measured>; 2] = [None, None];
        for round in 0..self.plan.rounds as usize {
            // Who goes first changes, so that warming caches and clocks favour nobody.
            let order = if (turn + round).is_multiple_of(2) { Who::BOTH } else { Who::BOTH_REVERSED };
            for who in order {
                let duration = self.plan.duration.unwrap_or_else(|| self.scenario.duration());
                let part = self.measure(who, rate, duration).await?;
                report::progress(&self.scenario.name, who, &part.figures());
                match &mut both[who as usize] {
                    Some(whole) => whole.merge(&part),
                    empty @ None => *empty = Some(part),
                }
            }
        }
        for who in Who::BOTH {
            if let Some(measured) = &both[who as usize] {
                if measured.sustained(self.plan.bound) {
                    let best = borne[who as usize].unwrap_or(rate).max(rate);
                    borne[who as usize] = Some(best);
                }
                rows.push(Row { who, rate, figures: measured.figures() });
            }
        }
        Ok(())
    }

    async fn measure(&mut self, who: Who, rate: f64, duration: Duration) -> Result<Measured> {
        let side = match who {
            Who::Target => &self.target,
            Who::Floor => &self.floor,
        };
        let schedule = Schedule::new(rate, self.plan.warmup, duration, Arrivals::Constant);
        let first = *self.sent;
        *self.sent += schedule.len() as u64;
        run(Load {
            target: side.target.clone(),
            templates: vec![Arc::clone(&side.template)],
            cast: None,
            samples: false,
            schedule: Arc::new(schedule),
            connections: self.plan.connections.unwrap_or(self.scenario.connections),
            timeout: self.plan.timeout,
            depth: Depth::Quick,
            first,
        })
        .await
    }

    /// Finds the highest sustained rate of both, turn by turn.
    async fn search(&mut self, probe: Duration, borne: [Option<f64>; 2], lowest: f64) -> Result<Maximum> {
        let start = |who: Who| match borne[who as usize] {
            Some(rate) => Search::above(rate, self.plan.max_rate),
            None => Search::from(lowest, self.plan.max_rate),
        };
        let mut searches = [start(Who::Target), start(Who::Floor)];
        loop {
            let mut done = true;
            for who in Who::BOTH {
                let Some(rate) = searches[who as usize].next_rate() else {
                    continue;
                };
                done = false;
                // A rate must fail twice: one hiccup of the machine is not the server's limit.
                let mut passed = false;
                for _ in 0..2 {
                    let measured = self.measure(who, rate, probe).await?;
                    report::progress(&self.scenario.name, who, &measured.figures());
                    passed = measured.sustained(self.plan.bound);
                    if passed {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                searches[who as usize].record(rate, passed);
            }
            if done {
                break;
            }
        }
        let [target, floor] = searches;
        Ok(Maximum {
            target_per_second: target.result(),
            floor_per_second: floor.result(),
            bound_ms: self.plan.bound.as_secs_f64() * 1e3,
            capped: target.is_capped() || floor.is_capped(),
        })
    }
}
