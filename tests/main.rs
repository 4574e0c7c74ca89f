//! One binary for all integration tests: it links once.
#![allow(unreachable_pub, reason = "modules of one test binary see each other; nothing is exported")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here and says where")]

mod commands;
mod faults;
mod fresh;
mod http;
mod stores;
mod support;
mod tidy;
