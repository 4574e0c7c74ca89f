//! Where log lines go.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config;

/// Starts logging to standard error. Called once, by `main`.
pub fn init(settings: &config::Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|e| anyhow::anyhow!("log.filter: {e}"))?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let started = match settings.format {
        config::LogFormat::Text => subscriber.try_init(),
        config::LogFormat::Json => subscriber.json().try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("logging could not be started: {e}"))
}

/// Returns an error and what caused it, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |e| e.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
