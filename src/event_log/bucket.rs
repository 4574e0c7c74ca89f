//! An archive in an S3-compatible bucket: `s3://BUCKET/PREFIX`, credentials and endpoint from the usual `AWS_…` variables.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use tokio::runtime::Runtime;

use super::LogError;

/// What a URL of a bucket begins with.
pub const SCHEME: &str = "s3://";

/// No call takes longer, its retries included.
const DEADLINE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
const RETRIES: usize = 3;

/// A prefix of a bucket.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    url: PathBuf,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bucket({})", self.url.display())
    }
}

/// Returns bucket and prefix of a URL, or what is wrong with it.
pub fn parse(url: &str) -> Result<(&str, &str), String> {
    let path = url.strip_prefix(SCHEME).ok_or_else(|| format!("`{url}` does not begin with {SCHEME}"))?;
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
        return Err(format!("`{bucket}` is no name of a bucket: 3 to 63 of a-z, 0-9, `-` and `.`"));
    }
    Ok((bucket, prefix.trim_matches('/')))
}

impl Bucket {
    /// Opens a bucket by its URL; nothing is asked of it yet.
    pub fn open(url: &str) -> Result<Self, LogError> {
        let failed = |what: String| LogError::io("open the archive", Path::new(url))(io::Error::other(what));
        let (bucket, prefix) = parse(url).map_err(failed)?;
        crate::tls::choose_cryptography();
        let plain = ["AWS_ENDPOINT", "AWS_ENDPOINT_URL"].iter().any(|v| std::env::var(v).is_ok_and(|e| e.starts_with("http://")));
        let client = ClientOptions::new().with_connect_timeout(CONNECT).with_timeout(DEADLINE / 2).with_allow_http(plain);
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: DEADLINE / 2, ..RetryConfig::default() };
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(client).with_retry(retry);
        let store = builder.build().map_err(|e| failed(e.to_string()))?;
        Ok(Self { store: Arc::new(store), prefix: Key::from(prefix), url: PathBuf::from(url.trim_end_matches('/')) })
    }

    /// A bucket in memory.
    #[cfg(test)]
    pub(super) fn in_memory() -> Self {
        let store = Arc::new(object_store::memory::InMemory::new());
        Self { store, prefix: Key::from("some/prefix"), url: PathBuf::from("memory://") }
    }

    /// Returns how messages name an object.
    pub(super) fn describe(&self, name: &Path) -> PathBuf {
        self.url.join(name)
    }

    pub(super) fn get(&self, name: &Path) -> Result<Bytes, LogError> {
        let (store, key) = (self.store.clone(), self.key(name));
        self.run("read", name, async move { store.get(&key).await?.bytes().await })
    }

    /// Puts an object there, over what is.
    pub(super) fn put(&self, name: &Path, bytes: Vec<u8>) -> Result<(), LogError> {
        let (store, key) = (self.store.clone(), self.key(name));
        self.run("write", name, async move { store.put(&key, bytes.into()).await.map(|_| ()) })
    }

    /// Puts an object where there was none; returns whether there was none. One that was put by a try whose answer got
    /// lost is there too.
    pub(super) fn create(&self, name: &Path, bytes: Vec<u8>) -> Result<bool, LogError> {
        let (store, key) = (self.store.clone(), self.key(name));
        self.run("create", name, async move {
            match store.put_opts(&key, bytes.into(), PutMode::Create.into()).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// Deletes an object; that it is not there is no error.
    pub(super) fn delete(&self, name: &Path) -> Result<(), LogError> {
        let (store, key) = (self.store.clone(), self.key(name));
        self.run("delete", name, async move {
            match store.delete(&key).await {
                Err(error) if !matches!(error, object_store::Error::NotFound { .. }) => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        })
    }

    /// Returns the names directly below a folder.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<String>, LogError> {
        let (store, key) = (self.store.clone(), self.key(folder));
        self.run("list", folder, async move {
            let found = store.list_with_delimiter(Some(&key)).await?;
            let keys = found.common_prefixes.iter().chain(found.objects.iter().map(|object| &object.location));
            Ok(keys.filter_map(|key| key.filename().map(str::to_owned)).collect())
        })
    }

    fn key(&self, name: &Path) -> Key {
        let parts = name.iter().map(|part| part.to_string_lossy().into_owned());
        parts.fold(self.prefix.clone(), |key, part| key.join(part))
    }

    /// Waits for an answer. It is worked for on threads of its own, so that this may be called from anywhere.
    fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        name: &Path,
        call: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, LogError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let failed = |source| LogError::io(action, &self.describe(name))(source);
        let runtime = runtime().map_err(|e| failed(io::Error::other(e.to_string())))?;
        runtime.spawn(async move {
            let answered = tokio::time::timeout(DEADLINE, call).await;
            let _ = answer.send(answered);
        });
        match answered.recv() {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error @ object_store::Error::NotFound { .. }))) => {
                Err(failed(io::Error::new(io::ErrorKind::NotFound, error)))
            }
            Ok(Ok(Err(error))) => Err(failed(io::Error::other(error))),
            Ok(Err(_late)) => Err(failed(io::ErrorKind::TimedOut.into())),
            Err(_gone) => Err(failed(io::Error::other("the call ended without an answer"))),
        }
    }
}

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("bucket").enable_all().build()?;
    // Where two threads made one, the second is dropped again; it has done nothing yet.
    if let Err(second) = RUNTIME.set(made) {
        second.shutdown_background();
    }
    RUNTIME.get().ok_or_else(|| io::Error::other("no runtime"))
}
