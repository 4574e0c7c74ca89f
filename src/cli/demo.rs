//! `rapport demo`: the real server, an invented shop, and shoppers who do not know they are simulated.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use tokio::sync::Semaphore;

use super::progress::Progress;
use super::{Context, serve};
use crate::app::App;
use crate::build::{self, Order};
use crate::clock::Clock;
use crate::config;
use crate::demo::Demo;
use crate::demo::catalog::{Product, catalog_ndjson, products};
use crate::demo::client::Client;
use crate::demo::shoppers::{SessionScript, Simulation};
use crate::event::SiteId;
use crate::http::{self, Extras};
use crate::keys::KeyKind;
use crate::metrics::Metrics;
use crate::site::Site;

/// The past the demo begins with.
const HISTORY_DAYS: u32 = 45;
const HISTORY_SESSIONS: usize = 6_000;
/// Connections that play the past.
const CONNECTIONS: usize = 8;
/// Time between builds while one watches.
const BUILD_EVERY: Duration = Duration::from_secs(60);
/// Places in visits to learn an order from: a second's worth, so that the shop opens soon.
const EXAMPLES: usize = 6_000;
/// Visits that begin each second, and how much faster than life they go.
const VISITS_PER_SECOND: u64 = 4;
const HURRY: u64 = 4;
/// Marks a folder as the demo's own.
const MARK: &str = "made-by-rapport-demo";

#[derive(Debug, Args)]
pub struct DemoCommand {
    /// Chooses the products, the shoppers and their tastes.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Stops when it is ready.
    #[arg(long, hide = true)]
    once: bool,
}

impl DemoCommand {
    pub async fn run(self, mut context: Context) -> anyhow::Result<()> {
        let started = Instant::now();
        let data_dir = fresh_dir(&context.data_dir)?;
        free_address(&mut context.config.http.bind);
        free_address(&mut context.config.http.admin_bind);
        let products = products(self.seed);
        let progress = Progress::spinner("opening the shop");
        let app = App::open(context.config, &data_dir, Clock::System, Metrics::new()).await?;
        crate::control::listen(app.clone())?;
        app.spawn_background();
        let site = app.ensure_site(&SiteId::default_site()).await?;
        let address: SocketAddr = app.config.http.bind.parse().context("http.bind is no address")?;
        let (key, secret) = keys(&app, address.port()).await?;
        let demo = Arc::new(Demo::new(&products, &key));
        let running = http::serve(&app, &Extras { demo: Some(demo.clone()) })?;
        let address = running.address;
        stock(address, &secret, &products).await?;
        progress.finish();

        let mut simulation = Simulation::new(self.seed, &products);
        let past: Vec<SessionScript> = simulation.history(HISTORY_DAYS, HISTORY_SESSIONS, app.clock.now().0).collect();
        play_past(&app, address, &key, past).await?;
        tokio::spawn(demo.watch(app.clone(), site.clone()));
        let progress = Progress::spinner("learning");
        learn(&app, &site).await?;
        progress.finish();

        let stopped = serve::stop_signal();
        println!();
        println!("  The shop is open:   http://{address}/demo/");
        if let Some(admin) = running.admin_address {
            println!("  Documentation:      http://{admin}/docs");
            println!("  Metrics:            http://{admin}/metrics");
        }
        println!("  Try:                curl 'http://{address}/v1/recommendations/trending?count=3&key={key}'");
        println!();
        println!(
            "  Ready after {:.1} s. Shoppers keep coming, and a new build is made every minute. Ctrl-C ends it.",
            started.elapsed().as_secs_f64()
        );
        if !self.once {
            let shoppers = tokio::spawn(shop(simulation, app.clone(), address, key));
            let learning = tokio::spawn(learn_on(app.clone(), site));
            stopped.await;
            shoppers.abort();
            learning.abort();
        }
        running.stop().await;
        let _ = std::fs::remove_file(app.paths.socket());
        app.close().await;
        Ok(())
    }
}

