//! Appending: many callers, one commit thread, one sync for all that waits.
//!
//! A commit takes whatever queued while the one before it was being synced. There is no waiting for company: a lone append
//! is written at once.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use super::segment::{self, HEADER_BYTES};
use super::{Committed, LogError, LogSettings, Position, Recovery, Reply, frame, recover};
use crate::event::Event;

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
    queue_bytes: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What callers can see of the commit thread.
struct State {
    end: AtomicU64,
    waiting_bytes: AtomicUsize,
    running: AtomicBool,
    /// Why nothing can be written any more.
    failure: OnceLock<Arc<str>>,
}

enum Command {
    Append(Pending),
    Rotate(SyncSender<Result<Position, LogError>>),
    Close,
}

/// An append, encoded and waiting.
struct Pending {
    events: Vec<Event>,
    /// Bytes of each event's record in `stream`.
    lengths: Vec<usize>,
    stream: Vec<u8>,
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
            waiting_bytes: AtomicUsize::new(0),
            running: AtomicBool::new(true),
            failure: OnceLock::new(),
        });
        let dir = writer.dir.clone();
        let committer =
            Committer { writer, queued, state: Arc::clone(&state), durable, max_batch_bytes: settings.max_batch_bytes };
        let thread = thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(move || committer.run())
            .map_err(LogError::io("start the commit thread of", &dir))?;
        let handle = Handle { commands, state, queue_bytes: settings.queue_bytes, thread: Mutex::new(Some(thread)) };
        Ok(Self(Arc::new(handle)))
    }

    /// Queues events to be kept, all or none of them. Never blocks.
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
        let bytes = stream.len();
        let before = state.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        // One append always fits, however large, so that it cannot be refused for ever.
        let full = before > 0 && before.saturating_add(bytes) > self.0.queue_bytes;
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
                state.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
                Err((error, pending.reply))
            }
        }
    }

    /// Returns where the durable part of the log ends.
    pub fn end(&self) -> Position {
        Position(self.0.state.end.load(Ordering::Acquire))
    }

    /// Returns whether events can be kept; once false, only a restart helps.
    pub fn is_healthy(&self) -> bool {
        self.0.state.refusal().is_none()
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
        f.debug_struct("EventLog").field("end", &self.end()).field("healthy", &self.is_healthy()).finish_non_exhaustive()
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
        if let Some(cause) = self.failure.get() {
            return Some(LogError::Unavailable(Arc::clone(cause)));
        }
        (!self.running.load(Ordering::Acquire)).then_some(LogError::Closed)
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
            let next = if closing { self.queued.try_recv().ok() } else { self.queued.recv().ok() };
            let Some(first) = next else { break };
            let mut next = Some(first);
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
        let taken = batch.iter().map(|pending| pending.stream.len()).sum();
        self.state.waiting_bytes.fetch_sub(taken, Ordering::Relaxed);
        let written = match self.state.failure.get() {
            Some(cause) => Err(Arc::clone(cause)),
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
        if let Some(error) = self.state.failure.get() {
            return Err(LogError::Unavailable(Arc::clone(error)));
        }
        self.writer.rotate().map_err(|error| LogError::Unavailable(self.fail(&error)))
    }

    /// Notes that nothing can be written any more, and returns why.
    fn fail(&self, error: &LogError) -> Arc<str> {
        let cause: Arc<str> = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}").into(),
            None => error.to_string().into(),
        };
        tracing::error!("The event log keeps nothing more until a restart: {cause}");
        // After a failed sync the kernel may forget what it could not write. Nothing behind the durable end may look kept
        // after the restart, so it goes now; if that fails as well, the scan of the next start decides.
        let _ = self.writer.cut_to_durable();
        Arc::clone(self.state.failure.get_or_init(|| cause))
    }
}

/// The segment being written.
struct Writer {
    dir: PathBuf,
    file: File,
    start: Position,
    /// Where the durable part ends.
    end: Position,
    segment_bytes: u64,
    buffer: Vec<u8>,
}

impl Writer {
    /// Makes a batch durable and returns the position of its first record.
    fn write(&mut self, batch: &[Pending]) -> Result<Position, LogError> {
        if self.end.0 - self.start.0 >= self.segment_bytes {
            self.rotate()?;
        }
        self.buffer.clear();
        self.buffer.extend(frame::mark(self.end));
        let first = self.end.plus(self.buffer.len());
        for pending in batch {
            self.buffer.extend_from_slice(&pending.stream);
        }
        if self.buffer.len() == frame::HEAD_BYTES {
            return Ok(first); // Nothing but empty appends.
        }
        let path = || segment::raw_path(&self.dir, self.start);
        self.file.write_all(&self.buffer).map_err(|e| LogError::io("write", &path())(e))?;
        self.file.sync_data().map_err(|e| LogError::io("sync", &path())(e))?;
        self.end = self.end.plus(self.buffer.len());
        Ok(first)
    }

    /// Begins a new segment unless the current one is empty; returns where the current one starts then.
    fn rotate(&mut self) -> Result<Position, LogError> {
        if self.end > self.start {
            self.file = segment::create(&self.dir, self.end)?;
            self.start = self.end;
        }
        Ok(self.start)
    }

    fn cut_to_durable(&self) -> std::io::Result<()> {
        self.file.set_len(self.end.0 - self.start.0 + HEADER_BYTES as u64)?;
        self.file.sync_all()
    }
}

#[cfg(test)]
#[path = "append_tests.rs"]
mod tests;
