//! The formats by name, what they assume, and a guess at what a file is.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;

use super::ImportError;
use super::columns::normal;
use crate::event::Currency;

/// What a file holds, by the name the command line uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Our own events, one JSON object a line, as `rapport export` writes them.
    EventsJsonl,
    /// The click stream of the REES46 data sets.
    Rees46,
    /// The click stream of the Retailrocket data set.
    Retailrocket,
    /// Invoice lines, as in the UCI Online Retail data sets.
    OnlineRetail,
    /// One session a line: item ids separated by spaces.
    Sessions,
    /// Items, one JSON object a line.
    CatalogJsonl,
    /// Items in the columns of a Google Merchant product feed, separated by commas, tabs or semicolons.
    CatalogCsv,
}

/// A format nobody has heard of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no format `{0}`; there are events-jsonl, rees46, retailrocket, online-retail, sessions, catalog-jsonl, catalog-csv")]
pub struct UnknownFormat(String);

impl Format {
    /// Every format.
    pub const ALL: &[Self] = &[
        Self::EventsJsonl,
        Self::Rees46,
        Self::Retailrocket,
        Self::OnlineRetail,
        Self::Sessions,
        Self::CatalogJsonl,
        Self::CatalogCsv,
    ];

    /// Returns the name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventsJsonl => "events-jsonl",
            Self::Rees46 => "rees46",
            Self::Retailrocket => "retailrocket",
            Self::OnlineRetail => "online-retail",
            Self::Sessions => "sessions",
            Self::CatalogJsonl => "catalog-jsonl",
            Self::CatalogCsv => "catalog-csv",
        }
    }

    /// Returns the currency of files of this format that do not say: pounds for `online-retail`, a British shop;
    /// dollars for `rees46`, whose description says so; none otherwise.
    pub fn default_currency(self) -> Option<Currency> {
        match self {
            Self::OnlineRetail => Currency::parse("GBP"),
            Self::Rees46 => Currency::parse("USD"),
            Self::EventsJsonl | Self::Retailrocket | Self::Sessions | Self::CatalogJsonl | Self::CatalogCsv => None,
        }
    }

    /// Returns the time zone of times without one: London for `online-retail`, else UTC.
    pub fn default_timezone(self) -> Result<TimeZone, ImportError> {
        match self {
            Self::OnlineRetail => TimeZone::get("Europe/London").map_err(|_| ImportError::TimeZone("Europe/London")),
            Self::EventsJsonl | Self::Rees46 | Self::Retailrocket | Self::Sessions | Self::CatalogJsonl | Self::CatalogCsv => {
                Ok(TimeZone::UTC)
            }
        }
    }

    /// Returns whether rows have named columns, so that the format may also come as Parquet.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Rees46 | Self::Retailrocket | Self::OnlineRetail | Self::CatalogCsv)
    }

    /// Returns whether the file tells about items, not about what happened.
    pub fn is_catalog(self) -> bool {
        matches!(self, Self::CatalogJsonl | Self::CatalogCsv)
    }

    /// Returns the format a first line looks like.
    pub(super) fn guess(first: &str) -> Option<Self> {
        let first = first.trim();
        if first.starts_with('{') {
            let has = |key: &str| first.contains(&format!("\"{key}\""));
            return match (has("type"), has("item_id")) {
                (true, _) => Some(Self::EventsJsonl),
                (false, true) => Some(Self::CatalogJsonl),
                (false, false) => None,
            };
        }
        let names: Vec<String> = first.split([',', '\t', ';']).map(normal).collect();
        if let Some(format) = Self::guess_header(&names) {
            return Some(format);
        }
        let ids =
            names.len() == 1 && !first.is_empty() && first.bytes().all(|b| b.is_ascii_alphanumeric() || b" -_.".contains(&b));
        (ids && first.bytes().any(|b| b.is_ascii_digit())).then_some(Self::Sessions)
    }

    /// Returns the format with columns of these [`normal`] names.
    pub(super) fn guess_header(names: &[String]) -> Option<Self> {
        let has = |name: &str| names.iter().any(|n| n == name);
        if has("eventtime") && has("productid") {
            Some(Self::Rees46)
        } else if has("visitorid") && has("itemid") {
            Some(Self::Retailrocket)
        } else if has("stockcode") && (has("invoiceno") || has("invoice")) {
            Some(Self::OnlineRetail)
        } else if has("id") && (has("title") || has("availability") || has("price")) {
            Some(Self::CatalogCsv)
        } else {
            None
        }
    }

    /// Returns the sentence that ends an error: what to use instead.
    pub(super) fn hint(guess: Option<Self>, asked: Self) -> String {
        match guess {
            Some(guess) if guess != asked => format!("; this looks like {guess}: use --format {guess}"),
            Some(_) | None => String::new(),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|format| format.as_str() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}
