//! `rapport doctor`

use clap::Args;
use rapport_models::artifact::{Artifact, publish};
use serde::Serialize;

use super::{Context, print_json};
use crate::build;
use crate::config::Store;
use crate::control::Session;
use crate::dead_letters;
use crate::event_log::{Position, Reader};
use crate::paths::Paths;
use crate::store_engine::redis::Redis;

#[derive(Debug, Args)]
pub struct Doctor {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    ok: bool,
    detail: String,
}

impl Doctor {
    /// Reads everything once, beside a running server or without one, and changes nothing.
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let paths = Paths::new(&context.data_dir, &context.config);
        let mut findings = Vec::new();
        let mut note = |what: String, ok: bool, detail: String| findings.push(Finding { what, ok, detail });
        match Session::connect(&context.config, &context.data_dir).await {
            Ok(_) => note("server".to_owned(), true, "runs on this data directory".to_owned()),
            Err(_) => note("server".to_owned(), true, "none runs on this data directory".to_owned()),
        }
        if paths.log.exists() {
            let (mut events, mut damage) = (0u64, Vec::new());
            for committed in Reader::open(&paths.log, &paths.archive()?, Position::START)? {
                match committed {
                    Ok(_) => events += 1,
                    Err(error) => damage.push(error.to_string()),
                }
                if damage.len() >= 10 {
                    break;
                }
            }
            let detail = if damage.is_empty() { format!("{events} events are readable") } else { damage.join("; ") };
            note("event log".to_owned(), damage.is_empty(), detail);
        } else {
            note("event log".to_owned(), true, "there is none yet".to_owned());
        }
        let models = context.data_dir.join("models");
        for site in std::fs::read_dir(&models).into_iter().flatten().flatten() {
            let dir = site.path();
            let name = format!("active build of site {}", site.file_name().to_string_lossy());
            match publish::active(&dir) {
                Ok(Some(id)) if !dir.join(id.as_str()).is_dir() => {
                    note(name, false, format!("{id} is named and is not there; activate another with `rapport builds activate`"));
                }
                Ok(_) => {}
                Err(error) => note(name, false, error.to_string()),
            }
            for b in build::list(&dir)? {
                let state = Artifact::open(dir.join(&b.build));
                let name = format!("build {} of site {}", b.build, site.file_name().to_string_lossy());
                match state {
                    Ok(_) => note(name, true, if b.active { "sound, active".to_owned() } else { "sound".to_owned() }),
                    Err(error) => note(name, false, error.to_string()),
                }
            }
        }
        if let Store::Redis { address, accept_data_loss, .. } = &context.config.store {
            match Redis::connect(address, !accept_data_loss).await {
                Ok(_) => note("Redis".to_owned(), true, "answers".to_owned()),
                Err(error) => note("Redis".to_owned(), false, error.to_string()),
            }
        }
        match dead_letters::counts(&paths.dead_letters()) {
            Ok(counts) => {
                let by_code: Vec<String> = counts.iter().map(|(code, count)| format!("{count} {code}")).collect();
                let detail = match counts.values().sum::<u64>() {
                    0 => "there are none".to_owned(),
                    all => format!("{all} can be listed and sent again with `rapport dead-letters`: {}", by_code.join(", ")),
                };
                note("dead letters".to_owned(), true, detail);
            }
            Err(error) => note("dead letters".to_owned(), false, error.to_string()),
        }
        let sound = findings.iter().all(|f| f.ok);
        if self.json {
            print_json(&serde_json::json!({"sound": sound, "findings": findings}))?;
        } else {
            for f in &findings {
                println!("{} {}: {}", if f.ok { "ok  " } else { "FAIL" }, f.what, f.detail);
            }
        }
        if !sound {
            anyhow::bail!("something is damaged; see above");
        }
        Ok(())
    }
}
