//! Reading one sealed segment in log order.

use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::manifest::Manifest;
use super::{Committed, LogError, Position, codec};
use crate::event::SiteId;

/// The events of a sealed segment, put back into log order.
///
/// Its files are sorted by day, not by position, so they are read at once and kept encoded: as much memory as the segment
/// had bytes, not the many times more that decoded events take.
#[derive(Debug)]
pub(super) struct SealedSegment {
    pub(super) end: Position,
    encoded: Vec<u8>,
    /// Position, and where in `encoded` the event begins and ends.
    events: std::vec::IntoIter<(Position, usize, usize)>,
    path: PathBuf,
}

impl SealedSegment {
    /// Reads all that is not before `from`.
    pub(super) fn open(manifest: &Manifest, archive: &Archive, from: Position) -> Result<Self, LogError> {
        let mut encoded = Vec::new();
        let mut events = Vec::new();
        for file in &manifest.files {
            let path = archive.describe(&file.path);
            let site = SiteId::parse(&file.site).map_err(|e| LogError::corrupt(&path, 0, e.to_string()))?;
            let mut rows = 0;
            archive.read_events(&file.path, &site, &mut |committed| {
                rows += 1;
                if committed.position >= from {
                    let begin = encoded.len();
                    codec::encode(&committed.event, &mut encoded)?;
                    events.push((committed.position, begin, encoded.len()));
                }
                Ok(())
            })?;
            if rows != file.rows {
                return Err(LogError::corrupt(&path, 0, format!("it has {rows} rows, the manifest says {}", file.rows)));
            }
        }
        events.sort_unstable();
        Ok(Self { end: manifest.end, encoded, events: events.into_iter(), path: archive.describe(Path::new("")) })
    }

    pub(super) fn next(&mut self) -> Result<Option<Committed>, LogError> {
        let next = self.events.next();
        next.map(|event| self.decode(event)).transpose()
    }

    /// Returns what is still to be read, leaving it to be read.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<Committed, LogError>> {
        self.events.as_slice().iter().map(|&event| self.decode(event))
    }

    fn decode(&self, (position, begin, end): (Position, usize, usize)) -> Result<Committed, LogError> {
        let decoded = codec::decode(&self.encoded[begin..end]);
        let event = decoded.map_err(|e| LogError::corrupt(&self.path, 0, e.to_string()))?;
        Ok(Committed { position, event })
    }
}
