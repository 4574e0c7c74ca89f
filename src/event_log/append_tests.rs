use std::fs;
use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::*;
use crate::event_log::arbitrary::sample;
use crate::event_log::segment::{self, HEADER_BYTES};
use crate::event_log::{Archive, Reader};

/// Opens a log that answers as soon as events are durable, and tells of them.
fn open(dir: &Path, settings: LogSettings) -> (EventLog, Recovery, Receiver<Vec<Committed>>) {
    let (told, durable) = channel();
    let (log, recovery) = EventLog::open(
        dir,
        settings,
        Box::new(move |committed, reply| {
            let _ = told.send(committed);
            let _ = reply.send(Ok(()));
        }),
    )
    .unwrap();
    (log, recovery, durable)
}

fn append(log: &EventLog, events: Vec<Event>) -> Result<(), LogError> {
    let (reply, answer) = oneshot::channel();
    log.append(events, reply);
    answer.blocking_recv().unwrap_or(Err(LogError::Closed))
}

fn read(dir: &Path) -> Vec<Committed> {
    Reader::open(dir, &Archive::own(&dir.join("archive")), Position::START).unwrap().collect::<Result<_, _>>().unwrap()
}

fn small() -> LogSettings {
    LogSettings { segment_bytes: 2000, ..LogSettings::default() }
}

#[test]
fn what_was_acknowledged_is_read_in_the_order_it_was_handed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (log, recovery, durable) = open(dir.path(), small());
    assert_eq!(recovery, Recovery::default());
    thread::scope(|scope| {
        for caller in 0..8 {
            let log = log.clone();
            scope.spawn(move || {
                for n in 0..40 {
                    let first = caller * 1000 + n * 3;
                    append(&log, (first..first + 1 + n % 3).map(sample).collect()).unwrap();
                }
            });
        }
    });
    let end = log.end();
    log.close();
    let handed: Vec<Committed> = durable.try_iter().flatten().collect();
    assert_eq!(handed.len(), 8 * (13 * 6 + 1));
    assert!(handed.is_sorted_by(|a, b| a.position < b.position));
    assert_eq!(read(dir.path()), handed);
    assert!(segment::raw_starts(dir.path()).unwrap().len() > 5);

    let (log, recovery, _) = open(dir.path(), small());
    assert_eq!((recovery.end, log.end()), (end, end));
    append(&log, vec![sample(9)]).unwrap();
    log.close();
    let all = read(dir.path());
    assert_eq!(all[..handed.len()], handed);
    assert_eq!(all[handed.len()].event, sample(9));
}

#[test]
fn a_torn_tail_costs_nothing_but_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _durable) = open(dir.path(), LogSettings::default());
    let mut ends = vec![];
    for n in 0..4 {
        append(&log, vec![sample(n * 2), sample(n * 2 + 1)]).unwrap();
        ends.push(log.end());
    }
    log.close();
    let all = read(dir.path());
    let path = segment::raw_path(dir.path(), Position::START);
    let whole = fs::read(&path).unwrap();
    let third = usize::try_from(ends[2].0).unwrap() + HEADER_BYTES;
    for length in third..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let (log, recovery, _durable) = open(dir.path(), LogSettings::default());
        assert!(recovery.end >= ends[2] && recovery.damaged.is_none());
        assert_eq!(recovery.end.0 + recovery.truncated_bytes + HEADER_BYTES as u64, length as u64);
        append(&log, vec![sample(100)]).unwrap();
        log.close();
        let kept = read(dir.path());
        let (last, before) = kept.split_last().unwrap();
        assert_eq!(last.event, sample(100), "cut at {length}");
        assert!(before.len() >= 6 && all.starts_with(before), "cut at {length}");
    }
}

#[test]
fn damage_in_the_middle_is_reported_and_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _durable) = open(dir.path(), LogSettings::default());
    for n in 0..3 {
        append(&log, vec![sample(n)]).unwrap();
    }
    log.close();
    let all = read(dir.path());
    let path = segment::raw_path(dir.path(), Position::START);
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    let hurt = usize::try_from(all[1].position.0).unwrap() + HEADER_BYTES;
    bytes[hurt + 20] ^= 4;
    fs::write(&path, &bytes).unwrap();

    let (log, recovery, _durable) = open(dir.path(), LogSettings::default());
    assert_eq!(recovery.damaged, Some((path.clone(), hurt as u64)));
    assert_eq!(recovery.truncated_bytes, 0);
    append(&log, vec![sample(7)]).unwrap();
    log.close();
    assert_eq!(fs::read(&path).unwrap().len(), length);

    let found: Vec<_> = Reader::open(dir.path(), &Archive::own(dir.path()), Position::START).unwrap().collect();
    assert_eq!(found[0].as_ref().unwrap(), &all[0]);
    match &found[1] {
        Err(LogError::Corrupt { file, offset, .. }) => assert_eq!((file, *offset), (&path, hurt as u64)),
        other => panic!("{other:?}"),
    }
    assert_eq!(found[2].as_ref().unwrap(), &all[2]);
    assert_eq!(found[3].as_ref().unwrap().event, sample(7));
    assert_eq!(found.len(), 4);
}

#[test]
fn rotating_closes_the_segment_once() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _durable) = open(dir.path(), LogSettings::default());
    assert_eq!(log.rotate().unwrap(), Position::START);
    append(&log, vec![sample(1)]).unwrap();
    let start = log.rotate().unwrap();
    assert_eq!((log.rotate().unwrap(), log.end()), (start, start));
    assert_eq!(segment::raw_starts(dir.path()).unwrap(), vec![Position::START, start]);
    log.close();
    let (log, _, _durable) = open(dir.path(), LogSettings::default());
    assert_eq!(log.end(), start);
    assert_eq!(read(dir.path()).len(), 1);
}

