//! The models of Rapport: numbers in, numbers out.
//!
//! Nothing here knows HTTP, stores, configuration or the clock. Items are dense `u32` positions; whoever builds keeps the table from outside ids to
//! positions. The same input gives the same bytes on any number of threads.

pub mod cooccurrence;
pub mod covisitation;
pub mod evaluate;
pub mod interactions;
pub mod popularity;
mod top;
