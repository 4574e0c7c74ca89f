//! Events into the columns of a Parquet file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::parquet_schema::{NEW_EVENT, NEXT_CATEGORY, NEXT_LINE, NO_LINE, NO_VALUE, VALUE, schema};
use super::{Committed, LogError};
use crate::event::{Line, Timestamp};

/// A row group is closed at so many events.
const GROUP_ROWS: usize = 1 << 16;
/// A row group is closed at so many lines, so that imported orders cost no more memory than page views.
const GROUP_LINES: usize = 1 << 18;

/// Writes a file of those events, not synced yet, and returns it.
pub(super) fn write_file(
    path: &Path,
    events: impl Iterator<Item = std::result::Result<Committed, LogError>>,
) -> std::result::Result<File, LogError> {
    let failed = |source| LogError::Parquet { action: "write", path: path.to_path_buf(), source };
    let file = File::create(path).map_err(LogError::io("create", path))?;
    let mut writer = open(file).map_err(failed)?;
    let (mut rows, mut lines) = (Vec::new(), 0);
    for event in events {
        let event = event?;
        lines += event.event.items.len();
        rows.push(event);
        if rows.len() >= GROUP_ROWS || lines >= GROUP_LINES {
            write_group(&mut writer, &rows).map_err(failed)?;
            rows.clear();
            lines = 0;
        }
    }
    if !rows.is_empty() {
        write_group(&mut writer, &rows).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

fn open(file: File) -> Result<SerializedFileWriter<File>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("rapport".to_owned())
        .build();
    SerializedFileWriter::new(file, schema()?, Arc::new(properties))
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
