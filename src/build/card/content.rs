//! What stands in a card, before it has a form.

use std::collections::BTreeMap;

use rapport_models::artifact::Manifest;
use serde_json::Value;

use super::Subject;
use crate::event::Timestamp;
use crate::event::time::DAY;

/// Days that are drawn; a single event with a date of long ago must not flatten all others.
const MAX_DAYS: usize = 400;
/// Items that are named.
const NAMED: usize = 10;
/// Percent of the items for which the curve tells their share.
const PERCENTS: [usize; 14] = [0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
/// Visits by the number of items, with the least of each class.
const LENGTHS: [(usize, &str); 6] =
    [(1, "1 item"), (2, "2 items"), (3, "3 to 5 items"), (6, "6 to 10 items"), (11, "11 to 20 items"), (21, "21 items or more")];

/// A piece of a card; all text is plain, whoever renders it escapes it.
#[derive(Debug, PartialEq)]
pub(super) enum Block {
    Heading(&'static str),
    Text(String),
    Table {
        head: Vec<&'static str>,
        rows: Vec<Vec<String>>,
    },
    /// Named amounts to compare; they may be below 0.
    Bars {
        title: String,
        bars: Vec<(String, f64)>,
        /// Digits after the point.
        digits: usize,
    },
    /// Shares of all interactions (0 to 1) that the most frequent items have, by percent of the items.
    Concentration(Vec<(usize, f64)>),
    /// An amount for each day in a row.
    Days {
        title: String,
        first: Timestamp,
        counts: Vec<u64>,
    },
}

pub(super) fn title(subject: &Subject<'_>) -> String {
    format!("Model card: {}, {}", subject.manifest.site, minute(subject.manifest.created_at))
}

pub(super) fn of(subject: &Subject<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    origin(subject, &mut blocks);
    figures(subject, &mut blocks);
    attention(subject.manifest, &mut blocks);
    traffic(subject, &mut blocks);
    purpose(&mut blocks);
    blocks.push(Block::Heading("Settings"));
    blocks.push(Block::Table { head: vec!["Setting", "Value"], rows: settings(&subject.manifest.parameters) });
    blocks
}

fn origin(subject: &Subject<'_>, blocks: &mut Vec<Block>) {
    let manifest = subject.manifest;
    blocks.push(Block::Heading("What it was learnt from"));
    blocks.push(Block::Text(format!(
        "Events of site {} from {} to {}, from visitors who allowed analytics. Built by version {}.",
        manifest.site,
        minute(manifest.window.from),
        minute(manifest.window.to),
        manifest.rapport_version
    )));
    let rows = manifest.counts.iter().map(|(name, n)| vec![spoken(name), n.to_string()]).collect();
    blocks.push(Block::Table { head: vec!["What", "Number"], rows });
    blocks.push(Block::Text(
        "Left out: events without analytics (no consent to learn from them), events repeated (the log holds them twice) and events over visitor cap (more than \
         one visitor may teach about an item in a day)."
            .to_owned(),
    ));
}

fn figures(subject: &Subject<'_>, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading("How good it is"));
    let new = &subject.manifest.evaluation;
    if new.is_empty() {
        blocks.push(Block::Text(
            "No figures: the last day held too few cases, or there was nothing before it to learn from.".to_owned(),
        ));
    } else {
        blocks.push(Block::Text(
            "Learnt from all but the last day and tested on that day. A model's figures on one day vary by chance, the more so the fewer the cases."
                .to_owned(),
        ));
        let old = subject.active.map(|(_, manifest)| &manifest.evaluation);
        blocks.push(Block::Table {
            head: vec!["Figure", "Cases", "This build", "Active build", "Difference"],
            rows: compared(new, old),
        });
    }
    blocks.push(Block::Text(match (subject.active, subject.gate) {
        (None, _) => "There was no active build to compare it with; it was activated.".to_owned(),
        (Some((id, _)), None) => format!("Compared with build {id}, which was active. It passed the gate and was activated."),
        (Some((id, _)), Some(why)) => format!("Compared with build {id}, which was active. It did not pass the gate: {why}."),
    }));
}

/// What stands at the end of the name of a number of cases.
const CASES: &str = "_cases";

/// Returns a row for each figure, beside the number of cases of the same test and the active build's figure.
fn compared(new: &BTreeMap<String, f64>, old: Option<&BTreeMap<String, f64>>) -> Vec<Vec<String>> {
    let cases = |name: &str| {
        let tests = new.iter().filter_map(|(cases, n)| Some((cases.strip_suffix(CASES)?, n)));
        let own = tests.filter(|(test, _)| name.strip_prefix(test).is_some_and(|rest| rest.starts_with('_')));
        own.max_by_key(|(test, _)| test.len()).map_or_else(String::new, |(_, n)| format!("{n:.0}"))
    };
    let row = |(name, &value): (&String, &f64)| {
        let before = old.and_then(|old| old.get(name)).copied();
        vec![
            spoken(name),
            cases(name),
            format!("{value:.4}"),
            before.map_or_else(String::new, |before| format!("{before:.4}")),
            before.map_or_else(String::new, |before| difference(value, before)),
        ]
    };
    new.iter().filter(|(name, _)| !name.ends_with(CASES)).map(row).collect()
}

fn difference(value: f64, before: f64) -> String {
    let by = value - before;
    if before == 0.0 { format!("{by:+.4}") } else { format!("{by:+.4} ({:+.1} %)", 100.0 * by / before) }
}

/// Parameters that say what a model looks at; whatever model has some is shown.
const IMPORTANCE: &str = ".importance";
const WEIGHTS: &str = ".weights";

/// Tells what the models look at.
fn attention(manifest: &Manifest, blocks: &mut Vec<Block>) {
    let start = blocks.len();
    for (name, value) in &manifest.parameters {
        let (title, digits) = if let Some(model) = name.strip_suffix(IMPORTANCE) {
            (format!("What the order looks at ({}): share of the gain of all splits", spoken(model)), 3)
        } else if let Some(model) = name.strip_suffix(WEIGHTS) {
            (format!("Weights of the blend that chooses candidates ({})", spoken(model)), 3)
        } else {
            continue;
        };
        let mut bars: Vec<(String, f64)> = value
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, amount)| Some((spoken(name), amount.as_f64().filter(|amount| *amount != 0.0)?)))
            .collect();
        // A stable order: equal amounts stay in the order of their names.
        bars.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        if !bars.is_empty() {
            blocks.push(Block::Bars { title, bars, digits });
        }
    }
    if blocks.len() > start {
        blocks.insert(start, Block::Heading("What it looks at"));
    }
}

