//! What stands in a field: times, prices, counts, ids.

use jiff::tz::TimeZone;

use super::Bad;
use crate::event::ids::MAX_ID_BYTES;
use crate::event::time::SECOND;
use crate::event::{RejectionCode, Timestamp, UnitPrice};

/// Reads times of one column. Neighbouring rows often share theirs, so the last one is remembered.
#[derive(Debug)]
pub(super) struct Times {
    zone: TimeZone,
    last: String,
    last_time: Option<Timestamp>,
}

impl Times {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, last: String::new(), last_time: None }
    }

    pub(super) fn read(&mut self, column: &str, text: &str) -> Result<Timestamp, Bad> {
        if self.last != text || self.last_time.is_none() {
            self.last_time = parse_time(text, &self.zone);
            self.last.clear();
            self.last.push_str(text);
        }
        self.last_time.ok_or_else(|| {
            let detail = format!("`{column}` is no time: `{}`; write 2026-11-23 10:00:00 or RFC 3339.", short(text));
            Bad::new("invalid_time", RejectionCode::InvalidTime, detail)
        })
    }
}

/// Returns the moment a text names: `2019-10-01 00:00:00` in `zone`, with `UTC`, `Z` or an offset behind it, with a
/// fraction, or the American `12/1/2010 8:26` of spreadsheets.
pub(super) fn parse_time(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let (civil, utc) = match text.strip_suffix("UTC").or_else(|| text.strip_suffix('Z')) {
        Some(civil) => (civil.trim_end(), true),
        None => (text, false),
    };
    if (utc || *zone == TimeZone::UTC)
        && let Some(time) = plain_utc(civil.as_bytes())
    {
        return Some(time);
    }
    let utc_zone = TimeZone::UTC;
    let zone = if utc { &utc_zone } else { zone };
    Timestamp::parse(text)
        .or_else(|| Timestamp::parse_civil(civil, zone))
        .or_else(|| Timestamp::parse_civil(&american(civil)?, zone))
}

/// Returns the moment of exactly `YYYY-MM-DD HH:MM:SS` in UTC, which is most of what there is to read.
fn plain_utc(b: &[u8]) -> Option<Timestamp> {
    if b.len() != 19 || b[4] != b'-' || b[7] != b'-' || !matches!(b[10], b' ' | b'T') || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        b[range].iter().try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || !(1..=9998).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Howard Hinnant's days_from_civil: years begin in March, so that the leap day comes last.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(Timestamp((((days * 24 + hour) * 60 + minute) * 60 + second) * SECOND))
}

/// Returns `12/1/2010 8:26` as ISO 8601.
fn american(text: &str) -> Option<String> {
    let (date, time) = text.split_once(' ')?;
    let mut date = date.split('/').map(|part| part.parse::<u32>().ok());
    let (month, day, year) = (date.next()??, date.next()??, date.next()??);
    if date.next().is_some() || !(1_000..=9_999).contains(&year) {
        return None;
    }
    let mut time = time.trim().split(':').map(|part| part.parse::<u32>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().unwrap_or(Some(0))?);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

/// Returns a finite price that can be kept exactly; nothing for an empty field.
pub(super) fn price(column: &str, text: &str) -> Result<Option<f64>, Bad> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(price) if UnitPrice::from_decimal(price).is_some() => Ok(Some(price)),
        _ => {
            let detail = format!("`{column}` is no price: `{}`; write 12.50.", short(text));
            Err(Bad::new("invalid_price", RejectionCode::OutOfRange, detail))
        }
    }
}

/// Returns a whole number; data frames write `6.0`.
pub(super) fn whole(column: &str, text: &str) -> Result<i64, Bad> {
    let trimmed = text.strip_suffix(".0").unwrap_or(text);
    match trimmed.parse::<i64>() {
        Ok(number) if number.unsigned_abs() <= 1 << 53 => Ok(number),
        _ => {
            let detail = format!("`{column}` is no whole number within 2^53: `{}`.", short(text));
            Err(Bad::new("invalid_quantity", RejectionCode::OutOfRange, detail))
        }
    }
}

