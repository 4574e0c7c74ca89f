use std::path::PathBuf;

use tokio::sync::oneshot;

use super::*;
use crate::event::Event;
use crate::event_log::arbitrary::sample;
use crate::event_log::{EventLog, LogSettings, Reply, seal_ready};

/// Keeps events in the log of a node, a segment for every few.
fn log(dir: &Path, events: impl Iterator<Item = Event>) {
    let settings = LogSettings { segment_bytes: 800, ..LogSettings::default() };
    let (log, _) = EventLog::open(dir, settings, Box::new(|_, reply: Reply| drop(reply.send(Ok(()))))).unwrap();
    for event in events {
        let (reply, answer) = oneshot::channel();
        log.append(vec![event], reply);
        answer.blocking_recv().unwrap().unwrap();
    }
    log.rotate().unwrap();
    log.close();
}

fn events(dir: &Path, archive: &Archive, node: u64) -> Vec<Event> {
    NodesReader::open(dir, archive, node).unwrap().map(|found| found.unwrap().committed.event).collect()
}

#[test]
fn three_nodes_read_as_one() {
    let temp = tempfile::tempdir().unwrap();
    let all: Vec<Event> = (0..60).map(sample).collect();
    let nodes = [31, 5, 11];
    let share = |node| Archive::shared(&temp.path().join("shared"), node);
    let dir = |node: u64| -> PathBuf { temp.path().join(node.to_string()) };
    for (which, &node) in nodes.iter().enumerate() {
        let some = all.iter().enumerate().filter(|(n, _)| (n * n + n / 5) % 3 == which);
        log(&dir(node), some.map(|(_, event)| event.clone()));
        seal_ready(&dir(node), &share(node)).unwrap();
    }
    let merged: Vec<FromNode> = NodesReader::open(&dir(5), &share(5), 5).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(merged.is_sorted_by_key(|found| (found.committed.event.received_at, found.node, found.committed.position)));
    assert_eq!(merged.iter().map(|found| found.committed.event.clone()).collect::<Vec<_>>(), all);
    for reader in [31, 11, 99] {
        assert_eq!(events(&dir(reader), &share(reader), reader), all);
    }
}

#[test]
fn an_archive_of_ones_own_is_ones_own_log() {
    let temp = tempfile::tempdir().unwrap();
    let archive = Archive::own(&temp.path().join("archive"));
    let all: Vec<Event> = (0..9).rev().map(sample).collect();
    log(&temp.path().join("log"), all.clone().into_iter());
    seal_ready(&temp.path().join("log"), &archive).unwrap();
    assert_eq!(events(&temp.path().join("log"), &archive, 1), all);
}