/// Shows how the traffic is spread over items, days and visits.
fn traffic(subject: &Subject<'_>, blocks: &mut Vec<Block>) {
    let learned = subject.learned;
    if learned.interest.is_empty() {
        return;
    }
    blocks.push(Block::Heading("How the traffic is spread"));
    let mut counts = vec![0_u64; learned.items.len()];
    for interest in &learned.interest {
        if let Some(count) = counts.get_mut(interest.item as usize) {
            *count += 1;
        }
    }
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&item| std::cmp::Reverse(counts[item]));
    let sorted: Vec<u64> = order.iter().map(|&item| counts[item]).collect();
    let total: u64 = sorted.iter().sum();
    blocks.push(Block::Concentration(concentration(&sorted)));
    let rows = order.iter().take(NAMED).map(|&item| {
        let name = learned.items.get(item).map_or_else(String::new, |id| id.as_str().to_owned());
        vec![name, counts[item].to_string(), percent(share(counts[item], total))]
    });
    blocks.push(Block::Table { head: vec!["Most frequent items", "Interactions", "Share"], rows: rows.collect() });
    for (what, times) in [
        ("Views, carts and purchases", learned.interest.iter().map(|i| i.at).collect::<Vec<_>>()),
        ("Orders", learned.baskets.iter().map(|b| b.at).collect()),
    ] {
        if let Some((first, counts)) = per_day(&times) {
            let some = if counts.len() == MAX_DAYS { format!(", last {MAX_DAYS} days") } else { String::new() };
            blocks.push(Block::Days { title: format!("{what} per day (UTC){some}"), first, counts });
        }
    }
    let mut lengths = [0_u64; LENGTHS.len()];
    for session in &learned.sessions {
        if let Some(class) = LENGTHS.iter().rposition(|(least, _)| session.items.len() >= *least) {
            lengths[class] += 1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of visits, to be drawn")]
    let bars: Vec<_> = LENGTHS.iter().zip(lengths).map(|((_, name), n)| ((*name).to_owned(), n as f64)).collect();
    if bars.iter().any(|(_, n)| *n > 0.0) {
        blocks.push(Block::Bars { title: "Visits by length".to_owned(), bars, digits: 0 });
    }
}

/// Returns, by percent of the items, the share that the most frequent ones have; `counts` are descending.
fn concentration(counts: &[u64]) -> Vec<(usize, f64)> {
    let total: u64 = counts.iter().sum();
    let top = |percent: usize| counts.iter().take((counts.len() * percent).div_ceil(100)).sum::<u64>();
    PERCENTS.iter().map(|&percent| (percent, share(top(percent), total))).collect()
}

/// Returns the first day that is shown and the number of times on each day from there.
fn per_day(times: &[Timestamp]) -> Option<(Timestamp, Vec<u64>)> {
    let day = |t: &Timestamp| i64::from(t.day());
    let last = times.iter().map(day).max()?;
    let first = times.iter().map(day).min()?;
    let length = usize::try_from(last - first + 1).map_or(MAX_DAYS, |days| days.min(MAX_DAYS));
    let mut counts = vec![0; length];
    for time in times {
        // Counted from the end, so that what is too old falls off.
        let back = usize::try_from(last - day(time)).unwrap_or(usize::MAX);
        if let Some(count) = length.checked_sub(back + 1).and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }
    let days_shown = i64::try_from(length).unwrap_or(0);
    Some((Timestamp((last + 1 - days_shown).saturating_mul(DAY)), counts))
}

fn purpose(blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading("Intended use and limits"));
    for text in [
        "Made to suggest items of this site to its visitors: what goes together, what comes next in a visit, what is popular. Not made to set prices, to judge \
         persons, or for another site.",
        "Figures of the past compare builds with each other; they do not promise clicks or sales. Whatever the shop showed so far shaped what visitors saw, and so \
         what was learnt; only a test on visitors tells what a change is worth.",
        "Items that nobody has seen yet are unknown to it, and rarely seen ones are told apart poorly; what is frequent is recommended more (see popularity bias and \
         novelty). Visitors who did not allow analytics are not represented, and may behave differently.",
        "Learnt from behaviour only. It holds numbers for items and pairs of items and no numbers for visitors, but what very few people did can show in a pair of rare \
         items; the least support of a pair is among the settings.",
    ] {
        blocks.push(Block::Text(text.to_owned()));
    }
}

/// Returns names and values; objects one level deep are spread over rows. What is drawn is left out.
fn settings(parameters: &BTreeMap<String, Value>) -> Vec<Vec<String>> {
    let shown = parameters.iter().filter(|(name, _)| !name.ends_with(IMPORTANCE) && !name.ends_with(WEIGHTS));
    shown
        .flat_map(|(name, value)| match value.as_object() {
            Some(inner) => inner.iter().map(|(key, value)| vec![format!("{name}.{key}"), written(value)]).collect(),
            None => vec![vec![name.clone(), written(value)]],
        })
        .collect()
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // A 32-bit setting kept as 64 bits would show digits that nobody wrote.
            #[expect(clippy::cast_possible_truncation, reason = "used only where nothing is lost")]
            Some(wide) if f64::from(wide as f32) == wide => (wide as f32).to_string(),
            _ => number.to_string(),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Returns a name of the manifest as words.
fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

fn minute(micros: i64) -> String {
    Timestamp(micros).format("%Y-%m-%d %H:%M UTC")
}

#[expect(clippy::cast_precision_loss, reason = "counts, to be shown as percent")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
