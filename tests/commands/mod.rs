//! The command line, as operators use it.

#![allow(clippy::unwrap_used, reason = "a command that cannot be run is a test that fails")]

mod backup;
mod builds;
mod config;
mod dead_letters;
mod evaluate;
mod export;
mod formats;
mod import;
mod keys;

use std::path::Path;
use std::process::Command;

use crate::support::server::rapport;

/// What a command came to.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Returns the one JSON object that was printed.
    #[track_caller]
    fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Runs a command on a data directory.
fn run(data: &Path, arguments: &[&str]) -> Ran {
    Ran::of(rapport(data).args(arguments))
}
