use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::sync::oneshot;

use super::*;
use crate::event::Event;
use crate::event::time::DAY;
use crate::event_log::arbitrary::sample;
use crate::event_log::bucket::Bucket;
use crate::event_log::{Committed, EventLog, LogSettings, Reader, Reply, seal_ready};

const NODE: u64 = 7;
const EVENTS: u64 = 12;
const DAILY: u64 = 4;

fn forever(_: &SiteId) -> Option<u32> {
    None
}

/// Events of two sites, received on three days, four a day, each day's also about the day before.
fn mixed(n: u64) -> Event {
    let mut event = sample(n);
    let received = Timestamp(20_000 * DAY).plus(i64::try_from(n / DAILY).unwrap() * DAY + i64::try_from(n).unwrap());
    event.received_at = received;
    event.ts = received.plus(-i64::try_from(n % 2).unwrap() * DAY);
    event.site = SiteId::parse(if n.is_multiple_of(3) { "other" } else { "default" }).unwrap();
    event
}

/// Two days after the last event.
fn now() -> Timestamp {
    mixed(EVENTS - 1).received_at.plus(2 * DAY)
}

/// Keeps the events, each in a segment of its own, and seals them.
fn kept(dir: &Path, archive: &Archive) -> Vec<Committed> {
    let settings = LogSettings { segment_bytes: 1, ..LogSettings::default() };
    let (log, _) = EventLog::open(dir, settings, Box::new(|_, reply: Reply| drop(reply.send(Ok(()))))).unwrap();
    for n in 0..EVENTS {
        let (reply, answer) = oneshot::channel();
        log.append(vec![mixed(n)], reply);
        answer.blocking_recv().unwrap().unwrap();
    }
    log.rotate().unwrap();
    log.close();
    seal_ready(dir, archive).unwrap();
    read(dir, archive)
}

fn read(dir: &Path, archive: &Archive) -> Vec<Committed> {
    Reader::open(dir, archive, Position::START).unwrap().collect::<Result<_, _>>().unwrap()
}

fn files(archive: &Archive) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for site in archive.names(Path::new("")).unwrap().into_iter().filter(|name| name.starts_with("site=")) {
        for date in archive.names(Path::new(&site)).unwrap() {
            let folder = Path::new(&site).join(date);
            found.extend(archive.names(&folder).unwrap().into_iter().map(|name| folder.join(name)));
        }
    }
    found
}

fn named(dir: &Path) -> BTreeSet<PathBuf> {
    manifest::read_all(dir).unwrap().into_iter().flat_map(|m| m.files).map(|file| file.path).collect()
}

fn archives(folder: &Path) -> [Archive; 3] {
    let bucket = Archive::in_bucket(Bucket::in_memory(), &folder.join("aside"), NODE);
    [Archive::own(&folder.join("own")), Archive::shared(&folder.join("shared"), NODE), bucket]
}

#[test]
fn past_days_become_few_files_and_read_as_before() {
    let temp = tempfile::tempdir().unwrap();
    for (kind, archive) in archives(temp.path()).iter().enumerate() {
        let dir = &temp.path().join(format!("log-{kind}"));
        let before = kept(dir, archive);
        let mut halfway = Reader::open(dir, archive, before[5].position).unwrap();
        let done = upkeep(dir, archive, now(), &forever).unwrap();
        assert_eq!(done, Upkeep { deleted_events: 0, merged_parts: usize::try_from(EVENTS).unwrap() });
        assert_eq!(manifest::read_all(dir).unwrap().len(), 3, "one for each day of receipt");
        assert_eq!(read(dir, archive), before);
        assert_eq!(halfway.by_ref().map(Result::unwrap).collect::<Vec<_>>(), before[5..]);
        for committed in &before {
            let from = Reader::open(dir, archive, committed.position).unwrap().next().unwrap().unwrap();
            assert_eq!(from, *committed);
        }
        let days = before.iter().map(|c| (c.event.received_at.day(), &c.event.site, c.event.ts.day()));
        assert_eq!((files(archive).len(), files(archive)), (days.collect::<BTreeSet<_>>().len(), named(dir)));
        if archive.node().is_some() {
            assert_eq!(Reader::of_other(NODE, archive).map(Result::unwrap).collect::<Vec<_>>(), before);
        }
        assert_eq!(upkeep(dir, archive, now(), &forever).unwrap(), Upkeep::default(), "once");
    }
}