#[test]
fn nothing_is_promised_when_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let (told, durable) = channel();
    let writer = Writer {
        dir: dir.path().to_path_buf(),
        file: fs::OpenOptions::new().append(true).open("/dev/full").unwrap(),
        start: Position::START,
        end: Position::START,
        segment_bytes: 1000,
        buffer: Vec::new(),
    };
    let told: Durable = Box::new(move |committed, _| told.send(committed).unwrap());
    let log = EventLog::start(writer, LogSettings::default(), told).unwrap();
    assert!(log.trouble().is_none());
    match append(&log, vec![sample(1)]) {
        Err(LogError::Unavailable(cause)) => assert!(cause.contains("No space left"), "{cause}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(log.end(), Position::START);
    assert_eq!(durable.try_iter().count(), 0);
    log.close();
}

#[test]
fn once_there_is_room_the_log_goes_on_in_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _durable) = open(dir.path(), LogSettings::default());
    append(&log, vec![sample(1)]).unwrap();
    let end = log.end();
    log.close();
    // The first segment again, through a file that writes half and no more.
    let path = segment::raw_path(dir.path(), Position::START);
    let length = fs::metadata(&path).unwrap().len();
    let torn = || fs::OpenOptions::new().append(true).open(&path).unwrap();
    torn().write_all(b"half a commit").unwrap();
    let writer = Writer {
        dir: dir.path().to_path_buf(),
        // It can be cut, and not written to.
        file: fs::OpenOptions::new().read(true).open(&path).unwrap(),
        start: Position::START,
        end,
        segment_bytes: 1000,
        buffer: Vec::new(),
    };
    let log = EventLog::start(writer, LogSettings::default(), Box::new(|_, reply| reply.send(Ok(())).unwrap())).unwrap();
    assert!(matches!(append(&log, vec![sample(2)]), Err(LogError::Unavailable(_))));
    assert!(log.trouble().is_some(), "a file open for reading cannot even be cut");
    log.close();

    let mut writer = Writer {
        dir: dir.path().to_path_buf(),
        file: torn(),
        start: Position::START,
        end,
        segment_bytes: 1000,
        buffer: Vec::new(),
    };
    writer.mend().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), length, "what was not durable is gone");
    let log = EventLog::start(writer, LogSettings::default(), Box::new(|_, reply| reply.send(Ok(())).unwrap())).unwrap();
    append(&log, vec![sample(3)]).unwrap();
    log.close();
    assert_eq!(read(dir.path()).into_iter().map(|c| c.event).collect::<Vec<_>>(), [sample(1), sample(3)]);
}

#[test]
fn a_log_whose_folder_is_gone_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (log, _, _durable) = open(&path, small());
    append(&log, vec![sample(1)]).unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert!(matches!(log.rotate(), Err(LogError::Unavailable(_))));
    assert!(matches!(append(&log, vec![sample(2)]), Err(LogError::Unavailable(_))));
    assert!(log.trouble().is_some());
}

#[test]
fn a_full_queue_refuses_and_loses_nothing_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let (go, gate) = channel::<()>();
    let hold: Durable = Box::new(move |_, reply| {
        gate.recv_timeout(Duration::from_secs(20)).unwrap();
        let _ = reply.send(Ok(()));
    });
    let settings = LogSettings { queue: 4, ..LogSettings::default() };
    let (log, _) = EventLog::open(dir.path(), settings, hold).unwrap();
    let answers: Vec<_> = (0..50)
        .map(|n| {
            let (reply, answer) = oneshot::channel();
            log.append(vec![sample(n)], reply);
            answer
        })
        .collect();
    for _ in 0..50 {
        go.send(()).unwrap();
    }
    log.close();
    let (mut kept, mut refused) = (0, 0);
    for answer in answers {
        match answer.blocking_recv().unwrap() {
            Ok(()) => kept += 1,
            Err(LogError::Full) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(kept >= 2 && refused > 0 && kept + refused == 50, "{kept} kept, {refused} refused");
    assert_eq!(read(dir.path()).len(), kept);
}

#[test]
fn dropping_the_last_handle_writes_what_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _durable) = open(dir.path(), LogSettings::default());
    let clone = log.clone();
    drop(log);
    let (reply, mut answer) = oneshot::channel();
    clone.append(vec![sample(1)], reply);
    drop(clone);
    answer.try_recv().unwrap().unwrap();
    assert_eq!(read(dir.path()).len(), 1);
}

#[test]
fn a_closed_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _durable) = open(dir.path(), LogSettings::default());
    let other = log.clone();
    log.close();
    assert!(matches!(append(&other, vec![sample(1)]), Err(LogError::Closed)));
    assert!(matches!(other.rotate(), Err(LogError::Closed)));
    assert!(other.trouble().is_some());
}

#[test]
fn an_event_beyond_the_limit_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _durable) = open(dir.path(), LogSettings::default());
    let huge = Event { params: Some("x".repeat(frame::MAX_RECORD_BYTES).into()), ..sample(1) };
    assert!(matches!(append(&log, vec![sample(2), huge]), Err(LogError::TooLarge { .. })));
    append(&log, vec![sample(3)]).unwrap();
    log.close();
    assert_eq!(read(dir.path()).len(), 1);
}
