//! Ids are types: a visitor cannot be passed where an item is meant.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest outside id, in bytes.
pub const MAX_ID_BYTES: usize = 200;

/// Longest event id, in bytes.
pub const MAX_EVENT_ID_BYTES: usize = 100;

/// Why a string is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("must not be empty")]
    Empty,
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    #[error("contains a control character")]
    Control,
}

fn check(text: &str, max: usize) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > max {
        return Err(IdError::TooLong(max));
    }
    // Control characters break logs, CSV files and the NUL-separated keys of the stores.
    // In UTF-8 the others begin with 0xC2; hardly any id has such a letter.
    let suspicious = |byte: u8| byte < 0x20 || byte == 0x7f || byte == 0xc2;
    if text.bytes().any(suspicious) && text.chars().any(char::is_control) {
        return Err(IdError::Control);
    }
    Ok(())
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the id, checked for length and control characters.
            pub fn new(text: &str) -> Result<Self, IdError> {
                Self::check(text)?;
                Ok(Self(text.into()))
            }

            /// Checks a text that is only looked up.
            pub fn check(text: &str) -> Result<(), IdError> {
                check(text, $max)
            }

            /// Returns the id as the outside world writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id_type!(
    /// One event, as its sender named it; unique within a site.
    EventId,
    MAX_EVENT_ID_BYTES
);
id_type!(
    /// A browser, known by a random id, or whatever the shop's server calls its visitor.
    VisitorId,
    MAX_ID_BYTES
);
id_type!(
    /// A person the shop has identified.
    CustomerId,
    MAX_ID_BYTES
);
id_type!(
    /// What is sold, as the shop names it.
    ItemId,
    MAX_ID_BYTES
);
id_type!(
    /// One shop on an install. Letters, digits, `-` and `_`: it becomes a folder and part of store keys.
    SiteId,
    64
);

impl Default for ItemId {
    fn default() -> Self {
        Self(Arc::from(""))
    }
}

impl SiteId {
    /// Returns the site that exists on a fresh install.
    pub fn default_site() -> Self {
        Self(Arc::from("default"))
    }

    /// Returns the site, checked to be usable as a folder name.
    pub fn parse(text: &str) -> Result<Self, SiteIdError> {
        let usable =
            !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if usable { Ok(Self(text.into())) } else { Err(SiteIdError(text.into())) }
    }
}

/// A site name that cannot be a folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no site name: use up to 64 letters, digits, `-` and `_`")]
pub struct SiteIdError(Box<str>);

/// Returns 32 lower-case hexadecimal digits of 128 random bits.
pub fn random_hex(rng: &mut impl rand::Rng) -> String {
    let mut bytes = [0u8; 16];
    rng.fill_bytes(&mut bytes);
    hex(&bytes)
}

/// Returns `bytes` in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    // By table: every request makes an id of its own.
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_printable() {
        assert!(ItemId::new("85123A").is_ok());
        assert!(ItemId::new("商品-1").is_ok());
        assert_eq!(ItemId::new(""), Err(IdError::Empty));
        assert_eq!(ItemId::new(&"x".repeat(201)), Err(IdError::TooLong(200)));
        assert_eq!(EventId::new(&"x".repeat(101)), Err(IdError::TooLong(100)));
        assert_eq!(VisitorId::new("a\0b"), Err(IdError::Control));
    }

    #[test]
    fn a_site_is_a_folder_name() {
        assert!(SiteId::parse("shop-1").is_ok());
        for bad in ["", "..", "a/b", "a b", "ä"] {
            assert!(SiteId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
