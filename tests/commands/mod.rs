//! The command line, as operators use it.

#![allow(clippy::unwrap_used, reason = "a command that cannot be run is a test that fails")]
