//! Faults on purpose: what a disk can do to the log, done by tests to a running server.
//!
//! Only builds with debug assertions have it. `RAPPORT_FAULTS` names a file; as long as it says so, writes and syncs of the log go wrong. A line is
//! `write fail`, `write short` (half of it arrives), `write slow MS`, `sync fail` or `sync slow MS`.

use std::fs::File;
use std::io::{self, Write};
#[cfg(debug_assertions)]
use std::{path::PathBuf, sync::OnceLock, time::Duration};

/// Writes all of it, unless a fault comes between.
pub(super) fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    #[cfg(debug_assertions)]
    if let Some(fault) = fault("write") {
        if fault == "short" {
            file.write_all(&bytes[..bytes.len() / 2])?;
        }
        act(&fault)?;
    }
    file.write_all(bytes)
}

/// Makes what was written durable, unless a fault comes between.
pub(super) fn sync(file: &File) -> io::Result<()> {
    #[cfg(debug_assertions)]
    if let Some(fault) = fault("sync") {
        act(&fault)?;
    }
    file.sync_data()
}

/// Returns what is to happen at an operation.
#[cfg(debug_assertions)]
fn fault(operation: &str) -> Option<String> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = FILE.get_or_init(|| std::env::var_os("RAPPORT_FAULTS").map(PathBuf::from)).as_ref()?;
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(operation)?.strip_prefix(' '));
    line.map(str::to_owned)
}

#[cfg(debug_assertions)]
fn act(fault: &str) -> io::Result<()> {
    match fault.split_once(' ') {
        Some(("slow", ms)) => {
            std::thread::sleep(Duration::from_millis(ms.parse().unwrap_or(0)));
            Ok(())
        }
        _ => Err(io::Error::other("a fault on purpose")),
    }
}
