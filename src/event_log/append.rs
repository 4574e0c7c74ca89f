//! Appending: many callers, one commit thread, one sync for all that waits.
//!
//! A commit takes whatever queued while the one before it was being synced. There is no waiting for company: a lone append
//! is written at once.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::lane::Lane;
use super::writer::Writer;
use super::{Committed, LogError, LogSettings, Position, Recovery, Reply, frame, recover};
use crate::event::Event;
use crate::telemetry;

/// How often a log that could not be written is tried again.
const MEND_EVERY: Duration = Duration::from_millis(200);

/// Called on the commit thread for each append, in log order, after its events are durable; answers the reply.
///
/// It must not wait for the log (append, rotate or close it), and what it holds must not hold the log.
pub type Durable = Box<dyn FnMut(Vec<Committed>, Reply) + Send>;

/// The log, open for appending. Clones are handles to the same log; the last one dropped closes it.
#[derive(Clone)]
pub struct EventLog(Arc<Handle>);

struct Handle {
    commands: SyncSender<Command>,
    state: Arc<State>,
    queue: usize,
    queue_bytes: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What callers can see of the commit thread.
struct State {
    end: AtomicU64,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    running: AtomicBool,
    /// Why nothing can be written just now.
    failure: RwLock<Option<Arc<str>>>,
}

enum Command {
    Append(Pending),
    Rotate(SyncSender<Result<Position, LogError>>),
    Close,
}

/// An append, encoded and waiting.
pub(super) struct Pending {
    events: Vec<Event>,
    /// Bytes of each event's record in `stream`.
    lengths: Vec<usize>,
    pub(super) stream: Vec<u8>,
    reply: Reply,
}

impl EventLog {
    /// Opens the log in `dir`, or creates it. Removes what a crash had cut off (see [`Recovery`]).
    ///
    /// The caller makes sure that no other process has it open for appending.
    pub fn open(dir: &Path, settings: LogSettings, durable: Durable) -> Result<(Self, Recovery), LogError> {
        let (file, start, recovery) = recover::recover(dir)?;
        let writer = Writer {
            dir: dir.to_path_buf(),
            file,
            start,
            end: recovery.end,
            segment_bytes: settings.segment_bytes,
            buffer: Vec::new(),
        };
        Ok((Self::start(writer, settings, durable)?, recovery))
    }

    fn start(writer: Writer, settings: LogSettings, durable: Durable) -> Result<Self, LogError> {
        let (commands, queued) = sync_channel(settings.queue.max(1));
        let state = Arc::new(State {
            end: AtomicU64::new(writer.end.0),
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            running: AtomicBool::new(true),
            failure: RwLock::default(),
        });
        let dir = writer.dir.clone();
        let committer =
            Committer { writer, queued, state: Arc::clone(&state), durable, max_batch_bytes: settings.max_batch_bytes };
        let thread = thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(move || committer.run())
            .map_err(LogError::io("start the commit thread of", &dir))?;
        let (queue, queue_bytes) = (settings.queue.max(1), settings.queue_bytes);
        let handle = Handle { commands, state, queue, queue_bytes, thread: Mutex::new(Some(thread)) };
        Ok(Self(Arc::new(handle)))
    }

    /// Queues events to be kept, all or none of them. Never blocks. When much waits already, what matters least is refused first ([`Lane`]).
    ///
    /// The reply gets an error, at once or later, if they are not kept; `durable` takes it over if they are.
    pub fn append(&self, events: Vec<Event>, reply: Reply) {
        if let Err((error, reply)) = self.queue(events, reply) {
            // Nobody waits for an answer any more: then nobody is misled either.
            let _ = reply.send(Err(error));
        }
    }

    fn queue(&self, events: Vec<Event>, reply: Reply) -> Result<(), (LogError, Reply)> {
        let state = &self.0.state;
        if let Some(error) = state.refusal() {
            return Err((error, reply));
        }
        let mut stream = Vec::with_capacity(events.len() * 256);
        let lengths = match events.iter().map(|event| frame::push_record(event, &mut stream)).collect() {
            Ok(lengths) => lengths,
            Err(error) => return Err((error, reply)),
        };
        let (lane, bytes) = (Lane::of(&events), stream.len());
        let ahead = state.waiting.fetch_add(1, Ordering::Relaxed);
        let before = state.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        // One append always fits, however large, so that it cannot be refused for ever.
        let full =
            ahead >= lane.share(self.0.queue) || before > 0 && before.saturating_add(bytes) > lane.share(self.0.queue_bytes);
        let pending = Pending { events, lengths, stream, reply };
        let refused = if full {
            Some((LogError::Full, pending))
        } else {
            match self.0.commands.try_send(Command::Append(pending)) {
                Ok(()) => None,
                Err(TrySendError::Full(Command::Append(pending))) => Some((LogError::Full, pending)),
                Err(TrySendError::Disconnected(Command::Append(pending))) => Some((LogError::Closed, pending)),
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
            }
        };
        match refused {
            None => Ok(()),
            Some((error, pending)) => {
                state.taken(1, bytes);
                Err((error, pending.reply))
            }
        }
    }

    /// Returns where the durable part of the log ends.
    pub fn end(&self) -> Position {
        Position(self.0.state.end.load(Ordering::Acquire))
    }

