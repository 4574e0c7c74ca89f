use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::event::Event;
use crate::event_log::arbitrary::{any_event, sample};
use crate::event_log::{EventLog, LogSettings, Reader, Reply};

fn open(dir: &Path, segment_bytes: u64) -> EventLog {
    let settings = LogSettings { segment_bytes, ..LogSettings::default() };
    EventLog::open(dir, settings, Box::new(|_, reply: Reply| drop(reply.send(Ok(()))))).unwrap().0
}

fn append(log: &EventLog, events: Vec<Event>) {
    let (reply, answer) = oneshot::channel();
    log.append(events, reply);
    answer.blocking_recv().unwrap().unwrap();
}

fn read(dir: &Path, archive: &Path, from: Position) -> Vec<Committed> {
    Reader::open(dir, archive, from).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Every Parquet file under a folder.
fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(parquet_files(&path));
        } else if path.extension().is_some_and(|e| e == "parquet") {
            found.push(path);
        }
    }
    found
}

/// Every position the archive holds, as a reader that knows no manifests sees it.
fn archived(archive: &Path) -> Vec<Position> {
    let mut positions = Vec::new();
    for path in parquet_files(archive) {
        parquet_read::read_file(&path, &SiteId::default_site(), &mut |committed| {
            positions.push(committed.position);
            Ok(())
        })
        .unwrap();
    }
    positions.sort_unstable();
    positions
}

/// Events of two sites on three days, out of order.
fn mixed(n: u64) -> Event {
    let mut event = sample(n);
    event.ts = event.ts.plus(i64::try_from(n % 3).unwrap() * crate::event::time::DAY);
    event.site = SiteId::parse(if n.is_multiple_of(2) { "default" } else { "other" }).unwrap();
    event.items.truncate(usize::try_from(n % 2).unwrap());
    event
}

#[test]
fn sealing_changes_nothing_for_a_reader() {
    let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, archive) = (dir.path(), archive.path());
    let log = open(dir, 2000);
    for n in 0..100 {
        append(&log, vec![mixed(2 * n), mixed(2 * n + 1)]);
    }
    let before = read(dir, archive, Position::START);
    let mut under_way = Reader::open(dir, archive, Position::START).unwrap();
    assert_eq!(under_way.next().unwrap().unwrap(), before[0]);

    let sealed = seal_ready(dir, archive).unwrap();
    assert!(sealed.len() > 5);
    assert_eq!(segment::raw_starts(dir).unwrap().len(), 1);
    assert_eq!(read(dir, archive, Position::START), before);
    assert_eq!(under_way.collect::<Result<Vec<_>, _>>().unwrap(), before[1..]);
    for n in [1, 17, 50, 180] {
        assert_eq!(read(dir, archive, before[n].position), before[n..]);
    }
    assert_eq!(seal_ready(dir, archive).unwrap(), []);

    let late = before[150].event.received_at;
    let since: Vec<_> = Reader::since_received(dir, archive, late).unwrap().map(Result::unwrap).collect();
    assert!(before.ends_with(&since) && since.len() < before.len());
    assert!(before.iter().filter(|c| c.event.received_at >= late).all(|c| since.contains(c)));

    append(&log, vec![sample(1000)]);
    assert_eq!(read(dir, archive, log.end()), []);
    log.close();
    let log = open(dir, 2000);
    append(&log, vec![sample(1001)]);
    assert_eq!(read(dir, archive, Position::START).len(), 202);
}

#[test]
fn a_reader_keeps_up_while_everything_moves() {
    let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, archive) = (dir.path(), archive.path());
    let log = open(dir, 1500);
    let mut reader = Reader::open(dir, archive, Position::START).unwrap();
    let reading = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 0..150 {
                append(&log, vec![mixed(2 * n), mixed(2 * n + 1)]);
            }
        });
        let sealing = scope.spawn(move || {
            let mut sealed = 0;
            while !writing.is_finished() {
                sealed += seal_ready(dir, archive).unwrap().len();
            }
            sealed
        });
        let mut found = Vec::new();
        while found.len() < 300 {
            found.extend(reader.by_ref().map(Result::unwrap));
        }
        assert!(sealing.join().unwrap() > 0);
        found
    });
    assert_eq!(reading, read(dir, archive, Position::START));
    assert_eq!(reading.iter().map(|c| c.event.clone()).collect::<Vec<_>>(), (0..300).map(mixed).collect::<Vec<_>>());
}

#[test]
fn sealing_may_end_anywhere() {
    for crash in 0.. {
        let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, archive) = (dir.path(), archive.path());
        let log = open(dir, 600);
        for n in 0..12 {
            append(&log, vec![mixed(n)]);
        }
        log.close();
        let before = read(dir, archive, Position::START);
        let mut steps = 0;
        let result = seal_closed(dir, archive, &mut || {
            steps += 1;
            if steps > crash { Err(LogError::Closed) } else { Ok(()) }
        });
        assert_eq!(read(dir, archive, Position::START), before, "ended at step {crash}");
        let finished = result.is_ok();
        open(dir, 600).close();
        seal_ready(dir, archive).unwrap();
        assert_eq!(read(dir, archive, Position::START), before, "ended at step {crash}, then sealed");
        let last = segment::raw_starts(dir).unwrap()[0];
        let sealed: Vec<_> = before.iter().map(|c| c.position).filter(|&p| p < last).collect();
        assert_eq!(archived(archive), sealed, "ended at step {crash}");
        assert!(parquet_files(dir).is_empty());
        if finished {
            assert!(crash > 10);
            return;
        }
    }
}

#[test]
fn a_damaged_segment_is_kept_and_named() {
    let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, archive) = (dir.path(), archive.path());
    let log = open(dir, 1);
    for n in 0..4 {
        append(&log, vec![mixed(n)]);
    }
    log.close();
    let starts = segment::raw_starts(dir).unwrap();
    let hurt = segment::raw_path(dir, starts[1]);
    let mut bytes = fs::read(&hurt).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&hurt, bytes).unwrap();
    match seal_ready(dir, archive) {
        Err(LogError::Corrupt { file, .. }) => assert_eq!(file, hurt),
        other => panic!("{other:?}"),
    }
    assert_eq!(segment::raw_starts(dir).unwrap(), [starts[1], starts[3]]);
}

#[test]
fn a_damaged_archive_is_an_error_and_the_rest_is_read() {
    let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, archive) = (dir.path(), archive.path());
    let log = open(dir, 1);
    for n in 0..3 {
        append(&log, vec![mixed(n)]);
    }
    let sealed = seal_ready(dir, archive).unwrap();
    let hurt = archive.join(&sealed[0].files[0].path);
    fs::write(&hurt, "no parquet").unwrap();
    let found: Vec<_> = Reader::open(dir, archive, Position::START).unwrap().collect();
    assert!(matches!(&found[0], Err(LogError::Corrupt { file, .. }) if *file == hurt), "{:?}", found[0]);
    assert_eq!(found[1].as_ref().unwrap().event, mixed(1));
    assert_eq!(found.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_field_survives_sealing(events in proptest::collection::vec(any_event(), 1..20)) {
        let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let log = open(dir.path(), 1 << 20);
        append(&log, events.clone());
        log.rotate().unwrap();
        seal_ready(dir.path(), archive.path()).unwrap();
        prop_assert_eq!(segment::raw_starts(dir.path()).unwrap().len(), 1);
        let found = read(dir.path(), archive.path(), Position::START);
        prop_assert_eq!(found.into_iter().map(|c| c.event).collect::<Vec<_>>(), events);
    }
}
