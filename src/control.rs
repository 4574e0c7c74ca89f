//! How commands reach the data: through the running server, or by opening it themselves when none runs.
//!
//! A server listens on a socket in its data directory, which only its owner can open. Requests and answers are frames:
//! a length in four bytes, then postcard. Whoever executes a request, [`Executor::execute`] is the code.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tracing::warn;

use crate::app::{App, AppError};
use crate::backup::backup;
use crate::catalog::draft::ItemDraft;
use crate::catalog::{Upsert, vector_length};
use crate::clock::Clock;
use crate::collect::dedupe::IdHash;
use crate::collect::seen_index::SeenIndex;
use crate::config::{Config, Store};
use crate::dead_letters::Select;
use crate::dead_letters::replay::Resent;
use crate::documents::Expect;
use crate::event::time::HOUR;
use crate::event::{Event, SiteId};
use crate::keys::{KeyKind, KeyRecord};
use crate::metrics::Metrics;
use crate::paths::Paths;
use crate::secrets::Role;

/// How long a command waits for whoever holds the data directory.
const STARTING: Duration = Duration::from_secs(30);
/// Largest frame.
const MAX_FRAME: u32 = 256 << 20;

/// What a command asks for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    KeysCreate {
        site: SiteId,
        kind: KeyKind,
        origins: Vec<String>,
    },
    KeysList,
    KeysRevoke {
        id: String,
    },
    Token {
        email: String,
        role: Role,
        hours: u32,
    },
    /// Gets ready to tell new events from known ones.
    ImportBegin {
        site: SiteId,
    },
    /// Keeps checked events that the log does not hold yet.
    ImportEvents {
        events: Vec<Event>,
    },
    /// Puts items into the catalog; each is the JSON form of an item.
    ImportItems {
        site: SiteId,
        items: Vec<String>,
    },
    /// Waits until everything is written, and archives it.
    ImportEnd,
    /// Notices builds that were activated.
    LookForBuilds,
    Replay {
        site: SiteId,
    },
    /// Copies everything into an empty folder, named from the root.
    Backup {
        to: PathBuf,
    },
    /// Lists refused events that were kept.
    DeadLetters {
        select: Select,
    },
    /// Sends refused events again, a page of them.
    DeadLettersReplay {
        select: Select,
        dry_run: bool,
    },
    /// Erases the dead letters of somebody, or every one.
    DeadLettersErase {
        site: Option<SiteId>,
        visitor: Option<String>,
    },
}

