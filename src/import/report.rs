//! What an import did, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Progress;

/// Examples kept of each reason.
const EXAMPLES: usize = 3;

/// The figures of an import. Counts are rows, and add up: read = accepted + duplicates + all rejected.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    pub rows_read: u64,
    pub accepted: u64,
    /// Rows whose event was kept before: the file was imported already.
    pub duplicates: u64,
    /// By reason.
    pub rejected: BTreeMap<String, u64>,
    /// Events (or items) made of the accepted rows, by kind. An invoice of many rows is one purchase.
    pub by_type: BTreeMap<String, u64>,
    /// Rows read, by the type the file itself gives them.
    pub read_by_type: BTreeMap<String, u64>,
    /// The first few rejected rows of each reason.
    pub examples: BTreeMap<String, Vec<Example>>,
    pub seconds: f64,
    /// What the data will not support.
    pub advice: Vec<String>,
}

/// A rejected row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    pub file: String,
    pub line: u64,
    pub detail: String,
}

impl Report {
    /// Counts rows that made an event of this kind, or an `item`.
    pub fn accepted(&mut self, kind: &str, rows: u32) {
        self.accepted += u64::from(rows);
        add(&mut self.by_type, kind, 1);
    }

    /// Counts rows whose event was kept before.
    pub fn duplicate(&mut self, rows: u32) {
        self.duplicates += u64::from(rows);
    }

    /// Counts rows that were not taken, and keeps the first few for the reader.
    pub fn rejected(&mut self, file: &str, line: u64, rows: u32, reason: &str, detail: &str) {
        add(&mut self.rejected, reason, u64::from(rows));
        let examples = match self.examples.get_mut(reason) {
            Some(examples) => examples,
            None => self.examples.entry(reason.to_owned()).or_default(),
        };
        if examples.len() < EXAMPLES {
            examples.push(Example { file: file.to_owned(), line, detail: detail.to_owned() });
        }
    }

    /// Takes over what reading counted and ends the report.
    pub fn finish(&mut self, progress: &Progress, seconds: f64, advice: Vec<String>) {
        self.rows_read = progress.rows();
        self.read_by_type = progress.words();
        self.seconds = seconds;
        self.advice = advice;
    }

    /// Returns the rows of all reasons.
    pub fn rejected_rows(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Returns whether every row read ended in exactly one count.
    pub fn adds_up(&self) -> bool {
        self.rows_read == self.accepted + self.duplicates + self.rejected_rows()
    }
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str, n: u64) {
    match counts.get_mut(key) {
        Some(count) => *count += n,
        None => {
            counts.insert(key.to_owned(), n);
        }
    }
}

/// Returns a number with its thousands apart.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rows read in {:.1} s: {} accepted, {} imported before, {} rejected",
            grouped(self.rows_read),
            self.seconds,
            grouped(self.accepted),
            grouped(self.duplicates),
            grouped(self.rejected_rows())
        )?;
        let list = |f: &mut fmt::Formatter<'_>, title: &str, counts: &BTreeMap<String, u64>| {
            if counts.is_empty() {
                return Ok(());
            }
            let parts: Vec<String> = counts.iter().map(|(key, n)| format!("{key} {}", grouped(*n))).collect();
            writeln!(f, "{title}: {}", parts.join(", "))
        };
        list(f, "Rows in the file's words", &self.read_by_type)?;
        list(f, "Made of them", &self.by_type)?;
        if !self.rejected.is_empty() {
            writeln!(f, "Rejected:")?;
        }
        for (reason, n) in &self.rejected {
            writeln!(f, "  {reason} {}", grouped(*n))?;
            for example in self.examples.get(reason).into_iter().flatten() {
                writeln!(f, "    {}:{}: {}", example.file, example.line, example.detail)?;
            }
        }
        if !self.advice.is_empty() {
            writeln!(f, "What this means:")?;
        }
        for sentence in &self.advice {
            writeln!(f, "  {sentence}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_people_can_read_them() {
        let mut report = Report::default();
        report.accepted("purchase", 12);
        report.accepted("purchase", 1200);
        report.duplicate(3);
        for line in 2..7 {
            report.rejected("a.csv", line, 1, "invalid_time", "`InvoiceDate` is no time.");
        }
        report.rows_read = 1220;
        report.seconds = 1.25;
        report.advice.push("No views.".to_owned());
        assert!(report.adds_up());
        let text = report.to_string();
        assert!(text.contains("1,220 rows read in 1.2 s: 1,212 accepted, 3 imported before, 5 rejected"), "{text}");
        assert!(text.contains("a.csv:4:") && !text.contains("a.csv:5:"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        for field in ["rows_read", "accepted", "rejected", "by_type", "seconds", "advice"] {
            assert!(json.get(field).is_some(), "{field}");
        }
        assert_eq!(json["by_type"]["purchase"], 2);
        assert_eq!(json["rejected"]["invalid_time"], 5);
    }

    #[test]
    fn thousands_are_apart() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (541_909, "541,909"), (1_234_567, "1,234,567")];
        for (n, text) in cases {
            assert_eq!(grouped(n), text);
        }
    }
}
