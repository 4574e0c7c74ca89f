//! One binary for all integration tests: it links once.

mod commands;
mod faults;
mod http;
mod stores;
mod support;
