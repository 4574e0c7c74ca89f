//! The API, as callers see it.

#![allow(clippy::unwrap_used, reason = "a helper that finds nothing fails its test, as the test itself would")]

mod auth;
mod bad_input;
mod catalog;
mod consent;
mod decisions;
mod events;
mod first_day;
mod segment;
