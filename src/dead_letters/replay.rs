//! Sending letters again, through the validation and the collect path that everything goes through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{Dialect, Letter, LettersError, Page, Select};
use crate::app::App;
use crate::collect::beacon;
use crate::collect::dedupe::IdHash;
use crate::collect::outcome::{DropReason, Outcome};
use crate::collect::refused::Sent;
use crate::collect::seen_index::SeenIndex;
use crate::collect::segment;
use crate::collect::validate::validate;
use crate::event::Source;
use crate::store_engine::StoreError;

/// Letters on their way at once: each waits for the disk, and they share its syncs.
const TOGETHER: usize = 64;

/// What became of the letters that were sent again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resent {
    /// In the log now, and gone from the letters.
    pub ok: u64,
    /// In the log before, and gone from the letters.
    pub duplicate: u64,
    /// Of somebody who has withdrawn since, and gone.
    pub no_consent: u64,
    /// Could not be written just now; still there.
    pub retry: u64,
    /// Refused again, by what is wrong now; still there.
    pub rejected: BTreeMap<String, u64>,
}

impl Resent {
    /// Counts an outcome and returns whether its letter is done with.
    fn note(&mut self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Ok(_) => self.ok += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::Drop(DropReason::NoConsent) => self.no_consent += 1,
            Outcome::Rejected(rejection) => {
                *self.rejected.entry(rejection.code.to_string()).or_insert(0) += 1;
                return false;
            }
            Outcome::Retry(_) | Outcome::Drop(DropReason::Bot) => {
                self.retry += 1;
                return false;
            }
        }
        true
    }

    /// Adds the figures of another page.
    pub fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.duplicate += other.duplicate;
        self.no_consent += other.no_consent;
        self.retry += other.retry;
        for (code, count) in other.rejected {
            *self.rejected.entry(code).or_insert(0) += count;
        }
    }
}

/// Sends a page of letters again, or with `dry_run` only says what would become of them. Returns the figures and where to go on.
///
/// `seen` is the index of all the log holds, so that a letter whose event came in by another way long ago is not kept twice.
pub async fn replay(
    app: &Arc<App>,
    seen: &SeenIndex,
    select: Select,
    dry_run: bool,
) -> Result<(Resent, Option<u64>), LettersError> {
    let Page { letters, next } = app.collector.dead_letters.page(select).await?;
    let mut resent = Resent::default();
    let mut done = BTreeSet::new();
    let mut letters = letters.into_iter().peekable();
    while letters.peek().is_some() {
        let mut sending = JoinSet::new();
        for letter in letters.by_ref().take(TOGETHER) {
            let (app, seen) = (app.clone(), seen.clone());
            sending.spawn(async move { (letter.position, send(&app, &seen, &letter, dry_run).await) });
        }
        while let Some(sent) = sending.join_next().await {
            // A task that was cut short leaves its letter where it is.
            let Ok((position, outcome)) = sent else { continue };
            if resent.note(&outcome?) {
                done.insert(position);
            }
        }
    }
    if !dry_run && !done.is_empty() {
        app.collector.dead_letters.remove(done).await?;
    }
    Ok((resent, next))
}

async fn send(app: &App, seen: &SeenIndex, letter: &Letter, dry_run: bool) -> Result<Outcome, StoreError> {
    let collect = &app.config.collect;
    let envelope = letter.envelope(app.config.site(&letter.site), collect.max_items);
    let most = if letter.source == Source::Server { collect.server_event_kib } else { collect.browser_event_kib } << 10;
    let decoded = match letter.dialect {
        Dialect::Rapport => beacon::entry(&letter.event, most).decoded,
        Dialect::Segment => segment::entry(&letter.event, most).decoded,
    };
    let event = match decoded.clone().and_then(|draft| validate(draft, &envelope)) {
        Ok(event) => event,
        Err(rejection) => return Ok(Outcome::Rejected(rejection)),
    };
    if seen.contains(IdHash::of_event(&event))? {
        return Ok(Outcome::Duplicate);
    }
    if dry_run {
        let allowed = app.collector.is_allowed(&envelope, event).await;
        return Ok(if allowed { Outcome::Ok(None) } else { Outcome::Drop(DropReason::NoConsent) });
    }
    let fates = app.collector.accept(&envelope, None, vec![decoded], Sent::Again).await;
    // One event in, one outcome out.
    Ok(fates.outcomes.into_iter().next().unwrap_or(Outcome::Duplicate))
}
