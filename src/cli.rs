//! The command line: one file per command. Each parses its words, calls the flow, and prints what came of it.

pub mod backup;
pub mod build;
pub mod builds;
pub mod check_config;
pub mod dead_letters;
pub mod demo;
pub mod doctor;
pub mod evaluate;
pub mod export;
pub mod import;
pub mod keys;
pub mod progress;
pub mod replay;
pub mod restore;
pub mod serve;
pub mod token;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::event::SiteId;

/// Personalization and recommendations for shops, in one binary.
#[derive(Debug, Parser)]
#[command(name = "rapport", version, propagate_version = true)]
pub struct Cli {
    /// File with settings that differ from the defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, global = true, value_name = "DIR", default_value = "var")]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the API.
    Serve(serve::Serve),
    /// Reads files of events, invoices, sessions or products.
    Import(import::Import),
    /// Learns from the event log and activates the result.
    Build(build::Build),
    /// Measures how well a strategy predicts sessions it has not seen.
    Evaluate(evaluate::Evaluate),
    /// Lists, activates and rolls back builds.
    Builds(builds::Builds),
    /// Shows everything at work in an invented shop.
    Demo(demo::DemoCommand),
    /// Creates, lists and revokes API keys.
    Keys(keys::KeysCommand),
    /// Makes a token that signs a person in.
    Token(token::Token),
    /// Checks the data directory.
    Doctor(doctor::Doctor),
    /// Writes out what is kept.
    Export(export::Export),
    /// Rebuilds every profile from the event log.
    Replay(replay::Replay),
    /// Lists, sends again and erases events that were refused.
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Copies everything that is kept, also while the server runs.
    Backup(backup::Backup),
    /// Puts a backup into an empty data directory.
    Restore(restore::Restore),
    /// Reads the configuration and says what is wrong with it.
    CheckConfig(check_config::CheckConfig),
}

/// What every command has.
#[derive(Debug, Clone)]
pub struct Context {
    pub config: Config,
    pub data_dir: PathBuf,
}

/// Runs the command that was asked for.
pub fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let config = Config::load(cli.config.as_deref(), std::env::vars())?;
    crate::telemetry::init(&config.log)?;
    crate::secrets::install_crypto();
    let context = Context { config, data_dir: cli.data_dir };
    match cli.command {
        Command::Serve(command) => runtime()?.block_on(command.run(context)),
        Command::Import(command) => runtime()?.block_on(command.run(context)),
        Command::Build(command) => runtime()?.block_on(command.run(context)),
        Command::Evaluate(command) => command.run(),
        Command::Builds(command) => runtime()?.block_on(command.run(context)),
        Command::Demo(command) => runtime()?.block_on(command.run(context)),
        Command::Keys(command) => runtime()?.block_on(command.run(context)),
        Command::Token(command) => runtime()?.block_on(command.run(context)),
        Command::Doctor(command) => runtime()?.block_on(command.run(context)),
        Command::Export(command) => command.run(&context),
        Command::Replay(command) => runtime()?.block_on(command.run(context)),
        Command::DeadLetters(command) => runtime()?.block_on(command.run(context)),
        Command::Backup(command) => runtime()?.block_on(command.run(context)),
        Command::Restore(command) => command.run(&context),
        Command::CheckConfig(command) => command.run(&context),
    }
}

/// Stores, folding and background work run here; HTTP workers have runtimes of their own.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Reads a site's name.
fn site(text: &str) -> Result<SiteId, String> {
    SiteId::parse(text).map_err(|e| e.to_string())
}

/// Prints a value as one JSON object on a line.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
