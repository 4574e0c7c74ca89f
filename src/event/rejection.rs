//! Why a single event was not taken.

use std::fmt;

/// What is wrong with an event, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub code: RejectionCode,
    /// The field and what to do about it, for the sender.
    pub detail: String,
}

macro_rules! rejection_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// The stable code of a [`Rejection`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RejectionCode {
            $($(#[$doc])* $name,)*
        }

        impl RejectionCode {
            /// Every code, for documentation and metrics.
            pub const ALL: &[RejectionCode] = &[$(RejectionCode::$name),*];

            /// Returns the code as the API writes it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

rejection_codes! {
    /// The event is no JSON object, or not readable as JSON.
    InvalidJson = "invalid_json",
    /// The event has no `id`; without one it cannot be told from its retries.
    MissingId = "missing_id",
    /// The `type` is missing or no valid event name.
    InvalidType = "invalid_type",
    /// A field holds another type than documented.
    WrongType = "wrong_type",
    /// A number is beyond what we keep exactly, negative where it must not be, or not finite.
    OutOfRange = "out_of_range",
    /// An id is empty, too long or holds control characters.
    InvalidId = "invalid_id",
    /// A text is longer than allowed.
    TooLong = "too_long",
    /// The event needs `items` and has none.
    MissingItems = "missing_items",
    /// More lines than an event may have.
    TooManyItems = "too_many_items",
    /// The event is larger than allowed.
    EventTooLarge = "event_too_large",
    /// More events than a batch may have; send the rest again in another batch.
    BatchTooLarge = "batch_too_large",
    /// The currency is no ISO 4217 code, or money has no currency.
    InvalidCurrency = "invalid_currency",
    /// The time is no RFC 3339 text nor milliseconds since 1970.
    InvalidTime = "invalid_time",
    /// The consent is not in the documented form.
    InvalidConsent = "invalid_consent",
    /// Nobody said who did it.
    MissingVisitor = "missing_visitor",
    /// A row of a file cannot be read as its format says.
    InvalidRow = "invalid_row",
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Rejection {
    /// Returns a rejection that tells the sender what to mend.
    pub fn new(code: RejectionCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Rejection {}