/// What a command gets.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Done,
    KeyCreated {
        record: String,
        key: String,
    },
    Keys {
        records: Vec<String>,
    },
    Found(bool),
    Token {
        token: String,
    },
    /// Which of the events were new, in their order.
    Kept {
        new: Vec<bool>,
    },
    /// What became of each item: nothing, or why it was refused.
    Items {
        refused: Vec<Option<String>>,
    },
    Replayed {
        profiles: u64,
        identical: u64,
        changed: u64,
        removed: u64,
        shared: u64,
        events: u64,
    },
    BackedUp {
        files: u64,
        bytes: u64,
    },
    /// Letters as JSON, and where to go on.
    DeadLetters {
        letters: Vec<String>,
        next: Option<u64>,
    },
    /// What became of a page of letters, and where to go on.
    Resent {
        resent: Resent,
        next: Option<u64>,
    },
    Erased(u64),
    Failed(String),
}

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error("the running server did not answer")]
    Connection(#[from] std::io::Error),
    #[error("the running server speaks another version; use its own binary")]
    Version(#[from] postcard::Error),
    #[error("{0}")]
    Failed(String),
}

/// Carries out requests on open data.
#[derive(Debug)]
pub struct Executor {
    app: Arc<App>,
    seen: Option<SeenIndex>,
}

impl Executor {
    /// Returns an executor on open data.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, seen: None }
    }

    /// Carries out one request.
    pub async fn execute(&mut self, request: Request) -> Answer {
        match self.try_execute(request).await {
            Ok(answer) => answer,
            Err(error) => Answer::Failed(crate::telemetry::chain(&*error)),
        }
    }

    async fn try_execute(&mut self, request: Request) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let app = &self.app;
        let now = app.clock.now();
        Ok(match request {
            Request::KeysCreate { site, kind, origins } => {
                app.ensure_site(&site).await?;
                let mut rng: rand::rngs::StdRng = rand::make_rng();
                let (record, key) = app.keys.create(site, kind, origins, now, &mut rng).await?;
                Answer::KeyCreated { record: serde_json::to_string(&record)?, key }
            }
            Request::KeysList => {
                let records = app.keys.list().await?;
                Answer::Keys { records: records.iter().map(serde_json::to_string).collect::<Result<_, _>>()? }
            }
            Request::KeysRevoke { id } => Answer::Found(app.keys.revoke(&id).await?),
            Request::Token { email, role, hours } => {
                let token = app.secrets.token(&email, role, now, now.plus(i64::from(hours) * HOUR))?;
                Answer::Token { token }
            }
            Request::ImportBegin { site } => {
                app.ensure_site(&site).await?;
                self.seen = Some(seen_index(app).await?);
                Answer::Done
            }
            Request::ImportEvents { events } => {
                let Some(seen) = &self.seen else { return Err("an import begins with its own request".into()) };
                for withdrawn in events.iter().filter(|event| event.consent.purposes.storage().is_none()) {
                    app.collector.dead_letters.forget(&withdrawn.site, &withdrawn.visitor);
                }
                let mut new = Vec::with_capacity(events.len());
                let mut fresh = Vec::new();
                for event in events {
                    let hash = IdHash::of_event(&event);
                    let known = seen.contains(hash)?
                        || app.collector.dedupe.begin(hash, app.clock.steady()) != crate::collect::dedupe::Seen::New;
                    new.push(!known);
                    if !known {
                        fresh.push(event);
                    }
                }
                let hashes: Vec<IdHash> = fresh.iter().map(IdHash::of_event).collect();
                let (reply, kept) = oneshot::channel();
                app.collector.log.append(fresh, reply);
                if let Err(error) = kept.await? {
                    for hash in hashes {
                        app.collector.dedupe.release(hash);
                    }
                    return Err(error.into());
                }
                Answer::Kept { new }
            }
            Request::ImportItems { site, items } => {
                let site = app.ensure_site(&site).await?;
                let mut refused = vec![None; items.len()];
                let mut lines = Vec::new();
                let mut places = Vec::new();
                for (place, item) in items.iter().enumerate() {
                    match ItemDraft::from_json(item) {
                        Ok(draft) => {
                            lines.push((draft, Expect::Any));
                            places.push(place);
                        }
                        Err(rejection) => refused[place] = Some(rejection.detail),
                    }
                }
                // What events said about these items comes first, so that it is not written over what the feed says.
                app.catalogs.flush().await?;
                for (place, outcome) in places.into_iter().zip(site.catalog.upsert(lines).await?) {
                    refused[place] = match outcome {
                        Upsert::Stored { .. } => None,
                        Upsert::Stale { current } => Some(format!("revision {current} is stored already")),
                        Upsert::Conflict { .. } => Some("it changed at the same time".to_owned()),
                        Upsert::VectorLength { expected } => Some(vector_length(expected)),
                    };
                }
                site.live.refresh(&site.catalog);
                Answer::Items { refused }
            }
            Request::ImportEnd => {
                self.seen = None;
                app.checkpoint().await;
                app.flush_catalogs().await;
                app.seal(true).await?;
                Answer::Done
            }
            Request::LookForBuilds => {
                app.look_again_for_builds().await;
                Answer::Done
            }
            Request::Replay { site } => {
                let report = crate::replay::replay(app, &site).await?;
                Answer::Replayed {
                    profiles: report.profiles,
                    identical: report.identical,
                    changed: report.changed,
                    removed: report.removed,
                    shared: report.shared,
                    events: report.events,
                }
            }
            Request::Backup { to } => {
                // What events said about items is in the log; the documents that hold it come first.
                app.flush_catalogs().await;
                let app = app.clone();
                let copied = tokio::task::spawn_blocking(move || {
                    let sites: Vec<SiteId> = app.sites().iter().map(|site| site.id.clone()).collect();
                    let store = matches!(app.config.store, Store::Embedded).then_some(&app.engine);
                    backup(&app.paths, app.node, &sites, store, now, &to)
                });
                let backup = copied.await??;
                Answer::BackedUp { files: backup.files.len() as u64, bytes: backup.bytes() }
            }
            Request::DeadLetters { select } => {
                let page = app.collector.dead_letters.page(select).await?;
                let letters = page.letters.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
                Answer::DeadLetters { letters, next: page.next }
            }
            Request::DeadLettersReplay { select, dry_run } => {
                if self.seen.is_none() {
                    self.seen = Some(seen_index(app).await?);
                }
                let Some(seen) = &self.seen else { return Err("the index of known events is not there".into()) };
                let (resent, next) = crate::dead_letters::replay::replay(app, seen, select, dry_run).await?;
                Answer::Resent { resent, next }
            }
            Request::DeadLettersErase { site, visitor } => Answer::Erased(match visitor {
                Some(visitor) => app.collector.dead_letters.erase(site, visitor).await?,
                None => app.collector.dead_letters.erase_all().await?,
            }),
        })
    }
}

