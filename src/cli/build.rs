//! `rapport build`

use std::time::Duration;

use clap::Args;

use super::progress::Progress;
use super::{Context, print_json, site};
use crate::build::{self, Built, Order};
use crate::clock::Clock;
use crate::control::{Request, Session};
use crate::event::SiteId;
use crate::paths::Paths;

#[derive(Debug, Args)]
pub struct Build {
    #[arg(long, default_value = "default", value_parser = site)]
    site: SiteId,
    /// Looks for better settings first, for so long: `90s`, `10m`, `1h`. Later builds go on with what was found.
    #[arg(long, value_name = "TIME", value_parser = time)]
    tune: Option<Duration>,
    /// Prints one JSON object with the figures.
    #[arg(long)]
    json: bool,
}

/// Reads a time span such as `10m`.
fn time(text: &str) -> Result<Duration, String> {
    let unit = text.chars().last().unwrap_or_default();
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => 0,
    };
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()).filter(|_| seconds > 0);
    number.map(|number| Duration::from_secs(u64::from(number) * seconds)).ok_or_else(|| "write it as 90s, 10m or 1h".to_owned())
}

impl Build {
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let paths = Paths::new(&context.data_dir, &context.config);
        let progress = Progress::spinner("building");
        let built = tokio::task::spawn_blocking({
            let (site, config) = (self.site.clone(), context.config.clone());
            move || -> anyhow::Result<Built> {
                let started = std::time::Instant::now();
                let order = Order {
                    site: &site,
                    log_dir: &paths.log,
                    archive: &paths.archive()?,
                    models_dir: &paths.models(&site),
                    settings: &config.build,
                    node: paths.node()?,
                    now: Clock::System.now(),
                    tune: self.tune,
                };
                let built = build::build(&order, |stage| progress.stage(stage), || started.elapsed())?;
                progress.finish();
                Ok(built)
            }
        })
        .await??;
        // A running server would notice within half a second; asked, it notices before this command ends.
        if let Ok(mut session @ Session::Server(_)) = Session::connect(&context.config, &context.data_dir).await {
            session.ask(Request::LookForBuilds).await?;
        }
        if self.json {
            return print_json(&built);
        }
        let counts = &built.counts;
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        println!(
            "build {} of site {} in {:.1} s: {} events, {} items, {} baskets, {} sessions, {} pairs bought together, {} viewed together",
            built.build,
            built.site,
            built.seconds,
            count("events"),
            count("items"),
            count("baskets"),
            count("sessions"),
            count("also_bought_pairs"),
            count("also_viewed_pairs"),
        );
        if built.evaluation.is_empty() {
            println!("not evaluated: the last day holds too little, or there is nothing before it");
        }
        for (name, figure) in &built.evaluation {
            println!("  {name} {figure:.4}");
        }
        match &built.gate {
            None => println!("activated"),
            Some(why) => {
                println!("NOT ACTIVATED: {why}");
                anyhow::bail!("the build did not pass the gate");
            }
        }
        Ok(())
    }
}
