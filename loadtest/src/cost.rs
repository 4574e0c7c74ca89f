//! What one request costs: target and floor on one core each, asked as fast as they answer.
//!
//! Both are pinned to the same core with one worker each; the one that is not asked sleeps. The generator keeps to the
//! other cores. A closed loop over many connections keeps the core busy, so requests per second are what one core bears,
//! and the processor time of the process, divided by the requests, is what one of them costs. That second figure holds
//! even where the generator is the slower side; [`Turn::busy`] tells whether it was.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    client::{Connection, Target},
    compare::{FloorProcess, record},
    floor::Work,
    report::Machine,
    scenario::{Expect, Fillings, Scenario, Template},
    verify::{Depth, Results, verify},
};

/// Ticks of `/proc/PID/stat` in a second: the same on every Linux a program can see.
const TICKS: f64 = 100.0;
/// Before the first round both are asked this long without counting.
const WARMUP: Duration = Duration::from_secs(1);

/// How costs are measured; the same for target and floor.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) fillings: Fillings,
    /// The target's process.
    pub(crate) pid: u32,
    /// The core both sides are pinned to.
    pub(crate) core: usize,
    /// Where the floor of beacons that also appends has its log; none measures no such floor.
    pub(crate) append: Option<PathBuf>,
    pub(crate) connections: usize,
    pub(crate) round: Duration,
    pub(crate) rounds: u32,
    pub(crate) timeout: Duration,
}

/// One side asked for one round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Turn {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    /// Processor time of the process for each request.
    pub(crate) cpu_micros: f64,
    /// The part of the round the process was running.
    pub(crate) busy: f64,
}

/// One scenario's costs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    pub(crate) scenario: String,
    pub(crate) answer_bytes: usize,
    pub(crate) target: Vec<Turn>,
    pub(crate) floor: Vec<Turn>,
    /// The floor that parses and appends; empty where it was not asked.
    pub(crate) append: Vec<Turn>,
}

/// Everything one `cost` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) core: usize,
    pub(crate) costs: Vec<Cost>,
}

/// Pins the target and this generator; needs `taskset` of util-linux.
pub(crate) fn pin(plan: &Plan, cores: usize) -> Result<()> {
    if cores < 2 {
        bail!("one core is not enough: the generator needs one of its own");
    }
    let others: Vec<String> = (0..cores).filter(|core| *core != plan.core).map(|core| core.to_string()).collect();
    taskset(&others.join(","), std::process::id())?;
    taskset(&plan.core.to_string(), plan.pid)
}

fn taskset(cores: &str, pid: u32) -> Result<()> {
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", cores, &pid.to_string()]).output();
    let pinned = pinned.context("cannot run `taskset` (package util-linux)")?;
    if !pinned.status.success() {
        bail!("process {pid} cannot be pinned to core {cores}: {}", String::from_utf8_lossy(&pinned.stderr).trim());
    }
    Ok(())
}

/// Measures one scenario, target and floor in turns.
pub(crate) async fn cost(plan: &Plan, scenario: &Scenario, sent: &AtomicU64) -> Result<Cost> {
    let mut notes = Vec::new();
    let first = sent.fetch_add(1, Ordering::Relaxed);
    let (answer, _) = record(&plan.target, &plan.fillings, plan.timeout, scenario, first, &mut notes).await?;
    if let Some(note) = notes.first() {
        bail!("`{}`: {note}", scenario.name);
    }
    let answers = std::slice::from_ref(&answer);
    let floor = FloorProcess::start(answers, 1, Work::Nothing)?;
    let log = plan.append.as_ref().filter(|_| scenario.expect == Expect::Results);
    let log = log.map(|folder| folder.join(format!("floor-{}.log", std::process::id())));
    let append = log.map(|log| FloorProcess::start(answers, 1, Work::Append(log))).transpose()?;
    let mut sides = vec![Side::new(plan, scenario, &plan.target, plan.pid)?];
    for process in [Some(&floor), append.as_ref()].into_iter().flatten() {
        taskset(&plan.core.to_string(), process.pid())?;
        sides.push(Side::new(plan, scenario, &process.target, process.pid())?);
    }
    for round in 0..=plan.rounds as usize {
        for turn in 0..sides.len() {
            // Who goes first changes, so that nobody has the better minutes.
            let turn = if round.is_multiple_of(2) { turn } else { sides.len() - 1 - turn };
            let side = &mut sides[turn];
            let length = if round == 0 { WARMUP } else { plan.round };
            let measured = flood(plan, &side.target, side.pid, &side.template, length, sent).await?;
            if round > 0 {
                side.turns.push(measured);
            }
        }
    }
    let mut turns = sides.into_iter().map(|side| side.turns);
    Ok(Cost {
        scenario: scenario.name.clone(),
        answer_bytes: answer.body.len(),
        target: turns.next().unwrap_or_default(),
        floor: turns.next().unwrap_or_default(),
        append: turns.next().unwrap_or_default(),
    })
}

/// Somebody who is asked.
struct Side {
    target: Target,
    pid: u32,
    template: Arc<Template>,
    turns: Vec<Turn>,
}

impl Side {
    fn new(plan: &Plan, scenario: &Scenario, target: &Target, pid: u32) -> Result<Self> {
        let template = Arc::new(Template::new(scenario, target, &plan.fillings)?);
        Ok(Self { target: target.clone(), pid, template, turns: Vec::new() })
    }
}

