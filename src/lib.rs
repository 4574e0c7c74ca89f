#![forbid(unsafe_code)]
pub mod clock;
pub mod config;
pub mod documents;
pub mod event;
pub mod metrics;
pub mod profile;
pub mod store_engine;
pub mod telemetry;
