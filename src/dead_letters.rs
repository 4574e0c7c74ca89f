//! Dead letters: events that were refused although their visitor had agreed to be remembered, kept until they can be sent again.
//!
//! A letter holds the event as it came, what its batch said, and why it was refused. Letters are numbered in the order they were kept;
//! that number is their position. They lie in `dead-letters/` of the data directory, one file for each UTC day:
//!
//! ```text
//! 2026-11-26.letters          append-only: a header, then sealed frames (see `day`)
//! 2026-11-26.KEYID.key        the random key that opens it
//! ```
//!
//! The key is what ends: some days after its day it is destroyed, and then nobody can read that day's letters, wherever copies of the file
//! are. Whenever a letter is taken out the rest is sealed with a new key, so that this holds for it at once.
//!
//! One thread owns the folder and carries out orders one after the other (see `keeper`). The collect path hands letters over and does
//! not wait; what does not fit into memory meanwhile is counted and let go.

mod day;
mod keeper;
mod letter;
pub mod replay;
pub mod withdrawn;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tracing::warn;

pub use letter::{Dialect, Letter};

use crate::clock::Clock;
use crate::event::consent::{Granted, Storage};
use crate::event::{SiteId, VisitorId};
use crate::metrics::Metrics;
use crate::store_engine::StoreError;
use keeper::{Keeper, Order};

/// Bytes of letters that may wait for the disk.
const QUEUE_BYTES: usize = 8 << 20;

/// How long letters are kept, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Days that a day's letters are kept after that day has ended; 0 keeps none.
    pub days: u32,
    /// Most bytes of one day.
    pub day_bytes: u64,
}

/// Why letters could not be read or removed.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// Whatever it was, nobody can read it.
    #[error("{}: {what}", path.display())]
    Unreadable { path: PathBuf, what: &'static str },
    #[error("a store does not answer")]
    Store(#[from] StoreError),
    #[error("a dead letter cannot be sealed")]
    Seal,
    #[error("dead letters are not kept just now; see the server's log")]
    Closed,
}

impl LettersError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// Which letters are meant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Select {
    pub site: Option<SiteId>,
    /// The code of the rejection.
    pub code: Option<String>,
    /// The first position that is looked at.
    pub from: u64,
}

impl Select {
    fn takes(&self, letter: &Letter) -> bool {
        letter.position >= self.from
            && self.site.as_ref().is_none_or(|site| *site == letter.site)
            && self.code.as_ref().is_none_or(|code| *code == letter.code)
    }
}

/// Some of the letters that were asked for, in order.
#[derive(Debug, Default)]
pub struct Page {
    pub letters: Vec<Letter>,
    /// Where to go on, if there are more.
    pub next: Option<u64>,
}

/// Hands orders to the thread that keeps the letters. It ends with the last of these.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    orders: mpsc::Sender<Order>,
    /// Bytes of letters on their way to that thread.
    queued: Arc<AtomicUsize>,
    off: bool,
    metrics: Metrics,
}

impl DeadLetters {
    /// Starts keeping letters in a folder, which need not exist. It is read on the thread, so that a start does not wait.
    pub fn open(dir: &Path, settings: Settings, clock: Clock, metrics: Metrics) -> Self {
        let (orders, received) = mpsc::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let keeper = Keeper::new(dir.to_owned(), settings, clock, metrics.clone(), queued.clone());
        let started = std::thread::Builder::new().name("dead-letters".to_owned()).spawn(move || keeper.run(&received));
        if let Err(error) = started {
            warn!(%error, "Dead letters are not kept: their thread cannot be started");
        }
        Self { orders, queued, off: settings.days == 0, metrics }
    }

    /// Keeps a letter, if there is room, and never waits for it.
    pub fn keep(&self, letter: Letter, _granted: Granted<Storage>) {
        if self.off {
            return;
        }
        let bytes = letter.weight();
        if self.queued.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > QUEUE_BYTES {
            self.queued.fetch_sub(bytes, Ordering::Relaxed);
            return self.count("full");
        }
        if self.orders.send(Order::Keep(Box::new(letter))).is_err() {
            self.queued.fetch_sub(bytes, Ordering::Relaxed);
            self.count("failed");
        }
    }

    /// Returns whether letters are kept at all.
    pub fn are_kept(&self) -> bool {
        !self.off
    }

    /// Notes what became of a refused event: `kept`, `no_consent`, `bot`, `full`, `failed`.
    pub fn count(&self, result: &str) {
        self.metrics.dead_letters.with_label_values(&[result]).inc();
    }

    /// Erases what a visitor who withdrew has left, soon and without waiting.
    pub fn forget(&self, site: &SiteId, visitor: &VisitorId) {
        // Where the thread could not be started there are no letters either.
        let _ = self.orders.send(Order::Forget { site: site.clone(), visitor: visitor.clone() });
    }

    /// Returns letters in the order of their positions.
    pub async fn page(&self, select: Select) -> Result<Page, LettersError> {
        self.ask(|reply| Order::Page { select, reply }).await
    }

    /// Removes letters by their positions; durable when it returns.
    pub async fn remove(&self, positions: BTreeSet<u64>) -> Result<u64, LettersError> {
        self.ask(|reply| Order::Remove { positions, reply }).await
    }

    /// Erases every letter that is of somebody or names them, on one site or on all; durable when it returns.
    pub async fn erase(&self, site: Option<SiteId>, person: String) -> Result<u64, LettersError> {
        self.ask(|reply| Order::Erase { site, person, reply }).await
    }

    /// Erases every letter and every key; durable when it returns.
    pub async fn erase_all(&self) -> Result<u64, LettersError> {
        self.ask(|reply| Order::EraseAll { reply }).await
    }

    /// Waits until all that was handed over is on disk.
    pub async fn flush(&self) -> Result<(), LettersError> {
        self.ask(|reply| Order::Flush { reply }).await
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<Result<T, LettersError>>) -> Order) -> Result<T, LettersError> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).map_err(|_| LettersError::Closed)?;
        answer.await.unwrap_or(Err(LettersError::Closed))
    }
}

/// Returns how many letters there are by code, read beside a running server or without one; changes nothing.
pub fn counts(dir: &Path) -> Result<BTreeMap<String, u64>, LettersError> {
    let mut counts = BTreeMap::new();
    for day in day::list(dir)? {
        match day::read(dir, day) {
            Ok(contents) => contents.letters.into_iter().for_each(|letter| *counts.entry(letter.code).or_insert(0) += 1),
            // It ended while it was read, or is about to be cleared away.
            Err(LettersError::Unreadable { .. }) => {}
            Err(LettersError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(counts)
}
