//! Rows of text, wherever they come from: CSV, one a line, Parquet.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ByteRecord, Terminator};

use super::columns::Header;
use super::parquet::ParquetRows;
use super::source::{self, Bytes, Container};
use super::{Bad, Format, ImportError, Progress};
use crate::event::RejectionCode;

/// Where a row stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    /// More than `line` where a quoted field spans lines.
    pub(super) last_line: u64,
}

pub(super) struct Records {
    path: PathBuf,
    format: Format,
    header: Option<Header>,
    input: Input,
}

enum Input {
    Csv(Box<csv::Reader<Bytes>>),
    Lines { bytes: Bytes, line: u64, buffer: Vec<u8> },
    Parquet(Box<ParquetRows>),
}

impl Records {
    /// Opens a file and reads its header, where the format has one.
    pub(super) fn open(path: &Path, format: Format, progress: &Arc<Progress>) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Open { path: path.to_owned(), source };
        let (file, container) = source::open(path, progress).map_err(failed)?;
        if container == Container::Parquet {
            if !format.is_table() {
                return Err(wrong(path, format, "Parquet has columns, this format has lines", None));
            }
            let rows = ParquetRows::open(path, file, progress)?;
            let header = Header::new(path, format, rows.names());
            return Ok(Self { path: path.to_owned(), format, header: Some(header), input: Input::Parquet(Box::new(rows)) });
        }
        let mut bytes = Bytes::spawn(file, container, progress).map_err(failed)?;
        let read_failed = |source| ImportError::Read { path: path.to_owned(), line: 1, source };
        let first = bytes.peek_line().map_err(read_failed)?;
        check_first_line(path, format, &first)?;
        if !format.is_table() {
            let input = Input::Lines { bytes, line: 0, buffer: Vec::new() };
            return Ok(Self { path: path.to_owned(), format, header: None, input });
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter(&first))
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(64 * 1024)
            .from_reader(bytes);
        let mut names = ByteRecord::new();
        reader.read_byte_record(&mut names).map_err(|error| read_failed(io_error(error)))?;
        let names = names.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let header = Some(Header::new(path, format, names));
        Ok(Self { path: path.to_owned(), format, header, input: Input::Csv(Box::new(reader)) })
    }

    /// Returns the header of a table.
    pub(super) fn header(&mut self) -> Result<&Header, ImportError> {
        match &self.header {
            Some(header) => Ok(header),
            None => Err(wrong(&self.path, self.format, "there is no header", None)),
        }
    }

    /// Reads the next row, blank lines aside; nothing at the end.
    pub(super) fn read(&mut self, record: &mut ByteRecord) -> Result<Option<Place>, ImportError> {
        match &mut self.input {
            Input::Csv(reader) => {
                let started = reader.position().line();
                match reader.read_byte_record(record) {
                    Ok(false) => Ok(None),
                    Ok(true) => {
                        reader.get_mut().row_done();
                        // Counted back from the end of the row: the reader places blank lines before a row into it.
                        let next = reader.position().line();
                        let inside = if next - started > 1 { newlines(record) } else { 0 };
                        // A quote still open at the end of the file swallowed the end of the last line, too.
                        let width = self.header.as_ref().map_or(0, |header| header.names.len());
                        let open = inside > 0 && record.len() != width && record.as_slice().ends_with(b"\n");
                        Ok(Some(Place { line: next - inside - u64::from(!open), last_line: next - 1 }))
                    }
                    Err(_) if reader.get_ref().is_row_too_long() => {
                        Err(ImportError::RowTooLong { path: self.path.clone(), line: started })
                    }
                    Err(error) => Err(ImportError::Read { path: self.path.clone(), line: started, source: io_error(error) }),
                }
            }
            Input::Lines { bytes, line, buffer } => loop {
                buffer.clear();
                match bytes.read_until(b'\n', buffer) {
                    Ok(0) => return Ok(None),
                    Ok(_) => {
                        bytes.row_done();
                        *line += 1;
                        let text = buffer.trim_ascii();
                        if !text.is_empty() {
                            record.clear();
                            record.push_field(text);
                            return Ok(Some(Place { line: *line, last_line: *line }));
                        }
                    }
                    Err(_) if bytes.is_row_too_long() => {
                        return Err(ImportError::RowTooLong { path: self.path.clone(), line: *line + 1 });
                    }
                    Err(source) => return Err(ImportError::Read { path: self.path.clone(), line: *line + 1, source }),
                }
            },
            Input::Parquet(rows) => Ok(rows.read(record)?.map(|line| Place { line, last_line: line })),
        }
    }

    /// Returns what is wrong with a row of more or fewer fields than the header.
    pub(super) fn misfit(&self, record: &ByteRecord, place: Place) -> Option<Bad> {
        let wanted = self.header.as_ref()?.names.len();
        if record.len() == wanted {
            return None;
        }
        let found = record.len();
        Some(if place.last_line > place.line {
            let detail = format!(
                "The row runs from line {} to line {} and has {found} fields instead of {wanted}: is a quote not closed?",
                place.line, place.last_line
            );
            Bad::new("unclosed_quote", RejectionCode::InvalidRow, detail)
        } else {
            let detail = format!("The row has {found} fields, the header {wanted}.");
            Bad::new("wrong_column_count", RejectionCode::InvalidRow, detail)
        })
    }
}

fn newlines(record: &ByteRecord) -> u64 {
    record.as_slice().iter().filter(|&&b| b == b'\n').count() as u64
}

fn io_error(error: csv::Error) -> io::Error {
    let text = error.to_string();
    if let csv::ErrorKind::Io(error) = error.into_kind() { error } else { io::Error::other(text) }
}

fn wrong(path: &Path, format: Format, problem: &str, guess: Option<Format>) -> ImportError {
    ImportError::WrongContent { path: path.to_owned(), format, problem: problem.to_owned(), hint: Format::hint(guess, format) }
}

/// Stops before every row of a file is rejected for being something else.
fn check_first_line(path: &Path, format: Format, first: &str) -> Result<(), ImportError> {
    if first.contains('\0') {
        return Err(wrong(path, format, "it is binary or UTF-16; save it as UTF-8 text", None));
    }
    let guess = Format::guess(first);
    let trimmed = first.trim_start();
    match format {
        Format::EventsJsonl | Format::CatalogJsonl => {
            if trimmed.starts_with('[') {
                return Err(wrong(path, format, "it holds one JSON array; write one object a line", None));
            }
            if !trimmed.is_empty() && !trimmed.starts_with('{') && guess.is_some() {
                return Err(wrong(path, format, "there is no JSON object", guess));
            }
        }
        Format::Sessions => {
            if guess.is_some_and(|guess| guess != Format::Sessions) {
                return Err(wrong(path, format, "there are no item ids separated by spaces", guess));
            }
        }
        Format::Rees46 | Format::Retailrocket | Format::OnlineRetail | Format::CatalogCsv => {
            if trimmed.starts_with('{') {
                return Err(wrong(path, format, "it holds JSON", guess));
            }
        }
    }
    Ok(())
}

/// Returns what separates the columns of a header: the most frequent of comma, tab and semicolon outside quotes.
fn delimiter(header: &str) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b'\t', 0), (b';', 0)];
    for byte in header.bytes() {
        if byte == b'"' {
            quoted = !quoted;
        } else if !quoted && let Some((_, count)) = counts.iter_mut().find(|(b, _)| *b == byte) {
            *count += 1;
        }
    }
    let mut best = counts[0];
    for candidate in counts {
        if candidate.1 > best.1 {
            best = candidate;
        }
    }
    best.0
}
