//! Closed segments become Parquet, one file for each site and day, named in a manifest.
//!
//! In this order: each file is written aside, synced, read back and compared with the segment, and renamed; then, if the
//! archive is shared, the manifest is created in it; then the node's own manifest is written aside, synced and renamed;
//! then the segment is deleted. Until the first manifest is there the segment counts and sealing begins anew, with the same
//! file names, so whatever was left behind is written over; from then on the files count, once they are found to hold the
//! segment. So it may end anywhere and nothing is lost or counted twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::archive::{Archive, day_folder, manifest_name};
use super::frame::{self, Frame, Scan};
use super::manifest::{FORMAT, Manifest, SealedFile};
use super::sealed::SealedSegment;
use super::segment::{self, HEADER_BYTES};
use super::{Committed, LogError, Position, codec, parquet_read, parquet_write, recover};
use crate::event::{SiteId, Timestamp};

/// Called between any two steps that a crash could come between; its error ends everything at once.
pub(super) type Step<'a> = &'a mut dyn FnMut() -> Result<(), LogError>;

/// A segment that became Parquet.
pub type Sealed = Manifest;

/// Seals every closed segment (all but the last) and returns what it sealed.
///
/// A damaged segment stays as it is and does not keep the others from being sealed; the error comes at the end. Only one
/// caller at a time.
pub fn seal_ready(dir: &Path, archive: &Archive) -> Result<Vec<Sealed>, LogError> {
    seal_closed(dir, archive, &mut || Ok(()))
}

fn seal_closed(dir: &Path, archive: &Archive, step: Step<'_>) -> Result<Vec<Sealed>, LogError> {
    let starts = segment::raw_starts(dir)?;
    let mut sealed = Vec::new();
    let mut damage = None;
    if starts.len() > 1 {
        publish_missing(dir, archive)?;
    }
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

fn seal(dir: &Path, archive: &Archive, start: Position, next: Position, step: Step<'_>) -> Result<Option<Sealed>, LogError> {
    let path = segment::raw_path(dir, start);
    if segment::manifest_path(dir, start).exists() {
        // Sealed before, but the process ended before the last step.
        remove(dir, &path)?;
        return Ok(None);
    }
    let segment = Segment::read(&path, start, next)?;
    if let Some(published) = published(archive, &segment, next)? {
        // The process ended between the two manifests.
        write_manifest(dir, &published, step)?;
        step()?;
        remove(dir, &path)?;
        return Ok(Some(published));
    }
    let mut files = Vec::new();
    let mut manifest = segment.manifest(next);
    for ((site, _), records) in &segment.days {
        let file = write_day(archive, &segment, site, records, step)?;
        files.push(file);
        step()?;
    }
    archive.sync(files.iter().map(|file| file.path.as_path()))?;
    step()?;
    manifest.files = files;
    publish(archive, &manifest)?;
    step()?;
    write_manifest(dir, &manifest, step)?;
    step()?;
    remove(dir, &path)?;
    Ok(Some(manifest))
}

/// Returns the manifest that this node has put into a shared archive for a segment that is still here.
fn published(archive: &Archive, segment: &Segment, next: Position) -> Result<Option<Manifest>, LogError> {
    let Some(node) = archive.node() else { return Ok(None) };
    let Some(found) = Manifest::in_archive(archive, node, segment.start)? else { return Ok(None) };
    // The segment is deleted next, so each event of it is looked for.
    let mut records: Vec<&Record> = segment.days.values().flatten().collect();
    records.sort_unstable_by_key(|record| record.position);
    let mut sealed = SealedSegment::open(&found, archive, Position::START)?;
    let mut same = found.end == next;
    for record in records {
        same = same && sealed.next()? == Some(segment.decode(record)?);
    }
    if same && sealed.next()?.is_none() { Ok(Some(found)) } else { Err(taken(archive, node, segment.start)) }
}

/// Puts a manifest into a shared archive, so that other nodes see its files.
fn publish(archive: &Archive, manifest: &Manifest) -> Result<(), LogError> {
    let Some(node) = archive.node() else { return Ok(()) };
    let text = text(manifest, &archive.describe(&manifest_name(node, manifest.start)))?;
    if !archive.create_manifest(node, manifest.start, &text)?
        && Manifest::in_archive(archive, node, manifest.start)?.as_ref() != Some(manifest)
    {
        return Err(taken(archive, node, manifest.start));
    }
    Ok(())
}

/// What stands there is not ours: a data directory was copied, and both copies write.
fn taken(archive: &Archive, node: u64, start: Position) -> LogError {
    let path = archive.describe(&manifest_name(node, start));
    LogError::corrupt(&path, 0, format!("another process writes under this node's number {node}; nothing was sealed"))
}

/// Publishes what was sealed before the archive was shared.
fn publish_missing(dir: &Path, archive: &Archive) -> Result<(), LogError> {
    let Some(node) = archive.node() else { return Ok(()) };
    let there: std::collections::BTreeSet<Position> = archive.starts(node)?.into_iter().collect();
    for manifest in super::manifest::read_all(dir)?.iter().filter(|manifest| !there.contains(&manifest.start)) {
        publish(archive, manifest)?;
    }
    Ok(())
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
            replaces: Vec::new(),
        }
    }
}

