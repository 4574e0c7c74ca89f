//! From the log into profiles: in log order for each visitor, and never lost.
//!
//! The commit thread hands over what became durable. Visitors are spread over a few workers, so that each visitor's
//! events meet one worker in log order, and a profile's watermark says which of them it holds. When the profile store
//! does not answer, a worker remembers where it stopped, lets what comes pass by (it is in the log), and reads the log
//! from there once the store is back. Starting up is the same thing: reading on from the last checkpoint.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::dedupe::IdHash;
use crate::catalog::Catalogs;
use crate::clock::Steady;
use crate::event::time::SECOND;
use crate::event::{SiteId, VisitorId};
use crate::event_log::{Archive, Committed, LogError, Position, Reader, Reply};
use crate::metrics::Metrics;
use crate::profile::store::{ProfilePut, ProfileStore, Profiles, PutOutcome};
use crate::profile::{Profile, fold};
use crate::store_engine::StoreError;

/// Workers. Enough to keep a remote store busy; an embedded one needs no more than cores.
const WORKERS: usize = 4;
/// Events read from the log at a time while catching up.
const CATCH_UP_EVENTS: usize = 2_000;
/// How long to wait before the store is tried again, at first and at last.
const RETRY: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(2);
/// Jobs folded together.
const MAX_JOBS: usize = 512;

/// What workers need.
#[derive(Debug, Clone)]
pub struct ApplyParts {
    pub node: u64,
    pub profiles: Profiles,
    pub catalogs: Arc<Catalogs>,
    pub metrics: Metrics,
    pub log_dir: PathBuf,
    pub archive: Archive,
}

/// Hands durable events to the workers.
#[derive(Debug, Clone)]
pub struct Apply {
    workers: Vec<mpsc::UnboundedSender<Job>>,
    /// Everything before this position was handed to the workers. Held while jobs are sent, so that all workers get them
    /// in the same order.
    handed: Arc<Mutex<Position>>,
    /// Held by the one who has paused folding.
    pausing: Arc<tokio::sync::Mutex<()>>,
    metrics: Metrics,
}

/// Folding stands still while this lives.
#[derive(Debug)]
pub struct Paused {
    /// The profiles hold everything before this position and nothing from it on.
    pub through: Position,
    apply: Apply,
    _one: OwnedMutexGuard<()>,
}

impl Drop for Paused {
    fn drop(&mut self) {
        for worker in &self.apply.workers {
            // A worker that is gone folds nothing anyway.
            let _ = worker.send(Job::Resume);
        }
    }
}

/// What the workers will read.
#[derive(Debug)]
pub struct Queues(Vec<mpsc::UnboundedReceiver<Job>>);

#[derive(Debug)]
enum Job {
    Fold {
        events: Vec<Committed>,
        ticket: Arc<Ticket>,
    },
    /// Answers once everything before it has been dealt with: where the worker stopped, if it is behind.
    Barrier(oneshot::Sender<Option<Position>>),
    /// Answers like a barrier, and leaves what comes after it to be read from the log after [`Job::Resume`].
    Pause(oneshot::Sender<Option<Position>>),
    Resume,
    /// Reads the log again from there.
    Reread(Position),
}

/// Answers the sender when the last worker has let go of it. The events are durable, so the answer is `Ok` whatever
/// became of the profiles.
#[derive(Debug)]
struct Ticket(Mutex<Option<Reply>>);

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(reply) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // The sender may have gone; the events are kept all the same.
            let _ = reply.send(Ok(()));
        }
    }
}

impl Apply {
    /// Returns the way to the workers and the queues they will read, so that the log can be opened before they start.
    pub fn new(metrics: Metrics) -> (Self, Queues) {
        let (workers, queues) = (0..WORKERS).map(|_| mpsc::unbounded_channel()).unzip();
        (Self { workers, handed: Arc::default(), pausing: Arc::default(), metrics }, Queues(queues))
    }

    /// Starts the workers; they first read the log from `checkpoint`, at least to `end`.
    pub fn start(&self, queues: Queues, parts: &ApplyParts, checkpoint: Position, end: Position) {
        {
            let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
            *handed = end.max(*handed);
        }
        for (index, queue) in queues.0.into_iter().enumerate() {
            let worker = Worker {
                index,
                parts: parts.clone(),
                behind: Some(checkpoint),
                paused: false,
                retry: RETRY,
                try_at: Instant::now(),
                reported: false,
                written: Written::default(),
            };
            tokio::spawn(worker.run(queue));
        }
    }

