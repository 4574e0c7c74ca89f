use std::{
    process::Command,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};

use super::{
    Order, Share, Traffic,
    findings::{Done, Findings, Side, kind, seconds},
    kept,
    memory::Watch,
};
use crate::{
    client::Target,
    compare::{FloorProcess, record},
    floor::Work,
    report::Machine,
    run::{Load, Measured, Sample, run_noting_begin},
    scenario::{Cast, Expect, Fillings, Scenario, Template},
    schedule::Schedule,
    verify::Depth,
};

/// How traffic is played.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) fillings: Fillings,
    /// Every rate times this, and every stretch as many times as long.
    pub(crate) scale: f64,
    pub(crate) stretch: f64,
    pub(crate) seed: u64,
    pub(crate) timeout: Duration,
    /// Workers of the floor that is played to afterwards; none plays to no floor.
    pub(crate) floor: Option<usize>,
    /// Prints every kept event.
    pub(crate) kept: Option<String>,
    /// The target's process, whose memory is watched.
    pub(crate) pid: Option<u32>,
    pub(crate) machine: Machine,
}

/// Plays traffic to the target, and the same again to a floor that gives the target's own answers.
pub(crate) async fn play(traffic: &Traffic, plan: &Plan) -> Result<Findings> {
    let fillings = Fillings { hot: traffic.one_item, ..plan.fillings.clone() };
    let mut notes = Vec::new();
    let mut shares: Vec<(Share, Scenario)> = Vec::new();
    for (share, scenario) in traffic.scenarios()? {
        match scenario.lacks(&fillings) {
            None => shares.push((share, scenario)),
            Some(option) => notes.push(format!("`{}` was left out: it needs {option}.", scenario.name)),
        }
    }
    if shares.is_empty() {
        bail!("nothing is left to ask: {}", notes.join(" "));
    }
    let schedule = Arc::new(traffic.schedule(plan.scale, plan.stretch, plan.seed));
    if u32::try_from(schedule.len()).is_err() {
        bail!("{} requests are too many for one run", schedule.len());
    }
    let mut show = Show { traffic, plan, fillings, shares, schedule, cast: None };
    // One of each kind before it begins, behind the numbers of the run: its answer is what the floor gives.
    let mut answers = Vec::new();
    for (index, (_, scenario)) in (0_u64..).zip(&show.shares) {
        let number = show.schedule.len() as u64 + index;
        answers.push(record(&plan.target, &show.fillings, plan.timeout, scenario, number, &mut notes).await?.0);
    }
    let templates = show.templates(&plan.target, false)?;
    let numbered: Vec<bool> = templates.iter().map(|template| template.is_numbered()).collect();
    let weights: Vec<f64> = show.shares.iter().map(|(share, _)| share.weight).collect();
    let cast = Cast::new(show.schedule.len(), &weights, &numbered, traffic.visitors, plan.seed);
    show.cast = Some(Arc::new(cast));

    let watch = plan.pid.map(Watch::start).transpose()?;
    let (measured, orders) = show.perform(&plan.target, templates, 0).await?;
    let memory = watch.map(Watch::stop).transpose()?;
    let kept = match &plan.kept {
        None => None,
        Some(command) => Some(kept::look(command, show.fillings.run, &show.acknowledged(&measured.samples))?),
    };
    let target = show.side("target", &measured);
    let mut missed: Vec<String> =
        show.shares.iter().zip(&target.kinds).flat_map(|((share, _), kind)| traffic.limits(share).missed(kind)).collect();
    if let Some(kept) = kept {
        if kept.lost > 0 {
            missed.push(format!("{} of {} acknowledged events were not kept", kept.lost, kept.acknowledged));
        }
        if kept.doubled > 0 {
            missed.push(format!("{} events were kept twice", kept.doubled));
        }
    }
    missed.extend(orders.iter().filter(|order| order.ended != "ok").map(|order| format!("`{}`: {}", order.run, order.ended)));
    let mut sides = vec![target];
    if let Some(workers) = plan.floor {
        let floor = FloorProcess::start(&answers, workers, Work::Nothing)?;
        let templates = show.templates(&floor.target, true)?;
        // Numbers of its own, although a floor forgets them.
        let (measured, _) = show.perform(&floor.target, templates, 2 * show.schedule.len() as u64).await?;
        sides.push(show.side("floor", &measured));
    }
    Ok(Findings {
        traffic: traffic.name.clone(),
        description: traffic.description.clone(),
        target: plan.target.to_string(),
        machine: plan.machine.clone(),
        connections: traffic.connections,
        seed: plan.seed,
        notes,
        orders,
        sides,
        kept,
        memory,
        missed,
    })
}