/// Returns a text that can be an id, or the reason `missing` where it is empty.
pub(super) fn id<'a>(column: &str, text: &'a str, missing: &'static str) -> Result<&'a str, Bad> {
    if text.is_empty() {
        let code = match missing {
            "missing_visitor" => RejectionCode::MissingVisitor,
            "missing_item_id" => RejectionCode::MissingItems,
            _ => RejectionCode::InvalidId,
        };
        return Err(Bad::new(missing, code, format!("`{column}` is empty.")));
    }
    if text.len() > MAX_ID_BYTES || text.chars().any(char::is_control) {
        let detail = format!("`{column}` is longer than {MAX_ID_BYTES} bytes or holds control characters: `{}`.", short(text));
        return Err(Bad::new("invalid_id", RejectionCode::InvalidId, detail));
    }
    Ok(text)
}

/// Returns a number written as an id without the `.0` that data frames add.
pub(super) fn frame_id(text: &str) -> &str {
    match text.strip_suffix(".0") {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => digits,
        Some(_) | None => text,
    }
}

/// Returns the beginning of a text, for messages.
pub(super) fn short(text: &str) -> String {
    if text.chars().nth(60).is_none() { text.to_owned() } else { text.chars().take(60).chain(['…']).collect() }
}

/// Returns the text, or nothing where it is empty.
pub(super) fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_spelling() {
        let london = TimeZone::get("Europe/London").unwrap();
        let cases = [
            ("2019-10-01 00:00:00 UTC", &TimeZone::UTC, "2019-10-01T00:00:00Z"),
            ("2019-10-01 00:00:00 UTC", &london, "2019-10-01T00:00:00Z"),
            ("2019-10-01T00:00:00Z", &london, "2019-10-01T00:00:00Z"),
            ("2011-07-01 12:00:00", &london, "2011-07-01T11:00:00Z"),
            ("2011-07-01T12:00:00", &london, "2011-07-01T11:00:00Z"),
            ("2011-07-01T12:00:00.250", &london, "2011-07-01T11:00:00.25Z"),
            ("2011-07-01T12:00:00+02:00", &london, "2011-07-01T10:00:00Z"),
            ("12/1/2010 8:26", &london, "2010-12-01T08:26:00Z"),
            ("1976-02-29 23:59:59", &TimeZone::UTC, "1976-02-29T23:59:59Z"),
            ("2000-03-01 00:00:00", &TimeZone::UTC, "2000-03-01T00:00:00Z"),
        ];
        for (text, zone, expected) in cases {
            assert_eq!(parse_time(text, zone), Timestamp::parse(expected), "{text}");
        }
        for bad in ["", "yesterday", "2019-02-29 00:00:00", "2019-13-01 00:00:00", "2019-10-01 24:00:00 UTC", "1/2/3/4 5:6"] {
            assert_eq!(parse_time(bad, &TimeZone::UTC), None, "{bad}");
        }
    }

    #[test]
    fn the_short_way_agrees_with_the_long_one() {
        for year in [1, 1600, 1899, 1900, 1999, 2000, 2024, 2026, 9998] {
            for (month, day) in [(1, 1), (2, 28), (2, 29), (3, 1), (12, 31)] {
                let text = format!("{year:04}-{month:02}-{day:02} 01:02:03");
                assert_eq!(plain_utc(text.as_bytes()), Timestamp::parse_civil(&text, &TimeZone::UTC), "{text}");
            }
        }
    }

    #[test]
    fn numbers_of_data_frames() {
        assert_eq!(whole("q", "6.0").unwrap(), 6);
        assert_eq!(whole("q", "-6").unwrap(), -6);
        assert!(whole("q", "6.5").is_err());
        assert_eq!(frame_id("17850.0"), "17850");
        assert_eq!(frame_id("A.0"), "A.0");
        assert!(price("p", "NaN").is_err());
        assert!(price("p", "1e300").is_err());
    }
}
