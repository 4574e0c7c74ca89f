//! Events back out of the columns of a Parquet file.

use std::fs::File;
use std::path::Path;
use std::vec::IntoIter;

use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::SchemaDescriptor;

use super::parquet_schema::{NEW_EVENT, NEXT_CATEGORY, NO_LINE, VALUE, schema};
use super::{Committed, LogError, Position};
use crate::event::{
    Consent, Currency, CustomerId, Event, EventId, EventKind, ItemId, Line, Purposes, SiteId, Source, Timestamp, UnitPrice,
    VisitorId,
};

/// Calls `each` with every event of a sealed file, in its order.
pub(super) fn read_file(
    path: &Path,
    site: &SiteId,
    each: &mut dyn FnMut(Committed) -> std::result::Result<(), LogError>,
) -> std::result::Result<(), LogError> {
    read(File::open(path).map_err(LogError::io("open", path))?, path, site, each)
}

/// Calls `each` with every event of what was in a sealed file, in its order; messages call it `path`.
pub(super) fn read(
    file: impl ChunkReader + 'static,
    path: &Path,
    site: &SiteId,
    each: &mut dyn FnMut(Committed) -> std::result::Result<(), LogError>,
) -> std::result::Result<(), LogError> {
    let damaged = |e: ParquetError| LogError::corrupt(path, 0, e.to_string());
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let ours = SchemaDescriptor::new(schema().map_err(damaged)?);
    if reader.metadata().file_metadata().schema_descr().columns() != ours.columns() {
        return Err(LogError::corrupt(path, 0, "its columns are not those of an event log"));
    }
    for n in 0..reader.num_row_groups() {
        let rows = reader.get_row_group(n).and_then(|group| read_group(&*group, site)).map_err(damaged)?;
        rows.into_iter().try_for_each(&mut *each)?;
    }
    Ok(())
}

fn invalid(what: impl std::fmt::Display) -> ParquetError {
    ParquetError::General(what.to_string())
}

/// Reads the columns in the order of the schema, then puts the events together.
fn read_group(group: &dyn RowGroupReader, site: &SiteId) -> Result<Vec<Committed>> {
    let rows = usize::try_from(group.metadata().num_rows()).map_err(invalid)?;
    let mut columns = Columns { group, rows, next: 0 };
    let mut position = columns.required::<Int64Type>()?;
    let mut id = columns.required::<ByteArrayType>()?;
    let mut kind = columns.required::<ByteArrayType>()?;
    let mut visitor = columns.required::<ByteArrayType>()?;
    let mut customer = columns.optional::<ByteArrayType>()?;
    let mut session = columns.optional::<ByteArrayType>()?;
    let mut seq = columns.optional::<Int64Type>()?;
    let mut ts = columns.required::<Int64Type>()?;
    let mut client_ts = columns.optional::<Int64Type>()?;
    let mut sent_at = columns.optional::<Int64Type>()?;
    let mut received_at = columns.required::<Int64Type>()?;
    let mut analytics = columns.required::<BoolType>()?;
    let mut personalization = columns.required::<BoolType>()?;
    let mut marketing = columns.required::<BoolType>()?;
    let mut sale_share = columns.required::<BoolType>()?;
    let mut consent_at = columns.optional::<Int64Type>()?;
    let mut source = columns.required::<ByteArrayType>()?;
    let mut items = Lines::read(&mut columns)?;
    let mut currency = columns.optional::<ByteArrayType>()?;
    let mut value_minor = columns.optional::<Int64Type>()?;
    let mut transaction_id = columns.optional::<ByteArrayType>()?;
    let mut search_term = columns.optional::<ByteArrayType>()?;
    let mut creative_id = columns.optional::<ByteArrayType>()?;
    let mut placement = columns.optional::<ByteArrayType>()?;
    let mut recommendation_id = columns.optional::<ByteArrayType>()?;
    let mut params = columns.optional::<ByteArrayType>()?;
    let mut events = Vec::with_capacity(rows);
    for _ in 0..rows {
        let event = Event {
            site: site.clone(),
            id: EventId::new(need(&mut id)?.as_utf8()?).map_err(invalid)?,
            kind: EventKind::parse(need(&mut kind)?.as_utf8()?).ok_or_else(|| invalid("a type is no event name"))?,
            visitor: VisitorId::new(need(&mut visitor)?.as_utf8()?).map_err(invalid)?,
            customer: match need(&mut customer)? {
                Some(customer) => Some(CustomerId::new(customer.as_utf8()?).map_err(invalid)?),
                None => None,
            },
            session: text(need(&mut session)?)?,
            seq: need(&mut seq)?,
            ts: Timestamp(need(&mut ts)?),
            client_ts: need(&mut client_ts)?.map(Timestamp),
            sent_at: need(&mut sent_at)?.map(Timestamp),
            received_at: Timestamp(need(&mut received_at)?),
            consent: Consent {
                purposes: Purposes {
                    analytics: need(&mut analytics)?,
                    personalization: need(&mut personalization)?,
                    marketing: need(&mut marketing)?,
                    sale_share: need(&mut sale_share)?,
                },
                at: need(&mut consent_at)?.map(Timestamp),
            },
            source: Source::parse(need(&mut source)?.as_utf8()?).ok_or_else(|| invalid("an unknown source"))?,
            items: items.next()?,
            currency: match need(&mut currency)? {
                Some(code) => Some(Currency::parse(code.as_utf8()?).ok_or_else(|| invalid("an invalid currency"))?),
                None => None,
            },
            value_minor: need(&mut value_minor)?,
            transaction_id: text(need(&mut transaction_id)?)?,
            search_term: text(need(&mut search_term)?)?,
            creative_id: text(need(&mut creative_id)?)?,
            placement: text(need(&mut placement)?)?,
            recommendation_id: text(need(&mut recommendation_id)?)?,
            params: text(need(&mut params)?)?,
        };
        let position = Position(u64::try_from(need(&mut position)?).map_err(invalid)?);
        events.push(Committed { position, event });
    }
    Ok(events)
}

