//! Reading one segment file, also while it grows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::frame::{self, Frame};
use super::segment::{self, HEADER_BYTES};
use super::{Committed, LogError, Position, codec};

/// How much is read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// An open segment file and how far it was read.
#[derive(Debug)]
pub(super) struct RawSegment {
    path: PathBuf,
    file: File,
    pub(super) start: Position,
    /// Read from the file; `buffer[at..]` is not used yet.
    buffer: Vec<u8>,
    at: usize,
    /// Position of `buffer[at]`.
    position: Position,
}

/// What a segment gives next.
#[expect(clippy::large_enum_variant, reason = "taken apart at once, never kept")]
pub(super) enum Next {
    Record(Committed),
    /// Nothing more for now; so many bytes of something unfinished follow.
    End {
        unfinished: usize,
    },
}

impl RawSegment {
    pub(super) fn open(dir: &Path, start: Position) -> Result<Self, LogError> {
        let path = segment::raw_path(dir, start);
        let mut file = File::open(&path).map_err(LogError::io("open", &path))?;
        segment::check_header(&mut file, &path, start)?;
        Ok(Self { path, file, start, buffer: Vec::new(), at: 0, position: start })
    }

    /// Returns where the next frame is.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Returns the next record that is not before `from`.
    ///
    /// After [`LogError::Corrupt`] it goes on behind the damage.
    pub(super) fn next(&mut self, from: Position) -> Result<Next, LogError> {
        loop {
            let frame = frame::parse(&self.buffer[self.at..], self.position);
            match frame {
                Frame::Mark => self.skip(frame::HEAD_BYTES),
                Frame::Record(length) => {
                    let payload = self.at + frame::HEAD_BYTES..self.at + frame::HEAD_BYTES + length;
                    let position = self.position;
                    let decoded = (position >= from).then(|| codec::decode(&self.buffer[payload]));
                    let offset = self.offset();
                    self.skip(frame::HEAD_BYTES + length);
                    match decoded {
                        None => {}
                        Some(Ok(event)) => return Ok(Next::Record(Committed { position, event })),
                        Some(Err(e)) => return Err(LogError::corrupt(&self.path, offset, e.to_string())),
                    }
                }
                Frame::Incomplete(needed) => {
                    if !self.fill(needed)?
                        && let Some(end) = self.unreadable()?
                    {
                        return Ok(end);
                    }
                }
                Frame::Broken(_) => {
                    if let Some(end) = self.unreadable()? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Decides about a frame that cannot be read: nothing if it can be by now, the end if it is still being written, or an
    /// error if it is damaged; then reading goes on behind the damage.
    fn unreadable(&mut self) -> Result<Option<Next>, LogError> {
        if self.fault()?.is_none() {
            return Ok(None);
        }
        let next_mark = |raw: &Self| {
            let rest = raw.buffer.get(1..)?;
            frame::find_mark(rest, raw.position.plus(1)).map(|at| 1 + at)
        };
        if next_mark(self).is_none() {
            let unfinished = self.buffer.len();
            // What stands here is still being written, or will be cut off: it is read again next time.
            self.rewind()?;
            return Ok(Some(Next::End { unfinished }));
        }
        // With the next commit begun, this one was written: only what is seen of it now counts.
        let (Some(what), Some(next)) = (self.fault()?, next_mark(self)) else { return Ok(None) };
        let error = LogError::corrupt(&self.path, self.offset(), what);
        self.skip(next);
        Err(error)
    }

    /// Reads everything from here on anew and returns what is wrong with the frame here; an end is a fault, too.
    fn fault(&mut self) -> Result<Option<&'static str>, LogError> {
        self.rewind()?;
        while self.fill(usize::MAX)? {}
        Ok(match frame::parse(&self.buffer, self.position) {
            Frame::Mark | Frame::Record(_) => None,
            Frame::Incomplete(_) => Some("the record is cut off"),
            Frame::Broken(what) => Some(what),
        })
    }

    /// Returns the error of a segment that ends where it should not.
    pub(super) fn cut_off(&self, unfinished: usize) -> LogError {
        let what = format!("{unfinished} bytes at its end are no record, though the log goes on in another segment");
        LogError::corrupt(&self.path, self.offset(), what)
    }

    fn offset(&self) -> u64 {
        self.position.0 - self.start.0 + HEADER_BYTES as u64
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.position = self.position.plus(bytes);
    }

    /// Reads on; returns whether anything was added.
    fn fill(&mut self, needed: usize) -> Result<bool, LogError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let missing = needed.saturating_sub(self.buffer.len()).clamp(CHUNK_BYTES, frame::MAX_RECORD_BYTES * 2);
        let read = (&mut self.file).take(missing as u64).read_to_end(&mut self.buffer);
        read.map(|bytes| bytes > 0).map_err(LogError::io("read", &self.path))
    }

    /// Drops what was read ahead.
    fn rewind(&mut self) -> Result<(), LogError> {
        self.buffer.clear();
        self.at = 0;
        let offset = self.offset();
        self.file.seek(SeekFrom::Start(offset)).map(|_| ()).map_err(LogError::io("read", &self.path))
    }
}
