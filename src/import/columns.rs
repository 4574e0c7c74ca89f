//! Columns by name: where in a row a field stands.

use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::{Format, ImportError};

/// The header of a table.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) names: Vec<String>,
}

/// Where a column stands, if it does.
pub(super) type Column = Option<usize>;

/// Returns a column name without what people write differently: case, blanks, underscores.
pub(super) fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

impl Header {
    pub(super) fn new(path: &Path, format: Format, names: Vec<String>) -> Self {
        Self { path: path.to_owned(), format, names }
    }

    /// Returns where the first of these names stands.
    pub(super) fn optional(&self, names: &[&str]) -> Column {
        names.iter().find_map(|name| {
            let wanted = normal(name);
            self.names.iter().position(|n| normal(n) == wanted)
        })
    }

    /// Returns where the first of these names stands, or an error that names the first and lists what is there.
    pub(super) fn required(&self, names: &[&'static str]) -> Result<Column, ImportError> {
        if let Some(index) = self.optional(names) {
            return Ok(Some(index));
        }
        let normal: Vec<String> = self.names.iter().map(|n| normal(n)).collect();
        Err(ImportError::MissingColumn {
            path: self.path.clone(),
            column: names.first().copied().unwrap_or_default(),
            found: self.names.clone(),
            hint: Format::hint(Format::guess_header(&normal), self.format),
        })
    }
}

/// Returns the text of a column, trimmed; empty where the table has no such column.
pub(super) fn text(fields: &StringRecord, column: Column) -> &str {
    column.and_then(|index| fields.get(index)).map_or("", str::trim)
}
