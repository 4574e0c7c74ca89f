//! Which builds there are, which one is served, and which can go.
//!
//! Two small files next to the builds hold an id each: `active` and `previous`. Both change by rename, so a reader sees
//! the old id or the new one, and whoever changes anything holds a lock, so two commands cannot mix their halves.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use super::draft::{DRAFT_PREFIX, sync_dir, write_synced};
use super::{ArtifactError, BuildId, Manifest};

/// Name of the file that holds the active build's id.
pub const ACTIVE: &str = "active";
const PREVIOUS: &str = "previous";
const LOCK: &str = ".publish.lock";

/// Returns the build to serve, if one was ever activated.
///
/// It is not looked at: opening it may still fail.
pub fn active(models_dir: impl AsRef<Path>) -> Result<Option<BuildId>, ArtifactError> {
    read_pointer(models_dir.as_ref(), ACTIVE)
}

/// Returns the build that [`rollback`] would go back to.
pub fn previous(models_dir: impl AsRef<Path>) -> Result<Option<BuildId>, ArtifactError> {
    let models_dir = models_dir.as_ref();
    let previous = read_pointer(models_dir, PREVIOUS)?;
    // Both are the same only after a crash between the two writes.
    Ok(if previous == read_pointer(models_dir, ACTIVE)? { None } else { previous })
}

/// Makes `id` the build to serve; the former one becomes the previous.
///
/// Refuses a build whose manifest cannot be read. The files are checked by whoever opens it.
/// Activating the active build changes nothing.
pub fn activate(models_dir: impl AsRef<Path>, id: &BuildId) -> Result<(), ArtifactError> {
    let models_dir = models_dir.as_ref();
    check_exists(models_dir, id)?;
    let _lock = lock(models_dir)?;
    check_exists(models_dir, id)?; // it may have been removed while we waited

    // A damaged pointer must not keep a sound build from being activated.
    let former = match active(models_dir) {
        Err(ArtifactError::MalformedId { .. }) => None,
        other => other?,
    };
    match former {
        Some(former) if former == *id => return Ok(()),
        // In this order a crash in between leaves the active build as it was.
        Some(former) => write_pointer(models_dir, PREVIOUS, &former)?,
        None => {}
    }
    write_pointer(models_dir, ACTIVE, id)
}

/// Makes the previous build active again and returns it; the one it replaces becomes the previous.
///
/// A second rollback therefore undoes the first.
pub fn rollback(models_dir: impl AsRef<Path>) -> Result<BuildId, ArtifactError> {
    let models_dir = models_dir.as_ref();
    let nothing = || ArtifactError::NoPrevious { models_dir: models_dir.to_owned() };
    if !models_dir.is_dir() {
        return Err(nothing());
    }
    let _lock = lock(models_dir)?;
    let target = previous(models_dir)?.ok_or_else(nothing)?;
    check_exists(models_dir, &target)?;
    let former = active(models_dir)?;
    // In this order a crash in between has rolled back already.
    write_pointer(models_dir, ACTIVE, &target)?;
    if let Some(former) = former {
        write_pointer(models_dir, PREVIOUS, &former)?;
    }
    Ok(target)
}

/// Returns the builds with their manifests, newest first; none where there is no directory yet.
///
/// Drafts and strangers are passed over, and so are builds that cannot be read: see [`unreadable`].
pub fn list(models_dir: impl AsRef<Path>) -> Result<Vec<(BuildId, Manifest)>, ArtifactError> {
    let models_dir = models_dir.as_ref();
    let mut builds: Vec<_> = build_ids(models_dir)?
        .into_iter()
        .filter_map(|id| Manifest::read(&models_dir.join(id.as_str())).ok().map(|manifest| (id, manifest)))
        .collect();
    // The length puts a tenth build of one minute after the second.
    builds.sort_by(|(a, first), (b, second)| {
        let key = |id: &BuildId, manifest: &Manifest| (manifest.created_at, id.as_str().len());
        key(b, second).cmp(&key(a, first)).then_with(|| b.cmp(a))
    });
    Ok(builds)
}

/// Returns the builds that [`list`] passes over, with the reason.
pub fn unreadable(models_dir: impl AsRef<Path>) -> Result<Vec<(BuildId, ArtifactError)>, ArtifactError> {
    let models_dir = models_dir.as_ref();
    Ok(build_ids(models_dir)?
        .into_iter()
        .filter_map(|id| Manifest::read(&models_dir.join(id.as_str())).err().map(|error| (id, error)))
        .collect())
}

