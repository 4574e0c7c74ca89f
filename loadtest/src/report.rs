//! What people and programs read: Markdown tables, or the same as JSON.

use std::{fmt::Write as _, fs, thread};

use serde::Serialize;

use crate::run::Figures;

/// Whose figures a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    Target,
    Floor,
}

impl Who {
    pub(crate) const BOTH: [Self; 2] = [Self::Target, Self::Floor];
    pub(crate) const BOTH_REVERSED: [Self; 2] = [Self::Floor, Self::Target];

    fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Floor => "floor",
        }
    }
}

/// One side at one rate.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) who: Who,
    pub(crate) rate: f64,
    pub(crate) figures: Figures,
}

/// The highest sustained rates.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Maximum {
    pub(crate) target_per_second: Option<f64>,
    pub(crate) floor_per_second: Option<f64>,
    pub(crate) bound_ms: f64,
    /// At least one side bore the highest rate that was tried.
    pub(crate) capped: bool,
}

/// One scenario's comparison.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub(crate) scenario: String,
    pub(crate) description: String,
    pub(crate) request_bytes: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) maximum: Option<Maximum>,
    pub(crate) notes: Vec<String>,
}

/// Where the figures come from; without it they mean nothing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
    pub(crate) generator_threads: usize,
    pub(crate) floor_workers: usize,
    pub(crate) optimised: bool,
}

impl Machine {
    /// Looks at the machine this runs on.
    pub(crate) fn here(generator_threads: usize, floor_workers: usize) -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or(std::env::consts::ARCH, |(_, name)| name.trim());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu.to_owned(),
            kernel: format!("{} {}", std::env::consts::OS, kernel.trim()),
            generator_threads,
            floor_workers,
            optimised: !cfg!(debug_assertions),
        }
    }

    /// Says it in one line.
    pub(crate) fn line(&self) -> String {
        let build = if self.optimised { "" } else { ", NOT an optimised build of the generator" };
        let floor = match self.floor_workers {
            0 => String::new(),
            workers => format!(", floor {workers} worker(s)"),
        };
        format!(
            "Machine: {} cores ({}), {}; generator {} thread(s){floor}{build}",
            self.cores, self.cpu, self.kernel, self.generator_threads,
        )
    }
}

/// Everything one `compare` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) target: String,
    pub(crate) machine: Machine,
    pub(crate) comparisons: Vec<Comparison>,
}

impl Report {
    /// Writes the report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        line(self.machine.line());
        line(String::new());
        line("Latency from the intended start of each request, in milliseconds.".to_owned());
        line(String::new());
        line(TABLE.to_owned());
        for comparison in &self.comparisons {
            for row in &comparison.rows {
                line(table_row(&comparison.scenario, row.who.name(), &row.figures));
            }
        }
        line(String::new());
        line("Target ÷ floor at the same rate:".to_owned());
        line(String::new());
        line("| scenario | offered/s | p50 | p99 | p99.9 |\n|---|--:|--:|--:|--:|".to_owned());
        for comparison in &self.comparisons {
            for (target, floor) in pairs(&comparison.rows) {
                let (t, f) = (&target.figures.latency, &floor.figures.latency);
                line(format!(
                    "| {} | {:.0} | {} | {} | {} |",
                    comparison.scenario,
                    target.rate,
                    ratio(t.p50_ms, f.p50_ms),
                    ratio(t.p99_ms, f.p99_ms),
                    ratio(t.p999_ms, f.p999_ms),
                ));
            }
        }
        let maxima: Vec<(&Comparison, &Maximum)> =
            self.comparisons.iter().filter_map(|comparison| Some((comparison, comparison.maximum.as_ref()?))).collect();
        if let Some((_, first)) = maxima.first() {
            line(String::new());
            line(format!("Highest sustained requests/s (99 % answered in time, p99 ≤ {:.0} ms, no errors):", first.bound_ms,));
            line(String::new());
            line("| scenario | request | answer | target | floor | target ÷ floor |\n|---|--:|--:|--:|--:|--:|".to_owned());
            for (comparison, maximum) in &maxima {
                line(format!(
                    "| {} | {} B | {} B | {} | {} | {}{} |",
                    comparison.scenario,
                    comparison.request_bytes,
                    comparison.answer_bytes,
                    whole(maximum.target_per_second),
                    whole(maximum.floor_per_second),
                    match (maximum.target_per_second, maximum.floor_per_second) {
                        (Some(target), Some(floor)) => ratio(target, floor),
                        (None, _) | (_, None) => "–".to_owned(),
                    },
                    if maximum.capped { " (highest rate tried)" } else { "" },
                ));
            }
        }
        for comparison in &self.comparisons {
            for note in comparison.notes.iter().cloned().chain(faults(comparison)) {
                line(format!("\nNote on {}: {note}", comparison.scenario));
            }
        }
        out
    }
}

const TABLE: &str = "| scenario | who | offered/s | achieved/s | p50 | p99 | p99.9 | errors |\n|---|---|--:|--:|--:|--:|--:|--:|";

fn table_row(scenario: &str, who: &str, figures: &Figures) -> String {
    format!(
        "| {scenario} | {who} | {:.0} | {:.0} | {:.3} | {:.3} | {:.3} | {} |",
        figures.offered_per_second,
        figures.achieved_per_second,
        figures.latency.p50_ms,
        figures.latency.p99_ms,
        figures.latency.p999_ms,
        figures.errors,
    )
}

