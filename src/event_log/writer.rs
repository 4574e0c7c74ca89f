//! The segment being written.

use std::fs::File;
use std::path::PathBuf;

use super::append::Pending;
use super::segment::{self, HEADER_BYTES};
use super::{LogError, Position, fault, frame};

/// The end of the log, open for writing.
pub(super) struct Writer {
    pub(super) dir: PathBuf,
    pub(super) file: File,
    /// Where the segment starts.
    pub(super) start: Position,
    /// Where the durable part ends.
    pub(super) end: Position,
    pub(super) segment_bytes: u64,
    pub(super) buffer: Vec<u8>,
}

impl Writer {
    /// Makes a batch durable and returns the position of its first record.
    pub(super) fn write(&mut self, batch: &[Pending]) -> Result<Position, LogError> {
        if self.end.0 - self.start.0 >= self.segment_bytes {
            self.rotate()?;
        }
        self.buffer.clear();
        self.buffer.extend(frame::mark(self.end));
        let first = self.end.plus(self.buffer.len());
        for pending in batch {
            self.buffer.extend_from_slice(&pending.stream);
        }
        if self.buffer.len() == frame::HEAD_BYTES {
            return Ok(first); // Nothing but empty appends.
        }
        let path = segment::raw_path(&self.dir, self.start);
        fault::write(&mut self.file, &self.buffer).map_err(LogError::io("write", &path))?;
        fault::sync(&self.file).map_err(LogError::io("sync", &path))?;
        self.end = self.end.plus(self.buffer.len());
        Ok(first)
    }

    /// Begins a new segment unless the current one is empty; returns where the current one starts then.
    pub(super) fn rotate(&mut self) -> Result<Position, LogError> {
        if self.end > self.start {
            self.begin()?;
        }
        Ok(self.start)
    }

    /// Gets ready to write again after a failure.
    ///
    /// After a failed sync the kernel may take for written what it could not write, so nothing behind the durable end is believed and no later sync
    /// of this file is either (Rebello et al., *Can Applications Recover from fsync Failures?*, USENIX ATC 2020): the segment is cut where it was
    /// durable, and the log goes on in another file. That this one can be made is also the proof that there is room again.
    pub(super) fn mend(&mut self) -> Result<(), LogError> {
        let path = segment::raw_path(&self.dir, self.start);
        let cut = self.file.set_len(self.end.0 - self.start.0 + HEADER_BYTES as u64).and_then(|()| self.file.sync_all());
        cut.map_err(LogError::io("cut", &path))?;
        self.begin()
    }

    fn begin(&mut self) -> Result<(), LogError> {
        self.file = segment::create(&self.dir, self.end)?;
        self.start = self.end;
        Ok(())
    }
}
