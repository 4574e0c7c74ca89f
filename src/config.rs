//! Settings: compiled-in defaults, then a file, then the environment.
//!
//! `config/default.toml` is both the defaults and the manual. Since it names every key, a key that is not in it is a
//! mistake, and the error names the nearest one that is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::event::{Purposes, SiteId};
use crate::event_log::bucket;
use crate::spelling::nearest;
use crate::store_engine::Address;

const DEFAULTS: &str = include_str!("../config/default.toml");

/// The phrase that accepts a Redis which forgets.
pub const ACCEPT_DATA_LOSS: &str = "I accept losing documents when Redis restarts";

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub http: Http,
    pub store: Store,
    pub events: Events,
    pub collect: Collect,
    pub rate_limit: RateLimit,
    pub consent: ConsentPolicy,
    pub catalog: CatalogPolicy,
    pub decide: Decide,
    pub build: Build,
    pub live: Live,
    pub log: Log,
    #[serde(default)]
    sites: BTreeMap<String, SiteOverrides>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub bind: String,
    pub admin_bind: String,
    pub workers: usize,
    pub trusted_proxies: Vec<IpAddr>,
    pub drain_seconds: u64,
    pub shutdown_seconds: u64,
    pub cookie_days: i64,
    pub cookie_cross_site: bool,
}

/// Where profiles and documents live. A choice brings its settings along: with Redis chosen, its URL is present.
#[derive(Debug, Clone)]
pub enum Store {
    Embedded,
    Redis { address: Address, accept_data_loss: bool, profile_days: u32 },
}

