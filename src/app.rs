//! The parts of the service, put together once for everyone: the server, the commands, the tests.

mod sealing;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tracing::{info, warn};

use crate::catalog::Catalogs;
use crate::clock::Clock;
use crate::collect::Collector;
use crate::collect::apply::{Apply, ApplyParts, Tail};
use crate::collect::dedupe::{self, Dedupe, IdHash};
use crate::collect::loss::Losses;
use crate::collect::redis::SharedIds;
use crate::config::{Config, Store};
use crate::dead_letters::{self, DeadLetters};
use crate::documents::embedded::EmbeddedDocuments;
use crate::documents::redis::RedisDocuments;
use crate::documents::{DocumentPut, DocumentStore, Documents, Expect};
use crate::event::SiteId;
use crate::event::time::MINUTE;
use crate::event_log::{Archive, EventLog, LogError, LogSettings, Position, Reader};
use crate::keys::{Keys, SYSTEM};
use crate::live::fact::Pseudonyms;
use crate::live::follow::{Follower, Log};
use crate::live::redis::FactStreams;
use crate::live::{share, watch};
use crate::metrics::Metrics;
use crate::paths::Paths;
use crate::profile::embedded::EmbeddedProfiles;
use crate::profile::redis::RedisProfiles;
use crate::profile::store::Profiles;
use crate::secrets::Secrets;
use crate::site::Site;
use crate::store_engine::StoreError;
use crate::store_engine::embedded::Embedded;
use crate::store_engine::redis::Redis;

const CHECKPOINT: &str = "profiles-through";
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);
const FLUSH_EVERY: Duration = Duration::from_millis(200);
const MEND_EVERY: Duration = Duration::from_millis(500);
const REFRESH_EVERY: Duration = Duration::from_secs(1);
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
const RANK_EVERY: Duration = Duration::from_secs(1);
/// Reads every dead letter.
const HONOUR_EVERY: Duration = Duration::from_secs(3_600);