#[test]
fn the_day_that_is_not_over_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let archive = &Archive::own(&temp.path().join("archive"));
    kept(temp.path(), archive);
    let done = upkeep(temp.path(), archive, mixed(EVENTS - 1).received_at, &forever).unwrap();
    assert_eq!(done.merged_parts, 8);
    assert_eq!(manifest::read_all(temp.path()).unwrap().len(), 2 + 4);
}

#[test]
fn what_is_past_its_retention_is_deleted_everywhere() {
    let temp = tempfile::tempdir().unwrap();
    let other = SiteId::parse("other").unwrap();
    for (kind, archive) in archives(temp.path()).iter().enumerate() {
        let dir = &temp.path().join(format!("log-{kind}"));
        let before = kept(dir, archive);
        // What a process that ended before its manifest had written.
        let stray = files(archive).into_iter().find(|file| file.starts_with("site=other")).unwrap();
        if archive.is_folder() {
            let stray = archive.describe(&stray);
            let name = archive.merged_name(Position(1), Position(2));
            std::fs::copy(&stray, stray.with_file_name(name)).unwrap();
        }
        let first_kept = now().plus(-3 * DAY).day();
        let kept = |c: &&Committed| c.event.site != other || c.event.ts.day() >= first_kept;
        let left: Vec<_> = before.iter().filter(kept).cloned().collect();
        assert!(left.len() < before.len());
        let done = upkeep(dir, archive, now(), &|site| (*site == other).then_some(3)).unwrap();
        assert_eq!(done.deleted_events, (before.len() - left.len()) as u64);
        assert_eq!(read(dir, archive), left);
        assert_eq!(files(archive), named(dir), "nothing is left that no manifest names");
        if archive.node().is_some() {
            assert_eq!(Reader::of_other(NODE, archive).map(Result::unwrap).collect::<Vec<_>>(), left);
        }
    }
}

#[test]
fn upkeep_may_end_anywhere() {
    for kind in 0..3 {
        let crashes = (0..).take_while(|&crash| !ends_at(kind, crash)).count();
        assert!(crashes > 20, "{crashes} steps");
    }
}

/// Ends upkeep at a step, looks, and goes on a day later; returns whether it had no such step.
fn ends_at(kind: usize, crash: usize) -> bool {
    // In memory where there is some: hundreds of logs are sealed, and no power is cut.
    let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (dir, archive) = (&temp.path().join("log"), &archives(temp.path())[kind]);
    let before = kept(dir, archive);
    let at = |now: Timestamp| move |c: &&Committed| c.event.ts.day() >= now.plus(-4 * DAY).day();
    let mut steps = 0;
    let result = upkeep_in_steps(dir, archive, now(), &|_| Some(4), &mut || {
        steps += 1;
        if steps > crash { Err(LogError::Closed) } else { Ok(()) }
    });
    let lasting: Vec<_> = before.iter().filter(at(now())).cloned().collect();
    let seen = read(dir, archive);
    assert!(seen.iter().all(|c| before.contains(c)), "ended at step {crash}");
    assert_eq!(seen.iter().filter(at(now())).cloned().collect::<Vec<_>>(), lasting, "ended at step {crash}");
    if archive.node().is_some() {
        let seen: Vec<_> = Reader::of_other(NODE, archive).map(Result::unwrap).filter(|c| at(now())(&c)).collect();
        assert_eq!(seen, lasting, "ended at step {crash}");
    }
    seal_ready(dir, archive).unwrap();
    let later = now().plus(DAY);
    upkeep(dir, archive, later, &|_| Some(4)).unwrap();
    let left: Vec<_> = before.iter().filter(at(later)).cloned().collect();
    assert_eq!(read(dir, archive), left, "ended at step {crash}, then done");
    assert_eq!(files(archive), named(dir), "ended at step {crash}, then done");
    if archive.node().is_some() {
        assert_eq!(Reader::of_other(NODE, archive).map(Result::unwrap).collect::<Vec<_>>(), left);
        let starts: Vec<_> = manifest::read_all(dir).unwrap().into_iter().map(|m| m.start).collect();
        assert_eq!(archive.starts(NODE).unwrap(), starts, "ended at step {crash}, then done");
    }
    result.is_ok()
}
