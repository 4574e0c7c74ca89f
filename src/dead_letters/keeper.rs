//! The thread that owns the folder of the letters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::day::{self, Day};
use super::{Letter, LettersError, Page, Select, Settings};
use crate::clock::{Clock, Steady};
use crate::event::time::SECOND;
use crate::event::{SiteId, VisitorId};
use crate::metrics::Metrics;
use crate::telemetry;

/// How often the folder is looked after: letters are synced, days end, and what failed is tried again.
const TICK: i64 = SECOND;
/// Letters and bytes of one page: what an answer to a command holds.
const PAGE_LETTERS: usize = 5_000;
const PAGE_BYTES: usize = 16 << 20;

type Reply<T> = oneshot::Sender<Result<T, LettersError>>;

/// What the thread is asked to do, in this order.
#[derive(Debug)]
pub(super) enum Order {
    Keep(Box<Letter>),
    Forget { site: SiteId, visitor: VisitorId },
    Page { select: Select, reply: Reply<Page> },
    Remove { positions: BTreeSet<u64>, reply: Reply<u64> },
    Erase { site: Option<SiteId>, person: String, reply: Reply<u64> },
    EraseAll { reply: Reply<u64> },
    Flush { reply: Reply<()> },
}

/// The folder, and what is open in it.
#[derive(Debug)]
pub(super) struct Keeper {
    dir: PathBuf,
    settings: Settings,
    clock: Clock,
    metrics: Metrics,
    queued: Arc<AtomicUsize>,
    /// Nothing before it was opened, and after something failed.
    folder: Option<Folder>,
    /// When opening may be tried again for letters; commands try at once.
    patience: Steady,
    /// It was said that letters cannot be kept.
    failing: bool,
    /// Withdrawals that could not be honoured yet.
    owed: BTreeSet<(SiteId, VisitorId)>,
}

/// An open folder.
#[derive(Debug)]
struct Folder {
    dir: PathBuf,
    days: BTreeMap<i32, Day>,
    next: u64,
    unsynced: bool,
}

impl Keeper {
    pub(super) fn new(dir: PathBuf, settings: Settings, clock: Clock, metrics: Metrics, queued: Arc<AtomicUsize>) -> Self {
        let patience = clock.steady();
        Self { dir, settings, clock, metrics, queued, folder: None, patience, failing: false, owed: BTreeSet::new() }
    }

    /// Carries out orders until nobody can give any more.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        self.tick();
        let mut ticked = self.clock.steady();
        loop {
            match orders.recv_timeout(Duration::from_micros(TICK.unsigned_abs())) {
                Ok(order) => self.carry_out(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.tick();
                    return;
                }
            }
            if self.clock.steady().since(ticked) >= TICK {
                self.tick();
                ticked = self.clock.steady();
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Keep(letter) => {
                let bytes = letter.weight();
                let result = self.keep(*letter);
                self.queued.fetch_sub(bytes, Ordering::Relaxed);
                self.metrics.dead_letters.with_label_values(&[result]).inc();
            }
            Order::Forget { site, visitor } => {
                self.owed.insert((site, visitor));
                self.forget_owed();
            }
            // Who asked may have gone meanwhile.
            Order::Page { select, reply } => drop(reply.send(self.attempt(|folder| folder.page(&select)))),
            Order::Remove { positions, reply } => drop(reply.send(self.attempt(|folder| folder.remove(&positions)))),
            Order::Erase { site, person, reply } => {
                drop(reply.send(self.attempt(|folder| folder.erase(site.as_ref(), &person))));
            }
            Order::EraseAll { reply } => {
                let today = self.clock.now().day();
                drop(reply.send(self.attempt(|folder| folder.erase_all(today))));
            }
            Order::Flush { reply } => drop(reply.send(self.attempt(Folder::sync))),
        }
    }

    /// Does something with the open folder; after a failure it is opened anew, which cuts off what was half written.
    fn attempt<T>(&mut self, what: impl FnOnce(&mut Folder) -> Result<T, LettersError>) -> Result<T, LettersError> {
        if self.folder.is_none() {
            self.folder = Some(Folder::open(self.dir.clone())?);
        }
        let Some(folder) = &mut self.folder else { return Err(LettersError::Closed) };
        let done = what(folder);
        if done.is_err() {
            self.folder = None;
        }
        done
    }

    /// Like [`Keeper::attempt`] for what nobody waits for: says aloud that it failed, once, and lets some time pass before the next try.
    fn attempt_quietly<T>(&mut self, what: impl FnOnce(&mut Folder) -> Result<T, LettersError>) -> Option<T> {
        if self.folder.is_none() && self.clock.steady() < self.patience {
            return None;
        }
        match self.attempt(what) {
            Ok(done) => {
                if std::mem::take(&mut self.failing) {
                    info!("Dead letters are kept again");
                }
                Some(done)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    warn!("Dead letters cannot be kept just now: {}", telemetry::chain(&error));
                }
                self.patience = self.clock.steady().plus(TICK);
                None
            }
        }
    }

    /// Keeps a letter and returns what is counted.
    fn keep(&mut self, letter: Letter) -> &'static str {
        let (today, most) = (self.clock.now().day(), self.settings.day_bytes);
        match self.attempt_quietly(|folder| folder.keep(letter, today, most)) {
            Some(true) => "kept",
            Some(false) => "full",
            None => "failed",
        }
    }

    fn forget_owed(&mut self) {
        while let Some((site, visitor)) = self.owed.first().cloned() {
            if self.attempt_quietly(|folder| folder.erase(Some(&site), visitor.as_str())).is_none() {
                return;
            }
            self.owed.remove(&(site, visitor));
        }
    }

    fn tick(&mut self) {
        self.forget_owed();
        let (today, days) = (self.clock.now().day(), self.settings.days);
        let looked_after = self.attempt_quietly(|folder| {
            folder.sync()?;
            folder.expire(today, days)
        });
        if let Some(ended @ 1..) = looked_after {
            info!(days = ended, "Dead letters have come to the end of their days and are gone");
        }
    }
}