fn need<T>(column: &mut IntoIter<T>) -> Result<T> {
    column.next().ok_or_else(|| invalid("a column is shorter than the others"))
}

fn text(bytes: Option<ByteArray>) -> Result<Option<Box<str>>> {
    bytes.map(|bytes| bytes.as_utf8().map(Into::into)).transpose()
}

/// The columns of a row group, one after the other.
struct Columns<'a> {
    group: &'a dyn RowGroupReader,
    rows: usize,
    next: usize,
}

struct Column<T> {
    values: Vec<T>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

impl Columns<'_> {
    fn read<T: DataType>(&mut self) -> Result<Column<T::T>> {
        let mut reader = get_typed_column_reader::<T>(self.group.get_column_reader(self.next)?);
        self.next += 1;
        let mut column = Column { values: Vec::new(), definitions: Vec::new(), repetitions: Vec::new() };
        let (read, _, _) =
            reader.read_records(self.rows, Some(&mut column.definitions), Some(&mut column.repetitions), &mut column.values)?;
        if read == self.rows { Ok(column) } else { Err(invalid("a column is shorter than its row group")) }
    }

    fn required<T: DataType>(&mut self) -> Result<IntoIter<T::T>> {
        Ok(self.read::<T>()?.values.into_iter())
    }

    fn optional<T: DataType>(&mut self) -> Result<IntoIter<Option<T::T>>> {
        let column = self.read::<T>()?;
        let mut values = column.values.into_iter();
        let given = column.definitions.iter().map(|&level| if level > 0 { need(&mut values).map(Some) } else { Ok(None) });
        Ok(given.collect::<Result<Vec<_>>>()?.into_iter())
    }

    /// Reads an optional column within `items`: one value or nothing for each line of the row group.
    fn lines<T: DataType>(&mut self) -> Result<IntoIter<Option<T::T>>> {
        let column = self.read::<T>()?;
        let mut values = column.values.into_iter();
        let levels = column.definitions.iter().filter(|&&level| level != NO_LINE);
        let given = levels.map(|&level| if level == VALUE { need(&mut values).map(Some) } else { Ok(None) });
        Ok(given.collect::<Result<Vec<_>>>()?.into_iter())
    }

    fn categories(&mut self) -> Result<IntoIter<Vec<Box<str>>>> {
        let column = self.read::<ByteArrayType>()?;
        let mut values = column.values.into_iter();
        let mut lines: Vec<Vec<Box<str>>> = Vec::new();
        for (&definition, &repetition) in column.definitions.iter().zip(&column.repetitions) {
            if definition == NO_LINE {
                continue;
            }
            if repetition != NEXT_CATEGORY {
                lines.push(Vec::new());
            }
            if definition == VALUE {
                let line = lines.last_mut().ok_or_else(|| invalid("a category without a line"))?;
                line.push(need(&mut values)?.as_utf8()?.into());
            }
        }
        Ok(lines.into_iter())
    }
}

/// The columns of `items`.
struct Lines {
    /// Lines of each event.
    counts: IntoIter<usize>,
    item: IntoIter<ByteArray>,
    name: IntoIter<Option<ByteArray>>,
    brand: IntoIter<Option<ByteArray>>,
    categories: IntoIter<Vec<Box<str>>>,
    variant: IntoIter<Option<ByteArray>>,
    price: IntoIter<Option<i64>>,
    quantity: IntoIter<Option<i64>>,
    index: IntoIter<Option<i64>>,
}

impl Lines {
    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        let item = columns.read::<ByteArrayType>()?;
        let mut counts = Vec::with_capacity(columns.rows);
        for (&definition, &repetition) in item.definitions.iter().zip(&item.repetitions) {
            if repetition == NEW_EVENT {
                counts.push(0);
            }
            if definition != NO_LINE {
                *counts.last_mut().ok_or_else(|| invalid("a line without an event"))? += 1;
            }
        }
        Ok(Self {
            counts: counts.into_iter(),
            item: item.values.into_iter(),
            name: columns.lines::<ByteArrayType>()?,
            brand: columns.lines::<ByteArrayType>()?,
            categories: columns.categories()?,
            variant: columns.lines::<ByteArrayType>()?,
            price: columns.lines::<Int64Type>()?,
            quantity: columns.lines::<Int64Type>()?,
            index: columns.lines::<Int64Type>()?,
        })
    }

    /// Returns the lines of the next event.
    fn next(&mut self) -> Result<Vec<Line>> {
        let count = need(&mut self.counts)?;
        let mut lines = Vec::with_capacity(count);
        for _ in 0..count {
            lines.push(Line {
                item: ItemId::new(need(&mut self.item)?.as_utf8()?).map_err(invalid)?,
                name: text(need(&mut self.name)?)?,
                brand: text(need(&mut self.brand)?)?,
                categories: need(&mut self.categories)?,
                variant: text(need(&mut self.variant)?)?,
                price: need(&mut self.price)?.map(UnitPrice),
                quantity: need(&mut self.quantity)?,
                index: need(&mut self.index)?,
            });
        }
        Ok(lines)
    }
}