/// Asks on all connections, each as soon as it has its answer; any wrong answer ends the measurement.
async fn flood(
    plan: &Plan,
    target: &Target,
    pid: u32,
    template: &Arc<Template>,
    length: Duration,
    sent: &AtomicU64,
) -> Result<Turn> {
    let mut connections = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        let mut connection = Connection::new(target.clone());
        connection.open().await?;
        connections.push(connection);
    }
    // Numbers are handed out in blocks, so that the connections do not meet at one counter.
    let block = 1_000_000;
    let before = cpu_seconds(pid)?;
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let (template, patience) = (Arc::clone(template), plan.timeout);
        let first = sent.fetch_add(block, Ordering::Relaxed);
        tasks.spawn(async move {
            let (mut scratch, mut request, mut answered) = (Vec::new(), Vec::new(), 0);
            while begin.elapsed() < length {
                template.render(first + answered, SystemTime::now(), &mut scratch, &mut request);
                let status = timeout(patience, connection.send(&request)).await.context("no answer in time")??;
                let (expect, events) = (template.expect, template.events);
                if let Err(fault) = verify(Depth::Quick, expect, events, status, connection.body(), &mut Results::new()) {
                    bail!("{}: {fault}", template.name);
                }
                answered += 1;
            }
            Ok(answered)
        });
    }
    let mut requests = 0;
    while let Some(answered) = tasks.join_next().await {
        requests += answered.context("a connection's task ended")??;
    }
    let wall = begin.elapsed().as_secs_f64();
    let cpu = cpu_seconds(pid)? - before;
    Ok(Turn { requests, per_second: requests as f64 / wall, cpu_micros: cpu * 1e6 / (requests.max(1)) as f64, busy: cpu / wall })
}

/// Returns the processor time a process has used, its own and the kernel's for it.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let file = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&file).with_context(|| format!("cannot read {file}; is --pid the server's?"))?;
    ticks(&stat).map(|ticks| ticks as f64 / TICKS).with_context(|| format!("{file} is not as proc(5) says"))
}

/// Returns `utime + stime` of `/proc/PID/stat`: fields 14 and 15; field 2 is a name in parentheses that may hold spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

impl Cost {
    /// Returns who was asked, the target first.
    fn sides(&self) -> impl Iterator<Item = (&'static str, &Vec<Turn>)> {
        let all = [("target", &self.target), ("floor", &self.floor), ("floor that appends", &self.append)];
        all.into_iter().filter(|(_, turns)| !turns.is_empty())
    }
}

impl Report {
    /// Writes the report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "Machine: {} cores ({}), {}; target and floor on core {}, one worker each, asked in turns. Medians of {} rounds.\n\n\
             | scenario | answer | who | requests/s | CPU µs per request | core busy |\n|---|--:|---|--:|--:|--:|\n",
            self.machine.cores,
            self.machine.cpu,
            self.machine.kernel,
            self.core,
            self.costs.first().map_or(0, |cost| cost.target.len()),
        );
        for cost in &self.costs {
            for (who, turns) in cost.sides() {
                let _ = writeln!(
                    out,
                    "| {} | {} B | {who} | {:.0} | {:.1} | {:.0} % |",
                    cost.scenario,
                    cost.answer_bytes,
                    median(turns, |t| t.per_second),
                    median(turns, |t| t.cpu_micros),
                    median(turns, |t| t.busy) * 100.0,
                );
            }
        }
        out.push_str("\n| scenario | beside | requests/s, target ÷ it | CPU, it ÷ target |\n|---|---|--:|--:|\n");
        let ratio = |of: f64, to: f64| if to > 0.0 { format!("{:.2}", of / to) } else { "–".to_owned() };
        for cost in &self.costs {
            for (who, turns) in cost.sides().skip(1) {
                let _ = writeln!(
                    out,
                    "| {} | {who} | {} | {} |",
                    cost.scenario,
                    ratio(median(&cost.target, |t| t.per_second), median(turns, |t| t.per_second)),
                    ratio(median(turns, |t| t.cpu_micros), median(&cost.target, |t| t.cpu_micros)),
                );
            }
        }
        if self.costs.iter().any(|cost| cost.sides().flat_map(|(_, turns)| turns).any(|turn| turn.busy < 0.9)) {
            out.push_str(
                "\nThe core was not always busy: the generator, or something else on this machine, was the limit. Then requests/s \
                 say less than the servers can do, and the CPU column is the one to go by.\n",
            );
        }
        out
    }
}

fn median(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> f64 {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n => (values[(n - 1) / 2] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_any_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1 1";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("nonsense"), None);
        assert!(cpu_seconds(std::process::id()).is_ok());
    }

    #[test]
    fn the_report_tells_whether_the_core_was_busy() {
        let turn = |per_second, cpu_micros, busy| Turn { requests: 1, per_second, cpu_micros, busy };
        let cost = Cost {
            scenario: "also-bought".to_owned(),
            answer_bytes: 2000,
            target: vec![turn(30_000.0, 30.0, 1.0), turn(40_000.0, 20.0, 1.0), turn(35_000.0, 25.0, 1.0)],
            floor: vec![turn(50_000.0, 20.0, 1.0)],
            append: Vec::new(),
        };
        let report = |cost| Report { machine: Machine::here(1, 1), core: 0, costs: vec![cost] }.markdown();
        let text = report(cost.clone());
        assert!(text.contains("| also-bought | 2000 B | target | 35000 | 25.0 | 100 % |"), "{text}");
        assert!(text.contains("| also-bought | floor | 0.70 | 0.80 |"), "{text}");
        assert!(!text.contains("not always busy"), "{text}");
        let idle = report(Cost { floor: vec![turn(50_000.0, 20.0, 0.4)], ..cost });
        assert!(idle.contains("not always busy"), "{idle}");
    }
}
