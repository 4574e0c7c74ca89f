//! Closed segments become Parquet, one file for each site and day, named in a manifest.
//!
//! In this order: each file is written aside, synced, read back and compared with the segment, and renamed; then the
//! manifest is written aside, synced and renamed; then the segment is deleted. Until the manifest is there the segment
//! counts and sealing begins anew, with the same file names, so whatever was left behind is written over; from then on
//! the files count. So it may end anywhere and nothing is lost or counted twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::frame::{self, Frame, Scan};
use super::manifest::{FORMAT, Manifest, SealedFile};
use super::segment::{self, HEADER_BYTES};
use super::{Committed, LogError, Position, codec, parquet_read, parquet_write, recover};
use crate::event::{SiteId, Timestamp};

/// A segment that became Parquet.
pub type Sealed = Manifest;

/// Seals every closed segment (all but the last) and returns what it sealed.
///
/// A damaged segment stays as it is and does not keep the others from being sealed; the error comes at the end. Only one
/// caller at a time.
pub fn seal_ready(dir: &Path, archive: &Path) -> Result<Vec<Sealed>, LogError> {
    seal_closed(dir, archive, &mut || Ok(()))
}

/// `step` is called between any two steps that a crash could come between; its error ends everything at once.
fn seal_closed(dir: &Path, archive: &Path, step: &mut dyn FnMut() -> Result<(), LogError>) -> Result<Vec<Sealed>, LogError> {
    let starts = segment::raw_starts(dir)?;
    let mut sealed = Vec::new();
    let mut damage = None;
    for pair in starts.windows(2) {
        let &[start, next] = pair else { continue };
        match seal(dir, archive, start, next, step) {
            Ok(manifest) => sealed.extend(manifest),
            Err(error @ LogError::Corrupt { .. }) => damage = damage.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match damage {
        None => Ok(sealed),
        Some(error) => Err(error),
    }
}

fn seal(
    dir: &Path,
    archive: &Path,
    start: Position,
    next: Position,
    step: &mut dyn FnMut() -> Result<(), LogError>,
) -> Result<Option<Sealed>, LogError> {
    let path = segment::raw_path(dir, start);
    if segment::manifest_path(dir, start).exists() {
        // Sealed before, but the process ended before the last step.
        remove(dir, &path)?;
        return Ok(None);
    }
    let segment = Segment::read(&path, start, next)?;
    let mut folders = Vec::new();
    let mut files = Vec::new();
    let mut manifest = segment.manifest(next);
    for ((site, _), records) in &segment.days {
        let file = write_day(archive, &segment, site, records, step)?;
        folders.extend(archive.join(&file.path).parent().map(Path::to_path_buf));
        files.push(file);
        step()?;
    }
    sync_folders(archive, folders)?;
    step()?;
    manifest.files = files;
    write_manifest(dir, &manifest, step)?;
    step()?;
    remove(dir, &path)?;
    Ok(Some(manifest))
}

/// A record of a segment: where its payload is.
struct Record {
    position: Position,
    payload: Range<usize>,
}

/// A closed segment in memory, its records by site and day.
struct Segment {
    path: PathBuf,
    start: Position,
    stream: Vec<u8>,
    days: BTreeMap<(SiteId, i32), Vec<Record>>,
    received: Option<(Timestamp, Timestamp)>,
}

impl Segment {
    fn read(path: &Path, start: Position, next: Position) -> Result<Self, LogError> {
        let stream = recover::read_stream(path, start)?;
        let damaged = |at: usize, what: &str| LogError::corrupt(path, (HEADER_BYTES + at) as u64, what);
        match frame::scan(&stream, start) {
            Scan::Whole => {}
            Scan::Torn { at, what } | Scan::Damaged { at, what } => return Err(damaged(at, what)),
        }
        if start.plus(stream.len()) != next {
            return Err(damaged(stream.len(), "it does not end where the next segment starts"));
        }
        let mut segment = Self { path: path.to_path_buf(), start, stream, days: BTreeMap::new(), received: None };
        let mut at = 0;
        while at < segment.stream.len() {
            let position = start.plus(at);
            let frame = frame::parse(&segment.stream[at..], position);
            if let Frame::Record(length) = frame {
                let payload = at + frame::HEAD_BYTES..at + frame::HEAD_BYTES + length;
                let record = Record { position, payload };
                let event = segment.decode(&record)?.event;
                let received = event.received_at;
                segment.received = match segment.received {
                    None => Some((received, received)),
                    Some((first, last)) => Some((first.min(received), last.max(received))),
                };
                segment.days.entry((event.site, event.ts.day())).or_default().push(record);
            }
            at += frame.stream_bytes().ok_or_else(|| damaged(at, "the segment changed while it was read"))?;
        }
        Ok(segment)
    }

    fn decode(&self, record: &Record) -> Result<Committed, LogError> {
        let offset = record.position.0 - self.start.0 + HEADER_BYTES as u64;
        let decoded = codec::decode(&self.stream[record.payload.clone()]);
        let event = decoded.map_err(|e| LogError::corrupt(&self.path, offset, e.to_string()))?;
        Ok(Committed { position: record.position, event })
    }

    /// Returns the manifest, its files still missing.
    fn manifest(&self, end: Position) -> Manifest {
        Manifest {
            format: FORMAT,
            start: self.start,
            end,
            count: self.days.values().map(|records| records.len() as u64).sum(),
            first_received_at: self.received.map(|(first, _)| first),
            last_received_at: self.received.map(|(_, last)| last),
            files: Vec::new(),
        }
    }
}

/// Writes the file of one site and day and checks it.
fn write_day(
    archive: &Path,
    segment: &Segment,
    site: &SiteId,
    records: &[Record],
    step: &mut dyn FnMut() -> Result<(), LogError>,
) -> Result<SealedFile, LogError> {
    let date = match records.first() {
        Some(record) => segment.decode(record)?.event.ts.date(),
        None => Timestamp::default().date(),
    };
    let folder = Path::new(&format!("site={site}")).join(format!("date={date}"));
    let name = format!("part-{:020}.parquet", segment.start.0);
    let aside = archive.join(&folder).join(format!(".{name}.tmp"));
    let path = folder.join(name);
    fs::create_dir_all(archive.join(&folder)).map_err(LogError::io("create", &folder))?;
    let file = parquet_write::write_file(&aside, records.iter().map(|record| segment.decode(record)))?;
    step()?;
    file.sync_all().map_err(LogError::io("sync", &aside))?;
    let mut expected = records.iter();
    let differs = |what: &str| LogError::corrupt(&aside, 0, format!("read back, {what}; nothing was sealed"));
    parquet_read::read_file(&aside, site, &mut |found| match expected.next() {
        Some(record) if segment.decode(record)? == found => Ok(()),
        Some(record) => Err(differs(&format!("the event at position {} differs", record.position))),
        None => Err(differs("it has more events than were written")),
    })?;
    if expected.next().is_some() {
        return Err(differs("it has fewer events than were written"));
    }
    let bytes = file.metadata().map_err(LogError::io("read the size of", &aside))?.len();
    step()?;
    let place = archive.join(&path);
    fs::rename(&aside, &place).map_err(LogError::io("rename to", &place))?;
    Ok(SealedFile { path, site: site.to_string(), date, rows: records.len() as u64, bytes })
}

/// Makes the names of new files durable, and those of the folders they are in.
fn sync_folders(archive: &Path, mut folders: Vec<PathBuf>) -> Result<(), LogError> {
    let parents: Vec<_> = folders.iter().filter_map(|folder| folder.parent().map(Path::to_path_buf)).collect();
    folders.extend(parents);
    if !folders.is_empty() {
        folders.push(archive.to_path_buf());
        folders.extend(archive.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_path_buf));
    }
    folders.sort_unstable();
    folders.dedup();
    folders.iter().try_for_each(|folder| segment::sync_dir(folder))
}

fn write_manifest(dir: &Path, manifest: &Manifest, step: &mut dyn FnMut() -> Result<(), LogError>) -> Result<(), LogError> {
    let path = segment::manifest_path(dir, manifest.start);
    let aside = path.with_extension("json.tmp");
    let text = serde_json::to_vec_pretty(manifest).map_err(|e| LogError::io("write", &aside)(e.into()))?;
    fs::create_dir_all(dir.join(segment::SEALED)).map_err(LogError::io("create", dir))?;
    let mut file = File::create(&aside).map_err(LogError::io("create", &aside))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(LogError::io("write", &aside))?;
    step()?;
    fs::rename(&aside, &path).map_err(LogError::io("rename to", &path))?;
    segment::sync_dir(&dir.join(segment::SEALED))
}

fn remove(dir: &Path, path: &Path) -> Result<(), LogError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(LogError::io("remove", path)(e)),
        Ok(()) | Err(_) => {}
    }
    segment::sync_dir(dir)
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