/// Removes all builds but the newest `keep`, the active and the previous one, and returns those removed.
///
/// Unreadable builds stay: another version of the program may read them. Whoever has a removed build open keeps it.
pub fn remove_old(models_dir: impl AsRef<Path>, keep: usize) -> Result<Vec<BuildId>, ArtifactError> {
    let models_dir = models_dir.as_ref();
    if !models_dir.is_dir() {
        return Ok(Vec::new());
    }
    let _lock = lock(models_dir)?;
    let kept = [read_pointer(models_dir, ACTIVE)?, read_pointer(models_dir, PREVIOUS)?];
    let mut removed = Vec::new();
    for (id, _) in list(models_dir)?.into_iter().skip(keep) {
        if kept.iter().flatten().any(|kept| *kept == id) {
            continue;
        }
        // Under a draft's name first: nobody meets a build with half its files, and a crash leaves only a draft.
        let dir = models_dir.join(id.as_str());
        let aside = models_dir.join(format!("{DRAFT_PREFIX}removed-{id}"));
        fs::rename(&dir, &aside).map_err(ArtifactError::io("remove", &dir))?;
        fs::remove_dir_all(&aside).map_err(ArtifactError::io("remove", &aside))?;
        removed.push(id);
    }
    Ok(removed)
}

/// Removes what dead builds left behind and returns how many there were; drafts being written stay.
pub fn remove_drafts(models_dir: impl AsRef<Path>) -> Result<usize, ArtifactError> {
    let models_dir = models_dir.as_ref();
    if !models_dir.is_dir() {
        return Ok(0);
    }
    let _lock = lock(models_dir)?;
    let mut removed = 0;
    for name in names(models_dir)?.iter().filter(|name| name.starts_with(DRAFT_PREFIX)) {
        let dir = models_dir.join(name);
        let handle = match File::open(&dir) {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // it was finished or dropped meanwhile
            Err(error) => return Err(ArtifactError::io("open", &dir)(error)),
        };
        match handle.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(ArtifactError::io("lock", &dir)(error)),
        }
        match fs::remove_dir_all(&dir) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ArtifactError::io("remove", &dir)(error)),
        }
    }
    Ok(removed)
}

/// Waits until no other command is changing what is published, and keeps them out while the value lives.
fn lock(models_dir: &Path) -> Result<File, ArtifactError> {
    let path = models_dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(ArtifactError::io("open", &path))?;
    file.lock().map_err(ArtifactError::io("lock", &path))?;
    Ok(file)
}

fn check_exists(models_dir: &Path, id: &BuildId) -> Result<(), ArtifactError> {
    let dir = models_dir.join(id.as_str());
    if !dir.is_dir() {
        return Err(ArtifactError::UnknownBuild { id: id.to_string(), models_dir: models_dir.to_owned() });
    }
    Manifest::read(&dir).map(|_| ())
}

fn read_pointer(models_dir: &Path, name: &str) -> Result<Option<BuildId>, ArtifactError> {
    let path = models_dir.join(name);
    match fs::read(&path) {
        Ok(bytes) => BuildId::parse(String::from_utf8_lossy(&bytes).trim()).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ArtifactError::io("read", &path)(error)),
    }
}

fn write_pointer(models_dir: &Path, name: &str, id: &BuildId) -> Result<(), ArtifactError> {
    let path = models_dir.join(name);
    let aside = models_dir.join(format!("{name}.tmp"));
    write_synced(&aside, format!("{id}\n").as_bytes())?;
    fs::rename(&aside, &path).map_err(ArtifactError::io("replace", &path))?;
    sync_dir(models_dir)
}

/// Returns the ids that directories carry, in no particular order.
fn build_ids(models_dir: &Path) -> Result<Vec<BuildId>, ArtifactError> {
    if !models_dir.is_dir() {
        return Ok(Vec::new());
    }
    Ok(names(models_dir)?
        .iter()
        .filter_map(|name| BuildId::parse(name).ok())
        .filter(|id| models_dir.join(id.as_str()).is_dir())
        .collect())
}

fn names(models_dir: &Path) -> Result<Vec<String>, ArtifactError> {
    let failed = |error| ArtifactError::io("list", models_dir)(error);
    fs::read_dir(models_dir)
        .map_err(failed)?
        // A name that is not UTF-8 is none of ours.
        .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
        .collect::<io::Result<_>>()
        .map_err(failed)
}
