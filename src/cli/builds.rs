//! `rapport builds`

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Context, print_json, site};
use crate::build;
use crate::build::card::{self, Form};
use crate::control::{Request, Session};
use crate::event::SiteId;
use crate::paths::Paths;

#[derive(Debug, Args)]
pub struct Builds {
    #[command(subcommand)]
    what: What,
    #[arg(long, global = true, default_value = "default", value_parser = site)]
    site: SiteId,
    /// Prints one JSON object.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the builds there are, newest first.
    List,
    /// Serves another build.
    Activate { build: String },
    /// Serves the build before the active one again.
    Rollback,
    /// Prints a build's model card: what it was learnt from, how good it is, its limits.
    Card {
        /// The active build where none is named.
        build: Option<String>,
        /// Prints the page with plots instead of Markdown.
        #[arg(long)]
        html: bool,
    },
}

impl Builds {
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let dir = Paths::new(&context.data_dir, &context.config).models(&self.site);
        let active = match self.what {
            What::List => {
                let builds = build::list(&dir)?;
                if self.json {
                    return print_json(&serde_json::json!({"builds": builds}));
                }
                if builds.is_empty() {
                    println!("no builds yet: `rapport build` makes one");
                }
                for b in builds {
                    let mark = if b.active {
                        "active"
                    } else if b.previous {
                        "previous"
                    } else {
                        ""
                    };
                    match b.damaged {
                        Some(damage) => println!("{:<24} {mark:<9} damaged: {damage}", b.build),
                        None => {
                            let events = b.counts.get("events").copied().unwrap_or(0);
                            println!("{:<24} {mark:<9} {events} events from {} to {}", b.build, b.window_from, b.window_to);
                        }
                    }
                }
                return Ok(());
            }
            What::Activate { build } => build::activate(&dir, &build)?,
            What::Rollback => build::rollback(&dir)?,
            What::Card { build, html } => {
                let form = if html { Form::Html } else { Form::Markdown };
                let (id, card) = card::read(&dir, build.as_deref(), form)?;
                if self.json {
                    return print_json(&serde_json::json!({"build": id.as_str(), "card": card}));
                }
                std::io::stdout().write_all(card.as_bytes())?;
                return Ok(());
            }
        };
        if let Ok(mut session @ Session::Server(_)) = Session::connect(&context.config, &context.data_dir).await {
            session.ask(Request::LookForBuilds).await?;
        }
        if self.json {
            return print_json(&serde_json::json!({"active": active}));
        }
        println!("active: {active}");
        Ok(())
    }
}
