//! The embedded database: one fjall database, one keyspace per kind of state.

use std::fmt;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable};
use xxhash_rust::xxh3::xxh3_64;

use super::StoreError;

/// Read cache for all keyspaces together; twice the engine's default, since profiles are read on
/// every decision.
const CACHE_BYTES: u64 = 64 << 20;

/// How many visitors can be written at the same time without waiting for each other.
const STRIPES: usize = 64;

/// How long opening again waits for operations under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The embedded stores of one data directory.
///
/// Clones share one database. A committed write survives the end of the process, also a violent
/// one; it survives a power cut after [`Embedded::persist`].
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Nothing while the database has to be opened again.
    tables: RwLock<Option<Arc<Tables>>>,
    // The engine has no compare-and-set: whoever reads in order to write holds one of these.
    profile_stripes: [Mutex<()>; STRIPES],
    document_writer: Mutex<()>,
}

/// The database, open. Held for the length of one operation.
pub(crate) struct Tables {
    database: Database,
    pub(crate) profiles: Keyspace,
    pub(crate) documents: Keyspace,
    pub(crate) changes: Keyspace,
    meta: Keyspace,
    seen: Keyspace,
}

/// A plain table of bytes by key, for callers that need no versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// What the process remembers about itself: positions, format versions.
    Meta,
    /// Event ids seen of late.
    Seen,
}

/// An entry of any table.
#[derive(Debug, Clone, Copy)]
pub struct Dumped<'a> {
    /// The table's number, the same in every version.
    pub table: u8,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the database in the folder `path`, creating it if there is none.
    ///
    /// Refused while another process has it open: two writers would destroy it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let inner = Inner {
            path: path.to_owned(),
            tables: RwLock::new(Some(Arc::new(Tables::open(path)?))),
            profile_stripes: std::array::from_fn(|_| Mutex::new(())),
            document_writer: Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the open database, for one operation.
    pub(crate) fn tables(&self) -> Result<Arc<Tables>, StoreError> {
        let tables = self.inner.tables.read().unwrap_or_else(PoisonError::into_inner).clone();
        tables.ok_or_else(|| StoreError::unavailable("the store could not be written and is being opened again"))
    }

    /// Opens the database again if it has given up: after one failed write, as on a full disk, the engine refuses all that follow. Returns
    /// whether it did; then what was not yet durable may be gone.
    pub fn mend(&self) -> Result<bool, StoreError> {
        let given_up = match self.tables() {
            // Hands what is buffered to the system, and is refused at once by a database that has given up.
            Ok(tables) => tables.database.persist(PersistMode::Buffer).is_err(),
            Err(_) => true,
        };
        if !given_up {
            return Ok(false);
        }
        let slot = || self.inner.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = slot().take() {
            // Operations under way end soon; only then is the folder free.
            let patience = Instant::now() + PATIENCE;
            while Arc::strong_count(&old) > 1 && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let tables = Tables::open(&self.inner.path)?;
        *slot() = Some(Arc::new(tables));
        Ok(true)
    }

    /// Makes every committed write durable against a power cut.
    pub fn persist(&self) -> Result<(), StoreError> {
        Ok(self.tables()?.database.persist(PersistMode::SyncData)?)
    }

    /// Hands over every entry as it is at this moment, whatever is written meanwhile, until `each` says no.
    pub fn dump(&self, each: &mut dyn FnMut(Dumped<'_>) -> bool) -> Result<(), StoreError> {
        let tables = self.tables()?;
        let snapshot = tables.database.snapshot();
        for (table, keyspace) in (0_u8..).zip(tables.all()) {
            for entry in snapshot.iter(keyspace) {
                let (key, value) = entry.into_inner()?;
                if !each(Dumped { table, key: &key, value: &value }) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Writes entries that [`Embedded::dump`] handed over, all of them or none.
    pub fn load(&self, entries: Vec<(u8, Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
        let tables = self.tables()?;
        let mut batch = tables.batch();
        for (table, key, value) in entries {
            let Some(keyspace) = tables.all().into_iter().nth(usize::from(table)) else {
                return Err(StoreError::corrupt(format!("an entry of table {table}, which this version does not have")));
            };
            batch.insert(keyspace, key, value);
        }
        Ok(batch.commit()?)
    }

    /// Rewrites the tables so that nothing deleted is left in them.
    ///
    /// Deleting only hides a value until then. Takes as long as copying the store; the journal
    /// keeps its last few megabytes until it is rotated.
    pub fn compact(&self) -> Result<(), StoreError> {
        for keyspace in self.tables()?.all() {
            keyspace.rotate_memtable_and_wait()?;
            keyspace.major_compact()?;
        }
        Ok(())
    }

    /// Returns the bytes kept under a key.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables()?.table(table).get(key)?.map(|value| value.to_vec()))
    }

    /// Writes (or with `None` removes) several keys, all of them or none.
    pub fn put_many(&self, table: Table, changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<(), StoreError> {
        let tables = self.tables()?;
        let mut batch = tables.batch();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(tables.table(table), key, value),
                None => batch.remove(tables.table(table), key),
            }
        }
        Ok(batch.commit()?)
    }

    /// Returns up to `limit` keys with their values, ascending, from after `after` and below `end`.
    pub fn scan(&self, table: Table, after: Option<&[u8]>, end: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let to = end.map_or(Bound::Unbounded, Bound::Excluded);
        if let (Some(after), Some(end)) = (after, end)
            && after >= end
        {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in self.tables()?.table(table).range::<&[u8], _>((from, to)).take(limit) {
            let (key, value) = entry.into_inner()?;
            found.push((key.to_vec(), value.to_vec()));
        }
        Ok(found)
    }

    /// Returns what the process remembers under `key`.
    pub fn meta_get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Table::Meta, key.as_bytes())
    }

    /// Remembers `value` under `key`; durable after the next [`Embedded::persist`].
    pub fn meta_put(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        Ok(self.tables()?.meta.insert(key.as_bytes(), value)?)
    }

    /// Keeps other writers of these profiles out while the guards live.
    pub(crate) fn lock_profiles(&self, keys: &[Vec<u8>]) -> Vec<MutexGuard<'_, ()>> {
        let mut stripes: Vec<usize> = keys.iter().map(|key| (xxh3_64(key) % STRIPES as u64) as usize).collect();
        // Always in the same order, or two batches would wait for each other forever.
        stripes.sort_unstable();
        stripes.dedup();
        stripes.into_iter().map(|stripe| lock(&self.inner.profile_stripes[stripe])).collect()
    }

    /// Keeps every other writer of profiles out while the guards live.
    pub(crate) fn lock_all_profiles(&self) -> Vec<MutexGuard<'_, ()>> {
        self.inner.profile_stripes.iter().map(lock).collect()
    }

    /// Keeps other writers of documents out while the guard lives.
    pub(crate) fn lock_documents(&self) -> MutexGuard<'_, ()> {
        lock(&self.inner.document_writer)
    }
}

