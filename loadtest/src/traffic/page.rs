//! The findings as one HTML page that needs nothing else: no script, no font, no other file.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    findings::{Findings, Kind, Second, Side},
    memory::Memory,
    plot::{Bar, Line, Plot, Scale},
};
use crate::verify::FaultKind;

const STYLE: &str = include_str!("page.css");
/// Colours of kinds; the sixth kind and any after it share the last.
const COLOURS: [&str; 7] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6"];

impl Findings {
    /// Writes the page.
    pub(crate) fn html(&self) -> String {
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{0} · Rapport load test</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n<p>{1}</p>\n",
            escaped(&self.traffic),
            escaped(&self.description),
        );
        self.write_verdict(&mut out);
        self.write_table(&mut out);
        out.push_str("<div class=\"plots\">\n");
        for plot in [self.latency(), self.curves(), self.rates(), self.faults()].into_iter().chain(self.memory_plot()) {
            out.push_str(&plot);
        }
        out.push_str("</div>\n</body></html>\n");
        out
    }

    /// Says the same in a few lines of text.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{}\n\n{}: {}\n\n", self.machine.line(), self.traffic, self.description);
        out.push_str("| request | who | requests | errors | p50 | p99 | p99.9 | max ms |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
        for (who, kind) in self.rows() {
            let l = &kind.latency;
            let _ = writeln!(
                out,
                "| {} | {who} | {} | {} | {:.3} | {:.3} | {:.3} | {:.1} |",
                kind.name, kind.requests, kind.errors, l.p50_ms, l.p99_ms, l.p999_ms, l.max_ms
            );
        }
        out.push('\n');
        for order in &self.orders {
            let _ = writeln!(out, "At {} s `{}` took {:.1} s: {}", order.seconds, order.run, order.took_seconds, order.ended);
        }
        for sentence in self.sentences() {
            let _ = writeln!(out, "{sentence}");
        }
        for (fault, count) in &self.target().all.faults {
            let _ = writeln!(out, "{}: {count}", fault.name());
        }
        match self.missed.as_slice() {
            [] => out.push_str("All limits held.\n"),
            missed => missed.iter().for_each(|sentence| out.push_str(&format!("MISSED: {sentence}\n"))),
        }
        out
    }

    fn target(&self) -> &Side {
        // There is always a first side: the target's.
        &self.sides[0]
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, &Kind)> {
        let kinds = 0..=self.target().kinds.len();
        kinds.flat_map(|index| {
            self.sides.iter().filter_map(move |side| Some((side.who, std::iter::once(&side.all).chain(&side.kinds).nth(index)?)))
        })
    }

    fn kept_sentence(&self) -> Option<String> {
        self.kept.map(|kept| {
            format!("{} events were acknowledged: {} lost, {} kept twice.", kept.acknowledged, kept.lost, kept.doubled)
        })
    }

    fn sentences(&self) -> impl Iterator<Item = String> + '_ {
        let memory = self.memory.as_ref().map(Memory::sentence);
        self.notes.iter().cloned().chain(self.kept_sentence()).chain(memory)
    }

    fn write_verdict(&self, out: &mut String) {
        match self.missed.as_slice() {
            [] => out.push_str("<p class=\"good\">All limits held.</p>\n"),
            missed => {
                for sentence in missed {
                    let _ = writeln!(out, "<p class=\"bad\">Missed: {}</p>", escaped(sentence));
                }
            }
        }
        for sentence in self.sentences() {
            let _ = writeln!(out, "<p>{}</p>", escaped(&sentence));
        }
        for order in &self.orders {
            let _ = writeln!(
                out,
                "<p>At {} s <code>{}</code> took {:.1} s: {}</p>",
                order.seconds,
                escaped(&order.run),
                order.took_seconds,
                escaped(&order.ended),
            );
        }
        let _ = writeln!(
            out,
            "<p class=\"soft\">{}. {} connections, seed {}. Latency counts from the intended start of each request, which was fixed \
             before the first was sent. The generator itself was late by {:.3} ms at its 99th percentile.</p>",
            escaped(&self.machine.line()),
            self.connections,
            self.seed,
            self.target().generator_lag_p99_ms,
        );
    }

    fn write_table(&self, out: &mut String) {
        out.push_str(
            "<div class=\"wide\"><table><tr><th>request</th><th></th><th>requests</th><th>errors</th><th>p50 ms</th>\
             <th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr>\n",
        );
        for (who, kind) in self.rows() {
            let l = &kind.latency;
            let _ = write!(
                out,
                "<tr{}><td>{}</td><td>{who}</td><td>{}</td><td>{}</td>",
                if kind.name == self.target().all.name { " class=\"all\"" } else { "" },
                escaped(&kind.name),
                kind.requests,
                kind.errors,
            );
            for ms in [l.p50_ms, l.p90_ms, l.p99_ms, l.p999_ms, l.max_ms] {
                let _ = write!(out, "<td>{}</td>", figure(ms));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</table></div>\n");
    }

    fn latency(&self) -> String {
        let of = |side: &Side, class, ms: fn(&Second) -> Option<f64>| Line {
            class,
            points: (0_u32..).zip(&side.seconds).map(|(at, second)| (f64::from(at) + 0.5, ms(second))).collect(),
        };
        let target = self.target();
        let mut lines = vec![of(target, "c0", |s| s.p50_ms), of(target, "c1", |s| s.p99_ms), of(target, "c6 thin", |s| s.max_ms)];
        let mut keys = vec![("c0", "p50"), ("c1", "p99"), ("c6 thin", "slowest")];
        if let Some(floor) = self.sides.get(1) {
            lines.push(of(floor, "c0 dash", |s| s.p50_ms));
            lines.push(of(floor, "c1 dash", |s| s.p99_ms));
            keys.extend([("c0 dash", "floor's p50"), ("c1 dash", "floor's p99")]);
        }
        let plot = self.over_time("Latency by second of the intended start", Scale::Log, "ms");
        figure_of(&Plot { lines, ..plot }, &keys)
    }

    fn curves(&self) -> String {
        let mut lines = Vec::new();
        let mut keys = Vec::new();
        let of = |kind: &Kind, class| Line { class, points: kind.curve.iter().map(|(x, y)| (*x, Some(*y))).collect() };
        for (index, kind) in self.target().kinds.iter().enumerate() {
            let class = COLOURS[index.min(COLOURS.len() - 1)];
            lines.push(of(kind, class));
            keys.push((class, kind.name.as_str()));
        }
        if let Some(floor) = self.sides.get(1) {
            lines.push(of(&floor.all, "c6 dash"));
            keys.push(("c6 dash", "floor, all"));
        }
        let (x, y) = ((Scale::Nines, "quantile"), (Scale::Log, "ms"));
        let about = "Latency by quantile";
        figure_of(&Plot { about, x, y, lines, bars: Vec::new(), marks: Vec::new() }, &keys)
    }

    fn rates(&self) -> String {
        let of = |side: &Side, class, count: fn(&Second) -> u64| Line {
            class,
            points: (0_u32..).zip(&side.seconds).map(|(at, s)| (f64::from(at) + 0.5, Some(count(s) as f64))).collect(),
        };
        let lines = vec![of(self.target(), "c6", |s| s.intended), of(self.target(), "c0", |s| s.answered)];
        let plot = self.over_time("Requests a second, intended and reached", Scale::Linear, "requests/s");
        figure_of(&Plot { lines, ..plot }, &[("c6", "meant to start"), ("c0", "good answers")])
    }

    fn faults(&self) -> String {
        let kinds: BTreeSet<FaultKind> = self.target().all.faults.keys().copied().collect();
        let class = |kind: FaultKind| {
            let index = kinds.iter().position(|known| *known == kind).unwrap_or_default();
            COLOURS[(index + 1).min(COLOURS.len() - 1)]
        };
        let about = "Errors a second, by kind";
        if kinds.is_empty() {
            return format!("<figure><h2>{about}</h2><figcaption class=\"good\">There were none.</figcaption></figure>\n");
        }
        let bars = (0_u32..).zip(&self.target().seconds).map(|(at, second)| Bar {
            at: f64::from(at),
            parts: second.faults.iter().map(|(kind, count)| (class(*kind), *count as f64)).collect(),
        });
        let keys: Vec<(&str, &str)> = kinds.iter().map(|kind| (class(*kind), kind.name())).collect();
        let plot = self.over_time(about, Scale::Linear, "errors/s");
        figure_of(&Plot { bars: bars.collect(), ..plot }, &keys)
    }

    fn memory_plot(&self) -> Option<String> {
        let memory = self.memory.as_ref()?;
        let points = memory.points.iter().map(|(at, mib)| (*at, Some(*mib))).collect();
        let plot = self.over_time("Resident memory of the target", Scale::Linear, "MiB");
        Some(figure_of(&Plot { lines: vec![Line { class: "c2", points }], ..plot }, &[("c2", "MiB")]))
    }

    fn over_time<'a>(&self, about: &'a str, scale: Scale, unit: &'a str) -> Plot<'a> {
        let marks = self.orders.iter().map(|order| (order.seconds, first_words(&order.run))).collect();
        Plot { about, x: (Scale::Linear, "seconds"), y: (scale, unit), lines: Vec::new(), bars: Vec::new(), marks }
    }
}

fn figure_of(plot: &Plot<'_>, keys: &[(&str, &str)]) -> String {
    let mut out = format!("<figure><h2>{}</h2><figcaption>", escaped(plot.about));
    for (class, word) in keys {
        let sign = if plot.bars.is_empty() {
            format!("<path class=\"line {class}\" d=\"M0 5H24\"/>")
        } else {
            format!("<rect class=\"{class}\" x=\"6\" width=\"12\" height=\"10\"/>")
        };
        let _ = write!(
            out,
            "<span class=\"key\"><svg viewBox=\"0 0 24 10\" aria-hidden=\"true\">{sign}</svg>{}</span> ",
            escaped(word)
        );
    }
    let _ = writeln!(out, "</figcaption>{}</figure>", plot.svg());
    out
}

fn first_words(line: &str) -> String {
    let short: String = line.chars().take(24).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}

/// Writes milliseconds with three digits that mean something.
fn figure(ms: f64) -> String {
    match ms {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms => format!("{ms:.2}"),
    }
}

/// Makes text safe between tags and in attributes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::Machine,
        run::Sample,
        traffic::findings::{Done, kind},
    };

    fn findings() -> Findings {
        let samples =
            |fault: Option<FaultKind>| (1..200).map(move |n| Sample { slot: n, micros: n * 10, fault: fault.filter(|_| n < 5) });
        let side = |who, fault| Side {
            who,
            all: kind("all", samples(fault)),
            kinds: vec![kind("for-<you>", samples(fault))],
            seconds: vec![Second { intended: 9, answered: 5, p99_ms: Some(2.0), ..Second::default() }; 3],
            generator_lag_p99_ms: 0.1,
        };
        Findings {
            traffic: "sale".to_owned(),
            description: "a & b".to_owned(),
            target: "http://127.0.0.1:1".to_owned(),
            machine: Machine::here(1, 1),
            connections: 4,
            seed: 1,
            notes: vec!["something was left out".to_owned()],
            orders: vec![Done { seconds: 1.0, run: "true".to_owned(), took_seconds: 0.1, ended: "ok".to_owned() }],
            sides: vec![side("target", Some(FaultKind::Status5xx)), side("floor", None)],
            kept: None,
            memory: Some(Memory { points: vec![(0.0, 9.0), (1.0, 9.5)], first_third_mib: 9.0, last_third_mib: 9.5 }),
            missed: vec!["for-you: too slow".to_owned()],
        }
    }

    #[test]
    fn the_page_shows_both_sides_and_needs_nothing_else() {
        let page = findings().html();
        for part in
            ["for-&lt;you&gt;", "a &amp; b", "Missed: for-you", "floor&#39;s p99", "5xx", "prefers-color-scheme", "left out"]
        {
            assert!(page.contains(part) || page.replace('\'', "&#39;").contains(part), "no `{part}`");
        }
        assert_eq!(page.matches("<figure>").count(), 5);
        for foreign in ["<script", "http://", "https://", "src=", "url(", "NaN", "inf"] {
            assert!(!page.contains(foreign), "`{foreign}` in\n{page}");
        }
    }

    #[test]
    fn the_text_names_what_was_missed() {
        let mut findings = findings();
        let text = findings.text();
        assert!(text.contains("| for-<you> | floor | 199 | 0 |") && text.contains("MISSED: for-you: too slow"), "{text}");
        findings.missed.clear();
        assert!(findings.text().ends_with("All limits held.\n"));
    }
}