/// Writes the file of one site and day and checks it.
fn write_day(
    archive: &Archive,
    segment: &Segment,
    site: &SiteId,
    records: &[Record],
    step: Step<'_>,
) -> Result<SealedFile, LogError> {
    let date = match records.first() {
        Some(record) => segment.decode(record)?.event.ts.date(),
        None => Timestamp::default().date(),
    };
    let rows = || records.iter().map(|record| segment.decode(record));
    write_checked(archive, &archive.file_name(segment.start), site, date, rows, step)
}

/// Writes a file, finds in it what was to be written, and gives it its place.
pub(super) fn write_checked<R: Iterator<Item = Result<Committed, LogError>>>(
    archive: &Archive,
    name: &str,
    site: &SiteId,
    date: String,
    rows: impl Fn() -> R,
    step: Step<'_>,
) -> Result<SealedFile, LogError> {
    let path = day_folder(site, &date).join(name);
    let aside = archive.aside(&path)?;
    let file = parquet_write::write_file(&aside, rows())?;
    step()?;
    file.sync_all().map_err(LogError::io("sync", &aside))?;
    let (mut expected, mut count) = (rows(), 0);
    let differs = |what: &str| LogError::corrupt(&aside, 0, format!("read back, {what}; nothing was sealed"));
    parquet_read::read_file(&aside, site, &mut |found| match expected.next().transpose()? {
        Some(row) if row == found => {
            count += 1;
            Ok(())
        }
        Some(row) => Err(differs(&format!("the event at position {} differs", row.position))),
        None => Err(differs("it has more events than were written")),
    })?;
    if expected.next().is_some() {
        return Err(differs("it has fewer events than were written"));
    }
    let bytes = file.metadata().map_err(LogError::io("read the size of", &aside))?.len();
    step()?;
    archive.place(&aside, &path)?;
    Ok(SealedFile { path, site: site.to_string(), date, rows: count, bytes })
}

/// Puts the node's own manifest there, over the one that is.
pub(super) fn write_manifest(dir: &Path, manifest: &Manifest, step: Step<'_>) -> Result<(), LogError> {
    let path = segment::manifest_path(dir, manifest.start);
    let aside = path.with_extension("json.tmp");
    let text = text(manifest, &aside)?;
    fs::create_dir_all(dir.join(segment::SEALED)).map_err(LogError::io("create", dir))?;
    let mut file = File::create(&aside).map_err(LogError::io("create", &aside))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(LogError::io("write", &aside))?;
    step()?;
    fs::rename(&aside, &path).map_err(LogError::io("rename to", &path))?;
    segment::sync_dir(&dir.join(segment::SEALED))
}

pub(super) fn text(manifest: &Manifest, path: &Path) -> Result<Vec<u8>, LogError> {
    serde_json::to_vec_pretty(manifest).map_err(|e| LogError::io("write", path)(e.into()))
}

fn remove(dir: &Path, path: &Path) -> Result<(), LogError> {
    segment::remove_file(path)?;
    segment::sync_dir(dir)
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