/// Everything a request needs.
#[derive(Debug)]
pub struct App {
    pub config: Config,
    pub clock: Clock,
    pub metrics: Metrics,
    pub paths: Paths,
    pub node: u64,
    /// Where sealed parts of the log go.
    pub archive: Archive,
    pub engine: Embedded,
    pub documents: Documents,
    pub profiles: Profiles,
    pub catalogs: Arc<Catalogs>,
    pub keys: Keys,
    pub secrets: Secrets,
    pub collector: Collector,
    pub apply: Apply,
    sites: RwLock<BTreeMap<SiteId, Arc<Site>>>,
    redis: Option<Redis>,
    /// What a store of its own machine may forget, where there is one.
    tail: Option<Mutex<Tail>>,
    draining: AtomicBool,
    /// Held by whoever seals or keeps the archive up: a command may ask for it while it is being done anyway.
    archiving: Arc<Mutex<()>>,
    /// Why the archive could not be written the last time.
    archive_trouble: Mutex<Option<String>>,
    _lock: DataLock,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("cannot use the data directory {}", path.display())]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("a store cannot be opened")]
    Store(#[from] StoreError),
    #[error("the event log cannot be opened")]
    Log(#[from] LogError),
}

/// Holds the data directory for one process; let go when the process ends, however it ends.
#[derive(Debug)]
struct DataLock {
    _file: File,
}

impl DataLock {
    fn take(data: &Path) -> Result<Self, AppError> {
        let failed = |source| AppError::DataDir { path: data.to_owned(), source };
        std::fs::create_dir_all(data).map_err(failed)?;
        let file = File::create(data.join("lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(AppError::InUse(data.to_owned())),
            Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl App {
    /// Opens the stores, brings profiles up to date with the log, and reads catalogs, keys and builds.
    pub async fn open(config: Config, data_dir: &Path, clock: Clock, metrics: Metrics) -> Result<Arc<Self>, AppError> {
        let lock = DataLock::take(data_dir)?;
        let paths = Paths::new(data_dir, &config);
        let engine = Embedded::open(&data_dir.join("store"))?;
        let (profiles, documents, redis) = match &config.store {
            Store::Embedded => (
                Profiles::Embedded(EmbeddedProfiles::new(engine.clone())),
                Documents::Embedded(EmbeddedDocuments::new(engine.clone())),
                None,
            ),
            Store::Redis { address, accept_data_loss, profile_days } => {
                let redis = Redis::connect(address, !accept_data_loss).await?;
                let ttl = u64::from(*profile_days) * 86_400;
                let profiles = Profiles::Redis(RedisProfiles::new(redis.clone(), ttl));
                (profiles, Documents::Redis(Box::new(RedisDocuments::new(redis.clone()))), Some(redis))
            }
        };
        let node = paths.node().map_err(|source| AppError::DataDir { path: data_dir.join("node-id"), source })?;
        let archive = paths.archive()?;
        let secrets = Secrets::open(&documents, &mut rand::make_rng::<rand::rngs::StdRng>()).await?;
        let keys = Keys::open(documents.clone()).await?;
        let catalogs = Arc::new(Catalogs::new(documents.clone()));
        let mut sites = BTreeMap::new();
        for id in site_ids(&config, &documents).await? {
            sites.insert(id.clone(), Site::open(id, node, &config, &paths, &catalogs).await?);
        }

        let dedupe = Arc::new(Dedupe::new());
        let checkpoint = checkpoint_of(&engine)?;
        let parts = ApplyParts {
            node,
            profiles: profiles.clone(),
            catalogs: catalogs.clone(),
            metrics: metrics.clone(),
            log_dir: paths.log.clone(),
            archive: archive.clone(),
        };
        let settings =
            LogSettings { segment_bytes: config.events.segment_mib << 20, queue: config.events.queue, ..LogSettings::default() };
        let (apply, queues) = Apply::new(metrics.clone());
        let (handed, durable) = (apply.clone(), dedupe.clone());
        let (log, recovery) = EventLog::open(
            &paths.log,
            settings,
            Box::new(move |events, reply| {
                for committed in &events {
                    durable.commit(IdHash::of_event(&committed.event));
                }
                handed.hand_over(events, reply);
            }),
        )?;
        if recovery.truncated_bytes > 0 {
            warn!(bytes = recovery.truncated_bytes, "The event log ended in a write that was never acknowledged; it was cut off");
        }
        // After the log was opened: what it cut off was never acknowledged, and must not pass for known.
        fill(&dedupe, &paths, &archive, &clock)?;
        apply.start(queues, &parts, checkpoint, recovery.end);
        let minutes = config.collect.shared_id_minutes;
        let shared = redis.as_ref().filter(|_| minutes > 0).map(|redis| SharedIds::new(redis.clone(), minutes));
        let letters =
            dead_letters::Settings { days: config.collect.dead_letter_days, day_bytes: config.collect.dead_letter_mib << 20 };
        let collector = Collector {
            clock: clock.clone(),
            log,
            dedupe,
            shared,
            profiles: profiles.clone(),
            dead_letters: DeadLetters::open(&paths.dead_letters(), letters, clock.clone(), metrics.clone()),
            metrics: metrics.clone(),
            losses: Arc::new(Losses::new(metrics.clone(), i64::from(config.collect.session_silence_minutes) * MINUTE)),
            drop_bots: config.collect.drop_bots,
        };
        let app = Arc::new(Self {
            config,
            clock,
            metrics,
            paths,
            node,
            archive,
            engine,
            documents,
            profiles,
            catalogs,
            keys,
            secrets,
            collector,
            apply,
            sites: RwLock::new(sites),
            tail: redis.is_some().then(|| Mutex::new(Tail::new(checkpoint))),
            redis,
            draining: AtomicBool::new(false),
            archiving: Arc::default(),
            archive_trouble: Mutex::default(),
            _lock: lock,
        });
        for site in app.sites() {
            watch::look(&site, &app.metrics);
        }
        Ok(app)
    }

    /// Starts what goes on beside requests. The tasks end with the runtime.
    pub fn spawn_background(self: &Arc<Self>) {
        let app = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(CHECKPOINT_EVERY).await;
                app.checkpoint().await;
            }
        });
        let app = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FLUSH_EVERY).await;
                app.flush_catalogs().await;
            }
        });
        let app = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(MEND_EVERY).await;
                app.mend_store().await;
            }
        });
        let app = self.clone();
        tokio::spawn(async move {
            let every = Duration::from_millis(app.config.live.poll_ms);
            loop {
                tokio::time::sleep(every).await;
                app.look_for_builds().await;
            }
        });
        tokio::spawn(sealing::run(self.clone()));
        tokio::spawn(self.clone().follow_log());
        if let Some(redis) = self.redis.clone() {
            let (streams, app) = (FactStreams::new(redis.clone()), self.clone());
            tokio::spawn(share::send(streams.clone(), self.log_to_follow(), self.metrics.clone()));
            tokio::spawn(async move {
                share::receive(streams, app.node, app.metrics.clone(), || app.sites()).await;
            });
            tokio::spawn(self.clone().honour_withdrawals());
            let app = self.clone();
            tokio::spawn(async move {
                let mut run = redis.run_id().await.ok().flatten();
                loop {
                    tokio::time::sleep(REFRESH_EVERY).await;
                    app.mind_forgetting(&redis, &mut run).await;
                    // Other nodes share these documents.
                    let refreshed = async {
                        app.open_new_sites().await?;
                        app.keys.reload().await?;
                        app.catalogs.refresh().await.map_err(AppError::from)
                    };
                    if let Err(error) = refreshed.await {
                        warn!(%error, "Changes of other nodes cannot be read just now");
                    }
                }
            });
        }
    }

    /// Removes dead letters of those who said to another node that nothing of them may be kept, for ever.
    async fn honour_withdrawals(self: Arc<Self>) {
        loop {
            if let Err(error) = dead_letters::withdrawn::honour(&self).await {
                warn!(%error, "Dead letters of those who withdrew on other nodes cannot be removed just now");
            }
            tokio::time::sleep(HONOUR_EVERY).await;
        }
    }

    /// Opens the embedded store again where it has given up, and folds again what it may have lost.
    async fn mend_store(&self) {
        let engine = self.engine.clone();
        // Recovering reads the store's journal.
        let mended = tokio::task::spawn_blocking(move || engine.mend().map(|mended| mended.then(|| checkpoint_of(&engine))));
        match mended.await {
            Ok(Ok(Some(checkpoint))) => {
                let from = checkpoint.unwrap_or_default();
                warn!(
                    position = from.0,
                    "The store could not be written and was opened again; the event log is folded from there"
                );
                self.apply.reread(from);
            }
            Ok(Err(error)) => warn!(%error, "The store cannot be opened again just now"),
            Ok(Ok(None)) | Err(_) => {}
        }
    }

    /// Notes where the log is, and folds its last moments again after the store has restarted or failed over.
    async fn mind_forgetting(&self, redis: &Redis, run: &mut Option<String>) {
        let Some(tail) = &self.tail else { return };
        // While it is away nothing gets older: what it may have forgotten is what came before.
        let Ok(now) = redis.run_id().await else { return };
        let before = std::mem::replace(run, now);
        if before.is_some() && before != *run {
            let from = tail.lock().unwrap_or_else(PoisonError::into_inner).safe();
            warn!(position = from.0, "Redis was started anew; what it may have forgotten is folded again from the event log");
            self.apply.reread(from);
        }
        tail.lock().unwrap_or_else(PoisonError::into_inner).mark(self.clock.steady(), self.apply.handed_over());
    }

    /// Says to who asks that this process is about to stop; it goes on serving meanwhile.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns whether this process is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns whether the shared store is not asked just now, because it did not answer.
    pub fn store_is_cut(&self) -> bool {
        self.redis.as_ref().is_some_and(Redis::is_cut)
    }

    /// Returns a site.
    pub fn site(&self, id: &SiteId) -> Option<Arc<Site>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Returns all sites.
    pub fn sites(&self) -> Vec<Arc<Site>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Returns a site, which comes into being if it did not exist.
    pub async fn ensure_site(&self, id: &SiteId) -> Result<Arc<Site>, AppError> {
        if let Some(site) = self.site(id) {
            return Ok(site);
        }
        let put =
            DocumentPut { id: id.as_str().to_owned(), expect: Expect::Any, body: Some(Vec::new()), external_revision: None };
        self.documents.put_many(SYSTEM, "site", vec![put]).await?;
        self.open_site(id).await
    }

    /// Opens sites that other nodes have made.
    async fn open_new_sites(&self) -> Result<(), AppError> {
        for id in site_ids(&self.config, &self.documents).await? {
            if self.site(&id).is_none() {
                self.open_site(&id).await?;
            }
        }
        Ok(())
    }

    async fn open_site(&self, id: &SiteId) -> Result<Arc<Site>, AppError> {
        let site = Site::open(id.clone(), self.node, &self.config, &self.paths, &self.catalogs).await?;
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        Ok(sites.entry(id.clone()).or_insert(site).clone())
    }

    /// Notes how far the profiles hold the log, so that a start need not read more than that.
    pub async fn checkpoint(&self) {
        let through = match &self.tail {
            None => self.apply.handed_over(),
            Some(tail) => tail.lock().unwrap_or_else(PoisonError::into_inner).safe(),
        };
        if !self.apply.settled().await {
            return;
        }
        let noted = async {
            self.catalogs.flush().await?;
            self.engine.persist()?;
            self.engine.meta_put(CHECKPOINT, &through.0.to_be_bytes())
        };
        if let Err(error) = noted.await {
            warn!(%error, "The profiles' place in the log could not be noted; a restart reads more of the log");
        }
    }

    /// Writes what events said about items, and lets new items into the snapshots.
    pub async fn flush_catalogs(&self) {
        if let Err(error) = self.catalogs.flush().await {
            warn!(%error, "What events say about items cannot be written just now");
        }
        let sites = self.sites();
        // Where a catalog has doubled, all of it is read again. A failure means that the process is stopping.
        let refreshed = move || {
            for site in &sites {
                site.live.refresh(&site.catalog);
                site.live.rank_anew();
            }
        };
        let _ = tokio::task::spawn_blocking(refreshed).await;
    }

    /// Serves builds that were activated since the last look.
    pub async fn look_for_builds(self: &Arc<Self>) {
        let app = self.clone();
        // Verifying reads the whole artifact.
        let looked = tokio::task::spawn_blocking(move || {
            for site in app.sites() {
                watch::look(&site, &app.metrics);
            }
        });
        if let Err(error) = looked.await {
            warn!(%error, "Looking for builds was cut short");
        }
    }

    /// Like [`App::look_for_builds`], when somebody asks: a build that was refused before may have been mended.
    pub async fn look_again_for_builds(self: &Arc<Self>) {
        for site in self.sites() {
            *site.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.look_for_builds().await;
    }

    fn log_to_follow(&self) -> Log {
        Log {
            log: self.collector.log.clone(),
            log_dir: self.paths.log.clone(),
            archive: self.archive.clone(),
            node: self.node,
            names: Pseudonyms::new(self.secrets.pseudonym_key()),
        }
    }

    /// Lets what happens show in the next decisions, for ever.
    async fn follow_log(self: Arc<Self>) {
        let mut follower = Follower::new(self.log_to_follow(), self.metrics.clone());
        let mut ranked = tokio::time::Instant::now();
        loop {
            let rank = ranked.elapsed() >= RANK_EVERY;
            if rank {
                ranked = tokio::time::Instant::now();
            }
            let (app, started) = (self.clone(), tokio::time::Instant::now());
            let step = tokio::task::spawn_blocking(move || {
                let sites = app.sites();
                let more = follower.step(&sites);
                if rank {
                    sites.iter().for_each(|site| site.live.rank());
                }
                (follower, more)
            });
            // The runtime ends before the task does: the process is stopping.
            let Ok((back, more)) = step.await else { return };
            follower = back;
            let busy = started.elapsed();
            match more {
                // An import of millions of events leaves most of the machine to others.
                Ok(true) => tokio::time::sleep(busy).await,
                Ok(false) => tokio::time::sleep(FOLLOW_EVERY.max(busy * 4)).await,
                Err(error) => {
                    warn!(%error, "The event log cannot be followed just now; it is tried again");
                    tokio::time::sleep(RANK_EVERY).await;
                }
            }
        }
    }

    /// Finishes what is in flight and notes where things are.
    pub async fn close(&self) {
        self.checkpoint().await;
        if let Err(error) = self.collector.dead_letters.flush().await {
            warn!(%error, "The last dead letters were not written");
        }
        info!("Stopped");
    }
}

