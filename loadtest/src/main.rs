//! Open-loop load for Rapport, next to a floor measured in the same run.
//!
//! A [`schedule`] says beforehand when each request is meant to start. A [`scenario`] says what is
//! asked, as data. [`run`] sends it over the connections of [`client`] and counts latency from the
//! intended starts. [`compare`] does that in turn to a target and to the [`floor`], which gives the
//! target's own answer without doing anything for it, and [`report`] puts both in one table.
//! [`cost`] pins both to one core and tells what a request costs there.
//! [`traffic`] plays a shop's day: a mixture with rates that change, judged by limits, shown as a page.
//! [`profiles`] makes as many profiles as memory is to be measured with.
//! [`check`] is the smoke run that reads every answer ([`verify`]).

mod args;
mod check;
mod client;
mod compare;
mod cost;
mod floor;
mod items;
mod profiles;
mod report;
mod run;
mod scenario;
mod schedule;
mod traffic;
mod verify;
mod visits;

use std::{
    io::{Read, Write},
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use clap::Parser;

use crate::{
    args::{CheckArgs, Cli, Command, CompareArgs, CostArgs, FloorArgs, ProfilesArgs, RunArgs, TrafficArgs, Where},
    report::Machine,
    scenario::{Fillings, Scenario, Template},
    schedule::{Arrivals, Schedule},
    visits::Visits,
};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => with_runtime(&args.to, execute_run(&args)),
        Command::Compare(args) => with_runtime(&args.to, execute_compare(&args)),
        Command::Cost(args) => with_runtime(&args.to, execute_cost(&args)),
        Command::Traffic(args) => with_runtime(&args.to, execute_traffic(&args)),
        Command::Profiles(args) => with_runtime(&args.to, execute_profiles(&args)),
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
        half: args.half,
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
        pid: args.pid,
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

async fn execute_profiles(args: &ProfilesArgs) -> Result<bool> {
    let made = profiles::make(profiles::Plan {
        target: args.to.target.clone(),
        fillings: fillings(&args.to).await?,
        count: args.count,
        connections: args.connections,
        timeout: args.to.timeout,
    })
    .await?;
    if args.to.json {
        say(&serde_json::to_string(&made)?)?;
    } else {
        let (profiles, events, seconds) = (made.profiles, made.events, made.seconds);
        say(&format!("{profiles} profiles from {events} events in {seconds:.1} s, {:.0} events/s", events as f64 / seconds))?;
    }
    Ok(true)
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