    /// Returns why no events can be kept just now, if so; it is tried again all the time.
    pub fn trouble(&self) -> Option<LogError> {
        self.0.state.refusal()
    }

    /// Returns the bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.0.state.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Closes the current segment, unless it is empty, so that all before it can be sealed, and returns where the next one
    /// starts. Waits for what was appended before.
    pub fn rotate(&self) -> Result<Position, LogError> {
        let (answer, answered) = sync_channel(1);
        self.0.commands.send(Command::Rotate(answer)).map_err(|_| LogError::Closed)?;
        answered.recv().map_err(|_| LogError::Closed)?
    }

    /// Writes and answers all that was appended, then ends the commit thread. Other handles find the log closed.
    pub fn close(self) {
        self.0.close();
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("end", &self.end()).field("trouble", &self.trouble()).finish_non_exhaustive()
    }
}

impl Handle {
    fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        let _ = self.commands.send(Command::Close);
        // A handle that `durable` let go of is dropped on the commit thread, which cannot wait for itself.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("The commit thread of the event log panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    /// Returns why nothing can be appended.
    fn refusal(&self) -> Option<LogError> {
        if let Some(cause) = self.failure() {
            return Some(LogError::Unavailable(cause));
        }
        (!self.running.load(Ordering::Acquire)).then_some(LogError::Closed)
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.failure.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_failure(&self, cause: Option<Arc<str>>) {
        *self.failure.write().unwrap_or_else(PoisonError::into_inner) = cause;
    }

    /// Notes that so many appends do not wait any more.
    fn taken(&self, appends: usize, bytes: usize) {
        self.waiting.fetch_sub(appends, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Marks the log as closed however the commit thread ends.
struct Running(Arc<State>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

struct Committer {
    writer: Writer,
    queued: Receiver<Command>,
    state: Arc<State>,
    durable: Durable,
    max_batch_bytes: usize,
}

impl Committer {
    fn run(mut self) {
        let running = Running(Arc::clone(&self.state));
        let mut batch = Vec::new();
        let mut closing = false;
        loop {
            let mut next = if closing {
                self.queued.try_recv().ok()
            } else if self.state.failure().is_some() {
                match self.queued.recv_timeout(MEND_EVERY) {
                    Ok(command) => Some(command),
                    Err(RecvTimeoutError::Timeout) => {
                        self.mend();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => None,
                }
            } else {
                self.queued.recv().ok()
            };
            if next.is_none() {
                break;
            }
            let mut bytes = 0;
            while let Some(command) = next.take() {
                match command {
                    Command::Append(pending) => {
                        bytes += pending.stream.len();
                        batch.push(pending);
                    }
                    Command::Rotate(answer) => {
                        self.commit(&mut batch);
                        let _ = answer.send(self.rotate());
                    }
                    Command::Close => {
                        closing = true;
                        drop(Running(Arc::clone(&self.state)));
                    }
                }
                if bytes < self.max_batch_bytes {
                    next = self.queued.try_recv().ok();
                }
            }
            self.commit(&mut batch);
        }
        drop(running);
    }

    /// Writes, syncs and hands over a batch, and leaves it empty.
    fn commit(&mut self, batch: &mut Vec<Pending>) {
        if batch.is_empty() {
            return;
        }
        self.state.taken(batch.len(), batch.iter().map(|pending| pending.stream.len()).sum());
        let written = match self.state.failure() {
            Some(cause) => Err(cause),
            None => self.writer.write(batch).map_err(|error| self.fail(&error)),
        };
        let mut position = match written {
            Ok(position) => position,
            Err(cause) => {
                for pending in batch.drain(..) {
                    let _ = pending.reply.send(Err(LogError::Unavailable(Arc::clone(&cause))));
                }
                return;
            }
        };
        self.state.end.store(self.writer.end.0, Ordering::Release);
        for pending in batch.drain(..) {
            let committed = pending.events.into_iter().zip(pending.lengths).map(|(event, length)| {
                let committed = Committed { position, event };
                position = position.plus(length);
                committed
            });
            (self.durable)(committed.collect(), pending.reply);
        }
    }

    fn rotate(&mut self) -> Result<Position, LogError> {
        if let Some(cause) = self.state.failure() {
            return Err(LogError::Unavailable(cause));
        }
        self.writer.rotate().map_err(|error| LogError::Unavailable(self.fail(&error)))
    }

    /// Notes that nothing can be written just now, and returns why.
    fn fail(&self, error: &LogError) -> Arc<str> {
        let cause: Arc<str> = telemetry::chain(error).into();
        tracing::error!("The event log keeps nothing until it can be written again: {cause}");
        self.state.set_failure(Some(Arc::clone(&cause)));
        cause
    }

    /// Goes on if it can be written again; else notes why not.
    fn mend(&mut self) {
        match self.writer.mend() {
            Ok(()) => {
                tracing::warn!(position = self.writer.end.0, "The event log can be written again");
                self.state.set_failure(None);
            }
            Err(error) => self.state.set_failure(Some(telemetry::chain(&error).into())),
        }
    }
}

#[cfg(test)]
#[path = "append_tests.rs"]
mod tests;