impl Folder {
    fn open(dir: PathBuf) -> Result<Self, LettersError> {
        let mut folder = Self { dir, days: BTreeMap::new(), next: 1, unsynced: false };
        for day in day::list(&folder.dir)? {
            match Day::open(&folder.dir, day) {
                Ok((opened, contents)) => {
                    if contents.damaged > 0 {
                        warn!(letters = contents.damaged, "Some dead letters are damaged and cannot be read");
                    }
                    folder.next = folder.next.max(contents.next);
                    folder.days.insert(day, opened);
                }
                Err(LettersError::Unreadable { path, what }) => {
                    warn!("{}: {what}; nobody can read it, so it is removed", path.display());
                    day::remove_unreadable(&folder.dir, day)?;
                }
                Err(error) => return Err(error),
            }
        }
        day::tidy(&folder.dir)?;
        Ok(folder)
    }

    /// Keeps a letter; returns whether there was room.
    fn keep(&mut self, mut letter: Letter, today: i32, most: u64) -> Result<bool, LettersError> {
        // Never before the newest: where the clock was set back, positions go on rising from file to file.
        let day = self.days.last_key_value().map_or(today, |(newest, _)| today.max(*newest));
        if !self.days.contains_key(&day) {
            self.begin(day)?;
        }
        let Some(file) = self.days.get_mut(&day) else { return Ok(false) };
        if file.bytes >= most {
            return Ok(false);
        }
        letter.position = self.next;
        file.append(&letter)?;
        self.next += 1;
        self.unsynced = true;
        Ok(true)
    }

    fn begin(&mut self, day: i32) -> Result<(), LettersError> {
        day::make_dir(&self.dir)?;
        self.days.insert(day, Day::write(&self.dir, day, self.next, &[])?);
        Ok(())
    }

    fn page(&self, select: &Select) -> Result<Page, LettersError> {
        let mut page = Page::default();
        let mut bytes = 0;
        for (day, file) in &self.days {
            if file.range.is_none_or(|(_, last)| last < select.from) {
                continue;
            }
            for letter in day::read(&self.dir, *day)?.letters.into_iter().filter(|letter| select.takes(letter)) {
                if page.letters.len() >= PAGE_LETTERS || bytes >= PAGE_BYTES {
                    page.next = Some(letter.position);
                    return Ok(page);
                }
                bytes += letter.weight();
                page.letters.push(letter);
            }
        }
        Ok(page)
    }

    fn remove(&mut self, positions: &BTreeSet<u64>) -> Result<u64, LettersError> {
        let holds = |file: &Day| file.range.is_some_and(|(first, last)| positions.range(first..=last).next().is_some());
        let days: Vec<i32> = self.days.iter().filter(|(_, file)| holds(file)).map(|(day, _)| *day).collect();
        self.take_out(days, |letter| positions.contains(&letter.position))
    }

    fn erase(&mut self, site: Option<&SiteId>, person: &str) -> Result<u64, LettersError> {
        let may = |file: &Day| site.is_none_or(|site| file.may_name(site, person));
        let days: Vec<i32> = self.days.iter().filter(|(_, file)| may(file)).map(|(day, _)| *day).collect();
        self.take_out(days, |letter| letter.is_of(site, person))
    }

    /// Seals what is left of some days with new keys, and destroys the old ones.
    fn take_out(&mut self, days: Vec<i32>, gone: impl Fn(&Letter) -> bool) -> Result<u64, LettersError> {
        let mut removed = 0;
        for day in days {
            let before = day::read(&self.dir, day)?.letters;
            let all = before.len();
            let left: Vec<Letter> = before.into_iter().filter(|letter| !gone(letter)).collect();
            if left.len() < all {
                let renewed = Day::write(&self.dir, day, self.next, &left)?;
                if let Some(old) = self.days.insert(day, renewed) {
                    old.destroy_key()?;
                }
                removed += (all - left.len()) as u64;
            }
        }
        Ok(removed)
    }

    fn erase_all(&mut self, today: i32) -> Result<u64, LettersError> {
        let mut removed = 0;
        for day in self.days.keys() {
            removed += day::read(&self.dir, *day)?.letters.len() as u64;
        }
        self.end(|_| true, today)?;
        Ok(removed)
    }

    fn sync(&mut self) -> Result<(), LettersError> {
        if std::mem::take(&mut self.unsynced) {
            self.days.values().next_back().map_or(Ok(()), Day::sync)?;
        }
        Ok(())
    }

    /// Ends the days whose time is over; with a clock that is far off in either direction that is any day far from today.
    fn expire(&mut self, today: i32, days: u32) -> Result<usize, LettersError> {
        self.end(|day| days == 0 || today.abs_diff(day) > days, today)
    }

    fn end(&mut self, over: impl Fn(i32) -> bool, today: i32) -> Result<usize, LettersError> {
        let ended: Vec<i32> = self.days.keys().copied().filter(|day| over(*day)).collect();
        for day in &ended {
            if let Some(file) = self.days.remove(day) {
                file.destroy()?;
            }
        }
        // A file without letters holds how far positions have come.
        if !ended.is_empty() && self.days.is_empty() {
            self.begin(today)?;
        }
        Ok(ended.len())
    }
}
