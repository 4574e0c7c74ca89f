//! Reading the fields of a JSON object by hand, so that each mistake is named.

use serde_json::{Map, Value};

use super::{Rejection, RejectionCode, Timestamp};

/// The fields of an object, taken out one by one with their types checked. `null` is the same as absent.
#[derive(Debug)]
pub struct Fields(pub Map<String, Value>);

impl Fields {
    /// Takes out a field, if it says anything.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Returns that a field holds something else than it should.
    pub fn wrong(name: &str, wanted: &str) -> Rejection {
        Rejection::new(RejectionCode::WrongType, format!("`{name}` must be {wanted}."))
    }

    /// Takes out a text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Self::wrong(name, "a string")),
        }
    }

    /// Takes out an id, which may be written as a whole number: shops with numeric SKUs do.
    pub fn id(&mut self, name: &str) -> Result<Option<String>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
            Some(_) => Err(Self::wrong(name, "a string or a whole number")),
        }
    }

    /// Takes out a number.
    pub fn number(&mut self, name: &str) -> Result<Option<f64>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            // Storefronts print prices from templates; "12.50" is meant as a number.
            Some(Value::String(text)) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(Self::wrong(name, "a number")),
            },
            Some(_) => Err(Self::wrong(name, "a number")),
        }
    }

    /// Takes out a whole number that a double holds exactly.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, Rejection> {
        match self.number(name)? {
            None => Ok(None),
            Some(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "a whole number within 2^53, checked above")]
                Ok(Some(number as i64))
            }
            Some(_) => Err(Rejection::new(RejectionCode::OutOfRange, format!("`{name}` must be a whole number within 2^53."))),
        }
    }

    /// Takes out milliseconds, as microseconds.
    pub fn age(&mut self, name: &str) -> Result<Option<i64>, Rejection> {
        match self.number(name)? {
            None => Ok(None),
            Some(millis) if (0.0..=1e13).contains(&millis) =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "bounded in the pattern")]
                Ok(Some((millis * 1000.0) as i64))
            }
            Some(_) => {
                Err(Rejection::new(RejectionCode::OutOfRange, format!("`{name}` must be between 0 and 10^13 milliseconds.")))
            }
        }
    }

    /// Takes out a moment: RFC 3339 text or milliseconds since 1970.
    pub fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Rejection> {
        let time = match self.take(name) {
            None => return Ok(None),
            Some(Value::String(text)) => Timestamp::parse(&text),
            Some(Value::Number(number)) => number.as_i64().and_then(Timestamp::from_millis),
            Some(_) => None,
        };
        // Before 1970 no page was sent; a year before 1 could not even be written back.
        match time.filter(|time| *time >= Timestamp::default()) {
            Some(time) => Ok(Some(time)),
            None => Err(Rejection::new(
                RejectionCode::InvalidTime,
                format!("`{name}` must be an RFC 3339 time (2026-11-23T10:00:00.000Z) or milliseconds since 1970."),
            )),
        }
    }
}
