//! The logs of all nodes that share an archive, as one.

use std::path::Path;

use super::archive::Archive;
use super::{Committed, LogError, Position, Reader};

/// An event, and the node whose log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct FromNode {
    pub node: u64,
    pub committed: Committed,
}

/// Merges this node's log with what other nodes have sealed into the archive they share.
///
/// Each log stays in its own order. Of the next events of all logs, the one received first is given first, and among those
/// of one moment the one of the smaller node number; so the order follows from the events alone, whoever reads. Where no
/// archive is shared this is the node's own log.
///
/// Errors are those of the log they come from, and reading on does what [`Reader`] says.
#[derive(Debug)]
pub struct NodesReader {
    logs: Vec<Log>,
}

#[derive(Debug)]
struct Log {
    node: u64,
    reader: Reader,
    next: Option<Committed>,
    ended: bool,
}

impl NodesReader {
    /// Opens every log at its beginning; `node` is the one whose log lies in `dir`.
    pub fn open(dir: &Path, archive: &Archive, node: u64) -> Result<Self, LogError> {
        let mut logs = vec![Log::new(node, Reader::open(dir, archive, Position::START)?)];
        if archive.node().is_some() {
            let others = archive.nodes()?.into_iter().filter(|&other| other != node);
            logs.extend(others.map(|other| Log::new(other, Reader::of_other(other, archive))));
        }
        Ok(Self { logs })
    }

    fn read(&mut self) -> Result<Option<FromNode>, LogError> {
        for log in &mut self.logs {
            if log.next.is_none() && !log.ended {
                log.next = log.reader.next().transpose()?;
                log.ended = log.next.is_none();
            }
        }
        let waiting = self.logs.iter_mut().filter(|log| log.next.is_some());
        let first = waiting.min_by_key(|log| (log.next.as_ref().map(|committed| committed.event.received_at), log.node));
        Ok(first.and_then(|log| Some(FromNode { node: log.node, committed: log.next.take()? })))
    }
}

impl Log {
    fn new(node: u64, reader: Reader) -> Self {
        Self { node, reader, next: None, ended: false }
    }
}

impl Iterator for NodesReader {
    type Item = Result<FromNode, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
