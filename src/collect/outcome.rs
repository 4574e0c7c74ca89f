//! The one fate of every event.

use crate::event::Rejection;

/// What became of an event. Every event that reaches us has exactly one, and the counts add up to what came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is on disk.
    Ok(Option<Note>),
    /// It was on disk already.
    Duplicate,
    /// It is not wanted, now or later.
    Drop(DropReason),
    /// It is wrong; sending it again will not help.
    Rejected(Rejection),
    /// It could not be kept just now: send it again.
    Retry(RetryReason),
}

/// Something the sender should know about an event that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A browser's purchase teaches what goes together but is not revenue.
    MoneyUnverified,
    /// The amount has no currency, so it is kept as a parameter, not as money.
    ValueWithoutCurrency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The visitor has agreed to neither analytics nor personalization.
    NoConsent,
    /// The sender calls itself a robot.
    Bot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryReason {
    /// The first copy is still being written.
    InFlight,
    /// The disk is slower than what comes in.
    Overloaded,
    /// The event log cannot be written.
    LogUnavailable,
    /// The sender went away before the answer, so nobody is told this; the event may have been kept all the same.
    Unanswered,
}

impl Outcome {
    /// Returns the word of the API: `ok`, `duplicate`, `drop` or `retry`.
    pub fn result(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Duplicate => "duplicate",
            Self::Drop(_) | Self::Rejected(_) => "drop",
            Self::Retry(_) => "retry",
        }
    }

    /// Returns the stable code that says why, where there is something to say.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Ok(None) | Self::Duplicate => None,
            Self::Ok(Some(Note::MoneyUnverified)) => Some("money_unverified"),
            Self::Ok(Some(Note::ValueWithoutCurrency)) => Some("value_without_currency"),
            Self::Drop(DropReason::NoConsent) => Some("no_consent"),
            Self::Drop(DropReason::Bot) => Some("bot"),
            Self::Rejected(rejection) => Some(rejection.code.as_str()),
            Self::Retry(RetryReason::InFlight) => Some("in_flight"),
            Self::Retry(RetryReason::Overloaded) => Some("overloaded"),
            Self::Retry(RetryReason::LogUnavailable) => Some("log_unavailable"),
            Self::Retry(RetryReason::Unanswered) => Some("unanswered"),
        }
    }

    /// Returns what to mend, for a rejected event.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Rejected(rejection) => Some(&rejection.detail),
            Self::Ok(_) | Self::Duplicate | Self::Drop(_) | Self::Retry(_) => None,
        }
    }
}
