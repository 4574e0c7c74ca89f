//! Files become drafts: what a shop kept elsewhere, read row by row.
//!
//! [`open`] gives one iterator over a file. Every row of the file ends in exactly one [`Parsed`] value (the `rows` of all
//! values sum up to the rows read), bad rows with their line and a stable reason. Nothing here stores: drafts go through
//! the same validation and fold as live traffic.
//!
//! ```text
//! file ─ source (gzip, BOM, line ends; a thread of its own) ─ records (CSV, lines, Parquet) ─ a format's rows ─▶ Parsed
//! ```
//!
//! The same rows give the same event ids, see `ids`, so that importing a file twice changes nothing.

pub mod doctor;
pub mod non_products;
pub mod report;

mod baskets;
mod clicks;
mod columns;
mod feed;
mod format;
mod ids;
mod invoices;
mod lines;
mod parquet;
mod records;
mod source;
mod values;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use csv::{ByteRecord, StringRecord};
use jiff::tz::TimeZone;

use crate::catalog::draft::ItemDraft;
use crate::event::{ConsentClaim, Currency, Draft, Rejection, RejectionCode, Timestamp};

pub use doctor::Doctor;
pub use format::{Format, UnknownFormat};
pub use non_products::NonProducts;
pub use report::Report;

use records::Records;

/// What the person importing knows and the file does not say.
#[derive(Debug, Clone)]
pub struct Options {
    /// The currency of prices without one; else the format's own ([`Format::default_currency`]).
    pub currency: Option<Currency>,
    /// Where the shop's clock hung, for times without a zone; else the format's own ([`Format::default_timezone`]).
    pub timezone: Option<TimeZone>,
    /// What the people in the file had agreed to; an event's own consent wins.
    pub consent: Option<ConsentClaim>,
    /// When the first session of a `sessions` file began: such files have an order but no times.
    pub base_time: Timestamp,
    /// How far reading has come, to be looked at from another thread.
    pub progress: Arc<Progress>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            currency: None,
            timezone: None,
            consent: None,
            // Early enough that ten million sessions, one a minute, do not reach into the future.
            base_time: Timestamp(946_684_800_000_000),
            progress: Arc::default(),
        }
    }
}

/// How far the reading of one or several files has come.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    bytes: AtomicU64,
    total_bytes: AtomicU64,
    words: Mutex<BTreeMap<String, u64>>,
}

impl Progress {
    /// Returns the rows read, not counting headers and blank lines.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Returns the bytes read from disk, compressed as they are.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the size of the files opened so far.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Returns the rows by the type the file itself gives them (`view`, `cart`, …); complete at the end of the file.
    pub fn words(&self) -> BTreeMap<String, u64> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What one or more rows of a file say.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    Event {
        draft: Box<Draft>,
        /// The rows it stands for: an invoice has many. 0 for the second and later event of one row (`sessions`).
        rows: u32,
        /// The line the first of them starts at; in Parquet the number of the row, from 1.
        line: u64,
    },
    Item {
        draft: Box<ItemDraft>,
        line: u64,
    },
    Rejected {
        line: u64,
        rows: u32,
        /// The kind of event it would have been, where the row says so.
        kind: Option<&'static str>,
        rejection: Rejection,
        /// A stable word for reports; finer than the code.
        reason: &'static str,
    },
}

impl Parsed {
    /// Returns the rows of the file this stands for.
    pub fn rows(&self) -> u32 {
        match self {
            Self::Event { rows, .. } | Self::Rejected { rows, .. } => *rows,
            Self::Item { .. } => 1,
        }
    }
}

