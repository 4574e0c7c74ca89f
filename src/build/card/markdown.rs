//! A card as Markdown: plots become tables.

use std::fmt::Write;

use super::content::{Block, percent};
use super::escape::markdown as escape;
use crate::event::Timestamp;
use crate::event::time::DAY;

pub(super) fn render(title: &str, blocks: &[Block]) -> String {
    let mut out = format!("# {}\n", escape(title));
    for block in blocks {
        out.push('\n');
        match block {
            Block::Heading(text) => put(&mut out, format_args!("## {text}\n")),
            Block::Text(text) => put(&mut out, format_args!("{}\n", escape(text))),
            Block::Table { head, rows } => table(&mut out, head, rows),
            Block::Bars { title, bars, digits } => {
                put(&mut out, format_args!("{}:\n\n", escape(title)));
                let rows: Vec<_> = bars.iter().map(|(name, n)| vec![name.clone(), format!("{n:.digits$}")]).collect();
                table(&mut out, &["What", "Amount"], &rows);
            }
            Block::Concentration(points) => {
                let rows: Vec<_> = points.iter().skip(1).map(|(x, share)| vec![format!("{x} %"), percent(*share)]).collect();
                table(&mut out, &["Most frequent items", "Their share of interactions"], &rows);
            }
            Block::Days { title, first, counts } => days(&mut out, title, *first, counts),
        }
    }
    out
}

fn table(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
    put(out, format_args!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len())));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
        put(out, format_args!("| {} |\n", cells.join(" | ")));
    }
}

/// A row for each day would be the longest part of the card; the middle and the ends say whether days are missing.
fn days(out: &mut String, title: &str, first: Timestamp, counts: &[u64]) {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let (Some(least), Some(most), Some(median)) = (sorted.first(), sorted.last(), sorted.get(sorted.len() / 2)) else {
        return;
    };
    let last = first.plus(i64::try_from(counts.len() - 1).unwrap_or(0).saturating_mul(DAY));
    put(
        out,
        format_args!(
            "{}: {} days from {} to {}, least {least}, median {median}, most {most}.\n",
            escape(title),
            counts.len(),
            first.date(),
            last.date()
        ),
    );
}

/// Appends; writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}
