#![forbid(unsafe_code)]
pub mod event;
