//! The demonstration: an invented shop, its pictures, its shoppers and its storefront.
//!
//! `rapport demo` runs the real server and, beside it, Larkfield & Co., a shop that does not exist. [`catalog`] says what
//! it sells, [`pictures`] draws it, [`shoppers`] walks through it with tastes of their own, [`client`] carries what they do
//! to the server over HTTP, and [`assets`] holds the pages a person looks at. Nothing here is used by any other part, and
//! the server is not told that these shoppers are simulated: what the storefront shows has been learnt.
//!
//! Everything random comes from a seed, and nothing reads a clock.

pub mod assets;
pub mod catalog;
pub mod client;
mod dice;
pub mod live;
pub mod pictures;
pub mod shoppers;

pub use live::Demo;