/// Traffic made ready to be played.
struct Show<'a> {
    traffic: &'a Traffic,
    plan: &'a Plan,
    fillings: Fillings,
    shares: Vec<(Share, Scenario)>,
    schedule: Arc<Schedule>,
    cast: Option<Arc<Cast>>,
}

impl Show<'_> {
    /// Compiles the requests; a floor is asked below the number of the kind, by which it finds the answer.
    fn templates(&self, target: &Target, numbered: bool) -> Result<Vec<Arc<Template>>> {
        let compile = |(index, (_, scenario)): (usize, &(Share, Scenario))| {
            let base = if numbered { format!("/{index}") } else { target.base.clone() };
            Ok(Arc::new(Template::new(scenario, &Target { base, ..target.clone() }, &self.fillings)?))
        };
        self.shares.iter().enumerate().map(compile).collect()
    }

    /// Sends the whole schedule; orders are for the target only, which has the numbers from 0.
    async fn perform(&self, target: &Target, templates: Vec<Arc<Template>>, first: u64) -> Result<(Measured, Vec<Done>)> {
        let orders = if first == 0 { self.traffic.at.clone() } else { Vec::new() };
        let mut carried_out = Vec::new();
        let load = Load {
            target: target.clone(),
            templates,
            cast: self.cast.clone(),
            samples: true,
            schedule: Arc::clone(&self.schedule),
            connections: self.traffic.connections,
            timeout: self.plan.timeout,
            depth: Depth::Quick,
            first,
        };
        let stretch = self.plan.stretch;
        let measured = run_noting_begin(load, |begin| {
            for order in orders {
                carried_out.push(carry_out(order, stretch, begin));
            }
        })
        .await?;
        let done = carried_out.into_iter().map(|order| order.join().map_err(|_| anyhow!("an order's thread ended")));
        Ok((measured, done.collect::<Result<_>>()?))
    }

    fn side(&self, who: &'static str, measured: &Measured) -> Side {
        let mut by_kind: Vec<Vec<Sample>> = vec![Vec::new(); self.shares.len()];
        for sample in &measured.samples {
            if let Some(turn) = self.turn(sample) {
                by_kind[turn].push(*sample);
            }
        }
        Side {
            who,
            all: kind("all", measured.samples.iter().copied()),
            kinds: self
                .shares
                .iter()
                .zip(by_kind)
                .map(|((_, scenario), samples)| kind(&scenario.name, samples.into_iter()))
                .collect(),
            seconds: seconds(&self.schedule, &measured.samples),
            generator_lag_p99_ms: measured.figures().generator_lag_p99_ms,
        }
    }

    /// Returns for every request how many of its events were acknowledged: all or, where one was not, none.
    fn acknowledged(&self, samples: &[Sample]) -> Vec<u16> {
        let mut acknowledged = vec![0; self.schedule.len()];
        for sample in samples.iter().filter(|sample| sample.fault.is_none()) {
            if let Some((_, scenario)) = self.turn(sample).and_then(|kind| self.shares.get(kind))
                && matches!(scenario.expect, Expect::Results | Expect::Decision)
            {
                acknowledged[sample.slot as usize] = u16::try_from(scenario.events).unwrap_or(u16::MAX);
            }
        }
        acknowledged
    }

    fn turn(&self, sample: &Sample) -> Option<usize> {
        self.cast.as_ref()?.turn(sample.slot as usize).map(|turn| turn.template)
    }
}

/// Waits for an order's time and runs it, in a thread of its own: it may take long.
fn carry_out(order: Order, stretch: f64, begin: Instant) -> JoinHandle<Done> {
    thread::spawn(move || {
        let seconds = order.seconds * stretch;
        let due = begin + Duration::from_secs_f64(seconds);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let started = Instant::now();
        let ended = match Command::new("sh").args(["-c", &order.run]).output() {
            Ok(output) if output.status.success() => "ok".to_owned(),
            Ok(output) => format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
            Err(error) => error.to_string(),
        };
        Done { seconds, run: order.run, took_seconds: started.elapsed().as_secs_f64(), ended }
    })
}
