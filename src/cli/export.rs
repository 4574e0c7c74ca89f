//! `rapport export`

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{Context, site};
use crate::event::{SiteId, json};
use crate::event_log::NodesReader;
use crate::paths::Paths;

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub struct Export {
    #[arg(long, default_value = "default", value_parser = site)]
    site: SiteId,
    /// Every kept event, in the order of the log.
    #[arg(long, group = "what")]
    events: bool,
    #[arg(long, value_enum, default_value_t = Format::EventsJsonl)]
    format: Format,
    /// Where to; standard output if it is not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One flat JSON object a line, as `rapport import --format events-jsonl` reads it.
    EventsJsonl,
}

impl Export {
    /// Reads the log's files; a running server is not disturbed.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let paths = Paths::new(&context.data_dir, &context.config);
        let Format::EventsJsonl = self.format;
        match &self.out {
            None => self.write(&paths, std::io::stdout().lock()),
            Some(path) => {
                let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                self.write(&paths, file)
            }
        }
    }

    fn write(&self, paths: &Paths, out: impl Write) -> anyhow::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 16, out);
        let archive = paths.archive()?;
        // The number only tells this node from others, and an export writes nothing: none is made where none is needed.
        for committed in NodesReader::open(&paths.log, &archive, archive.node().unwrap_or_default())? {
            let committed = committed?.committed;
            if committed.event.site == self.site {
                let line = Value::Object(json::event_to_map(&committed.event, Some(committed.position.0)));
                match writeln!(out, "{line}") {
                    // Whoever was reading has seen enough.
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                    written => written?,
                }
            }
        }
        match out.flush() {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            flushed => Ok(flushed?),
        }
    }
}
