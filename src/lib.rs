#![forbid(unsafe_code)]
pub mod catalog;
pub mod event;
pub mod import;
