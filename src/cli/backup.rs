//! `rapport backup`

use std::path::PathBuf;

use clap::Args;

use super::progress::Progress;
use super::{Context, print_json};
use crate::config::Store;
use crate::control::{Answer, Request, Session};

#[derive(Debug, Args)]
pub struct Backup {
    /// An empty folder, or one that does not exist yet.
    to: PathBuf,
    /// Prints one JSON object with the figures.
    #[arg(long)]
    json: bool,
}

impl Backup {
    /// The server, if one runs, does the copying and goes on serving.
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        // The server may have been started somewhere else.
        let to = std::path::absolute(&self.to)?;
        let mut session = Session::open(&context.config, &context.data_dir).await?;
        let progress = Progress::spinner("copying everything that is kept");
        let answer = session.ask(Request::Backup { to: to.clone() }).await;
        progress.finish();
        session.close().await;
        let Answer::BackedUp { files, bytes } = answer? else {
            anyhow::bail!("the server gave an answer to another question");
        };
        let documents = matches!(context.config.store, Store::Embedded);
        if self.json {
            let to = to.display().to_string();
            return print_json(
                &serde_json::json!({"backup": to, "files": files, "bytes": bytes, "profiles_and_documents": documents}),
            );
        }
        println!("{files} files, {bytes} bytes in {}", to.display());
        if !documents {
            println!("profiles and documents (catalog, keys) live in Redis and are not in it: back up Redis too");
        }
        Ok(())
    }
}
