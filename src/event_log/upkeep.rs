//! What becomes of the archive with time: days past their retention are deleted, and the many small files that sealing
//! makes during a day become few once the day is over.
//!
//! Each node keeps up its own part of a shared archive. Events keep their positions, and reading gives what it gave, without
//! the days that were deleted.

use std::collections::BTreeMap;
use std::path::Path;

use super::archive::{Archive, day_folder, site_folder};
use super::manifest::{self, Manifest, SealedFile};
use super::replace;
use super::seal::{Step, write_checked};
use super::sealed::SealedSegment;
use super::{LogError, Position};
use crate::event::{SiteId, Timestamp};

/// Manifests are merged up to so many bytes of log, so that reading one takes no more memory than reading a segment.
const MERGED_BYTES: u64 = 64 << 20;

/// For how many days a site's events are kept, where not for ever. Counted by `ts` in whole UTC days.
pub type Retention<'a> = &'a dyn Fn(&SiteId) -> Option<u32>;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Events that were deleted for their age.
    pub deleted_events: u64,
    /// Sealed parts that became one with others.
    pub merged_parts: usize,
}

/// Deletes what is past its retention, then merges what past days left. Not beside itself or [`super::seal_ready`].
pub fn upkeep(dir: &Path, archive: &Archive, now: Timestamp, retention: Retention<'_>) -> Result<Upkeep, LogError> {
    upkeep_in_steps(dir, archive, now, retention, &mut || Ok(()))
}

fn upkeep_in_steps(
    dir: &Path,
    archive: &Archive,
    now: Timestamp,
    retention: Retention<'_>,
    step: Step<'_>,
) -> Result<Upkeep, LogError> {
    archive.clear_asides()?;
    replace::finish_all(dir, archive, step)?;
    let deleted_events = delete_expired(dir, archive, now, retention, step)?;
    let merged_parts = merge_past_days(dir, archive, now, step)?;
    Ok(Upkeep { deleted_events, merged_parts })
}

fn delete_expired(
    dir: &Path,
    archive: &Archive,
    now: Timestamp,
    retention: Retention<'_>,
    step: Step<'_>,
) -> Result<u64, LogError> {
    let first_kept = |site: &SiteId| {
        let days = i64::from(retention(site)?);
        Some(now.plus(-days.saturating_mul(crate::event::time::DAY)).date())
    };
    // Dates are written so that their order is that of their letters.
    let expired = |site: &str, date: &str| {
        let site = SiteId::parse(site).ok();
        site.and_then(|site| first_kept(&site)).is_some_and(|first_kept| *date < *first_kept)
    };
    let mut deleted = 0;
    for mut manifest in manifest::read_all(dir)? {
        let (gone, kept): (Vec<_>, Vec<_>) = manifest.files.into_iter().partition(|f| expired(&f.site, &f.date));
        if gone.is_empty() {
            continue;
        }
        let events: u64 = gone.iter().map(|file| file.rows).sum();
        manifest.files = kept;
        manifest.count = manifest.count.saturating_sub(events);
        manifest.replaces = gone.into_iter().map(|file| file.path).collect();
        replace::replace(dir, archive, manifest, step)?;
        deleted += events;
    }
    // What a process that ended halfway had written and no manifest names must go too.
    for site in archive.names(Path::new(""))?.iter().filter_map(|name| name.strip_prefix("site=")) {
        let Ok(id) = SiteId::parse(site) else { continue };
        if retention(&id).is_none() {
            continue;
        }
        for date in archive.names(&site_folder(&id))?.iter().filter_map(|name| name.strip_prefix("date=")) {
            if expired(site, date) {
                let folder = day_folder(&id, date);
                let ours = archive.names(&folder)?.into_iter().filter(|name| archive.is_ours(name));
                ours.map(|name| folder.join(name)).try_for_each(|name| archive.remove(&name))?;
            }
        }
    }
    Ok(deleted)
}

fn merge_past_days(dir: &Path, archive: &Archive, now: Timestamp, step: Step<'_>) -> Result<usize, LogError> {
    let mut merged = 0;
    for group in groups(manifest::read_all(dir)?, now) {
        let new = merge(archive, &group, step)?;
        replace::replace(dir, archive, new, step)?;
        merged += group.len();
    }
    Ok(merged)
}

/// Returns the runs of manifests that are to become one: of one day that is over, one after the other, not too large.
fn groups(manifests: Vec<Manifest>, now: Timestamp) -> Vec<Vec<Manifest>> {
    let today = now.day();
    let mut groups: Vec<Vec<Manifest>> = Vec::new();
    for manifest in manifests {
        // One without events goes with what is before it.
        let day = manifest.last_received_at.map(Timestamp::day);
        if day.is_some_and(|day| day >= today) {
            break;
        }
        let joins = groups.last().is_some_and(|group: &Vec<Manifest>| {
            let bytes = group.first().map_or(0, |first| manifest.end.0.saturating_sub(first.start.0));
            let mut days = group.iter().rev().filter_map(|m| m.last_received_at.map(Timestamp::day));
            bytes <= MERGED_BYTES
                && group.last().is_some_and(|last| last.end == manifest.start)
                && (day.is_none() || days.next().is_none_or(|last| Some(last) == day))
        });
        match groups.last_mut().filter(|_| joins) {
            Some(group) => group.push(manifest),
            None => groups.push(vec![manifest]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// Writes the files of a group, one for each site and day, and returns their manifest.
fn merge(archive: &Archive, group: &[Manifest], step: Step<'_>) -> Result<Manifest, LogError> {
    let start = group.first().map_or(Position::START, |m| m.start);
    let mut new = Manifest {
        format: manifest::FORMAT,
        start,
        end: group.last().map_or(start, |m| m.end),
        count: group.iter().map(|m| m.count).sum(),
        first_received_at: group.iter().filter_map(|m| m.first_received_at).min(),
        last_received_at: group.iter().filter_map(|m| m.last_received_at).max(),
        files: Vec::new(),
        replaces: Vec::new(),
    };
    let mut days: BTreeMap<(&str, &str), Vec<&SealedFile>> = BTreeMap::new();
    for file in group.iter().flat_map(|m| &m.files) {
        days.entry((&file.site, &file.date)).or_default().push(file);
    }
    for ((site, date), files) in days {
        if let [only] = files[..] {
            new.files.push(only.clone());
            continue;
        }
        let files: Vec<SealedFile> = files.into_iter().cloned().collect();
        new.replaces.extend(files.iter().map(|file| file.path.clone()));
        let part = Manifest { files, ..new.clone() };
        let site = SiteId::parse(site).map_err(|e| LogError::corrupt(&archive.describe(Path::new("")), 0, e.to_string()))?;
        let events = SealedSegment::open(&part, archive, Position::START)?;
        let name = archive.merged_name(new.start, new.end);
        new.files.push(write_checked(archive, &name, &site, date.to_owned(), || events.rows(), step)?);
        step()?;
    }
    archive.sync(new.files.iter().map(|file| file.path.as_path()))?;
    step()?;
    Ok(new)
}

#[cfg(test)]
#[path = "upkeep_tests.rs"]
mod tests;
