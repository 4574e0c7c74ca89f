#![forbid(unsafe_code)]
pub mod event;
pub mod event_log;
