use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::event::Event;
use crate::event_log::arbitrary::{any_event, sample};
use crate::event_log::bucket::Bucket;
use crate::event_log::{Archive, EventLog, LogSettings, Reader, Reply};

const NODE: u64 = 7;

fn open(dir: &Path, segment_bytes: u64) -> EventLog {
    let settings = LogSettings { segment_bytes, ..LogSettings::default() };
    EventLog::open(dir, settings, Box::new(|_, reply: Reply| drop(reply.send(Ok(()))))).unwrap().0
}

fn append(log: &EventLog, events: Vec<Event>) {
    let (reply, answer) = oneshot::channel();
    log.append(events, reply);
    answer.blocking_recv().unwrap().unwrap();
}

fn read(dir: &Path, archive: &Archive, from: Position) -> Vec<Committed> {
    Reader::open(dir, archive, from).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Every Parquet file of an archive, as whoever knows no manifests sees it.
fn parquet_files(archive: &Archive) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::new()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for name in archive.names(&folder).unwrap() {
            let path = folder.join(&name);
            if name.contains('=') {
                folders.push(path);
            } else if name.ends_with(".parquet") {
                found.push(path);
            }
        }
    }
    found
}

/// Every position the archive holds, as whoever knows no manifests sees it.
fn archived(archive: &Archive) -> Vec<Position> {
    let mut positions = Vec::new();
    for name in parquet_files(archive) {
        let each = &mut |committed: Committed| {
            positions.push(committed.position);
            Ok(())
        };
        archive.read_events(&name, &SiteId::default_site(), each).unwrap();
    }
    positions.sort_unstable();
    positions
}

/// One of each kind of archive, below `folder`.
fn archives(folder: &Path) -> [Archive; 3] {
    let bucket = Archive::in_bucket(Bucket::in_memory(), &folder.join("aside"), NODE);
    [Archive::own(&folder.join("own")), Archive::shared(&folder.join("shared"), NODE), bucket]
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
    let (dir, archive) = (dir.path(), &Archive::own(archive.path()));
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
    let (dir, archive) = (dir.path(), &Archive::own(archive.path()));
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
    for kind in 0..3 {
        let crashes = (0..).take_while(|&crash| !ends_at(kind, crash)).count();
        assert!(crashes > 10, "{crashes} steps");
    }
}

/// Ends sealing at a step, looks, and seals again; returns whether sealing had no such step.
fn ends_at(kind: usize, crash: usize) -> bool {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, archive) = (dir.path(), &archives(folder.path())[kind]);
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
    // What other nodes see by now is a beginning of it, each event once.
    let seen: Vec<_> = Reader::of_other(NODE, archive).map(Result::unwrap).collect();
    assert!(before.starts_with(&seen), "ended at step {crash}");
    open(dir, 600).close();
    seal_ready(dir, archive).unwrap();
    assert_eq!(read(dir, archive, Position::START), before, "ended at step {crash}, then sealed");
    let last = segment::raw_starts(dir).unwrap()[0];
    let sealed: Vec<_> = before.iter().filter(|c| c.position < last).cloned().collect();
    assert_eq!(archived(archive), sealed.iter().map(|c| c.position).collect::<Vec<_>>(), "ended at step {crash}");
    if archive.node().is_some() {
        assert_eq!(Reader::of_other(NODE, archive).map(Result::unwrap).collect::<Vec<_>>(), sealed);
    }
    result.is_ok()
}

#[test]
fn a_copied_data_directory_cannot_write_over_the_first() {
    let (one, two, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = &Archive::shared(folder.path(), NODE);
    for (dir, events) in [(one.path(), 10..13), (two.path(), 13..16)] {
        let log = open(dir, 1 << 20);
        append(&log, events.map(mixed).collect());
        log.rotate().unwrap();
    }
    seal_ready(one.path(), archive).unwrap();
    let first = read(one.path(), archive, Position::START);
    let second = read(two.path(), archive, Position::START);
    seal_ready(two.path(), archive).unwrap_err();
    assert_eq!(read(one.path(), archive, Position::START), first);
    assert_eq!(read(two.path(), archive, Position::START), second);
}

#[test]
fn what_was_sealed_alone_is_published_once_it_is_shared() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(dir.path(), 1);
    append(&log, vec![mixed(0)]);
    append(&log, vec![mixed(1)]);
    seal_ready(dir.path(), &Archive::own(folder.path())).unwrap();
    append(&log, vec![mixed(2)]);
    let shared = Archive::shared(folder.path(), NODE);
    seal_ready(dir.path(), &shared).unwrap();
    let seen: Vec<_> = Reader::of_other(NODE, &shared).map(|c| c.unwrap().event).collect();
    assert_eq!(seen, [mixed(0), mixed(1)]);
}

#[test]
fn a_damaged_segment_is_kept_and_named() {
    let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, archive) = (dir.path(), &Archive::own(archive.path()));
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
    let (dir, archive) = (dir.path(), &Archive::own(archive.path()));
    let log = open(dir, 1);
    for n in 0..3 {
        append(&log, vec![mixed(n)]);
    }
    let sealed = seal_ready(dir, archive).unwrap();
    let hurt = archive.describe(&sealed[0].files[0].path);
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
        let archive = &Archive::own(archive.path());
        seal_ready(dir.path(), archive).unwrap();
        prop_assert_eq!(segment::raw_starts(dir.path()).unwrap().len(), 1);
        let found = read(dir.path(), archive, Position::START);
        prop_assert_eq!(found.into_iter().map(|c| c.event).collect::<Vec<_>>(), events);
    }
}