/// Returns the index of everything in the log.
async fn seen_index(app: &App) -> Result<SeenIndex, Box<dyn std::error::Error + Send + Sync>> {
    let (engine, log, archive) = (app.engine.clone(), app.paths.log.clone(), app.archive.clone());
    Ok(tokio::task::spawn_blocking(move || SeenIndex::up_to_date(engine, &log, &archive)).await??)
}

/// Who carries out a command's requests.
#[derive(Debug)]
pub enum Session {
    /// A server runs on this data directory.
    Server(UnixStream),
    /// None does: the data is open here, until the command ends.
    Own(Box<Executor>),
}

impl Session {
    /// Connects to the server of a data directory, or opens the data.
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self, ControlError> {
        let patience = tokio::time::Instant::now() + STARTING;
        loop {
            if let Ok(session) = Self::connect(config, data_dir).await {
                return Ok(session);
            }
            match App::open(config.clone(), data_dir, Clock::System, Metrics::new()).await {
                Ok(app) => return Ok(Self::Own(Box::new(Executor::new(app)))),
                // A server that is starting has the lock and not yet its socket; another command will soon be done.
                Err(AppError::InUse(_)) if tokio::time::Instant::now() < patience => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Connects to the server of a data directory, if one runs.
    pub async fn connect(config: &Config, data_dir: &Path) -> std::io::Result<Self> {
        Ok(Self::Server(UnixStream::connect(Paths::new(data_dir, config).socket()).await?))
    }

    /// Asks for something and waits for it.
    pub async fn ask(&mut self, request: Request) -> Result<Answer, ControlError> {
        let answer = match self {
            Self::Own(executor) => executor.execute(request).await,
            Self::Server(stream) => {
                write_frame(stream, &postcard::to_stdvec(&request)?).await?;
                let frame = read_frame(stream).await?.ok_or_else(|| std::io::Error::other("the server closed the connection"))?;
                postcard::from_bytes(&frame)?
            }
        };
        if let Answer::Failed(message) = answer {
            return Err(ControlError::Failed(message));
        }
        Ok(answer)
    }

    /// Notes where things are, if the data is open here.
    pub async fn close(self) {
        if let Self::Own(executor) = self {
            executor.app.checkpoint().await;
        }
    }
}

/// Serves commands until the runtime ends. Called on the runtime.
pub fn listen(app: Arc<App>) -> std::io::Result<()> {
    let path = app.paths.socket();
    // One that is left over from a process that was killed: the lock on the data directory says nobody else has it.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(serve(app.clone(), stream));
                }
                Err(error) => {
                    warn!(%error, "A command could not connect");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn serve(app: Arc<App>, mut stream: UnixStream) {
    let mut executor = Executor::new(app);
    loop {
        // Without another frame the command has ended.
        let Ok(Some(frame)) = read_frame(&mut stream).await else { return };
        let answer = match postcard::from_bytes(&frame) {
            Ok(request) => executor.execute(request).await,
            Err(error) => Answer::Failed(format!("the request cannot be read ({error}); use the server's own binary")),
        };
        let Ok(bytes) = postcard::to_stdvec(&answer) else { return };
        if write_frame(&mut stream, &bytes).await.is_err() {
            return;
        }
    }
}

async fn read_frame(stream: &mut UnixStream) -> std::io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u32().await {
        Ok(length) => length,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > MAX_FRAME {
        return Err(std::io::Error::other("a frame is too large"));
    }
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await?;
    Ok(Some(frame))
}

async fn write_frame(stream: &mut UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| std::io::Error::other("a frame is too large"))?;
    stream.write_u32(length).await?;
    stream.write_all(bytes).await
}

/// Reads back the records a listing holds.
pub fn records(texts: &[String]) -> Vec<KeyRecord> {
    texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
}