/// Returns how far the profiles are known to hold the log.
fn checkpoint_of(engine: &Embedded) -> Result<Position, StoreError> {
    let noted = engine.meta_get(CHECKPOINT)?;
    Ok(Position(noted.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)))
}

async fn site_ids(config: &Config, documents: &Documents) -> Result<Vec<SiteId>, StoreError> {
    let mut ids = vec![SiteId::default_site()];
    ids.extend(config.sites().filter_map(|name| SiteId::parse(name).ok()));
    let mut after: Option<String> = None;
    loop {
        let page = documents.list(SYSTEM, "site", after.as_deref(), 1_000).await?;
        let last = page.len() < 1_000;
        ids.extend(page.iter().filter_map(|(name, _)| SiteId::parse(name).ok()));
        after = page.into_iter().next_back().map(|(id, _)| id);
        if last {
            ids.sort();
            ids.dedup();
            return Ok(ids);
        }
    }
}

/// Fills the window of known ids from the log's last day.
fn fill(dedupe: &Dedupe, paths: &Paths, archive: &Archive, clock: &Clock) -> Result<(), LogError> {
    let since = clock.now().plus(-dedupe::WINDOW);
    for committed in Reader::since_received(&paths.log, archive, since)? {
        match committed {
            Ok(committed) if committed.event.received_at >= since => dedupe.commit(IdHash::of_event(&committed.event)),
            Ok(_) => {}
            Err(error @ (LogError::Corrupt { .. } | LogError::Missing { .. })) => {
                warn!(%error, "A part of the event log cannot be read");
            }
            Err(error) => {
                // Tried again it would only be met again: an archive out of reach must not keep the service from starting.
                warn!(%error, "The last day cannot be read; a second try of an event received then may count twice");
                break;
            }
        }
    }
    Ok(())
}
