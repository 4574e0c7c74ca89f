//! Time as a value: microseconds since 1970, always UTC, always passed in.

use std::fmt;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;

/// A session is closed by this much silence.
pub const SESSION_SILENCE: i64 = 30 * MINUTE;

impl Timestamp {
    /// Returns the moment an RFC 3339 text names, where that is a year between 1970 and 9999.
    ///
    /// No shop sold anything before; such a time is a mistake, and none of our files has a place for it.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_microsecond())).filter(|t| t.0 >= 0)
    }

    /// Returns the moment `millis` milliseconds after 1970, where that is a year between 1970 and 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        let micros = millis.checked_mul(1000).filter(|micros| *micros >= 0)?;
        jiff::Timestamp::from_microsecond(micros).ok().map(|_| Self(micros))
    }

    /// Returns the moment a civil date and time names in `zone` (`2010-12-01 08:26:00`, also with a `T` or without
    /// seconds). A time that daylight saving skips or repeats is resolved as RFC 5545 does.
    pub fn parse_civil(text: &str, zone: &TimeZone) -> Option<Self> {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(Self(zone.to_timestamp(civil).ok()?.as_microsecond()))
    }

    /// Returns whole days since 1970, in UTC.
    pub fn day(self) -> i32 {
        i32::try_from(self.0.div_euclid(DAY)).unwrap_or(if self.0 < 0 { i32::MIN } else { i32::MAX })
    }

    /// Returns `YYYY-MM-DD`, in UTC.
    pub fn date(self) -> String {
        self.format("%Y-%m-%d")
    }

    /// Returns the time in a `strftime` format, in UTC.
    pub fn format(self, format: &str) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => t.strftime(format).to_string(),
            Err(_) => format!("@{}us", self.0),
        }
    }

    /// Returns the time `micros` later.
    #[must_use]
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Returns the microseconds from `earlier` to here.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}

/// What a client said about when an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientTime {
    /// How long before sending; no clock needed, so it wins.
    pub age: Option<i64>,
    pub ts: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
}

/// Returns when an event happened by our clock.
///
/// An age needs no client clock at all. Otherwise the client's clock is compared with ours at the moment of sending:
/// `received_at − (sent_at − ts)`. A client that sent no `sent_at` is believed, but nothing happens in the future.
pub fn corrected(client: ClientTime, received_at: Timestamp) -> Timestamp {
    let ts = match (client.age, client.ts, client.sent_at) {
        (Some(age), _, _) => received_at.plus(-age.max(0)),
        (None, Some(ts), Some(sent)) => received_at.plus(-sent.since(ts).max(0)),
        (None, Some(ts), None) => ts,
        (None, None, _) => received_at,
    };
    // Clocks that are years apart must not lead out of the times that can be written.
    ts.clamp(Timestamp(0), received_at.max(Timestamp(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_client_clock_does_no_harm() {
        let received = Timestamp(1_000 * SECOND);
        let at = |s: i64| Some(Timestamp(s * SECOND));
        let cases = [
            ("age wins", ClientTime { age: Some(5 * SECOND), ts: at(7), sent_at: at(8) }, 995),
            ("an hour ahead", ClientTime { age: None, ts: at(4_590), sent_at: at(4_600) }, 990),
            ("without sent_at it is believed", ClientTime { age: None, ts: at(400), sent_at: None }, 400),
            ("but not in the future", ClientTime { age: None, ts: at(2_000), sent_at: None }, 1_000),
            ("sent before it happened", ClientTime { age: None, ts: at(60), sent_at: at(50) }, 1_000),
            ("nothing said", ClientTime::default(), 1_000),
            ("clocks that are ages apart", ClientTime { age: None, ts: at(0), sent_at: at(9_999_999_999) }, 0),
        ];
        for (name, client, seconds) in cases {
            assert_eq!(corrected(client, received), Timestamp(seconds * SECOND), "{name}");
        }
    }

    #[test]
    fn civil_times_respect_the_zone() {
        let london = TimeZone::get("Europe/London").unwrap();
        assert_eq!(Timestamp::parse_civil("2011-07-01 12:00:00", &london), Timestamp::parse("2011-07-01T11:00:00Z"));
        assert_eq!(Timestamp::parse_civil("2010-12-01 08:26:00", &london), Timestamp::parse("2010-12-01T08:26:00Z"));
        assert_eq!(Timestamp::parse_civil("yesterday", &london), None);
    }

    #[test]
    fn text_and_back() {
        let t = Timestamp::parse("2026-11-23T10:00:00.123456Z").unwrap();
        assert_eq!(t.to_string(), "2026-11-23T10:00:00.123456Z");
        assert_eq!(t.date(), "2026-11-23");
        for bad in ["1969-12-31T23:59:59Z", "-009999-01-02T00:00:00Z", "+10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
        assert_eq!((Timestamp::from_millis(-1), Timestamp::from_millis(i64::MAX)), (None, None));
    }
}