/// Returns an empty folder below the data directory; what an earlier demo left there is removed.
fn fresh_dir(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let dir = data_dir.join("demo");
    if dir.exists() {
        if !dir.join(MARK).exists() {
            anyhow::bail!("{} exists and was not made by a demo; choose another --data-dir", dir.display());
        }
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    std::fs::write(dir.join(MARK), "Everything in this folder is removed when the demo starts again.\n")?;
    Ok(dir)
}

/// Someone who tries a demo may well have something on port 8080: then any free port will do.
fn free_address(bind: &mut String) {
    if std::net::TcpListener::bind(bind.as_str()).is_ok() {
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    if let Ok(address) = free {
        eprintln!("{bind} is taken; using {address}");
        *bind = address.to_string();
    }
}

async fn keys(app: &App, port: u16) -> anyhow::Result<(String, String)> {
    let mut rng: rand::rngs::StdRng = rand::make_rng();
    let origins = vec![format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")];
    let now = app.clock.now();
    let (_, key) = app.keys.create(SiteId::default_site(), KeyKind::Publishable, origins, now, &mut rng).await?;
    let (_, secret) = app.keys.create(SiteId::default_site(), KeyKind::Secret, Vec::new(), now, &mut rng).await?;
    Ok((key, secret))
}

async fn stock(address: SocketAddr, secret: &str, products: &[Product]) -> anyhow::Result<()> {
    let authorization = format!("Bearer {secret}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/x-ndjson")];
    let body = catalog_ndjson(products);
    let (status, answer) = Client::new(address).post("/v1/catalog/items", &headers, body.as_bytes()).await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    if status != 200 || answer["rejected"] != 0 {
        anyhow::bail!("the catalog was not taken: {answer}");
    }
    Ok(())
}

/// Sends the past through the beacon, as the pages would have.
async fn play_past(app: &Arc<App>, address: SocketAddr, key: &str, past: Vec<SessionScript>) -> anyhow::Result<()> {
    let total = past.len() as u64;
    let mut progress = Progress::bar(total, "shoppers of the last weeks");
    let queue = Arc::new(std::sync::Mutex::new(past.into_iter()));
    let done = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut players = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (queue, done, app, key) = (queue.clone(), done.clone(), app.clone(), key.to_owned());
        players.spawn(async move {
            let mut client = Client::new(address);
            loop {
                let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                let Some(script) = next else { return anyhow::Ok(()) };
                for batch in &script.batches {
                    let body = batch.body(&script, Some(&key), app.clock.now().0);
                    let (status, answer) = client.post("/v1/events", &[("Content-Type", "text/plain")], body.as_bytes()).await?;
                    if status != 200 {
                        anyhow::bail!("a beacon was answered {status}: {}", String::from_utf8_lossy(&answer));
                    }
                }
                done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
    }
    loop {
        tokio::select! {
            finished = players.join_next() => match finished {
                None => break,
                Some(result) => result??,
            },
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        progress.at(done.load(std::sync::atomic::Ordering::Relaxed), total);
    }
    progress.finish();
    Ok(())
}

async fn learn(app: &Arc<App>, site: &Arc<Site>) -> anyhow::Result<()> {
    let (building, of) = (app.clone(), site.clone());
    tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let settings = config::Build { examples: EXAMPLES, ..building.config.build.clone() };
        let order = Order {
            site: &of.id,
            log_dir: &building.paths.log,
            archive: &building.archive,
            models_dir: &of.models_dir,
            settings: &settings,
            node: building.node,
            now: building.clock.now(),
            tune: None,
        };
        build::build(&order, |_| {}, || started.elapsed())
    })
    .await??;
    app.look_for_builds().await;
    Ok(())
}

async fn learn_on(app: Arc<App>, site: Arc<Site>) {
    loop {
        tokio::time::sleep(BUILD_EVERY).await;
        if let Err(error) = learn(&app, &site).await {
            tracing::warn!(%error, "The demo's build failed; the one before goes on being served");
        }
    }
}

/// Lets shoppers in, for as long as the demo runs.
async fn shop(mut simulation: Simulation, app: Arc<App>, address: SocketAddr, key: String) {
    simulation.begin_live(app.clock.now().0.unsigned_abs());
    // A shop has only so many doors; the demo must not take the machine over.
    let doors = Arc::new(Semaphore::new(60));
    loop {
        tokio::time::sleep(Duration::from_millis(1_000 / VISITS_PER_SECOND)).await;
        let Ok(door) = doors.clone().acquire_owned().await else { return };
        let script = simulation.next_live();
        let (app, key) = (app.clone(), key.clone());
        tokio::spawn(async move {
            let _door = door;
            // A beacon that does not get through is a shopper who lost the network.
            let _ = visit(&app, address, &key, &script).await;
        });
    }
}

async fn visit(app: &App, address: SocketAddr, key: &str, script: &SessionScript) -> anyhow::Result<()> {
    let mut client = Client::new(address);
    let mut clock = 0;
    for batch in &script.batches {
        tokio::time::sleep(Duration::from_millis(batch.offset_ms.saturating_sub(clock) / HURRY)).await;
        clock = batch.offset_ms;
        let body = batch.body(script, Some(key), app.clock.now().0);
        client.post("/v1/events", &[("Content-Type", "text/plain")], body.as_bytes()).await?;
        let ask = serde_json::json!({
            "key": key,
            "visitor_id": script.visitor_id,
            "context": {"item_id": batch.viewing, "cart": batch.cart},
            "placements": [{"id": "also-bought", "count": 6}, {"id": "for-you", "count": 6}],
        });
        client.post("/v1/decide", &[("Content-Type", "text/plain")], ask.to_string().as_bytes()).await?;
    }
    Ok(())
}