/// Why a file cannot be read (any further).
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{}: cannot be opened", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{}: cannot be read beyond line {line}", path.display())]
    Read { path: PathBuf, line: u64, source: io::Error },
    #[error("{}: not readable as Parquet", path.display())]
    Parquet { path: PathBuf, source: ::parquet::errors::ParquetError },
    #[error("{}: line 1: column `{column}` is missing; found {}{hint}", path.display(), listed(found))]
    MissingColumn { path: PathBuf, column: &'static str, found: Vec<String>, hint: String },
    #[error("{}: line 1: this is not {format}: {problem}{hint}", path.display())]
    WrongContent { path: PathBuf, format: Format, problem: String, hint: String },
    #[error("{}: the row starting at line {line} is longer than 16 MiB; is a quote not closed?", path.display())]
    RowTooLong { path: PathBuf, line: u64 },
    #[error("no time zone `{0}`")]
    TimeZone(&'static str),
}

fn listed(found: &[String]) -> String {
    if found.is_empty() { "an empty file".to_owned() } else { found.join(", ") }
}

/// Opens a file for reading.
///
/// Fails at once where the file is missing, is of another format, or lacks a column. Afterwards an `Err` means that
/// nothing more can be read; rows that make no sense are [`Parsed::Rejected`].
pub fn open(
    path: &Path,
    format: Format,
    options: &Options,
) -> Result<Box<dyn Iterator<Item = Result<Parsed, ImportError>> + Send>, ImportError> {
    let mut records = Records::open(path, format, &options.progress)?;
    let rows: Box<dyn Rows> = match format {
        Format::EventsJsonl => Box::new(lines::Events::new(options)),
        Format::CatalogJsonl => Box::new(lines::Catalog),
        Format::Sessions => Box::new(lines::Sessions::new(options)),
        Format::Rees46 => Box::new(clicks::Rees46::new(records.header()?, options)?),
        Format::Retailrocket => Box::new(clicks::Retailrocket::new(records.header()?, options)?),
        Format::OnlineRetail => Box::new(invoices::OnlineRetail::new(records.header()?, options)?),
        Format::CatalogCsv => Box::new(feed::Feed::new(records.header()?, options)?),
    };
    let out = Out { queue: VecDeque::new(), progress: Arc::clone(&options.progress), words: Vec::new() };
    Ok(Box::new(Import { records, rows, out, record: ByteRecord::new(), done: false }))
}

/// How one format makes drafts of rows.
trait Rows: Send {
    fn row(&mut self, line: u64, fields: &StringRecord, out: &mut Out);

    /// Gives what is still held back at the end of the file.
    fn finish(&mut self, _out: &mut Out) {}
}

/// What is wrong with a row.
#[derive(Debug)]
struct Bad {
    reason: &'static str,
    rejection: Rejection,
}

impl Bad {
    fn new(reason: &'static str, code: RejectionCode, detail: impl Into<String>) -> Self {
        Self { reason, rejection: Rejection::new(code, detail) }
    }
}

impl From<Rejection> for Bad {
    fn from(rejection: Rejection) -> Self {
        Self { reason: rejection.code.as_str(), rejection }
    }
}

/// Where formats put what they made.
struct Out {
    queue: VecDeque<Parsed>,
    progress: Arc<Progress>,
    words: Vec<(String, u64)>,
}

/// More words than this in a file are no types; the rest is counted as `other`.
const MAX_WORDS: usize = 64;

impl Out {
    /// Counts the type the file itself gives a row.
    fn word(&mut self, word: &str) {
        if let Some((_, count)) = self.words.iter_mut().find(|(known, _)| known == word) {
            *count += 1;
        } else if self.words.len() < MAX_WORDS {
            self.words.push((word.chars().take(40).collect(), 1));
        } else {
            self.word_other();
        }
    }

    fn word_other(&mut self) {
        match self.words.iter_mut().find(|(known, _)| known == "other") {
            Some((_, count)) => *count += 1,
            None => self.words.push(("other".to_owned(), 1)),
        }
    }

    fn event(&mut self, line: u64, rows: u32, draft: Draft) {
        self.queue.push_back(Parsed::Event { draft: Box::new(draft), rows, line });
    }

    fn reject(&mut self, line: u64, rows: u32, kind: Option<&'static str>, bad: Bad) {
        self.queue.push_back(Parsed::Rejected { line, rows, kind, rejection: bad.rejection, reason: bad.reason });
    }

    fn flush_words(&mut self) {
        let mut words = self.progress.words.lock().unwrap_or_else(PoisonError::into_inner);
        for (word, count) in self.words.drain(..) {
            *words.entry(word).or_default() += count;
        }
    }
}

struct Import {
    records: Records,
    rows: Box<dyn Rows>,
    out: Out,
    /// Reused from row to row.
    record: ByteRecord,
    done: bool,
}

impl Import {
    fn advance(&mut self) -> Result<(), ImportError> {
        let Some(place) = self.records.read(&mut self.record)? else {
            self.done = true;
            self.rows.finish(&mut self.out);
            self.out.flush_words();
            return Ok(());
        };
        self.out.progress.rows.fetch_add(1, Ordering::Relaxed);
        if let Some(bad) = self.records.misfit(&self.record, place) {
            self.out.reject(place.line, 1, None, bad);
            return Ok(());
        }
        match StringRecord::from_byte_record(std::mem::take(&mut self.record)) {
            Ok(fields) => {
                self.rows.row(place.line, &fields, &mut self.out);
                self.record = fields.into_byte_record();
            }
            Err(error) => {
                let detail = "The row is not UTF-8; save the file as UTF-8 (such rows are often Windows-1252).";
                self.out.reject(place.line, 1, None, Bad::new("invalid_utf8", RejectionCode::InvalidRow, detail));
                self.record = error.into_byte_record();
            }
        }
        Ok(())
    }
}

impl Iterator for Import {
    type Item = Result<Parsed, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(parsed) = self.out.queue.pop_front() {
                return Some(Ok(parsed));
            }
            if self.done {
                return None;
            }
            if let Err(error) = self.advance() {
                self.done = true;
                self.out.flush_words();
                return Some(Err(error));
            }
        }
    }
}

#[cfg(test)]
mod real_files;
#[cfg(test)]
mod tests;
