//! The models of Rapport: numbers in, numbers out.
//!
//! Counting what goes together ([`interactions`], [`cooccurrence`]), what is liked ([`popularity`]), what comes next
//! ([`session_knn`], [`covisitation`], together [`next_item`]), what belongs to what one has ([`ease`]), what is due again
//! ([`repeat`]), what is bought next ([`purchase`], from [`orders`]), what is alike (by behaviour [`factors`], by words [`text`]
//! and [`kinds`], found by [`neighbors`]), how good that is ([`evaluate`]), and keeping it in one immutable folder that a server
//! maps ([`artifact`]). What is learnt from outcomes: weights by [`blend`], an order by [`trees`]. Nothing here knows HTTP,
//! stores, clocks or settings.

pub mod artifact;
pub mod blend;
pub mod cooccurrence;
pub mod covisitation;
pub mod ease;
pub mod evaluate;
pub mod factors;
mod history;
pub mod interactions;
pub mod kinds;
pub mod model;
pub mod neighbors;
pub mod next_item;
pub mod orders;
pub mod popularity;
mod prefetch;
pub mod purchase;
pub mod quantized;
pub mod repeat;
pub mod session_knn;
pub mod sessions;
mod sparse_rows;
pub mod text;
mod top;
pub mod trees;