/// Writes the result of a single run as Markdown.
pub(crate) fn single(machine: &Machine, scenario: &str, figures: &Figures) -> String {
    let mut out = format!("{}\n\n{TABLE}\n{}\n", machine.line(), table_row(scenario, "target", figures));
    let service = &figures.service;
    let _ = writeln!(
        out,
        "\nFrom the actual start (what a closed loop would report): p50 {:.3}, p99 {:.3}, p99.9 {:.3} ms; \
         generator late by {:.3} ms at p99; slowest {:.1} ms.",
        service.p50_ms, service.p99_ms, service.p999_ms, figures.generator_lag_p99_ms, figures.latency.max_ms,
    );
    if let Some(fault) = errors(figures) {
        let _ = writeln!(out, "\n{fault}");
    }
    out
}

/// Tells on stderr how one run went, as comparisons take minutes.
pub(crate) fn progress(scenario: &str, who: Who, figures: &Figures) {
    eprintln!(
        "{scenario} {} offered {:.0}/s achieved {:.0}/s p50 {:.3} ms p99 {:.3} ms errors {}",
        who.name(),
        figures.offered_per_second,
        figures.achieved_per_second,
        figures.latency.p50_ms,
        figures.latency.p99_ms,
        figures.errors,
    );
}

/// Says in one line what went wrong, if anything did.
pub(crate) fn errors(figures: &Figures) -> Option<String> {
    let tally = &figures.tally;
    let first = tally.first_fault.as_deref();
    let kinds = [
        ("4xx", tally.status_4xx),
        ("429 (rate limit)", tally.status_429),
        ("5xx", tally.status_5xx),
        ("other status", tally.status_other),
        ("transport", tally.transport),
        ("no answer in time", tally.timeout),
        ("not acknowledged", tally.unacknowledged),
        ("unexpected answer", tally.shape),
        ("never sent", tally.unsent),
    ];
    let said: Vec<String> = kinds.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{kind} {count}")).collect();
    if said.is_empty() {
        return None;
    }
    let first = first.map(|fault| format!("; the first: {fault}")).unwrap_or_default();
    Some(format!("{} errors: {}{first}", figures.errors, said.join(", ")))
}

fn faults(comparison: &Comparison) -> impl Iterator<Item = String> + '_ {
    comparison.rows.iter().filter_map(|row| {
        let text = errors(&row.figures)?;
        Some(format!("{} at {:.0}/s: {text}", row.who.name(), row.rate))
    })
}

fn pairs(rows: &[Row]) -> impl Iterator<Item = (&Row, &Row)> {
    rows.iter().filter(|row| row.who == Who::Target).filter_map(|target| {
        let floor = rows.iter().find(|row| row.who == Who::Floor && row.rate == target.rate)?;
        Some((target, floor))
    })
}

fn ratio(of: f64, to: f64) -> String {
    if to > 0.0 { format!("{:.2}", of / to) } else { "–".to_owned() }
}

fn whole(rate: Option<f64>) -> String {
    rate.map_or_else(|| "none".to_owned(), |rate| format!("{rate:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::figures::{Quantiles, Tally};

    fn figures(p50: f64, unsent: u64) -> Figures {
        let latency =
            Quantiles { mean_ms: p50, p50_ms: p50, p90_ms: p50 * 2.0, p99_ms: p50 * 4.0, p999_ms: p50 * 8.0, max_ms: p50 * 9.0 };
        Figures {
            offered_per_second: 1000.0,
            achieved_per_second: 999.9,
            requests: 10_000,
            latency,
            service: latency,
            generator_lag_p99_ms: 0.1,
            errors: unsent,
            tally: Tally { unsent, ..Tally::default() },
            results: Default::default(),
        }
    }

    fn report() -> Report {
        let row = |who, p50, unsent| Row { who, rate: 1000.0, figures: figures(p50, unsent) };
        Report {
            target: "http://127.0.0.1:1".to_owned(),
            machine: Machine::here(1, 2),
            comparisons: vec![Comparison {
                scenario: "also-bought".to_owned(),
                description: "x".to_owned(),
                request_bytes: 300,
                answer_bytes: 1200,
                rows: vec![row(Who::Target, 0.3, 3), row(Who::Floor, 0.2, 0)],
                maximum: Some(Maximum {
                    target_per_second: Some(9_000.0),
                    floor_per_second: Some(12_000.0),
                    bound_ms: 50.0,
                    capped: false,
                }),
                notes: Vec::new(),
            }],
        }
    }

    #[test]
    fn the_report_holds_both_sides_the_ratios_and_the_faults() {
        let text = report().markdown();
        for line in [
            "| also-bought | target | 1000 | 1000 | 0.300 | 1.200 | 2.400 | 3 |",
            "| also-bought | floor | 1000 | 1000 | 0.200 | 0.800 | 1.600 | 0 |",
            "| also-bought | 1000 | 1.50 | 1.50 | 1.50 |",
            "| also-bought | 300 B | 1200 B | 9000 | 12000 | 0.75 |",
            "Note on also-bought: target at 1000/s: 3 errors: never sent 3",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
        assert!(text.starts_with("Machine: "));
    }

    #[test]
    fn the_same_is_there_for_programs() {
        let json = serde_json::to_value(report()).expect("JSON");
        assert_eq!(json["comparisons"][0]["rows"][1]["who"], "floor");
        assert_eq!(json["comparisons"][0]["rows"][0]["figures"]["latency"]["p99_ms"], 1.2);
        assert_eq!(json["comparisons"][0]["maximum"]["target_per_second"], 9_000.0);
    }
}