impl<'de> Deserialize<'de> for Store {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Keys {
            backend: String,
            redis: Redis,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Redis {
            url: Urls,
            accept_data_loss: String,
            profile_days: u32,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Urls {
            One(String),
            Several(Vec<String>),
        }
        let keys = Keys::deserialize(deserializer)?;
        let fail = |message: &str| Err(serde::de::Error::custom(message));
        match keys.backend.as_str() {
            "embedded" => Ok(Self::Embedded),
            "redis" => {
                let urls = match keys.redis.url {
                    Urls::One(url) => vec![url],
                    Urls::Several(urls) => urls,
                };
                let address = Address::parse(&urls).map_err(|e| serde::de::Error::custom(format!("store.redis.url {e}")))?;
                let accept_data_loss = match keys.redis.accept_data_loss.as_str() {
                    "" => false,
                    ACCEPT_DATA_LOSS => true,
                    _ => return fail(&format!("store.redis.accept_data_loss must be empty or \"{ACCEPT_DATA_LOSS}\"")),
                };
                Ok(Self::Redis { address, accept_data_loss, profile_days: keys.redis.profile_days })
            }
            other => fail(&format!("store.backend is \"{other}\"; it must be \"embedded\" or \"redis\"")),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    pub ack: Ack,
    pub segment_mib: u64,
    pub seal_seconds: u64,
    pub queue: usize,
    retention_days: u32,
    archive: Archive,
}

/// When an event counts as kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Once it is synced to this machine's disk.
    Local,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive {
    url: String,
}

impl Events {
    /// Returns where the Parquet files go: a folder, a bucket, or nothing for the data directory's own folder.
    pub fn archive_url(&self) -> &str {
        &self.archive.url
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collect {
    pub browser_body_kib: usize,
    pub browser_batch_events: usize,
    pub browser_event_kib: usize,
    pub server_body_kib: usize,
    pub server_batch_events: usize,
    pub server_event_kib: usize,
    pub drop_bots: bool,
    pub max_items: usize,
    pub shared_id_minutes: u32,
    pub session_silence_minutes: u32,
    pub dead_letter_days: u32,
    pub dead_letter_mib: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub requests_per_second: u32,
    pub burst: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentPolicy {
    analytics: bool,
    personalization: bool,
    marketing: bool,
    sale_share: bool,
    pub gpc_denies_personalization: bool,
}

impl ConsentPolicy {
    /// Returns what holds where nothing was said.
    pub fn defaults(&self) -> Purposes {
        Purposes {
            analytics: self.analytics,
            personalization: self.personalization,
            marketing: self.marketing,
            sale_share: self.sale_share,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogPolicy {
    pub authoritative: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    pub default_count: usize,
    pub max_count: usize,
    pub max_placements: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub neighbors: usize,
    pub min_support: u32,
    pub min_buyers: u32,
    pub min_llr: f64,
    pub family_error: f64,
    pub max_group: usize,
    pub visitor_cap_per_day: u32,
    pub popularity_half_life_days: f64,
    pub trending_half_life_hours: f64,
    pub examples: usize,
    pub gate: f64,
    pub keep: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    pub poll_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteOverrides {
    consent: Option<ConsentPolicy>,
    catalog: Option<CatalogPolicy>,
    retention_days: Option<u32>,
}

/// What one site may decide for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SitePolicy {
    pub consent: ConsentPolicy,
    pub catalog: CatalogPolicy,
    /// Days that sealed events are kept, where not for ever.
    pub retention_days: Option<u32>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: cannot be read")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{origin}: {message}")]
    Invalid { origin: String, message: String },
    #[error("{origin}: there is no key `{key}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey { origin: String, key: String, nearest: Option<String> },
}

impl Config {
    /// Reads the defaults, then `file`, then the variables that start with `RAPPORT_` and hold `__`.
    pub fn load(file: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let defaults: Table = DEFAULTS.parse().map_err(|e| invalid("the built-in defaults", &e))?;
        let mut merged = defaults.clone();
        if let Some(path) = file {
            let text =
                std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            let origin = path.display().to_string();
            let table: Table = text.parse().map_err(|e| invalid(&origin, &e))?;
            merge(&mut merged, table, &defaults, "", &origin)?;
        }
        for (name, value) in environment {
            let Some(path) = name.strip_prefix("RAPPORT_").filter(|rest| rest.contains("__")) else { continue };
            let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
            let wanted = lookup(&defaults, &keys);
            let mut node = environment_value(&value, wanted);
            for key in keys.iter().rev() {
                node = Value::Table(Table::from_iter([(key.clone(), node)]));
            }
            if let Value::Table(table) = node {
                merge(&mut merged, table, &defaults, "", &name)?;
            }
        }
        complete_sites(&mut merged);
        let origin = file.map_or_else(|| "configuration".to_owned(), |f| f.display().to_string());
        let config = Self::deserialize(Value::Table(merged)).map_err(|e| invalid(&origin, &e))?;
        config.check().map_err(|message| ConfigError::Invalid { origin, message })?;
        Ok(config)
    }

    /// Returns what holds for a site.
    pub fn site(&self, site: &SiteId) -> SitePolicy {
        let overrides = self.sites.get(site.as_str());
        SitePolicy {
            consent: overrides.and_then(|o| o.consent).unwrap_or(self.consent),
            catalog: overrides.and_then(|o| o.catalog).unwrap_or(self.catalog),
            retention_days: Some(overrides.and_then(|o| o.retention_days).unwrap_or(self.events.retention_days))
                .filter(|&days| days > 0),
        }
    }

    /// Returns the sites the configuration names, besides `default`.
    pub fn sites(&self) -> impl Iterator<Item = &str> {
        self.sites.keys().map(String::as_str)
    }

    /// Checks what types cannot say.
    fn check(&self) -> Result<(), String> {
        let url = self.events.archive_url();
        if url.starts_with(bucket::SCHEME) {
            bucket::parse(url).map_err(|e| format!("events.archive.url: {e}"))?;
        } else if url.contains("://") && !url.starts_with("file://") {
            return Err(format!("events.archive.url is \"{url}\"; it must be a folder or s3://BUCKET/PREFIX"));
        }
        for (key, value) in [
            ("events.segment_mib", self.events.segment_mib),
            ("events.queue", self.events.queue as u64),
            ("rate_limit.requests_per_second", u64::from(self.rate_limit.requests_per_second)),
            ("rate_limit.burst", u64::from(self.rate_limit.burst)),
            ("decide.default_count", self.decide.default_count as u64),
            ("live.poll_ms", self.live.poll_ms),
            ("build.neighbors", self.build.neighbors as u64),
            ("build.keep", self.build.keep as u64),
        ] {
            if value == 0 {
                return Err(format!("{key} must be at least 1"));
            }
        }
        for (key, value) in [
            ("build.popularity_half_life_days", self.build.popularity_half_life_days),
            ("build.trending_half_life_hours", self.build.trending_half_life_hours),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(format!("{key} must be greater than 0"));
            }
        }
        for name in self.sites.keys() {
            SiteId::parse(name).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

fn invalid(origin: &str, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::Invalid { origin: origin.to_owned(), message: error.to_string().trim().replace('\n', " ") }
}

/// A site names only what differs; the rest is taken from the sections above.
fn complete_sites(merged: &mut Table) {
    let sections: Vec<(&str, Value)> =
        ["consent", "catalog"].into_iter().filter_map(|s| merged.get(s).map(|v| (s, v.clone()))).collect();
    let Some(Value::Table(sites)) = merged.get_mut("sites") else { return };
    for (_, site) in sites.iter_mut() {
        let Value::Table(site) = site else { continue };
        for (section, base) in &sections {
            if let (Some(Value::Table(own)), Value::Table(base)) = (site.get_mut(*section), base) {
                for (key, value) in base {
                    own.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
    }
}

fn lookup<'a>(table: &'a Table, keys: &[String]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    let value = table.get(first)?;
    if rest.is_empty() {
        return Some(value);
    }
    lookup(value.as_table()?, rest)
}

/// A variable holds text; what it means depends on what the key holds by default.
fn environment_value(text: &str, wanted: Option<&Value>) -> Value {
    let as_text = || Value::String(text.to_owned());
    if wanted.is_some_and(Value::is_str) {
        return as_text();
    }
    // Written as it would be in the file; what is not TOML is plain text, and the type check will say so.
    format!("v = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("v")).unwrap_or_else(as_text)
}

/// Puts `from` over `into`; every key must be one of `known`, except below `sites`, where any site may be named.
fn merge(into: &mut Table, from: Table, known: &Table, prefix: &str, origin: &str) -> Result<(), ConfigError> {
    for (key, value) in from {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if prefix == "sites" {
            // Checked by type when the whole is read.
            let slot = into.entry(key).or_insert_with(|| Value::Table(Table::new()));
            merge_freely(slot, value);
            continue;
        }
        let Some(default) = known.get(&key) else {
            let mut names = Vec::new();
            collect_keys(known, prefix, &mut names);
            return Err(ConfigError::UnknownKey {
                origin: origin.to_owned(),
                nearest: nearest(&path, &names).map(str::to_owned),
                key: path,
            });
        };
        match (default, value) {
            (Value::Table(default), Value::Table(value)) => {
                if let Value::Table(slot) = into.entry(key).or_insert_with(|| Value::Table(Table::new())) {
                    merge(slot, value, default, &path, origin)?;
                }
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
    Ok(())
}

fn merge_freely(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Table(into), Value::Table(from)) => {
            for (key, value) in from {
                merge_freely(into.entry(key).or_insert_with(|| Value::Table(Table::new())), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn collect_keys(table: &Table, prefix: &str, names: &mut Vec<String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if let Value::Table(inner) = value {
            collect_keys(inner, &path, names);
        }
        names.push(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rapport.toml");
        std::fs::write(&path, file).unwrap();
        Config::load(Some(&path), environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_defaults_stand_alone() {
        let config = Config::load(None, []).unwrap();
        assert_eq!(config.http.bind, "127.0.0.1:8080");
        assert!(matches!(config.store, Store::Embedded));
        assert_eq!(config.site(&SiteId::default_site()).consent.defaults(), Purposes::NONE);
    }

    #[test]
    fn the_shipped_example_is_sound() {
        assert!(load(include_str!("../config/production.toml"), &[]).is_ok());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config =
            load("[http]\nbind = \"0.0.0.0:1\"\n", &[("RAPPORT_HTTP__BIND", "127.0.0.1:9"), ("RAPPORT_BUILD__GATE", "0.5")]);
        let config = config.unwrap();
        assert_eq!(config.http.bind, "127.0.0.1:9");
        assert!((config.build.gate - 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn only_variables_with_two_underscores_are_ours() {
        assert!(load("", &[("RAPPORT_BIND", "x"), ("OTHER__THING", "x")]).is_ok());
    }

    #[test]
    fn an_unknown_key_names_its_neighbour() {
        let error = load("[http]\nbnd = \"x\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("`http.bnd`") && error.contains("did you mean `http.bind`?"), "{error}");
        let error = load("", &[("RAPPORT_STORE__BACKND", "redis")]).unwrap_err().to_string();
        assert!(error.contains("RAPPORT_STORE__BACKND") && error.contains("`store.backend`"), "{error}");
        assert!(load("[sites.x.consent]\nanalytcs = true\n", &[]).is_err());
    }

    #[test]
    fn redis_is_chosen_with_its_url() {
        let url = ("RAPPORT_STORE__REDIS__URL", "redis://127.0.0.1:1/0");
        assert!(load("store.backend = \"redis\"", &[]).unwrap_err().to_string().contains("store.redis.url"));
        assert!(matches!(load("store.backend = \"redis\"", &[url]).unwrap().store, Store::Redis { accept_data_loss: false, .. }));
        assert!(load("store.backend = \"redis\"\nstore.redis.accept_data_loss = \"yes\"", &[url]).is_err());
    }

    #[test]
    fn a_site_differs_only_where_it_says_so() {
        let config = load("[consent]\nanalytics = true\n[sites.de.consent]\npersonalization = true\n", &[]).unwrap();
        let de = config.site(&SiteId::parse("de").unwrap()).consent.defaults();
        assert!(de.analytics && de.personalization);
        assert!(!config.site(&SiteId::default_site()).consent.defaults().personalization);
    }

    #[test]
    fn wrong_values_say_where() {
        for (file, word) in [
            ("live.poll_ms = 0", "live.poll_ms"),
            ("events.archive.url = \"s3://b\"", "events.archive.url"),
            ("http.workers = \"x\"", "workers"),
        ] {
            let error = load(file, &[]).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