    /// Takes over what became durable; called in log order.
    pub fn hand_over(&self, events: Vec<Committed>, reply: Reply) {
        let ticket = Arc::new(Ticket(Mutex::new(Some(reply))));
        self.metrics.fold_backlog.add(i64::try_from(events.len()).unwrap_or(0));
        let through = events.last().map(|committed| committed.position.after());
        let mut parts: Vec<Vec<Committed>> = (0..self.workers.len()).map(|_| Vec::new()).collect();
        for committed in events {
            parts[worker_of(&committed.event.site, &committed.event.visitor)].push(committed);
        }
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        for (worker, events) in self.workers.iter().zip(parts) {
            if !events.is_empty() {
                // A worker that is gone means the process is stopping; the log has the events.
                let _ = worker.send(Job::Fold { events, ticket: ticket.clone() });
            }
        }
        if let Some(through) = through {
            *handed = through.max(*handed);
        }
    }

    /// Returns the position before which everything has reached the workers: once they are settled, the profiles hold it.
    ///
    /// The log's own end may be a moment ahead, and a checkpoint taken there would pass over events that no profile has.
    pub fn handed_over(&self) -> Position {
        *self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything handed over before is dealt with; returns whether all of it is in the profiles.
    pub async fn settled(&self) -> bool {
        let mut answers = Vec::new();
        for worker in &self.workers {
            let (sender, receiver) = oneshot::channel();
            if worker.send(Job::Barrier(sender)).is_err() {
                return false;
            }
            answers.push(receiver);
        }
        let mut settled = true;
        for answer in answers {
            settled &= matches!(answer.await, Ok(None));
        }
        settled
    }

    /// Folds again what the store may have forgotten; profiles that hold it already stay as they are.
    pub fn reread(&self, from: Position) {
        for worker in &self.workers {
            // One that is gone folds nothing anyway.
            let _ = worker.send(Job::Reread(from));
        }
    }

    /// Stops folding at one position, so that a replay can compare; what comes later is read from the log afterwards.
    ///
    /// Nothing where the profiles are behind the log. Waits for whoever has paused folding before.
    pub async fn pause(&self) -> Option<Paused> {
        let one = self.pausing.clone().lock_owned().await;
        let mut answers = Vec::new();
        let through = {
            let handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
            for worker in &self.workers {
                let (sender, receiver) = oneshot::channel();
                // One that is gone drops the sender, which is an answer too.
                let _ = worker.send(Job::Pause(sender));
                answers.push(receiver);
            }
            *handed
        };
        let paused = Paused { through, apply: self.clone(), _one: one };
        let mut settled = true;
        for answer in answers {
            settled &= matches!(answer.await, Ok(None));
        }
        settled.then_some(paused)
    }
}

fn worker_of(site: &SiteId, visitor: &VisitorId) -> usize {
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(visitor.as_str().as_bytes(), site.as_str().len() as u64);
    usize::try_from(hash % WORKERS as u64).unwrap_or(0)
}

struct Worker {
    index: usize,
    parts: ApplyParts,
    /// Where reading the log has to begin, while the profiles are behind it.
    behind: Option<Position>,
    paused: bool,
    /// When the log may be read again, and how long to wait should the store still be away then.
    try_at: Instant,
    retry: Duration,
    /// The store's absence has been logged.
    reported: bool,
    written: Written,
}

impl Worker {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        loop {
            // Not with every batch that passes by: each try reads a part of the log.
            if self.behind.is_some() && !self.paused && self.try_at <= Instant::now() {
                self.try_at = Instant::now() + self.retry;
                self.catch_up().await;
            }
            let mut batch = Vec::new();
            let received = jobs.recv_many(&mut batch, MAX_JOBS);
            // A pause ends by a job.
            let received = if self.behind.is_some() && !self.paused {
                tokio::time::timeout_at(self.try_at, received).await.ok()
            } else {
                Some(received.await)
            };
            match received {
                Some(0) => return,
                Some(_) => self.deal_with(batch).await,
                None => {}
            }
        }
    }

    async fn deal_with(&mut self, batch: Vec<Job>) {
        let mut events = Vec::new();
        let mut tickets = Vec::new();
        for job in batch {
            match job {
                Job::Fold { events: more, ticket } => {
                    events.extend(more);
                    tickets.push(ticket);
                }
                Job::Barrier(answer) => {
                    self.fold(std::mem::take(&mut events)).await;
                    tickets.clear();
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(self.behind);
                }
                Job::Pause(answer) => {
                    self.fold(std::mem::take(&mut events)).await;
                    tickets.clear();
                    self.paused = true;
                    let _ = answer.send(self.behind);
                }
                Job::Resume => {
                    self.fold(std::mem::take(&mut events)).await;
                    tickets.clear();
                    self.paused = false;
                }
                Job::Reread(from) => {
                    self.fold(std::mem::take(&mut events)).await;
                    tickets.clear();
                    self.behind = Some(self.behind.map_or(from, |behind| behind.min(from)));
                }
            }
        }
        self.fold(events).await;
        drop(tickets);
    }

