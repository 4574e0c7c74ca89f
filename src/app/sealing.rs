//! Sealing the log into its archive, and keeping the archive up, for as long as the service runs.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::App;
use crate::event_log::{self, LogError};
use crate::telemetry;

/// How often closed segments are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest that an archive which fails is left alone.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const UPKEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// Seals and keeps up, for ever. An archive that cannot be written is asked less and less often; segments wait for it in
/// the data directory.
pub(super) async fn run(app: Arc<App>) {
    let every = Duration::from_secs(app.config.events.seal_seconds.max(1));
    let look_every = LOOK_EVERY.min(every);
    let (mut pause, mut rotated) = (look_every, Instant::now());
    let mut kept_up: Option<Instant> = None;
    loop {
        tokio::time::sleep(pause).await;
        let due = rotated.elapsed() >= every;
        if due {
            rotated = Instant::now();
        }
        let mut done = app.seal(due).await.map(|_| ());
        if done.is_ok() && kept_up.is_none_or(|last| last.elapsed() >= UPKEEP_EVERY) {
            done = app.keep_up().await;
            if done.is_ok() {
                kept_up = Some(Instant::now());
            }
        }
        match done {
            Ok(()) => pause = look_every,
            Err(error) => {
                pause = (pause * 2).min(PATIENCE);
                let error = telemetry::chain(&error);
                warn!(%error, "The archive of the event log cannot be written; it is tried again in {} s", pause.as_secs());
            }
        }
    }
}

impl App {
    /// Turns closed segments of the log into Parquet; with `rotate`, the current one too.
    pub async fn seal(&self, rotate: bool) -> Result<usize, LogError> {
        let log = self.collector.log.clone();
        let (dir, archive, archiving) = (self.paths.log.clone(), self.archive.clone(), self.archiving.clone());
        let sealed = tokio::task::spawn_blocking(move || {
            if rotate {
                log.rotate()?;
            }
            let _one = archiving.lock().unwrap_or_else(PoisonError::into_inner);
            event_log::seal_ready(&dir, &archive)
        });
        match sealed.await {
            Ok(sealed) => {
                self.note_archive(sealed.as_ref().err());
                sealed.map(|s| s.len())
            }
            Err(_stopping) => Ok(0),
        }
    }

    /// Deletes what is past its retention from the archive, and merges the files of past days.
    async fn keep_up(&self) -> Result<(), LogError> {
        let (dir, archive, now) = (self.paths.log.clone(), self.archive.clone(), self.clock.now());
        let (config, archiving) = (self.config.clone(), self.archiving.clone());
        let upkeep = tokio::task::spawn_blocking(move || {
            let _one = archiving.lock().unwrap_or_else(PoisonError::into_inner);
            event_log::upkeep::upkeep(&dir, &archive, now, &|site| config.site(site).retention_days)
        });
        let Ok(done) = upkeep.await else { return Ok(()) };
        self.note_archive(done.as_ref().err());
        let done = done?;
        if done != event_log::upkeep::Upkeep::default() {
            info!(deleted_events = done.deleted_events, merged_parts = done.merged_parts, "The archive was kept up");
        }
        Ok(())
    }

    fn note_archive(&self, error: Option<&LogError>) {
        if error.is_some() {
            self.metrics.archive_failures.inc();
        }
        *self.archive_trouble.lock().unwrap_or_else(PoisonError::into_inner) = error.map(|e| telemetry::chain(e));
    }

    /// Returns why sealed parts of the log cannot be put into the archive, while they cannot.
    pub fn archive_trouble(&self) -> Option<String> {
        self.archive_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
