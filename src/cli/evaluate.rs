//! `rapport evaluate`

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use rapport_models::evaluate::{Trial, evaluate_sessions};

use super::print_json;

mod purchases;

#[derive(Debug, Args)]
pub struct Evaluate {
    /// Sessions to learn from.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Sessions to predict, prefix by prefix.
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Sessions)]
    format: Format,
    #[command(flatten)]
    purchases: purchases::Arguments,
    /// Of sessions one of default, blend, `session_knn`, `co_visitation`, rules, llr, cosine and popularity. Of invoices one of default, blend, ease, llr,
    /// cosine, `buy_again`, personal and popularity, or all of these where none is named.
    #[arg(long)]
    strategy: Option<String>,
    /// Length of the list that counts.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    k: u16,
    /// Never recommends the item on screen; without this it may be, as shoppers do return.
    #[arg(long)]
    skip_on_screen: bool,
    /// Prints one JSON object with the figures.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One session a line, space-separated item ids, oldest first; also with .gz.
    Sessions,
    /// Invoice lines as in the UCI Online Retail data sets, CSV, CSV with .gz or Parquet.
    OnlineRetail,
}

impl Evaluate {
    /// Learns and measures in memory; the data directory is not touched.
    pub fn run(self) -> anyhow::Result<()> {
        match (self.format, &self.train, &self.test) {
            (Format::OnlineRetail, None, None) => self.purchases.run(self.strategy.as_deref(), usize::from(self.k), self.json),
            (Format::Sessions, Some(train), Some(test)) if !self.purchases.is_given() => self.sessions(train, test),
            (Format::Sessions, ..) => anyhow::bail!("--format sessions needs --train and --test, and nothing else to read"),
            (Format::OnlineRetail, ..) => {
                anyhow::bail!("--format online-retail reads --data and cuts it itself, without --train and --test")
            }
        }
    }

    fn sessions(&self, train: &Path, test: &Path) -> anyhow::Result<()> {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let train = read(train, |id| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(id.to_owned()).or_insert(next)
        })?;
        let test = read(test, |id| numbers.get(id).copied().unwrap_or(u32::MAX))?;
        let (train, test): (Vec<&[u32]>, Vec<&[u32]>) =
            (train.iter().map(Vec::as_slice).collect(), test.iter().map(Vec::as_slice).collect());
        let trial = Trial {
            strategy: self.strategy.as_deref().unwrap_or("default"),
            train: &train,
            test: &test,
            n_items: numbers.len(),
            k: usize::from(self.k),
            skip_on_screen: self.skip_on_screen,
        };
        let started = Instant::now();
        let mut report = evaluate_sessions(&trial, || started.elapsed())?;
        report.peak_rss_mb = peak_rss_mb();
        if self.json {
            return print_json(&report);
        }
        println!(
            "{} over {} prefixes: hit rate@{} {:.4}, recall {:.4}, MRR {:.4}, NDCG {:.4}, coverage {:.3}, popularity bias {:.4}, novelty {:.2} bits",
            report.strategy,
            report.prefixes,
            report.k,
            report.hit_rate,
            report.recall,
            report.mrr,
            report.ndcg,
            report.coverage,
            report.popularity_bias,
            report.novelty
        );
        println!(
            "learnt in {:.2} s, answers in {:.1} µs (half) and {:.1} µs (99 of 100), {:.0} MB at the most",
            report.train_seconds, report.us_per_query_p50, report.us_per_query_p99, report.peak_rss_mb
        );
        Ok(())
    }
}

fn read(path: &Path, mut number: impl FnMut(&str) -> u32) -> anyhow::Result<Vec<Vec<u32>>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let plain: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    BufReader::with_capacity(1 << 16, plain)
        .lines()
        .enumerate()
        .map(|(n, line)| {
            let line = line.with_context(|| format!("{} line {}: cannot be read", path.display(), n + 1))?;
            Ok(line.split_whitespace().map(&mut number).collect())
        })
        .collect()
}

/// Returns the largest resident memory of this process so far, in MB (10^6 bytes).
pub(super) fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(0.0, |kib| kib * 1024.0 / 1e6)
}
