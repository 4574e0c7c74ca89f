//! `rapport restore`

use std::path::PathBuf;

use clap::Args;

use super::progress::Progress;
use super::{Context, print_json};
use crate::backup::restore;
use crate::paths::Paths;

#[derive(Debug, Args)]
pub struct Restore {
    /// The folder that `rapport backup` made.
    from: PathBuf,
    /// Prints one JSON object with the figures.
    #[arg(long)]
    json: bool,
}

impl Restore {
    /// Checks every file and puts all of them into the data directory, or none.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let paths = Paths::new(&context.data_dir, &context.config);
        let progress = Progress::spinner("checking and copying");
        let restored = restore(&self.from, &paths);
        progress.finish();
        let backup = restored?;
        if self.json {
            return print_json(
                &serde_json::json!({"files": backup.files.len(), "bytes": backup.bytes(), "created_at": backup.created_at}),
            );
        }
        println!(
            "{} files, {} bytes are back in {}; start the server there",
            backup.files.len(),
            backup.bytes(),
            context.data_dir.display()
        );
        Ok(())
    }
}
