//! Events into the columns of a Parquet file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;

use super::parquet_schema::{NEW_EVENT, NEXT_CATEGORY, NEXT_LINE, NO_LINE, NO_VALUE, VALUE, schema};
use super::{Committed, LogError};
use crate::event::{Event, Line, Timestamp};

/// A row group is closed at so many events.
const GROUP_ROWS: usize = 1 << 16;
/// A row group is closed at so many lines, so that imported orders cost no more memory than page views.
const GROUP_LINES: usize = 1 << 18;

/// Columns of a few distinct values: their dictionary encoding is as small as it gets.
const FEW_VALUES: [&str; 7] =
    ["type", "source", "currency", "consent_analytics", "consent_personalization", "consent_marketing", "consent_sale_share"];

/// Writes a file of those events, not synced yet, and returns it.
pub(super) fn write_file(
    path: &Path,
    mut events: impl Iterator<Item = std::result::Result<Committed, LogError>>,
) -> std::result::Result<File, LogError> {
    let failed = |source| LogError::Parquet { action: "write", path: path.to_path_buf(), source };
    let file = File::create(path).map_err(LogError::io("create", path))?;
    let mut rows = next_rows(&mut events)?;
    let mut writer = open(file, &rows).map_err(failed)?;
    while !rows.is_empty() {
        write_group(&mut writer, &rows).map_err(failed)?;
        rows = next_rows(&mut events)?;
    }
    writer.into_inner().map_err(failed)
}

/// Returns the events of the next row group.
fn next_rows(
    events: &mut impl Iterator<Item = std::result::Result<Committed, LogError>>,
) -> std::result::Result<Vec<Committed>, LogError> {
    let (mut rows, mut lines) = (Vec::new(), 0);
    while rows.len() < GROUP_ROWS && lines < GROUP_LINES {
        let Some(event) = events.next() else { break };
        let event = event?;
        lines += event.event.items.len();
        rows.push(event);
    }
    Ok(rows)
}

fn open(file: File, first_rows: &[Committed]) -> Result<SerializedFileWriter<File>> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("rapport".to_owned());
    // A compressor costs more to set up than the rest of a small column, for the writer and for each reader.
    for path in unused(first_rows).into_iter().chain(FEW_VALUES.map(ColumnPath::from)) {
        properties = properties.set_column_compression(path, Compression::UNCOMPRESSED);
    }
    SerializedFileWriter::new(file, schema()?, Arc::new(properties.build()))
}

/// Returns the columns that hold nothing in those rows.
fn unused(rows: &[Committed]) -> Vec<ColumnPath> {
    let event = |name: &'static str, used: fn(&Event) -> bool| (vec![name], rows.iter().any(|row| used(&row.event)));
    let line = |name: &'static str, used: fn(&Line) -> bool| {
        let any = rows.iter().flat_map(|row| &row.event.items).any(used);
        (["items", "list", "element"].into_iter().chain(name.split('.')).collect(), any)
    };
    let columns = [
        event("customer_id", |e| e.customer.is_some()),
        event("session_id", |e| e.session.is_some()),
        event("seq", |e| e.seq.is_some()),
        event("client_ts", |e| e.client_ts.is_some()),
        event("sent_at", |e| e.sent_at.is_some()),
        event("consent_at", |e| e.consent.at.is_some()),
        event("value_minor", |e| e.value_minor.is_some()),
        event("transaction_id", |e| e.transaction_id.is_some()),
        event("search_term", |e| e.search_term.is_some()),
        event("creative_id", |e| e.creative_id.is_some()),
        event("placement", |e| e.placement.is_some()),
        event("recommendation_id", |e| e.recommendation_id.is_some()),
        event("params", |e| e.params.is_some()),
        line("item_id", |_| true),
        line("item_name", |l| l.name.is_some()),
        line("item_brand", |l| l.brand.is_some()),
        line("categories.list.element", |l| !l.categories.is_empty()),
        line("item_variant", |l| l.variant.is_some()),
        line("price_micros", |l| l.price.is_some()),
        line("quantity", |l| l.quantity.is_some()),
        line("index", |l| l.index.is_some()),
    ];
    let unused = columns.into_iter().filter(|(_, used)| !used);
    unused.map(|(path, _): (Vec<&str>, bool)| ColumnPath::new(path.into_iter().map(str::to_owned).collect())).collect()
}

