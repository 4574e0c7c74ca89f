//! Which products the requests are about.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    client::{Connection, Target},
    scenario::{Fillings, Scenario, Template},
};

const TRENDING: &str = r#"{"name":"trending","method":"GET","rates":[1],"duration_seconds":1,"connections":1,
    "path":"/v1/recommendations/trending?count=50&key={key}","headers":{"accept":"application/json"}}"#;

/// Reads item ids from a file, one a line; a line twice is asked for twice as often.
pub(crate) fn from_file(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let ids: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if ids.is_empty() {
        bail!("{} holds no item ids", path.display());
    }
    Ok(ids)
}

/// Asks the target what is trending; where nothing is, makes ids up and says so.
pub(crate) async fn from_target(target: &Target, key: &str, timeout: Duration) -> Result<Vec<String>> {
    let scenario = Scenario::parse(TRENDING)?;
    let with = Fillings { key: key.to_owned(), items: Vec::new(), visits: None, hot: 0.0, secret: None, seed: 0, run: 0 };
    let template = Template::new(&scenario, target, &with)?;
    let (mut scratch, mut request) = (Vec::new(), Vec::new());
    template.render(0, std::time::SystemTime::UNIX_EPOCH, &mut scratch, &mut request);
    let mut connection = Connection::new(target.clone());
    let status = tokio::time::timeout(timeout, connection.send(&request))
        .await
        .with_context(|| format!("{target} did not answer in time"))??;
    let answer: Value = serde_json::from_slice(connection.body()).unwrap_or_default();
    let ids: Vec<String> =
        answer["items"].as_array().into_iter().flatten().filter_map(|item| item["item_id"].as_str()).map(str::to_owned).collect();
    if ids.is_empty() {
        eprintln!(
            "No items from `trending` (status {status}); using item-0 to item-999, which the shop may not know. \
             Give real ones with --items."
        );
        return Ok((0..1000).map(|n| format!("item-{n}")).collect());
    }
    Ok(ids)
}
