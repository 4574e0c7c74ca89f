//! `rapport replay`

use clap::Args;

use super::progress::Progress;
use super::{Context, print_json, site};
use crate::control::{Answer, Request, Session};
use crate::event::SiteId;

#[derive(Debug, Args)]
pub struct Replay {
    #[arg(long, default_value = "default", value_parser = site)]
    site: SiteId,
    /// Prints one JSON object with the figures.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let mut session = Session::open(&context.config, &context.data_dir).await?;
        let progress = Progress::spinner("rebuilding profiles from the event log");
        let answer = session.ask(Request::Replay { site: self.site.clone() }).await?;
        progress.finish();
        session.close().await;
        let Answer::Replayed { profiles, identical, changed, removed, shared, events } = answer else {
            anyhow::bail!("the server gave an answer to another question");
        };
        if self.json {
            return print_json(&serde_json::json!({
                "site": self.site.as_str(), "events": events, "profiles": profiles,
                "identical": identical, "changed": changed, "removed": removed, "shared": shared,
            }));
        }
        println!(
            "{events} events give {profiles} profiles: {identical} were stored with the same bytes, {changed} were renewed, {removed} had no events and are gone"
        );
        if shared > 0 {
            println!("{shared} hold events of other nodes' logs too and were left as they are");
        }
        Ok(())
    }
}
