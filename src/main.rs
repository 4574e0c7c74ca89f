//! Parse, call, print the error chain.

use std::process::ExitCode;

fn main() -> ExitCode {
    match rapport::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rapport: {error:#}");
            ExitCode::FAILURE
        }
    }
}
