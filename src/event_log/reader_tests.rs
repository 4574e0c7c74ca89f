use std::fs;

use tokio::sync::oneshot;

use super::*;
use crate::event::Event;
use crate::event_log::arbitrary::sample;
use crate::event_log::{EventLog, LogSettings};

fn open(dir: &Path, segment_bytes: u64) -> EventLog {
    let settings = LogSettings { segment_bytes, ..LogSettings::default() };
    let durable = Box::new(|_, reply: crate::event_log::Reply| drop(reply.send(Ok(()))));
    EventLog::open(dir, settings, durable).unwrap().0
}

fn append(log: &EventLog, events: Vec<Event>) {
    let (reply, answer) = oneshot::channel();
    log.append(events, reply);
    answer.blocking_recv().unwrap().unwrap();
}

fn read(dir: &Path, from: Position) -> Vec<Committed> {
    Reader::open(dir, &Archive::own(&dir.join("archive")), from).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_reader_follows_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::open(dir.path(), &Archive::own(dir.path()), Position::START).unwrap();
    assert!(reader.next().is_none());
    let log = open(dir.path(), 500);
    assert!(reader.next().is_none());
    for n in 0..50 {
        append(&log, vec![sample(2 * n), sample(2 * n + 1)]);
        assert_eq!(reader.next().unwrap().unwrap().event, sample(2 * n));
        assert_eq!(reader.next().unwrap().unwrap().event, sample(2 * n + 1));
        assert!(reader.next().is_none());
    }
}

#[test]
fn any_position_is_a_place_to_start() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 1000);
    for n in 0..30 {
        append(&log, vec![sample(n)]);
    }
    let all = read(dir.path(), Position::START);
    assert_eq!(all.len(), 30);
    for (n, committed) in all.iter().enumerate() {
        assert_eq!(read(dir.path(), committed.position), all[n..]);
        assert_eq!(read(dir.path(), committed.position.after()), all[n + 1..]);
    }
    assert_eq!(read(dir.path(), log.end()), []);
    assert_eq!(read(dir.path(), Position(u64::MAX)), []);
    assert_eq!(Reader::open(dir.path(), &Archive::own(dir.path()), all[3].position).unwrap().position(), all[3].position);
}

#[test]
fn a_missing_segment_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 1);
    for n in 0..4 {
        append(&log, vec![sample(n)]);
    }
    log.close();
    let starts = segment::raw_starts(dir.path()).unwrap();
    fs::remove_file(segment::raw_path(dir.path(), starts[1])).unwrap();
    let found: Vec<_> = Reader::open(dir.path(), &Archive::own(dir.path()), Position::START).unwrap().collect();
    assert_eq!(found[0].as_ref().unwrap().event, sample(0));
    match found[1] {
        Err(LogError::Missing { from, to }) => assert_eq!((from, to), (starts[1], starts[2])),
        ref other => panic!("{other:?}"),
    }
    assert_eq!(found[2].as_ref().unwrap().event, sample(2));
    assert_eq!(found.len(), 4);
    // Old parts that were removed on purpose are no damage.
    fs::remove_file(segment::raw_path(dir.path(), starts[0])).unwrap();
    assert_eq!(read(dir.path(), Position::START).len(), 2);
}

#[test]
fn a_closed_segment_without_its_end_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 1);
    append(&log, vec![sample(0), sample(1)]);
    append(&log, vec![sample(2)]);
    log.close();
    let path = segment::raw_path(dir.path(), Position::START);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let found: Vec<_> = Reader::open(dir.path(), &Archive::own(dir.path()), Position::START).unwrap().collect();
    assert_eq!(found[0].as_ref().unwrap().event, sample(0));
    assert!(matches!(found[1], Err(LogError::Corrupt { .. })), "{:?}", found[1]);
    assert_eq!(found[2].as_ref().unwrap().event, sample(2));
}

#[test]
fn a_record_of_a_later_version_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 1000);
    append(&log, vec![sample(0)]);
    log.close();
    let path = segment::raw_path(dir.path(), Position::START);
    let mut bytes = fs::read(&path).unwrap();
    let payload = segment::HEADER_BYTES + 2 * crate::event_log::frame::HEAD_BYTES;
    bytes[payload] = 77;
    let sum = crc32fast::hash(&bytes[payload..]);
    bytes[payload - 4..payload].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = Reader::open(dir.path(), &Archive::own(dir.path()), Position::START).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("version 77"), "{error}");
}