/// Writes the columns in the order of the schema.
fn write_group(writer: &mut SerializedFileWriter<File>, rows: &[Committed]) -> Result<()> {
    let mut group = Group { group: writer.next_row_group()?, rows };
    group.required::<Int64Type>(|r| integer(r.position.0))?;
    group.required::<ByteArrayType>(|r| Ok(text(r.event.id.as_str())))?;
    group.required::<ByteArrayType>(|r| Ok(text(r.event.kind.as_str())))?;
    group.required::<ByteArrayType>(|r| Ok(text(r.event.visitor.as_str())))?;
    group.optional::<ByteArrayType>(|r| r.event.customer.as_ref().map(|c| text(c.as_str())))?;
    group.optional_text(|r| r.event.session.as_deref())?;
    group.optional::<Int64Type>(|r| r.event.seq)?;
    group.required::<Int64Type>(|r| Ok(r.event.ts.0))?;
    group.optional_time(|r| r.event.client_ts)?;
    group.optional_time(|r| r.event.sent_at)?;
    group.required::<Int64Type>(|r| Ok(r.event.received_at.0))?;
    group.required::<BoolType>(|r| Ok(r.event.consent.purposes.analytics))?;
    group.required::<BoolType>(|r| Ok(r.event.consent.purposes.personalization))?;
    group.required::<BoolType>(|r| Ok(r.event.consent.purposes.marketing))?;
    group.required::<BoolType>(|r| Ok(r.event.consent.purposes.sale_share))?;
    group.optional_time(|r| r.event.consent.at)?;
    group.required::<ByteArrayType>(|r| Ok(text(r.event.source.as_str())))?;
    group.lines::<ByteArrayType>(true, |line| Some(text(line.item.as_str())))?;
    group.lines::<ByteArrayType>(false, |line| line.name.as_deref().map(text))?;
    group.lines::<ByteArrayType>(false, |line| line.brand.as_deref().map(text))?;
    group.categories()?;
    group.lines::<ByteArrayType>(false, |line| line.variant.as_deref().map(text))?;
    group.lines::<Int64Type>(false, |line| line.price.map(|price| price.0))?;
    group.lines::<Int64Type>(false, |line| line.quantity)?;
    group.lines::<Int64Type>(false, |line| line.index)?;
    group.optional::<ByteArrayType>(|r| r.event.currency.map(|c| text(c.as_str())))?;
    group.optional::<Int64Type>(|r| r.event.value_minor)?;
    group.optional_text(|r| r.event.transaction_id.as_deref())?;
    group.optional_text(|r| r.event.search_term.as_deref())?;
    group.optional_text(|r| r.event.creative_id.as_deref())?;
    group.optional_text(|r| r.event.placement.as_deref())?;
    group.optional_text(|r| r.event.recommendation_id.as_deref())?;
    group.optional_text(|r| r.event.params.as_deref())?;
    group.group.close()?;
    Ok(())
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text)
}

fn integer(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|e| ParquetError::General(e.to_string()))
}

struct Group<'a, 'r> {
    group: SerializedRowGroupWriter<'a, File>,
    rows: &'r [Committed],
}

impl Group<'_, '_> {
    fn column<T: DataType>(&mut self, values: &[T::T], definitions: Option<&[i16]>, repetitions: Option<&[i16]>) -> Result<()> {
        let column = self.group.next_column()?;
        let mut column = column.ok_or_else(|| ParquetError::General("more columns than the schema has".to_owned()))?;
        column.typed::<T>().write_batch(values, definitions, repetitions)?;
        column.close()
    }

    fn required<T: DataType>(&mut self, value: impl Fn(&Committed) -> Result<T::T>) -> Result<()> {
        let values = self.rows.iter().map(value).collect::<Result<Vec<_>>>()?;
        self.column::<T>(&values, None, None)
    }

    fn optional<T: DataType>(&mut self, value: impl Fn(&Committed) -> Option<T::T>) -> Result<()> {
        let (mut values, mut definitions) = (Vec::new(), Vec::with_capacity(self.rows.len()));
        for row in self.rows {
            let value = value(row);
            definitions.push(i16::from(value.is_some()));
            values.extend(value);
        }
        self.column::<T>(&values, Some(&definitions), None)
    }

    fn optional_text(&mut self, value: impl Fn(&Committed) -> Option<&str>) -> Result<()> {
        self.optional::<ByteArrayType>(|row| value(row).map(text))
    }

    fn optional_time(&mut self, value: impl Fn(&Committed) -> Option<Timestamp>) -> Result<()> {
        self.optional::<Int64Type>(|row| value(row).map(|t| t.0))
    }

    /// Writes a column within `items`.
    fn lines<T: DataType>(&mut self, required: bool, value: impl Fn(&Line) -> Option<T::T>) -> Result<()> {
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        for row in self.rows {
            if row.event.items.is_empty() {
                definitions.push(NO_LINE);
                repetitions.push(NEW_EVENT);
            }
            for (n, line) in row.event.items.iter().enumerate() {
                let value = value(line);
                // A required column has no level of its own for "there is a value".
                definitions.push(if value.is_some() && !required { VALUE } else { NO_VALUE });
                repetitions.push(if n == 0 { NEW_EVENT } else { NEXT_LINE });
                values.extend(value);
            }
        }
        self.column::<T>(&values, Some(&definitions), Some(&repetitions))
    }

    fn categories(&mut self) -> Result<()> {
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        for row in self.rows {
            if row.event.items.is_empty() {
                definitions.push(NO_LINE);
                repetitions.push(NEW_EVENT);
            }
            for (n, line) in row.event.items.iter().enumerate() {
                let first = if n == 0 { NEW_EVENT } else { NEXT_LINE };
                if line.categories.is_empty() {
                    definitions.push(NO_VALUE);
                    repetitions.push(first);
                }
                for (m, category) in line.categories.iter().enumerate() {
                    definitions.push(VALUE);
                    repetitions.push(if m == 0 { first } else { NEXT_CATEGORY });
                    values.push(text(category));
                }
            }
        }
        self.column::<ByteArrayType>(&values, Some(&definitions), Some(&repetitions))
    }
}