impl Tables {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Database::builder(path).cache_size(CACHE_BYTES).open().map_err(|error| opening(path, error))?;
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default).map_err(|error| opening(path, error));
        Ok(Self {
            profiles: keyspace("profiles")?,
            documents: keyspace("documents")?,
            changes: keyspace("changes")?,
            meta: keyspace("meta")?,
            seen: keyspace("seen")?,
            database,
        })
    }

    /// Starts a batch that is committed in one piece.
    pub(crate) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch()
    }

    /// All tables. Backups know them by their places here: append only.
    fn all(&self) -> [&Keyspace; 5] {
        [&self.profiles, &self.documents, &self.changes, &self.meta, &self.seen]
    }

    fn table(&self, table: Table) -> &Keyspace {
        match table {
            Table::Meta => &self.meta,
            Table::Seen => &self.seen,
        }
    }
}

/// Takes a lock that guards no value, so one left behind by a panic is as good as new.
fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the key made of `parts`, which hold no NUL except perhaps the last.
pub(crate) fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(&0)
}

/// Returns the first key below `parts` and the first key no longer below them.
pub(crate) fn prefix(parts: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let mut from = key(parts);
    let mut to = from.clone();
    from.push(0);
    to.push(1);
    (from, to)
}

/// Turns an error of opening into what the operator should know.
fn opening(path: &Path, error: fjall::Error) -> StoreError {
    if matches!(error, fjall::Error::Locked) {
        let path = path.display();
        return StoreError::Refused(format!(
            "the store in {path} is in use by another process; stop it or choose another data directory"
        ));
    }
    error.into()
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        use fjall::Error as E;
        let damaged = match &error {
            E::Storage(inner) => !matches!(inner, fjall::LsmError::Io(_)),
            E::JournalRecovery(_)
            | E::InvalidVersion(_)
            | E::Decompress(_)
            | E::InvalidTrailer
            | E::InvalidTag(_)
            | E::Unrecoverable => true,
            E::Io(_) | E::Poisoned | E::KeyspaceDeleted | E::Locked => false,
            _ => false,
        };
        if damaged { Self::corrupt(error.to_string()) } else { Self::unavailable(error) }
    }
}
