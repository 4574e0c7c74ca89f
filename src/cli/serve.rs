//! `rapport serve`

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tracing::info;

use super::Context;
use crate::app::{App, AppError};
use crate::clock::Clock;
use crate::http::{self, Extras};
use crate::metrics::Metrics;

#[derive(Debug, Args)]
pub struct Serve {}

impl Serve {
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        outlive_file_limits();
        let app = open(&context).await.context("the service cannot start")?;
        crate::control::listen(app.clone()).context("commands cannot reach the server")?;
        app.spawn_background();
        // Whoever reads below that it listens may ask it to stop.
        let stopped = stop_signal();
        let running = http::serve(&app, &Extras::default())?;
        info!("Listening on http://{}", running.address);
        if let Some(admin) = running.admin_address {
            info!("Metrics and documentation on http://{admin}/docs");
        }
        stopped.await;
        app.start_draining();
        let drain = app.config.http.drain_seconds;
        if drain > 0 {
            info!("Stopping in {drain} s: /readyz says so, so that load balancers look elsewhere");
            tokio::time::sleep(Duration::from_secs(drain)).await;
        }
        info!("Stopping: requests in flight are finished");
        running.stop().await;
        // No new command may come in; those that are being carried out end with the runtime.
        let _ = std::fs::remove_file(app.paths.socket());
        app.close().await;
        Ok(())
    }
}

/// Makes a write beyond a limit on file sizes (`ulimit -f`) an error like that of a full disk.
///
/// Its signal would end the process, and with it the decisions that need no disk.
fn outlive_file_limits() {
    use tokio::signal::unix::{SignalKind, signal};
    // SIGXFSZ, on Linux and macOS. Registering is what matters; nobody needs to hear of it.
    if let Err(error) = signal(SignalKind::from_raw(25)) {
        tracing::debug!(%error, "A limit on file sizes would end the process");
    }
}

/// Opens the data, and waits a moment for a command that is just done with it.
async fn open(context: &Context) -> Result<Arc<App>, AppError> {
    let patience = tokio::time::Instant::now() + Duration::from_secs(5);
    loop {
        match App::open(context.config.clone(), &context.data_dir, Clock::System, Metrics::new()).await {
            Err(AppError::InUse(_)) if tokio::time::Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// Hears SIGTERM and Ctrl-C from now on, and returns what waits for one.
pub fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Without a handler the default one ends the process, and the log survives that.
    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    async move {
        tokio::select! {
            Some(_) = async { terminate.as_mut()?.recv().await } => {}
            Some(_) = async { interrupt.as_mut()?.recv().await } => {}
            else => std::future::pending().await,
        }
    }
}
