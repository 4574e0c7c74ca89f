//! `rapport doctor`

use std::collections::{BTreeMap, HashMap};

use clap::Args;
use rapport_models::artifact::{Artifact, publish};
use serde::Serialize;

use super::{Context, print_json};
use crate::build;
use crate::collect::loss::{Numbers, SessionHash, number_of};
use crate::config::Store;
use crate::control::Session;
use crate::dead_letters;
use crate::event::SiteId;
use crate::event_log::NodesReader;
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

/// What arrived of a site's numbered events and what did not.
#[derive(Debug, Serialize)]
struct Loss {
    site: SiteId,
    sequenced: u64,
    /// Numbers between the first and the last of their session that are not in the log.
    missing: u64,
    /// Missing of all.
    loss_rate: f64,
}

impl Loss {
    fn of(site: &SiteId, sessions: &HashMap<SessionHash, Numbers>) -> Self {
        let sequenced: u64 = sessions.values().map(Numbers::arrived).sum();
        let missing: u64 = sessions.values().map(Numbers::missing).sum();
        let loss_rate = missing as f64 / (sequenced + missing).max(1) as f64;
        Self { site: site.clone(), sequenced, missing, loss_rate }
    }
}

impl Doctor {
    /// Reads everything once, beside a running server or without one, and changes nothing.
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let paths = Paths::new(&context.data_dir, &context.config);
        let mut findings = Vec::new();
        let mut numbers: BTreeMap<SiteId, HashMap<SessionHash, Numbers>> = BTreeMap::new();
        let mut note = |what: String, ok: bool, detail: String| findings.push(Finding { what, ok, detail });
        match Session::connect(&context.config, &context.data_dir).await {
            Ok(_) => note("server".to_owned(), true, "runs on this data directory".to_owned()),
            Err(_) => note("server".to_owned(), true, "none runs on this data directory".to_owned()),
        }
        if paths.log.exists() {
            let (mut events, mut damage) = (0u64, Vec::new());
            let archive = paths.archive()?;
            // Sessions through several nodes have their numbers in several logs.
            for from in NodesReader::open(&paths.log, &archive, archive.node().unwrap_or_default())? {
                match from {
                    Ok(from) => {
                        events += 1;
                        if let Some((session, number)) = number_of(&from.committed.event) {
                            let sessions = numbers.entry(from.committed.event.site).or_default();
                            sessions.entry(session).or_default().insert(number);
                        }
                    }
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
        let losses: Vec<Loss> = numbers.iter().map(|(site, sessions)| Loss::of(site, sessions)).collect();
        for loss in &losses {
            let detail = format!("{} with numbers, {} missing ({:.2} %)", loss.sequenced, loss.missing, 100.0 * loss.loss_rate);
            note(format!("events of site {}", loss.site), true, detail);
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
            print_json(&serde_json::json!({"sound": sound, "findings": findings, "losses": losses}))?;
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
