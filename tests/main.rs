//! One binary for all integration tests: it links once.

mod http;
mod stores;
mod support;
mod tidy;
