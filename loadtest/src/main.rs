//! Open-loop load for Rapport, next to a floor measured in the same run.
//!
//! A [`schedule`] says beforehand when each request is meant to start. A [`scenario`] says what is
//! asked, as data. [`run`] sends it over the connections of [`client`] and counts latency from the
//! intended starts. [`compare`] does that in turn to a target and to the [`floor`], which gives the
//! target's own answer without doing anything for it, and [`report`] puts both in one table.
//! [`cost`] pins both to one core and tells what a request costs there.
//! [`traffic`] plays a shop's day: a mixture with rates that change, judged by limits, shown as a page.
//! [`check`] is the smoke run that reads every answer ([`verify`]).

mod check;
mod client;
mod compare;
mod cost;
mod floor;
mod items;
mod report;
mod run;
mod scenario;
mod schedule;
mod traffic;
mod verify;
mod visits;

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::{
    client::Target,
    report::Machine,
    scenario::{Fillings, Scenario, Template},
    schedule::{Arrivals, Schedule},
    visits::Visits,
};

/// Open-loop load for Rapport, next to a floor measured in the same run.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send one scenario at one rate and print how long the answers took.
    Run(RunArgs),
    /// Serve fixed bytes from a bare handler until stopped.
    Floor(FloorArgs),
    /// Measure a target and its floor in turns and print both.
    Compare(CompareArgs),
    /// Pin a target and its floor to one core and print what a request costs either.
    Cost(CostArgs),
    /// Play a shop's traffic from a file, judge it by the limits in it, and show it as a page.
    Traffic(TrafficArgs),
    /// Send a mixture, read every answer, fail on anything unexpected.
    Check(CheckArgs),
}

/// Where to, and about what.
#[derive(Debug, Args)]
struct Where {
    /// The server, as http://host:port
    #[arg(long)]
    target: Target,
    /// The publishable key; its rate limit must allow the rates asked for
    #[arg(long)]
    key: String,
    /// A secret key, for scenarios that change the catalog
    #[arg(long, value_name = "KEY")]
    secret_key: Option<String>,
    /// Item ids, one a line [default: what the target says is trending]
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Real visits for the scenarios about them: one a line, item ids separated by blanks, oldest first
    #[arg(long, value_name = "FILE")]
    visits: Option<PathBuf>,
    /// Decides which items and visits the requests are about
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    draw: u64,
    /// How long to wait for one answer
    #[arg(long, default_value = "10s", value_parser = duration)]
    timeout: Duration,
    /// The generator's own threads [default: half the cores]
    #[arg(long, value_parser = at_least_one)]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    to: Where,
    /// A scenario file, or the name of a shipped one
    #[arg(long)]
    scenario: String,
    /// Requests a second [default: the scenario's first]
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// How long to measure [default: the scenario's]
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// How long to send before measuring
    #[arg(long, default_value = "2s", value_parser = duration)]
    warmup: Duration,
    /// Connections kept open [default: the scenario's]
    #[arg(long, value_parser = at_least_one)]
    connections: Option<usize>,
    /// Exponential gaps from this seed in place of a constant rate
    #[arg(long, value_name = "SEED")]
    poisson: Option<u64>,
}

#[derive(Debug, Args)]
struct FloorArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    bind: String,
    /// Answer with this many bytes
    #[arg(long, default_value_t = 1024, conflicts_with = "answer")]
    body_bytes: usize,
    /// Answer with the bytes of this file; of several, a request to /N/… gets the Nth, counted from 0
    #[arg(long, value_name = "FILE")]
    answer: Vec<PathBuf>,
    /// Parse every request as a beacon, append its events to this file, and answer when they are synced
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
    #[arg(long, default_value = "application/json")]
    content_type: String,
    /// Worker threads [default: one a core]
    #[arg(long, value_parser = at_least_one)]
    workers: Option<usize>,
    /// Pause once, at this request, to see whether a generator notices
    #[arg(long, requires = "stall", value_name = "REQUEST")]
    stall_after: Option<u64>,
    /// How long to pause
    #[arg(long, requires = "stall_after", value_parser = duration)]
    stall: Option<Duration>,
    /// End when the standard input does
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