    /// Folds events, or notes that they have to be read from the log later.
    async fn fold(&mut self, events: Vec<Committed>) {
        let Some(first) = events.first().map(|c| c.position) else { return };
        self.parts.metrics.fold_backlog.sub(i64::try_from(events.len()).unwrap_or(0));
        if self.paused {
            self.behind.get_or_insert(first);
        } else if self.behind.is_none() {
            match self.apply(&events).await {
                Ok(None) => {}
                Ok(Some(from)) => self.behind = Some(from),
                Err(error) => self.stopped(first, &error),
            }
        }
    }

    fn stopped(&mut self, position: Position, error: &StoreError) {
        if !self.reported {
            warn!(%error, position = position.0, "Profiles cannot be written; they will be brought up to date from the event log");
            self.reported = true;
        }
        self.behind = Some(position);
        self.try_at = Instant::now() + self.retry;
        self.retry = (self.retry * 2).min(PATIENCE);
    }

    /// Reads the log from where the profiles stopped to its end.
    async fn catch_up(&mut self) {
        let Some(from) = self.behind else { return };
        // Cheaper than to find it out with what was read of the log: any name will do.
        if let Err(error) = self.parts.profiles.get_many(SiteId::default_site().as_str(), &["-"]).await {
            return self.stopped(from, &error);
        }
        let mut reader = match Reader::open(&self.parts.log_dir, &self.parts.archive, from) {
            Ok(reader) => reader,
            Err(error) => return self.unreadable(&error),
        };
        let mut folded = 0usize;
        loop {
            let mut chunk = Vec::new();
            let mut first = None;
            let mut ended = false;
            for _ in 0..CATCH_UP_EVENTS {
                match reader.next() {
                    None => {
                        ended = true;
                        break;
                    }
                    Some(Err(error)) => {
                        // Damage is reported with its place and does not keep later events from their profiles.
                        self.unreadable(&error);
                    }
                    Some(Ok(committed)) => {
                        first.get_or_insert(committed.position);
                        if worker_of(&committed.event.site, &committed.event.visitor) == self.index {
                            chunk.push(committed);
                        }
                    }
                }
            }
            match self.apply(&chunk).await {
                Ok(None) => {}
                Ok(Some(earlier)) => {
                    self.behind = Some(earlier.min(from));
                    return;
                }
                Err(error) => return self.stopped(first.unwrap_or(from), &error),
            }
            folded += chunk.len();
            if ended {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.behind = None;
        self.retry = RETRY;
        if self.reported {
            info!(events = folded, "Profiles are up to date again, from {folded} events of the log");
            self.reported = false;
        }
    }

    fn unreadable(&mut self, error: &LogError) {
        if !self.reported {
            error!(%error, "The event log cannot be read to bring profiles up to date");
            self.reported = true;
        }
    }

    /// Folds events into their profiles and what they say about items into the catalog.
    ///
    /// Returns from where to read the log instead, if a profile is older than what was stored for it: the store was started anew and has forgotten.
    /// Folding on would take the profile past what it lacks, for its watermark says that all before is in it.
    async fn apply(&mut self, events: &[Committed]) -> Result<Option<Position>, StoreError> {
        let node = self.parts.node;
        let mut sites: BTreeMap<&SiteId, BTreeMap<&VisitorId, Vec<&Committed>>> = BTreeMap::new();
        for committed in events {
            sites.entry(&committed.event.site).or_default().entry(&committed.event.visitor).or_default().push(committed);
        }
        for (site, mut visitors) in sites {
            while !visitors.is_empty() {
                let names: Vec<&str> = visitors.keys().map(|v| v.as_str()).collect();
                let stored = self.parts.profiles.get_many(site.as_str(), &names).await?;
                let mut puts = Vec::with_capacity(names.len());
                let mut order = Vec::with_capacity(names.len());
                let mut forgotten: Option<u64> = None;
                for ((visitor, events), stored) in visitors.iter().zip(stored) {
                    let expected = stored.as_ref().map_or(0, |v| v.version);
                    let profile = stored.map_or_else(Profile::default, |v| readable(&v.blob));
                    let before = profile.watermark(node);
                    if let Some(from) = self.written.forgotten(site, visitor, before) {
                        forgotten = Some(forgotten.map_or(from, |earlier| earlier.min(from)));
                    }
                    if let Some(profile) = fold_all(profile, events.iter().copied(), node) {
                        puts.push(ProfilePut { visitor: visitor.as_str(), expected, blob: Some(profile.encode()) });
                        let from = before.or_else(|| events.first().map(|committed| committed.position.0)).unwrap_or(0);
                        order.push(((*visitor).clone(), from, profile.watermark(node).unwrap_or(from)));
                    }
                }
                if let Some(from) = forgotten {
                    let from = events.first().map_or(from, |first| first.position.0.min(from));
                    warn!(position = from, "The store has forgotten what it had taken; the event log is folded from there");
                    return Ok(Some(Position(from)));
                }
                let outcomes = self.parts.profiles.put_many(site.as_str(), puts).await?;
                // Another node was faster for these: read them again, fold again.
                let mut conflicts: Vec<VisitorId> = Vec::new();
                for ((visitor, from, through), outcome) in order.into_iter().zip(outcomes) {
                    match outcome {
                        PutOutcome::Stored => self.written.note(site, &visitor, from, through),
                        PutOutcome::Conflict => conflicts.push(visitor),
                    }
                }
                visitors.retain(|visitor, _| conflicts.contains(visitor));
            }
        }
        for committed in events {
            self.parts.catalogs.observe(&committed.event);
        }
        Ok(None)
    }
}

/// How far profiles were folded of late, so that a store that forgets is noticed before anything is folded on top of what it lacks.
#[derive(Debug, Default)]
struct Written {
    /// By visitor: from where on, and how far, the log was folded into the profile.
    current: HashMap<IdHash, (u64, u64)>,
    before: HashMap<IdHash, (u64, u64)>,
}

/// Profiles remembered by a worker, twice over.
const REMEMBERED: usize = 20_000;

impl Written {
    /// Returns from where to fold anew, if the profile is older than what was stored; that is asked once.
    fn forgotten(&mut self, site: &SiteId, visitor: &VisitorId, watermark: Option<u64>) -> Option<u64> {
        let key = IdHash::of(site, visitor.as_str());
        let (from, through) = *self.current.get(&key).or_else(|| self.before.get(&key))?;
        if watermark.is_some_and(|at| at >= through) {
            return None;
        }
        self.current.remove(&key);
        self.before.remove(&key);
        Some(watermark.unwrap_or(from))
    }

    fn note(&mut self, site: &SiteId, visitor: &VisitorId, from: u64, through: u64) {
        let key = IdHash::of(site, visitor.as_str());
        let first = self.current.get(&key).or_else(|| self.before.get(&key)).map_or(from, |(first, _)| *first);
        if self.current.len() >= REMEMBERED {
            self.before = std::mem::take(&mut self.current);
        }
        self.current.insert(key, (first, through));
    }
}

/// Returns the stored profile, or an empty one where its bytes cannot be read: a replay mends it, and a visitor whose
/// profile is damaged must not stop everyone else's.
fn readable(blob: &[u8]) -> Profile {
    Profile::decode(blob).unwrap_or_else(|error| {
        error!(%error, "A stored profile is damaged and starts anew; `rapport replay` rebuilds it from the event log");
        Profile::default()
    })
}

/// Folds what the profile does not hold yet; nothing where it holds everything.
pub fn fold_all<'a>(mut profile: Profile, events: impl Iterator<Item = &'a Committed>, node: u64) -> Option<Profile> {
    let mut changed = false;
    for committed in events {
        if profile.watermark(node).is_some_and(|at| committed.position.0 <= at) {
            continue;
        }
        profile = fold::fold(profile, &committed.event);
        profile.set_watermark(node, committed.position.0);
        changed = true;
    }
    changed.then_some(profile)
}

/// Where the log stood some time ago.
///
/// A remote store that restarts or fails over may have forgotten its last moments, though it had answered. What is older
/// than `TAIL` it can be trusted with.
#[derive(Debug)]
pub struct Tail {
    marks: VecDeque<(Steady, Position)>,
}

/// How much a store may forget. An append-only file synced every second loses two, a replica rarely lags by more than a few.
const TAIL: i64 = 60 * SECOND;

impl Tail {
    /// Begins with what the profiles are known to hold.
    pub fn new(checkpoint: Position) -> Self {
        Self { marks: VecDeque::from([(Steady(i64::MIN), checkpoint)]) }
    }

    /// Notes where the log is now; once a second is enough.
    pub fn mark(&mut self, now: Steady, position: Position) {
        self.marks.push_back((now, position));
        while self.marks.get(1).is_some_and(|(at, _)| *at <= now.plus(-TAIL)) {
            self.marks.pop_front();
        }
    }

    /// Returns the position before which nothing can be forgotten any more.
    pub fn safe(&self) -> Position {
        self.marks.front().map_or(Position::START, |(_, position)| *position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_is_not_trusted() {
        let mut tail = Tail::new(Position(5));
        for second in 0..=200 {
            tail.mark(Steady(second * SECOND), Position(1_000 + second.unsigned_abs()));
            let expected = if second < 60 { 5 } else { 1_000 + second.unsigned_abs() - 60 };
            assert_eq!(tail.safe(), Position(expected), "after {second} s");
        }
        assert!(tail.marks.len() <= 62, "{}", tail.marks.len());
    }
}
