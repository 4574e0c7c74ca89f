//! The two places state can live: an embedded database in the data directory, or a Redis.
//!
//! This module opens them and names what can go wrong; `profile` and `documents` say what is kept
//! in them. Every key starts with the site, so that two shops on one install never meet.

pub mod embedded;
pub mod redis;

pub use embedded::{Embedded, Entry, Table};
pub use redis::Redis;
pub use redis::address::Address;

pub(crate) use embedded::{key, prefix};
pub(crate) use redis::{Group, Line, Script, site_tag};

/// The longest site, kind or id a store takes, in bytes.
///
/// Ids from outside have at most 200; a document may be filed under several of them joined.
pub const MAX_NAME: usize = 1_024;

/// Something a store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer in time or could not write.
    ///
    /// A write may or may not have happened. The same call may succeed later: degrade a decision,
    /// refuse an event (503 with `Retry-After`).
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// What the store holds cannot be read.
    ///
    /// Trying again does not help: restore the store, or replay profiles from the event log.
    #[error("the store holds data that cannot be read: {what}")]
    Corrupt {
        /// What was being read, without personal data.
        what: String,
    },

    /// The store must not be used as it is set up; the message says what to change.
    ///
    /// Start-up ends with it.
    #[error("{0}")]
    Refused(String),

    /// A site, kind or id cannot be a key: the caller's mistake (400), nothing was read or written.
    #[error("{0}")]
    InvalidName(String),

    /// A batch is larger than the store takes in one piece: send it in several (413).
    #[error("a batch of {bytes} bytes is more than the store takes at once ({most})")]
    TooLarge {
        /// What was sent.
        bytes: usize,
        /// What is allowed.
        most: usize,
    },
}

impl StoreError {
    pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

/// Checks that a name can stand in a key.
///
/// NUL separates the parts of a key, so a name holding one could reach into another site.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), StoreError> {
    if name.is_empty() {
        return Err(StoreError::InvalidName(format!("{what} is empty")));
    }
    if name.len() > MAX_NAME {
        let length = name.len();
        return Err(StoreError::InvalidName(format!("{what} has {length} bytes; at most {MAX_NAME} are allowed")));
    }
    if name.contains('\0') {
        return Err(StoreError::InvalidName(format!("{what} contains a NUL character")));
    }
    Ok(())
}
