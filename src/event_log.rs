//! The event log: everything that was acknowledged, in the order it became durable. The log is the truth; profiles,
//! counters and builds are views of it.
//!
//! Life of an event: [`EventLog::append`] encodes it where it was called and queues it; one commit thread writes all that
//! waits with one write and one `fdatasync`, and only then hands it to `durable` ([`append`]). Segments that are full are
//! closed, and [`seal_ready`] turns them into Parquet files that hold every field ([`seal`]). A [`Reader`] gives the
//! events back in log order wherever they are by now, also from another process beside the writer.
//!
//! # Positions
//!
//! The log is one endless stream of frames (records and commit marks, see [`frame`]). A [`Position`] is the number of
//! bytes of that stream before a frame. Headers of segment files do not count: in a segment that starts at position `s`,
//! the frame at file offset `o` has position `s + o - 24`. Each segment starts where the one before it ends. Sealing keeps
//! the position of every event, so it names the same event for ever, and positions strictly increase.
//!
//! # On disk
//!
//! ```text
//! <dir>/00000000000000000000.seg            24 bytes of header, then frames; the file with the highest start is written to
//! <dir>/sealed/00000000000000000000.json    manifest: this part of the log now lives in Parquet
//! <archive>/site=default/date=2026-11-23/part-00000000000000000000.parquet
//! ```
//!
//! Where a manifest and a segment have the same start, the manifest holds: the segment is about to be deleted. An archive
//! that is named in the configuration may be shared by several nodes ([`archive`]): there the
//! names of files carry the node, and the manifests lie beside them too, so that each node reads all ([`nodes`]). It may
//! also be a bucket ([`bucket`]).
//!
//! Small files of past days are merged and days past their retention deleted ([`upkeep`]); positions stay as they were.
//!
//! # Several nodes
//!
//! Each node has a log of its own, so across nodes an event's place is (node, position). [`NodesReader`] merges the logs:
//! each stays in its own order, and among the next events of all the one received first comes first; of the same moment,
//! the one of the smaller node number.
//!
//! # Damage
//!
//! A commit that was cut off by a crash was never acknowledged: opening truncates it and says so in [`Recovery`]. Anything
//! else that cannot be read is real damage and is never skipped silently. Opening goes on, because new events must be
//! kept; the reader answers [`LogError::Corrupt`] with file and offset, and carries on behind the damage only if it is
//! asked again. How the two are told apart: each commit begins with a mark, which says that all before it had been
//! durable; so a broken frame with a mark somewhere behind it had once been whole.

pub mod append;
pub mod archive;
pub mod bucket;
pub mod codec;
pub mod copy;
mod fault;
pub mod frame;
pub mod lane;
pub mod manifest;
pub mod nodes;
mod parquet_read;
mod parquet_schema;
mod parquet_write;
mod raw;
pub mod reader;
pub mod recover;
mod replace;
pub mod seal;
mod sealed;
pub mod segment;
pub mod upkeep;
mod writer;

#[cfg(test)]
mod arbitrary;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use append::{Durable, EventLog};
pub use archive::Archive;
pub use nodes::{FromNode, NodesReader};
pub use reader::Reader;
pub use recover::Recovery;
pub use seal::{Sealed, seal_ready};

use crate::event::Event;

/// Place of a record: bytes of the log's stream before it; strictly increasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// Where the log begins.
    pub const START: Self = Self(0);

    /// Returns the first position that is later than this one: where to read on after a record.
    #[must_use]
    pub fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the position `bytes` later.
    #[must_use]
    pub fn plus(self, bytes: usize) -> Self {
        Self(self.0.saturating_add(bytes as u64))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event and where the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    pub position: Position,
    pub event: Event,
}

/// Tells the one who appended what became of it. Dropped unanswered: the log was closed, nothing was kept.
pub type Reply = tokio::sync::oneshot::Sender<Result<(), LogError>>;

/// How the log writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// A segment is closed by the first commit after it has grown to this size.
    pub segment_bytes: u64,
    /// One commit takes no more than this, or a single append.
    pub max_batch_bytes: usize,
    /// Appends that may wait; more are refused with [`LogError::Full`], those of the lower [lanes](lane::Lane) sooner.
    pub queue: usize,
    /// Bytes that may wait; more are refused with [`LogError::Full`].
    pub queue_bytes: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, max_batch_bytes: 8 << 20, queue: 16 << 10, queue_bytes: 64 << 20 }
    }
}

/// Why the log cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Too much waits to be written; the same append may succeed in a moment.
    #[error("the event log has too much waiting to be written")]
    Full,
    /// A write or a sync failed. Nothing is kept until the log has cut what is not durable and goes on in a new segment, which it tries all the time.
    #[error("the event log cannot be written: {0}")]
    Unavailable(Arc<str>),
    #[error("the event log is closed")]
    Closed,
    #[error("an event of {bytes} bytes is larger than the {max} bytes the log can hold")]
    TooLarge { bytes: usize, max: usize },
    #[error("an event cannot be encoded: {0}")]
    Encode(String),
    /// Something acknowledged cannot be read any more.
    #[error("{} is damaged at offset {offset}: {what}", file.display())]
    Corrupt { file: PathBuf, offset: u64, what: String },
    /// A part of the log is not there.
    #[error("the event log has nothing between positions {from} and {to}: a segment is missing")]
    Missing { from: Position, to: Position },
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {action} {}", path.display())]
    Parquet { action: &'static str, path: PathBuf, source: parquet::errors::ParquetError },
}

impl LogError {
    /// Returns a function that adds to an I/O error what was being done to which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }

    fn corrupt(file: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_path_buf(), offset, what: what.into() }
    }

    /// Returns whether a file was not there.
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
