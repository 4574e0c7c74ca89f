//! Rebuilding profiles from the log, with the same fold that made them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::App;
use crate::collect::apply::fold_all;
use crate::event::SiteId;
use crate::event_log::{Committed, LogError, Position, Reader};
use crate::profile::Profile;
use crate::profile::embedded::EmbeddedProfiles;
use crate::profile::store::{ProfilePut, ProfileStore};
use crate::store_engine::StoreError;
use crate::store_engine::embedded::Embedded;

/// Events folded together.
const CHUNK: usize = 5_000;
/// Profiles compared together.
const PAGE: usize = 500;

/// What a replay found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    pub events: u64,
    /// Profiles the log gives.
    pub profiles: u64,
    /// Of those, stored with the very same bytes.
    pub identical: u64,
    /// Of those, stored anew.
    pub changed: u64,
    /// Stored profiles the log knows nothing of, which are gone now.
    pub removed: u64,
    /// Stored profiles that hold events of other nodes' logs too, and are left as they are.
    pub shared: u64,
}

/// Why a replay stopped; the stored profiles are as they were, or partly renewed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("a store failed")]
    Store(#[from] StoreError),
    #[error("the event log cannot be read")]
    Log(#[from] LogError),
    #[error("a folder for the rebuilt profiles cannot be made")]
    Folder(#[from] std::io::Error),
    #[error("the stored profiles are behind the log because their store does not answer; try again when it does")]
    Behind,
}

/// Rebuilds every profile of a site aside, compares them with what is stored, and stores those that differ.
///
/// Folding stands still meanwhile; events that come in are kept in the log and folded afterwards. Profiles that several
/// nodes made together are counted and left alone: this node's log is only a part of what they came from.
pub async fn replay(app: &Arc<App>, site: &SiteId) -> Result<Replayed, ReplayError> {
    let paused = app.apply.pause().await.ok_or(ReplayError::Behind)?;
    rebuild(app, site, paused.through).await
}

async fn rebuild(app: &App, site: &SiteId, through: Position) -> Result<Replayed, ReplayError> {
    let folder = app.paths.data.join("replay");
    // Left over from a replay that was interrupted.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let engine = Embedded::open(&folder)?;
    let rebuilt = EmbeddedProfiles::new(engine.clone());
    let mut report = Replayed::default();
    let mut reader = Reader::open(&app.paths.log, &app.archive, Position::START)?;
    loop {
        let mut chunk: BTreeMap<String, Vec<Committed>> = BTreeMap::new();
        let mut read = 0;
        for committed in reader.by_ref().take(CHUNK) {
            let committed = committed?;
            if committed.position >= through {
                break;
            }
            read += 1;
            if committed.event.site == *site {
                report.events += 1;
                chunk.entry(committed.event.visitor.as_str().to_owned()).or_default().push(committed);
            }
        }
        fold_chunk(&rebuilt, site, &chunk, app.node).await?;
        if read < CHUNK {
            break;
        }
    }
    compare(app, site, &rebuilt, &mut report).await?;
    drop(rebuilt);
    drop(engine);
    std::fs::remove_dir_all(&folder)?;
    Ok(report)
}

async fn fold_chunk(
    store: &EmbeddedProfiles,
    site: &SiteId,
    chunk: &BTreeMap<String, Vec<Committed>>,
    node: u64,
) -> Result<(), StoreError> {
    let visitors: Vec<&str> = chunk.keys().map(String::as_str).collect();
    let stored = store.get_many(site.as_str(), &visitors).await?;
    let puts = chunk
        .iter()
        .zip(stored)
        .filter_map(|((visitor, events), stored)| {
            let expected = stored.as_ref().map_or(0, |v| v.version);
            let profile = stored.and_then(|v| Profile::decode(&v.blob).ok()).unwrap_or_default();
            let profile = fold_all(profile, events.iter(), node)?;
            Some(ProfilePut { visitor, expected, blob: Some(profile.encode()) })
        })
        .collect();
    store.put_many(site.as_str(), puts).await?;
    Ok(())
}

/// Walks both stores side by side, in the order of the visitors.
async fn compare(app: &App, site: &SiteId, rebuilt: &EmbeddedProfiles, report: &mut Replayed) -> Result<(), StoreError> {
    let mut after: Option<String> = None;
    loop {
        let page = rebuilt.scan(site.as_str(), after.as_deref(), PAGE).await?;
        let visitors: Vec<&str> = page.iter().map(|(visitor, _)| visitor.as_str()).collect();
        let stored = app.profiles.get_many(site.as_str(), &visitors).await?;
        let mut puts = Vec::new();
        for ((visitor, fresh), stored) in page.iter().zip(stored) {
            report.profiles += 1;
            if stored.as_ref().is_some_and(|s| is_shared(&s.blob, app.node)) {
                report.shared += 1;
            } else if stored.as_ref().is_some_and(|s| s.blob == fresh.blob) {
                report.identical += 1;
            } else {
                report.changed += 1;
                let expected = stored.map_or(0, |s| s.version);
                puts.push(ProfilePut { visitor, expected, blob: Some(fresh.blob.clone()) });
            }
        }
        app.profiles.put_many(site.as_str(), puts).await?;
        let last = page.len() < PAGE;
        after = page.into_iter().next_back().map(|(visitor, _)| visitor);
        if last {
            break;
        }
    }
    let mut after: Option<String> = None;
    loop {
        let page = app.profiles.scan(site.as_str(), after.as_deref(), PAGE).await?;
        let visitors: Vec<&str> = page.iter().map(|(visitor, _)| visitor.as_str()).collect();
        let known = rebuilt.get_many(site.as_str(), &visitors).await?;
        let strangers =
            page.iter().zip(known).filter(|((_, stored), known)| known.is_none() && !is_shared(&stored.blob, app.node));
        for ((visitor, _), _) in strangers {
            app.profiles.erase(site.as_str(), visitor).await?;
            report.removed += 1;
        }
        let last = page.len() < PAGE;
        after = page.into_iter().next_back().map(|(visitor, _)| visitor);
        if last {
            return Ok(());
        }
    }
}

/// Returns whether a profile holds events of another node's log.
fn is_shared(blob: &[u8], node: u64) -> bool {
    Profile::decode(blob).is_ok_and(|profile| profile.has_other_watermarks(node))
}
