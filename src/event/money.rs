//! Money: integers inside, decimals on the wire.
//!
//! Totals are minor units of an ISO 4217 currency. Unit prices are millionths of the major unit, because real catalogs
//! hold prices such as 0.001.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 alphabetic code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Returns the currency of that code: three ASCII letters, in any case.
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphabetic).then(|| Self(bytes.map(|b| b.to_ascii_uppercase())))
    }

    /// Returns the code, in capitals.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Returns the digits behind the decimal point of this currency's minor unit (ISO 4217, table A.1).
    pub fn exponent(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF" | b"UGX" | b"UYI"
            | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }

    /// Returns the minor units of a decimal amount; nothing where it is not finite or beyond 2^53 minor units.
    pub fn to_minor(self, amount: f64) -> Option<i64> {
        scaled(amount, 10f64.powi(self.exponent().cast_signed()))
    }

    /// Returns the decimal amount of so many minor units.
    pub fn to_decimal(self, minor: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "amounts are bounded by 2^53 on the way in")]
        let minor = minor as f64;
        minor / 10f64.powi(self.exponent().cast_signed())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The price of one piece, in millionths of the major unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct UnitPrice(pub i64);

impl UnitPrice {
    /// Returns the price of a decimal amount; nothing where it is not finite or beyond 2^53 millionths.
    pub fn from_decimal(amount: f64) -> Option<Self> {
        scaled(amount, 1e6).map(Self)
    }

    /// Returns the decimal amount.
    pub fn to_decimal(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "prices are bounded by 2^53 on the way in")]
        let millionths = self.0 as f64;
        millionths / 1e6
    }
}

/// Returns `amount × scale` rounded half away from zero, where the result is exact enough to be money.
fn scaled(amount: f64, scale: f64) -> Option<i64> {
    let value = (amount * scale).round();
    #[expect(clippy::cast_possible_truncation, reason = "checked against 2^53 in the same line")]
    (value.is_finite() && value.abs() <= 9_007_199_254_740_992.0).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_become_minor_units_of_their_currency() {
        let cases =
            [("GBP", 15.3, 1530), ("JPY", 500.0, 500), ("KWD", 1.234, 1234), ("EUR", -2.005, -201), ("EUR", 0.1 + 0.2, 30)];
        for (code, amount, minor) in cases {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(currency.to_minor(amount), Some(minor), "{code} {amount}");
        }
        assert_eq!(Currency::parse("GBP").unwrap().to_minor(f64::NAN), None);
        assert_eq!(Currency::parse("GBP").unwrap().to_minor(1e300), None);
    }

    #[test]
    fn a_tenth_of_a_penny_is_kept() {
        assert_eq!(UnitPrice::from_decimal(0.001), Some(UnitPrice(1000)));
        assert!((UnitPrice(2_550_000).to_decimal() - 2.55).abs() < f64::EPSILON);
    }

    #[test]
    fn codes_are_three_letters() {
        assert_eq!(Currency::parse("gbp").unwrap().as_str(), "GBP");
        for bad in ["", "GB", "GBPX", "G1P", "€€€"] {
            assert!(Currency::parse(bad).is_none(), "{bad}");
        }
    }
}
