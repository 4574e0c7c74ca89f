//! The least that a server which keeps events must do: read the JSON, append, and wait for the disk.
//!
//! A file of its own and not Rapport's log: the floor must not become slower with what it is a floor for. Group commit is
//! the same idea: one thread writes whatever has come together, syncs once, and tells all who waited.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

/// Records that are not yet on the disk, and who waits for them.
type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// The end of the log that handlers append to.
#[derive(Debug, Clone)]
pub(super) struct Appender {
    queue: Sender<Waiting>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

impl Appender {
    /// Opens the log and starts the thread that writes it; it ends with the last appender.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let (queue, waiting) = channel();
        thread::Builder::new().name("append".to_owned()).spawn(move || write(file, &waiting))?;
        Ok(Self { queue })
    }

    /// Appends the events of a batch, a length before each, and returns how many are now on the disk.
    pub(super) async fn append(&self, body: &[u8]) -> Result<usize> {
        let batch: Batch<'_> = serde_json::from_slice(body).context("not a batch of events")?;
        let mut records = Vec::with_capacity(body.len());
        for event in &batch.events {
            records.extend_from_slice(&(event.get().len() as u64).to_le_bytes());
            records.extend_from_slice(event.get().as_bytes());
        }
        let (tell, told) = oneshot::channel();
        self.queue.send((records, tell)).ok().context("the log cannot be written")?;
        told.await.context("the log cannot be written")?;
        Ok(batch.events.len())
    }
}

fn write(mut file: File, waiting: &Receiver<Waiting>) {
    while let Ok((mut bytes, first)) = waiting.recv() {
        let mut told = vec![first];
        for (records, tell) in waiting.try_iter() {
            bytes.extend_from_slice(&records);
            told.push(tell);
        }
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            // Who waits learns it from the closed channel, and nobody can wait after this.
            eprintln!("The floor's log cannot be written: {error}");
            return;
        }
        for tell in told {
            // Whoever asked may have gone.
            let _ = tell.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_acknowledged_is_in_the_file() {
        let path = std::env::temp_dir().join(format!("rapport-append-{}", std::process::id()));
        let appender = Appender::open(&path).expect("opens");
        let batch = br#"{"key":"k","events":[{"id":"a"},{"id":"b","n":1}]}"#;
        assert_eq!(appender.append(batch).await.expect("kept"), 2);
        let written = std::fs::read(&path).expect("readable");
        assert_eq!(written, b"\x0a\0\0\0\0\0\0\0{\"id\":\"a\"}\x10\0\0\0\0\0\0\0{\"id\":\"b\",\"n\":1}");
        assert!(appender.append(b"{").await.is_err());
        std::fs::remove_file(&path).expect("removed");
    }
}
