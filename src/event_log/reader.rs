//! Reading the log in order, wherever its parts live by now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::archive::{Archive, manifest_name};
use super::manifest::Manifest;
use super::raw::{Next, RawSegment};
use super::sealed::SealedSegment;
use super::segment::{self, Place};
use super::{Committed, LogError, Position};
use crate::event::Timestamp;

/// How often a part that was moved while it was being opened is looked for again.
const ATTEMPTS: usize = 5;

/// Gives the events of the log in order, from sealed and open segments alike; works beside a writer in another process.
///
/// `next` returns nothing at the end of what is there and more later if more was written. It may be a commit ahead of
/// [`super::EventLog::end`]: what is written but not yet acknowledged. After an I/O error the same is tried again; after
/// [`LogError::Corrupt`] or [`LogError::Missing`] it goes on behind the damage, so whoever must not miss anything stops at
/// the first error.
#[derive(Debug)]
pub struct Reader {
    whose: Whose,
    archive: Archive,
    /// Everything before was given or is not wanted.
    from: Position,
    /// Where the part before ended, once there was one: the next must start there.
    ended: Option<Position>,
    current: Option<Part>,
}

/// Whose log is read, and so where its parts are named.
#[derive(Debug)]
enum Whose {
    /// This node's, in its folder.
    Own(PathBuf),
    /// Another node's: what it has sealed into the archive.
    Other(u64),
}

impl Whose {
    fn list(&self, archive: &Archive) -> Result<BTreeMap<Position, Place>, LogError> {
        match self {
            Self::Own(dir) => segment::list(dir),
            Self::Other(node) => Ok(archive.starts(*node)?.into_iter().map(|start| (start, Place::Sealed)).collect()),
        }
    }
}

#[derive(Debug)]
enum Part {
    Raw(RawSegment),
    Sealed(SealedSegment),
}

impl Reader {
    /// Opens the log at the first record that is not before `from`. Parts that lie before it are not opened.
    pub fn open(dir: &Path, archive: &Archive, from: Position) -> Result<Self, LogError> {
        segment::list(dir)?;
        Ok(Self { whose: Whose::Own(dir.to_path_buf()), archive: archive.clone(), from, ended: None, current: None })
    }

    /// Opens what another node has sealed into a shared archive, from its beginning.
    pub(super) fn of_other(node: u64, archive: &Archive) -> Self {
        Self { whose: Whose::Other(node), archive: archive.clone(), from: Position::START, ended: None, current: None }
    }

    /// Opens the log so that everything received since then is given, and as little as possible of what was before.
    ///
    /// Sealed segments are left out while all they hold was received earlier.
    pub fn since_received(dir: &Path, archive: &Archive, received_at: Timestamp) -> Result<Self, LogError> {
        let mut from = Position::START;
        for (start, place) in segment::list(dir)? {
            from = start;
            if place == Place::Raw {
                break;
            }
            let manifest = Manifest::read(dir, start)?;
            if manifest.last_received_at.is_some_and(|last| last >= received_at) {
                break;
            }
            from = manifest.end;
        }
        Self::open(dir, archive, from)
    }

    /// Returns where reading goes on: everything before was given or skipped.
    pub fn position(&self) -> Position {
        self.from
    }

    fn read(&mut self) -> Result<Option<Committed>, LogError> {
        loop {
            match &mut self.current {
                None => match self.part()? {
                    None => return Ok(None),
                    Some(part) => self.current = Some(part),
                },
                Some(Part::Sealed(sealed)) => {
                    if let Some(committed) = sealed.next()? {
                        self.from = committed.position.after();
                        return Ok(Some(committed));
                    }
                    let end = sealed.end;
                    self.leave(end);
                }
                Some(Part::Raw(raw)) => {
                    if let Next::Record(committed) = raw.next(self.from)? {
                        self.from = committed.position.after();
                        return Ok(Some(committed));
                    }
                    // Once there is a later segment, nothing is added to this one: but something may just have been.
                    let start = raw.start;
                    let Some(next) = self.whose.list(&self.archive)?.into_keys().find(|&s| s > start) else {
                        return Ok(None);
                    };
                    match raw.next(self.from)? {
                        Next::Record(committed) => {
                            self.from = committed.position.after();
                            return Ok(Some(committed));
                        }
                        Next::End { unfinished: 0 } => {
                            let end = raw.position();
                            self.leave(end);
                        }
                        Next::End { unfinished } => {
                            let error = raw.cut_off(unfinished);
                            self.leave(next);
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    fn manifest(&self, start: Position) -> Result<Manifest, LogError> {
        match self.whose {
            Whose::Own(ref dir) => Manifest::read(dir, start),
            Whose::Other(node) => Manifest::in_archive(&self.archive, node, start)?.ok_or_else(|| {
                let path = self.archive.describe(&manifest_name(node, start));
                LogError::io("read", &path)(std::io::ErrorKind::NotFound.into())
            }),
        }
    }

    fn leave(&mut self, end: Position) {
        self.current = None;
        self.ended = Some(end);
        self.from = self.from.max(end);
    }

    /// Opens the part that holds `from`, or else the first one after it.
    fn part(&mut self) -> Result<Option<Part>, LogError> {
        for attempt in 1.. {
            match self.try_part() {
                // Sealed and deleted between the look at the folder and the opening, or rewritten.
                Err(error) if error.is_not_found() && attempt < ATTEMPTS => {}
                found => return found,
            }
        }
        Ok(None)
    }

    fn try_part(&mut self) -> Result<Option<Part>, LogError> {
        let parts = self.whose.list(&self.archive)?;
        let holding = parts.range(..=self.from).next_back();
        for (&start, place) in holding.into_iter().chain(parts.range(self.from.after()..)) {
            let end_by_next = parts.range(start.after()..).next().map(|(&next, _)| next);
            if end_by_next.is_some_and(|end| end <= self.from) || self.ended.is_some_and(|ended| start < ended) {
                continue;
            }
            if let Some(ended) = self.ended.filter(|&ended| start > ended) {
                // Said once; then the rest is given.
                self.ended = None;
                self.from = self.from.max(start);
                return Err(LogError::Missing { from: ended, to: start });
            }
            match self.open_part(start, *place) {
                Ok(None) => {}
                Err(error @ LogError::Corrupt { .. }) => {
                    // Said once; then the rest is given.
                    if let Some(end) = end_by_next {
                        self.leave(end);
                    }
                    return Err(error);
                }
                found => return found,
            }
        }
        Ok(None)
    }

    /// Opens a part, unless it ends before `from`.
    fn open_part(&self, start: Position, place: Place) -> Result<Option<Part>, LogError> {
        match place {
            Place::Raw => match &self.whose {
                Whose::Own(dir) => RawSegment::open(dir, start).map(|raw| Some(Part::Raw(raw))),
                Whose::Other(_) => Ok(None),
            },
            Place::Sealed => {
                let manifest = self.manifest(start)?;
                if manifest.end <= self.from {
                    return Ok(None);
                }
                SealedSegment::open(&manifest, &self.archive, self.from).map(|sealed| Some(Part::Sealed(sealed)))
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Committed, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
