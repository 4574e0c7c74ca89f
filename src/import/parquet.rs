//! Rows of a Parquet file, as text, so that a format reads them like CSV.
//!
//! Only flat columns are read. Times become ISO 8601 text, with a `Z` where the file says UTC.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use csv::ByteRecord;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::{ImportError, Progress};

/// Rows taken from each column at a time.
const BATCH: usize = 8192;

pub(super) struct ParquetRows {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    progress: Arc<Progress>,
    columns: Vec<FlatColumn>,
    next_group: usize,
    /// Rows of the batch, and how many of them were given out.
    batch: usize,
    at: usize,
    row: u64,
    scratch: Vec<u8>,
}

struct FlatColumn {
    name: String,
    index: usize,
    meaning: Meaning,
    max_def: i16,
    reader: Option<ColumnReader>,
    levels: Vec<i16>,
    values: Values,
    next_value: usize,
    /// The last time written, because neighbours share it.
    last_time: Option<(i64, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Meaning {
    Plain,
    /// Units of so many nanoseconds since 1970; whether in UTC.
    Time {
        nanos: i64,
        utc: bool,
    },
    Date,
    Decimal {
        scale: i32,
    },
}

enum Values {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    I96(Vec<Int96>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

impl ParquetRows {
    pub(super) fn open(path: &Path, file: File, progress: &Arc<Progress>) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Parquet { path: path.to_owned(), source };
        let reader = SerializedFileReader::new(file).map_err(failed)?;
        let schema = reader.metadata().file_metadata().schema_descr();
        let columns = (0..schema.num_columns())
            .map(|index| (index, schema.column(index)))
            .filter(|(_, column)| column.max_rep_level() == 0 && column.path().parts().len() == 1)
            .map(|(index, column)| FlatColumn {
                name: column.name().to_owned(),
                index,
                meaning: Meaning::of(&column),
                max_def: column.max_def_level(),
                reader: None,
                levels: Vec::new(),
                values: Values::Bool(Vec::new()),
                next_value: 0,
                last_time: None,
            })
            .collect();
        let progress = Arc::clone(progress);
        let path = path.to_owned();
        Ok(Self { path, reader, progress, columns, next_group: 0, batch: 0, at: 0, row: 0, scratch: Vec::new() })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// Reads the next row and returns its number, from 1.
    pub(super) fn read(&mut self, record: &mut ByteRecord) -> Result<Option<u64>, ImportError> {
        self.next_row(record).map_err(|source| ImportError::Parquet { path: self.path.clone(), source })
    }

    fn next_row(&mut self, record: &mut ByteRecord) -> Result<Option<u64>, ParquetError> {
        while self.at == self.batch {
            if !self.fill()? {
                return Ok(None);
            }
        }
        record.clear();
        for column in &mut self.columns {
            self.scratch.clear();
            if column.max_def == 0 || column.levels.get(self.at) == Some(&column.max_def) {
                column.write_next(&mut self.scratch);
            }
            record.push_field(&self.scratch);
        }
        self.at += 1;
        self.row += 1;
        Ok(Some(self.row))
    }

    /// Reads a batch of every column; false at the end of the file.
    fn fill(&mut self) -> Result<bool, ParquetError> {
        self.at = 0;
        self.batch = 0;
        let mut sizes = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            sizes.push(column.read_batch()?);
        }
        let size = sizes.first().copied().unwrap_or(0);
        if sizes.iter().any(|&other| other != size) {
            return Err(ParquetError::General("columns of one row group differ in length".to_owned()));
        }
        if size > 0 {
            self.batch = size;
            return Ok(true);
        }
        if self.next_group >= self.reader.num_row_groups() {
            return Ok(false);
        }
        let group = self.reader.get_row_group(self.next_group)?;
        let bytes = u64::try_from(group.metadata().compressed_size()).unwrap_or(0);
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        for column in &mut self.columns {
            column.reader = Some(group.get_column_reader(column.index)?);
        }
        self.next_group += 1;
        // A file without flat columns has no rows to give.
        Ok(!self.columns.is_empty())
    }
}

impl Meaning {
    fn of(column: &ColumnDescriptor) -> Self {
        match column.logical_type_ref() {
            Some(LogicalType::Timestamp(time)) => {
                let nanos = match time.unit {
                    TimeUnit::MILLIS => 1_000_000,
                    TimeUnit::MICROS => 1_000,
                    TimeUnit::NANOS => 1,
                };
                return Self::Time { nanos, utc: time.is_adjusted_to_u_t_c };
            }
            Some(LogicalType::Date) => return Self::Date,
            _ => {}
        }
        let converted = column.converted_type();
        if converted == ConvertedType::TIMESTAMP_MILLIS {
            Self::Time { nanos: 1_000_000, utc: true }
        } else if converted == ConvertedType::TIMESTAMP_MICROS {
            Self::Time { nanos: 1_000, utc: true }
        } else if converted == ConvertedType::DATE {
            Self::Date
        } else if converted == ConvertedType::DECIMAL {
            Self::Decimal { scale: column.type_scale() }
        } else {
            Self::Plain
        }
    }
}

impl FlatColumn {
    /// Reads the next batch and returns how many rows it has.
    fn read_batch(&mut self) -> Result<usize, ParquetError> {
        self.levels.clear();
        self.next_value = 0;
        let levels = (self.max_def > 0).then_some(&mut self.levels);
        let Some(reader) = &mut self.reader else { return Ok(0) };
        macro_rules! take {
            ($reader:expr, $kind:ident) => {{
                let mut values = match std::mem::replace(&mut self.values, Values::Bool(Vec::new())) {
                    Values::$kind(values) => values,
                    _ => Vec::new(),
                };
                let rows = batch($reader, levels, &mut values)?;
                self.values = Values::$kind(values);
                rows
            }};
        }
        Ok(match reader {
            ColumnReader::BoolColumnReader(r) => take!(r, Bool),
            ColumnReader::Int32ColumnReader(r) => take!(r, I32),
            ColumnReader::Int64ColumnReader(r) => take!(r, I64),
            ColumnReader::Int96ColumnReader(r) => take!(r, I96),
            ColumnReader::FloatColumnReader(r) => take!(r, F32),
            ColumnReader::DoubleColumnReader(r) => take!(r, F64),
            ColumnReader::ByteArrayColumnReader(r) => take!(r, Bytes),
            ColumnReader::FixedLenByteArrayColumnReader(r) => take!(r, Fixed),
        })
    }

    /// Writes the next value that is not null.
    fn write_next(&mut self, out: &mut Vec<u8>) {
        let at = self.next_value;
        self.next_value += 1;
        // Writing to a Vec cannot fail.
        let _ = match &self.values {
            Values::Bool(v) => v.get(at).map(|v| write!(out, "{v}")),
            Values::I32(v) => match v.get(at) {
                Some(&v) => return self.write_integer(i64::from(v), out),
                None => None,
            },
            Values::I64(v) => match v.get(at) {
                Some(&v) => return self.write_integer(v, out),
                None => None,
            },
            Values::I96(v) => match v.get(at) {
                Some(v) => {
                    let micros = v.to_micros();
                    return self.write_time(micros, false, out);
                }
                None => None,
            },
            // Not a number is how data frames write "nothing".
            Values::F32(v) => v.get(at).filter(|v| !v.is_nan()).map(|v| write!(out, "{v}")),
            Values::F64(v) => v.get(at).filter(|v| !v.is_nan()).map(|v| write!(out, "{v}")),
            Values::Bytes(v) => v.get(at).map(|v| write_bytes(self.meaning, v.data(), out)),
            Values::Fixed(v) => v.get(at).map(|v| write_bytes(self.meaning, v.data(), out)),
        };
    }

    fn write_integer(&mut self, value: i64, out: &mut Vec<u8>) {
        match self.meaning {
            Meaning::Plain => {
                let _ = write!(out, "{value}");
            }
            Meaning::Decimal { scale } => write_decimal(i128::from(value), scale, out),
            Meaning::Date => {
                let micros = value.saturating_mul(crate::event::time::DAY);
                out.extend_from_slice(crate::event::Timestamp(micros).date().as_bytes());
            }
            Meaning::Time { nanos, utc } => {
                let micros = if nanos >= 1_000 { value.saturating_mul(nanos / 1_000) } else { value.div_euclid(1_000) };
                self.write_time(micros, utc, out);
            }
        }
    }

    fn write_time(&mut self, micros: i64, utc: bool, out: &mut Vec<u8>) {
        if self.last_time.as_ref().is_none_or(|(last, _)| *last != micros) {
            let format = match (micros % 1_000_000 == 0, utc) {
                (true, true) => "%Y-%m-%dT%H:%M:%SZ",
                (true, false) => "%Y-%m-%dT%H:%M:%S",
                (false, true) => "%Y-%m-%dT%H:%M:%S%.6fZ",
                (false, false) => "%Y-%m-%dT%H:%M:%S%.6f",
            };
            self.last_time = Some((micros, crate::event::Timestamp(micros).format(format)));
        }
        if let Some((_, text)) = &self.last_time {
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn batch<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    levels: Option<&mut Vec<i16>>,
    values: &mut Vec<T::T>,
) -> Result<usize, ParquetError> {
    values.clear();
    let (rows, _, _) = reader.read_records(BATCH, levels, None, values)?;
    Ok(rows)
}

fn write_bytes(meaning: Meaning, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
    match meaning {
        Meaning::Decimal { scale } if !bytes.is_empty() && bytes.len() <= 16 => {
            // Big-endian two's complement, shorter than the integer: the sign fills the rest.
            let fill = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
            let mut wide = [fill; 16];
            wide[16 - bytes.len()..].copy_from_slice(bytes);
            write_decimal(i128::from_be_bytes(wide), scale, out);
            Ok(())
        }
        Meaning::Decimal { .. } | Meaning::Plain | Meaning::Time { .. } | Meaning::Date => out.write_all(bytes),
    }
}

fn write_decimal(value: i128, scale: i32, out: &mut Vec<u8>) {
    let scale = usize::try_from(scale).unwrap_or(0);
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let _ = if scale == 0 { write!(out, "{sign}{whole}") } else { write!(out, "{sign}{whole}.{part}") };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_point() {
        let cases: [(i128, i32, &str); 5] =
            [(1250, 2, "12.50"), (-5, 2, "-0.05"), (0, 2, "0.00"), (7, 0, "7"), (123_456, 4, "12.3456")];
        for (value, scale, expected) in cases {
            let mut out = Vec::new();
            write_decimal(value, scale, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let mut out = Vec::new();
        write_bytes(Meaning::Decimal { scale: 2 }, &[0xff, 0x85], &mut out).unwrap();
        assert_eq!(out, b"-1.23");
    }
}
