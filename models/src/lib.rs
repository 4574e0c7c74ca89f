//! The models of Rapport: numbers in, numbers out.
//!
//! Counting what goes together ([`interactions`], [`cooccurrence`]), what is liked ([`popularity`]), what comes next
//! ([`covisitation`]), what is alike (by behaviour [`factors`], by words [`text`] and [`kinds`]), how good that is
//! ([`evaluate`]), and keeping it in one immutable folder that a server maps ([`artifact`]). Nothing here knows HTTP,
//! stores, clocks or settings.

pub mod artifact;
pub mod blend;
pub mod cooccurrence;
pub mod covisitation;
pub mod evaluate;
pub mod factors;
pub mod interactions;
pub mod kinds;
pub mod model;
pub mod neighbors;
pub mod next_item;
pub mod popularity;
pub mod quantized;
pub mod session_knn;
pub mod sessions;
pub mod text;
mod top;
pub mod trees;