#[derive(Debug, Args)]
struct CompareArgs {
    #[command(flatten)]
    to: Where,
    /// Scenario files, or names of shipped ones [default: the usual ones; those about visits only with --visits]
    #[arg(long, num_args = 1..)]
    scenario: Vec<String>,
    /// The floor's workers: give what the target has [default: one a core]
    #[arg(long, value_parser = at_least_one)]
    workers: Option<usize>,
    /// Requests a second, in place of the scenarios' own
    #[arg(long, value_delimiter = ',', value_parser = positive)]
    rates: Option<Vec<f64>>,
    /// How long to measure at each rate [default: the scenario's]
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    #[arg(long, default_value = "2s", value_parser = duration)]
    warmup: Duration,
    #[arg(long, value_parser = at_least_one)]
    connections: Option<usize>,
    /// How often each rate is measured on either side; the runs are merged
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What the 99th percentile may be at a sustained rate
    #[arg(long, default_value = "50ms", value_parser = duration)]
    p99: Duration,
    /// How long each step of the search for the highest sustained rate lasts
    #[arg(long, default_value = "4s", value_parser = duration)]
    probe: Duration,
    /// Do not search for the highest sustained rate
    #[arg(long)]
    no_max: bool,
    /// The highest rate the search tries
    #[arg(long, default_value_t = 200_000.0, value_parser = positive)]
    max_rate: f64,
    /// Print Markdown, which is the default
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

#[derive(Debug, Args)]
struct CostArgs {
    #[command(flatten)]
    to: Where,
    /// The target's process, which must have one worker (`RAPPORT_HTTP__WORKERS=1`); it stays pinned
    #[arg(long)]
    pid: u32,
    /// The core target and floor are pinned to
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Scenario files, or names of shipped ones
    #[arg(long, num_args = 1.., default_values = ["also-bought", "for-you"])]
    scenario: Vec<String>,
    /// Ask, for beacons, also a floor that parses them and appends to a log of its own in this folder, which must be on the
    /// disk of the target's data
    #[arg(long, value_name = "FOLDER")]
    append: Option<PathBuf>,
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    connections: usize,
    /// How long either side is asked in a round
    #[arg(long, default_value = "3s", value_parser = duration)]
    round: Duration,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

#[derive(Debug, Args)]
struct TrafficArgs {
    #[command(flatten)]
    to: Where,
    /// A traffic file, or the name of a shipped one
    #[arg(long)]
    traffic: String,
    /// Every rate times this
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    scale: f64,
    /// Every time times this
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    stretch: f64,
    /// Seed of the arrivals, the mixture and the visitors
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run a command at a time, beside those in the file
    #[arg(long, value_name = "SECONDS=COMMAND", value_parser = order)]
    at: Vec<traffic::Order>,
    /// Play the same to a bare handler that gives the target's own answers
    #[arg(long)]
    vs_floor: bool,
    /// The floor's workers: give what the target has [default: one a core]
    #[arg(long, value_parser = at_least_one)]
    workers: Option<usize>,
    /// Afterwards look for every acknowledged event in what this command prints, a line of JSON with an `id` each
    #[arg(long, value_name = "COMMAND")]
    kept: Option<String>,
    /// Write the page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// End with 1 if a limit of the file did not hold
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    to: Where,
    #[arg(long, default_value_t = 30.0, value_parser = positive)]
    seconds: f64,
    #[arg(long, default_value_t = 100.0, value_parser = positive)]
    rate: f64,
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    connections: usize,
    /// Seed of the arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => with_runtime(&args.to, execute_run(&args)),
        Command::Compare(args) => with_runtime(&args.to, execute_compare(&args)),
        Command::Cost(args) => with_runtime(&args.to, execute_cost(&args)),
        Command::Traffic(args) => with_runtime(&args.to, execute_traffic(&args)),
        Command::Check(args) => with_runtime(&args.to, execute_check(&args)),
        Command::Floor(args) => execute_floor(args).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rapport-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn with_runtime(to: &Where, work: impl Future<Output = Result<bool>>) -> Result<bool> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads(to))
        .enable_all()
        .build()
        .context("no runtime")?
        .block_on(work)
}

async fn execute_run(args: &RunArgs) -> Result<bool> {
    let scenario = Scenario::load(&args.scenario)?;
    let template = Template::new(&scenario, &args.to.target, &fillings(&args.to).await?)?;
    let rate = args.rate.unwrap_or(scenario.rates[0]);
    let arrivals = match args.poisson {
        Some(seed) => Arrivals::Poisson { seed },
        None => Arrivals::Constant,
    };
    let duration = args.duration.unwrap_or_else(|| scenario.duration());
    let figures = run::run(run::Load {
        target: args.to.target.clone(),
        templates: vec![Arc::new(template)],
        cast: None,
        samples: false,
        schedule: Arc::new(Schedule::new(rate, args.warmup, duration, arrivals)),
        connections: args.connections.unwrap_or(scenario.connections),
        timeout: args.to.timeout,
        depth: verify::Depth::Quick,
        first: 0,
    })
    .await?
    .figures();
    if args.to.json {
        say(&serde_json::to_string(&figures)?)?;
    } else {
        say(&report::single(&Machine::here(threads(&args.to), 0), &scenario.name, &figures))?;
    }
    Ok(figures.errors == 0)
}

async fn execute_compare(args: &CompareArgs) -> Result<bool> {
    let fillings = fillings(&args.to).await?;
    let mut scenarios = Vec::new();
    if args.scenario.is_empty() {
        for name in scenario::COMPARED {
            scenarios.push(Scenario::load(name)?);
        }
        scenarios.retain(|scenario| scenario.lacks(&fillings).is_none());
    } else {
        for name in &args.scenario {
            scenarios.push(Scenario::load(name)?);
        }
    }
    let plan = compare::Plan {
        target: args.to.target.clone(),
        fillings,
        rates: args.rates.clone(),
        duration: args.duration,
        connections: args.connections,
        warmup: args.warmup,
        rounds: args.rounds,
        workers: args.workers.unwrap_or_else(cores),
        timeout: args.to.timeout,
        bound: args.p99,
        probe: (!args.no_max).then_some(args.probe),
        max_rate: args.max_rate,
    };
    let mut comparisons = Vec::new();
    let mut sent = 0;
    for scenario in &scenarios {
        comparisons.push(compare::compare(&plan, scenario, &mut sent).await?);
    }
    let report = report::Report {
        target: args.to.target.to_string(),
        machine: Machine::here(threads(&args.to), plan.workers),
        comparisons,
    };
    if args.to.json {
        say(&serde_json::to_string(&report)?)?;
    } else {
        say(&report.markdown())?;
    }
    Ok(true)
}

async fn execute_cost(args: &CostArgs) -> Result<bool> {
    let scenarios = args.scenario.iter().map(|name| Scenario::load(name)).collect::<Result<Vec<_>>>()?;
    let plan = cost::Plan {
        target: args.to.target.clone(),
        fillings: fillings(&args.to).await?,
        pid: args.pid,
        core: args.core,
        append: args.append.clone(),
        connections: args.connections,
        round: args.round,
        rounds: args.rounds,
        timeout: args.to.timeout,
    };
    let machine = Machine::here(threads(&args.to), 1);
    cost::pin(&plan, machine.cores)?;
    let (sent, mut costs) = (AtomicU64::new(0), Vec::new());
    for scenario in &scenarios {
        costs.push(cost::cost(&plan, scenario, &sent).await?);
    }
    let report = cost::Report { machine, core: plan.core, costs };
    if args.to.json {
        say(&serde_json::to_string(&report)?)?;
    } else {
        say(&report.markdown())?;
    }
    Ok(true)
}

async fn execute_traffic(args: &TrafficArgs) -> Result<bool> {
    let mut traffic = traffic::Traffic::load(&args.traffic)?;
    traffic.at.extend(args.at.iter().cloned());
    let floor = args.vs_floor.then(|| args.workers.unwrap_or_else(cores));
    let plan = traffic::Plan {
        target: args.to.target.clone(),
        fillings: fillings(&args.to).await?,
        scale: args.scale,
        stretch: args.stretch,
        seed: args.seed,
        timeout: args.to.timeout,
        floor,
        kept: args.kept.clone(),
        machine: Machine::here(threads(&args.to), floor.unwrap_or_default()),
    };
    let findings = traffic::play(&traffic, &plan).await?;
    if let Some(file) = &args.html {
        std::fs::write(file, findings.html()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if args.to.json {
        say(&serde_json::to_string(&findings)?)?;
    } else {
        say(&findings.text())?;
    }
    Ok(!args.check || findings.missed.is_empty())
}

async fn execute_check(args: &CheckArgs) -> Result<bool> {
    let finding = check::check(check::Smoke {
        target: args.to.target.clone(),
        fillings: fillings(&args.to).await?,
        rate: args.rate,
        duration: Duration::from_secs_f64(args.seconds),
        connections: args.connections,
        timeout: args.to.timeout,
        seed: args.seed,
    })
    .await?;
    if args.to.json {
        say(&serde_json::to_string(&finding)?)?;
    } else {
        say(&finding.text())?;
    }
    Ok(finding.passed)
}

fn execute_floor(args: FloorArgs) -> Result<()> {
    let mut answers = Vec::new();
    for file in &args.answer {
        let body = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        answers.push(floor::Answer { content_type: args.content_type.clone(), body });
    }
    if answers.is_empty() {
        answers.push(floor::Answer { content_type: args.content_type, body: vec![b'x'; args.body_bytes] });
    }
    if args.exit_with_parent {
        thread::spawn(|| {
            // Nothing is ever written there: the end of the input is the end of the parent.
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
    }
    let floor = floor::Floor {
        bind: args.bind,
        workers: args.workers.unwrap_or_else(cores),
        answers,
        work: args.append.map_or(floor::Work::Nothing, floor::Work::Append),
        stall: args.stall_after.zip(args.stall).map(|(after, length)| floor::Stall { after, length }),
    };
    floor::serve(floor, |address| {
        // Whoever started this reads the address; if nobody does, it serves all the same.
        let _ = say(&format!("listening on http://{address}"));
    })
}

async fn fillings(to: &Where) -> Result<Fillings> {
    let items = match &to.items {
        Some(file) => items::from_file(file)?,
        None => items::from_target(&to.target, &to.key, to.timeout).await?,
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let visits = to.visits.as_deref().map(Visits::from_file).transpose()?.map(Arc::new);
    let run = u64::try_from(now.as_nanos()).unwrap_or_default();
    Ok(Fillings { key: to.key.clone(), items, visits, hot: 0.0, secret: to.secret_key.clone(), seed: to.draw, run })
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    out.flush()?;
    Ok(())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn threads(to: &Where) -> usize {
    to.threads.unwrap_or_else(|| (cores() / 2).max(1))
}

/// Reads `10s`, `500ms`, `2m`, or plain seconds.
fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let number: f64 = number.trim().parse().with_context(|| format!("`{text}` is not a duration"))?;
    let seconds = match unit {
        "" | "s" => number,
        "ms" => number / 1e3,
        "m" => number * 60.0,
        _ => bail!("`{unit}` is not ms, s or m"),
    };
    Duration::try_from_secs_f64(seconds).with_context(|| format!("`{text}` is not a duration"))
}

/// Reads `10=redis-cli …`.
fn order(text: &str) -> Result<traffic::Order> {
    let (seconds, run) = text.split_once('=').with_context(|| format!("`{text}` is not SECONDS=COMMAND"))?;
    Ok(traffic::Order { seconds: positive(seconds)?, run: run.to_owned() })
}

fn positive(text: &str) -> Result<f64> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) && number > 0.0 => Ok(number),
        Ok(_) | Err(_) => bail!("`{text}` is not a positive number"),
    }
}

fn at_least_one(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(number) if number >= 1 => Ok(number),
        Ok(_) | Err(_) => bail!("`{text}` is not a whole number of at least 1"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("10s").ok(), Some(Duration::from_secs(10)));
        assert_eq!(duration("1.5").ok(), Some(Duration::from_millis(1500)));
        assert_eq!(duration("250ms").ok(), Some(Duration::from_millis(250)));
        assert_eq!(duration("2m").ok(), Some(Duration::from_secs(120)));
        for bad in ["", "s", "-1s", "3h", "1 1"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
