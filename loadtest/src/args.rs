//! The command line: what can be asked, and how its words are read.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::{client::Target, traffic};

/// Open-loop load for Rapport, next to a floor measured in the same run.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
    /// Make many profiles from real visits, as fast as they are acknowledged.
    Profiles(ProfilesArgs),
    /// Send a mixture, read every answer, fail on anything unexpected.
    Check(CheckArgs),
}

/// Where to, and about what.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// The server, as http://host:port
    #[arg(long)]
    pub(crate) target: Target,
    /// The publishable key; its rate limit must allow the rates asked for
    #[arg(long)]
    pub(crate) key: String,
    /// A secret key, for scenarios that change the catalog
    #[arg(long, value_name = "KEY")]
    pub(crate) secret_key: Option<String>,
    /// Item ids, one a line [default: what the target says is trending]
    #[arg(long, value_name = "FILE")]
    pub(crate) items: Option<PathBuf>,
    /// Real visits for the scenarios about them: one a line, item ids separated by blanks, oldest first
    #[arg(long, value_name = "FILE")]
    pub(crate) visits: Option<PathBuf>,
    /// Decides which items and visits the requests are about
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) draw: u64,
    /// How long to wait for one answer
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// The generator's own threads [default: half the cores]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) to: Where,
    /// A scenario file, or the name of a shipped one
    #[arg(long)]
    pub(crate) scenario: String,
    /// Requests a second [default: the scenario's first]
    #[arg(long, value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// How long to measure [default: the scenario's]
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// How long to send before measuring
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub(crate) warmup: Duration,
    /// Connections kept open [default: the scenario's]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) connections: Option<usize>,
    /// Exponential gaps from this seed in place of a constant rate
    #[arg(long, value_name = "SEED")]
    pub(crate) poisson: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct FloorArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) bind: String,
    /// Answer with this many bytes
    #[arg(long, default_value_t = 1024, conflicts_with = "answer")]
    pub(crate) body_bytes: usize,
    /// Answer with the bytes of this file; of several, a request to /N/… gets the Nth, counted from 0
    #[arg(long, value_name = "FILE")]
    pub(crate) answer: Vec<PathBuf>,
    /// Parse every request as a beacon, append its events to this file, and answer when they are synced
    #[arg(long, value_name = "FILE")]
    pub(crate) append: Option<PathBuf>,
    #[arg(long, default_value = "application/json")]
    pub(crate) content_type: String,
    /// Worker threads [default: one a core]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) workers: Option<usize>,
    /// Pause once, at this request, to see whether a generator notices
    #[arg(long, requires = "stall", value_name = "REQUEST")]
    pub(crate) stall_after: Option<u64>,
    /// How long to pause
    #[arg(long, requires = "stall_after", value_parser = duration)]
    pub(crate) stall: Option<Duration>,
    /// End when the standard input does
    #[arg(long, hide = true)]
    pub(crate) exit_with_parent: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) to: Where,
    /// Scenario files, or names of shipped ones [default: the usual ones; those about visits only with --visits]
    #[arg(long, num_args = 1..)]
    pub(crate) scenario: Vec<String>,
    /// The floor's workers: give what the target has [default: one a core]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) workers: Option<usize>,
    /// Requests a second, in place of the scenarios' own
    #[arg(long, value_delimiter = ',', value_parser = positive)]
    pub(crate) rates: Option<Vec<f64>>,
    /// How long to measure at each rate [default: the scenario's]
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub(crate) warmup: Duration,
    #[arg(long, value_parser = at_least_one)]
    pub(crate) connections: Option<usize>,
    /// How often each rate is measured on either side; the runs are merged
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// What the 99th percentile may be at a sustained rate
    #[arg(long, default_value = "50ms", value_parser = duration)]
    pub(crate) p99: Duration,
    /// How long each step of the search for the highest sustained rate lasts
    #[arg(long, default_value = "4s", value_parser = duration)]
    pub(crate) probe: Duration,
    /// Measure both also at half of the target's highest sustained rate
    #[arg(long, conflicts_with = "no_max")]
    pub(crate) half: bool,
    /// Do not search for the highest sustained rate
    #[arg(long)]
    pub(crate) no_max: bool,
    /// The highest rate the search tries
    #[arg(long, default_value_t = 200_000.0, value_parser = positive)]
    pub(crate) max_rate: f64,
    /// Print Markdown, which is the default
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CostArgs {
    #[command(flatten)]
    pub(crate) to: Where,
    /// The target's process, which must have one worker (`RAPPORT_HTTP__WORKERS=1`); it stays pinned
    #[arg(long)]
    pub(crate) pid: u32,
    /// The core target and floor are pinned to
    #[arg(long, default_value_t = 0)]
    pub(crate) core: usize,
    /// Scenario files, or names of shipped ones
    #[arg(long, num_args = 1.., default_values = ["also-bought", "for-you"])]
    pub(crate) scenario: Vec<String>,
    /// Ask, for beacons, also a floor that parses them and appends to a log of its own in this folder, which must be on the
    /// disk of the target's data
    #[arg(long, value_name = "FOLDER")]
    pub(crate) append: Option<PathBuf>,
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub(crate) connections: usize,
    /// How long either side is asked in a round
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub(crate) round: Duration,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
}

#[derive(Debug, Args)]
pub(crate) struct TrafficArgs {
    #[command(flatten)]
    pub(crate) to: Where,
    /// A traffic file, or the name of a shipped one
    #[arg(long)]
    pub(crate) traffic: String,
    /// Every rate times this
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub(crate) scale: f64,
    /// Every time times this
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub(crate) stretch: f64,
    /// Seed of the arrivals, the mixture and the visitors
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Run a command at a time, beside those in the file
    #[arg(long, value_name = "SECONDS=COMMAND", value_parser = order)]
    pub(crate) at: Vec<traffic::Order>,
    /// Play the same to a bare handler that gives the target's own answers
    #[arg(long)]
    pub(crate) vs_floor: bool,
    /// The floor's workers: give what the target has [default: one a core]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) workers: Option<usize>,
    /// Afterwards look for every acknowledged event in what this command prints, a line of JSON with an `id` each
    #[arg(long, value_name = "COMMAND")]
    pub(crate) kept: Option<String>,
    /// Watch the memory of the target's process
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Write the page to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// End with 1 if a limit of the file did not hold
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProfilesArgs {
    #[command(flatten)]
    pub(crate) to: Where,
    /// How many; the visits start over where there are fewer
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) count: u64,
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub(crate) connections: usize,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) to: Where,
    #[arg(long, default_value_t = 30.0, value_parser = positive)]
    pub(crate) seconds: f64,
    #[arg(long, default_value_t = 100.0, value_parser = positive)]
    pub(crate) rate: f64,
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    pub(crate) connections: usize,
    /// Seed of the arrivals
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
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
