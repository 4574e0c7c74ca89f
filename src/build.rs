//! Flow 2, build: read the log ─▶ sessions, baskets ─▶ models ─▶ evaluate ─▶ gate ─▶ artifact.
//!
//! Runs in a process of its own, beside a server or without one; it only reads the log and writes aside. The same log
//! gives the same arrays: items are numbered in the order the log names them, and no result depends on threads.

pub mod card;
pub mod files;
pub mod groups;
mod purchases;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::time::Duration;

use rapport_models::artifact::{Artifact, ArtifactError, BuildId, Draft, Manifest, Window, publish, write_neighbors};
use rapport_models::cooccurrence::{self, Neighbors, Score};
use rapport_models::evaluate::{Replay, basket_hit_rate, replay};
use rapport_models::factors::{self, Factors};
use rapport_models::interactions::{Interactions, InteractionsBuilder};
use rapport_models::model::Model;
use rapport_models::neighbors::{self, Examples, Index};
use rapport_models::next_item::{self, NextItem, tune};
use rapport_models::popularity::{self, Trend};
use rapport_models::sessions::Sessions;
use serde::Serialize;
use serde_json::json;

use crate::config;
use crate::event::time::{DAY, HOUR, SECOND};
use crate::event::{SiteId, Timestamp};
use crate::event_log::{Archive, LogError};
use groups::Learned;

/// Entries kept of the lists of popular and trending items.
const RANKED: usize = 10_000;
/// Buckets the trend looks back over.
const TREND_BUCKETS: usize = 15;
/// Sessions replayed to evaluate; more only takes longer.
const MAX_TEST_SESSIONS: usize = 5_000;
/// Time after which a visitor's orders teach about the same item again.
const TEACHES_AGAIN: i64 = 30 * DAY;
/// Cases below which a figure says nothing.
const MIN_CASES: u64 = 20;
/// Length of the lists that are evaluated.
const K: usize = 20;

/// Why there is no build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "the event log of site `{0}` holds nothing that may be learnt from: import events or collect some, with consent for analytics"
    )]
    NothingToLearn(SiteId),
    #[error("the event log cannot be read")]
    Log(#[from] LogError),
    #[error("the build is refused")]
    Index(#[from] neighbors::Fault),
    #[error("the build cannot be written")]
    Artifact(#[from] ArtifactError),
}

/// What a build came to.
#[derive(Debug, Clone, Serialize)]
pub struct Built {
    pub build: String,
    pub site: String,
    pub activated: bool,
    /// Why it was not activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    pub counts: std::collections::BTreeMap<String, u64>,
    pub evaluation: std::collections::BTreeMap<String, f64>,
    pub seconds: f64,
}

/// What to build, and from where.
#[derive(Debug)]
pub struct Order<'a> {
    pub site: &'a SiteId,
    pub log_dir: &'a Path,
    pub archive: &'a Archive,
    pub models_dir: &'a Path,
    pub settings: &'a config::Build,
    pub node: u64,
    pub now: Timestamp,
    /// How long to look for better settings first.
    pub tune: Option<Duration>,
}

/// The models of one set of groups.
struct Models {
    bought: Neighbors,
    /// G² that pairs bought together had to reach.
    floor: f64,
    viewed: Neighbors,
    next: NextItem,
}

/// Learns, evaluates, writes and, if it passes the gate, activates. `stage` is told what is being done.
pub fn build(
    order: &Order<'_>,
    mut stage: impl FnMut(&str),
    clock: impl Fn() -> Duration + Sync + Send,
) -> Result<Built, BuildError> {
    let started = clock();
    stage("reading the event log");
    let learned = groups::read(order.site, (order.node, order.log_dir), order.archive, order.settings.visitor_cap_per_day)?;
    let Some(newest) = learned.newest.filter(|_| !learned.items.is_empty()) else {
        return Err(BuildError::NothingToLearn(order.site.clone()));
    };
    let active = named(publish::active(order.models_dir))?;
    let before = active.as_ref().and_then(|id| Manifest::read(&order.models_dir.join(id.as_str())).ok());
    let mut next = before.as_ref().map(found_before).unwrap_or_default();
    next.examples = order.settings.examples;
    if let Some(budget) = order.tune {
        next = look_for_better(&learned, &next, budget, &mut stage, &clock);
    }
    stage("evaluating on the last day");
    let mut evaluation = evaluate(&learned, order.settings, &next, newest, &clock);
    let orders = purchases::orders(&learned);
    if let Some(orders) = &orders {
        stage("evaluating on the newest orders");
        evaluation.extend(purchases::evaluate(orders, order.settings, &clock));
    }
    stage("learning what goes together and what comes next");
    let models = fit(&learned, order.settings, &next, None);
    stage("learning what is bought next");
    let purchase = orders.map(|orders| purchases::fit(&orders, order.settings));
    stage("finding who keeps the same company");
    let company = [pairs(&models.viewed), pairs(&models.bought)];
    let factors = Factors::fit(&company.as_slice(), &factors::Options::default());
    let near = Index::fit(&Examples { values: factors.vectors(), dimension: factors.dims() }, &neighbors::Options::default());
    // Without a graph all vectors are looked at, and there is nothing to miss; among equals it does not matter who is named.
    let quality = if near.has_graph() { Some(near.check(&neighbors::Floor::default())?) } else { None };
    stage("ranking what is popular");
    let (popular, trending) = rank(&learned, order.settings, newest);
    stage("writing the build");
    let mut draft = Draft::in_dir(order.models_dir)?;
    draft.write_strings(files::ITEMS, learned.items.iter().map(crate::event::ItemId::as_str))?;
    write_models(&mut draft, &models)?;
    factors.save(&mut draft, files::FACTORS)?;
    near.save(&mut draft, files::NEAR)?;
    if let Some(purchase) = &purchase {
        purchase.save(&mut draft, files::PURCHASE)?;
    }
    for (list, items, scores) in
        [(&popular, files::POPULAR_ITEMS, files::POPULAR_SCORES), (&trending, files::TRENDING_ITEMS, files::TRENDING_SCORES)]
    {
        draft.write_slice(items, &list.iter().map(|(item, _)| *item).collect::<Vec<u32>>())?;
        draft.write_slice(scores, &list.iter().map(|(_, score)| *score).collect::<Vec<f32>>())?;
    }
    let mut manifest = manifest(order, &learned, &models, &next, evaluation, newest);
    // A graph grown on all threads at once is another one each time; everything else is the same from the same log.
    manifest.parameters.insert("near.deterministic".to_owned(), json!(near.deterministic()));
    manifest.parameters.insert("near.quality".to_owned(), json!(quality));
    let gate = before.as_ref().and_then(|before| gate(&manifest.evaluation, before, order.settings.gate));
    let compared = active.as_ref().zip(before.as_ref());
    card::write(&mut draft, &card::Subject { manifest: &manifest, active: compared, gate: gate.as_deref(), learned: &learned })?;
    let (counts, evaluation) = (manifest.counts.clone(), manifest.evaluation.clone());
    let id = draft.finish(manifest, &order.now.format("%Y-%m-%dT%H-%MZ"))?;
    if gate.is_none() {
        stage("activating");
        publish::activate(order.models_dir, &id)?;
    }
    match publish::remove_old(order.models_dir, order.settings.keep) {
        // While a pointer is damaged nobody knows what must stay, so everything does; the new build is none the worse.
        Err(ArtifactError::MalformedId { .. }) => {}
        removed => drop(removed?),
    }
    let seconds = clock().saturating_sub(started).as_secs_f64();
    Ok(Built {
        build: id.to_string(),
        site: order.site.to_string(),
        activated: gate.is_none(),
        gate,
        counts,
        evaluation,
        seconds,
    })
}

/// Returns baskets as groups; with `before`, only those that were made before then.
///
/// A visitor teaches an item once a month: a shopkeeper who orders the same forty items every week would otherwise outvote all other customers of a
/// small shop, and support would count orders where it should count people.
fn baskets(learned: &Learned, settings: &config::Build, before: Option<Timestamp>) -> Interactions {
    let mut builder = InteractionsBuilder::new(learned.items.len()).max_group(settings.max_group);
    let mut taught: HashMap<(u32, u32), Timestamp> = HashMap::new();
    let mut group = Vec::new();
    for basket in learned.baskets.iter().filter(|b| before.is_none_or(|t| b.at < t)) {
        group.clear();
        group.extend(basket.items.iter().copied().filter(|&item| match taught.entry((basket.visitor, item)) {
            Entry::Occupied(last) if basket.at.since(*last.get()) < TEACHES_AGAIN => false,
            Entry::Occupied(mut last) => {
                last.insert(basket.at);
                true
            }
            Entry::Vacant(first) => {
                first.insert(basket.at);
                true
            }
        }));
        builder.push_group(&group);
    }
    builder.finish()
}

/// The manifest's name for the settings of what comes next in a visit.
const NEXT_SETTINGS: &str = "next";

/// Returns the settings that the active build was learnt with, so that what `--tune` found once goes on being used.
fn found_before(active: &Manifest) -> next_item::Options {
    let settings = active.parameters.get(NEXT_SETTINGS).cloned();
    settings.and_then(|settings| serde_json::from_value(settings).ok()).unwrap_or_default()
}

/// Looks for better settings for as long as asked.
fn look_for_better(
    learned: &Learned,
    start: &next_item::Options,
    budget: Duration,
    stage: &mut impl FnMut(&str),
    clock: &impl Fn() -> Duration,
) -> next_item::Options {
    let visits = Visits::of(learned, None);
    let end = clock().saturating_add(budget);
    tune::tune(&visits.sessions(learned.items.len()), start, |progress| {
        let left = end.saturating_sub(clock());
        stage(&format!(
            "tuning, {} s left: {} settings tried, NDCG@20 {:.4} by like sessions, {:.4} by co-visitation",
            left.as_secs(),
            progress.tried,
            progress.session_knn,
            progress.co_visitation
        ));
        !left.is_zero()
    })
}

/// Visits as the models want them.
struct Visits<'a> {
    sessions: Vec<&'a [u32]>,
    /// Days since the first.
    at: Vec<f32>,
}

impl<'a> Visits<'a> {
    /// Takes all visits; with `before`, those that began before then.
    fn of(learned: &'a Learned, before: Option<Timestamp>) -> Self {
        let visits = || learned.sessions.iter().filter(|s| before.is_none_or(|t| s.at < t));
        let first = learned.sessions.first().map_or(Timestamp(0), |s| s.at);
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "days; minutes do not matter")]
        let days = |at: Timestamp| (at.since(first) as f64 / DAY as f64) as f32;
        Self { sessions: visits().map(|s| s.items.as_slice()).collect(), at: visits().map(|s| days(s.at)).collect() }
    }

    fn sessions(&self, n_items: usize) -> Sessions<'_> {
        Sessions { sessions: &self.sessions, at: &self.at, n_items }
    }
}

fn fit(learned: &Learned, settings: &config::Build, next: &next_item::Options, before: Option<Timestamp>) -> Models {
    let viewing = cooccurrence::Options {
        top: settings.neighbors,
        min_support: settings.min_support,
        min_llr: settings.min_llr,
        score: Score::Cosine,
        ..cooccurrence::Options::default()
    };
    // Baskets are few and long where sessions are many and short, so that accidents are far likelier among them.
    let buying = cooccurrence::Options {
        min_support: settings.min_buyers,
        family_error: settings.family_error,
        score: Score::LogLikelihood,
        ..viewing
    };
    let visits = Visits::of(learned, before);
    let mut viewed = InteractionsBuilder::new(learned.items.len()).max_group(settings.max_group);
    for session in &visits.sessions {
        viewed.push_group(session);
    }
    let baskets = baskets(learned, settings, before);
    Models {
        floor: cooccurrence::floor(&baskets, &buying),
        // What is bought together is judged by how surely it is no accident, what is viewed together by how close it is.
        bought: cooccurrence::neighbors(&baskets, &buying),
        viewed: cooccurrence::neighbors(&viewed.finish(), &viewing),
        next: NextItem::fit(&visits.sessions(learned.items.len()), next),
    }
}

/// Returns pairs as the factors are learnt from.
fn pairs(neighbors: &Neighbors) -> factors::Pairs<'_> {
    factors::Pairs { indptr: &neighbors.indptr, items: &neighbors.items, support: &neighbors.support }
}

/// Learns from all but the last day and looks how well that tells the last day.
fn evaluate(
    learned: &Learned,
    settings: &config::Build,
    next: &next_item::Options,
    newest: Timestamp,
    clock: &impl Fn() -> Duration,
) -> std::collections::BTreeMap<String, f64> {
    let mut figures = std::collections::BTreeMap::new();
    let cut = newest.plus(-DAY);
    let test_baskets: Vec<&[u32]> = learned.baskets.iter().filter(|b| b.at >= cut).map(|b| b.items.as_slice()).collect();
    let test_sessions: Vec<&[u32]> = learned
        .sessions
        .iter()
        .filter(|s| s.at >= cut && s.items.len() > 1)
        .take(MAX_TEST_SESSIONS)
        .map(|s| s.items.as_slice())
        .collect();
    let earlier = learned.baskets.iter().any(|b| b.at < cut) || learned.sessions.iter().any(|s| s.at < cut);
    if !earlier || test_baskets.is_empty() && test_sessions.is_empty() {
        return figures;
    }
    let models = fit(learned, settings, next, Some(cut));
    let bought = basket_hit_rate(&models.bought, &test_baskets, K);
    if bought.cases >= MIN_CASES {
        figures.insert("also_bought_hit_rate_20".to_owned(), bought.hit_rate);
        figures.insert("also_bought_mrr_20".to_owned(), bought.mrr);
        put_cases(&mut figures, "also_bought_cases", bought.cases);
    }
    let counts = &models.viewed.item_counts;
    let mut scratch = next_item::Scratch::default();
    let next = replay(
        &Replay { strategy: "default", k: K, train_counts: counts, skip_on_screen: false },
        &test_sessions,
        |prefix, out| models.next.predict(prefix, K + 1, &mut scratch, out),
        clock,
    );
    if next.prefixes >= MIN_CASES {
        figures.insert("next_item_hit_rate_20".to_owned(), next.hit_rate);
        figures.insert("next_item_mrr_20".to_owned(), next.mrr);
        figures.insert("next_item_recall_20".to_owned(), next.recall);
        figures.insert("next_item_coverage".to_owned(), next.coverage);
        figures.insert("next_item_novelty_bits".to_owned(), next.novelty);
        figures.insert("next_item_popularity_bias".to_owned(), next.popularity_bias);
        put_cases(&mut figures, "next_item_cases", next.prefixes);
    }
    figures.retain(|_, figure| figure.is_finite());
    figures
}

fn put_cases(figures: &mut std::collections::BTreeMap<String, f64>, name: &str, cases: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a count of test cases")]
    figures.insert(name.to_owned(), cases as f64);
}

/// Items with their scores, best first.
type Ranked = Vec<(u32, f32)>;

/// Returns what is popular and what is rising.
fn rank(learned: &Learned, settings: &config::Build, newest: Timestamp) -> (Ranked, Ranked) {
    #[expect(clippy::cast_precision_loss, reason = "ages in seconds")]
    let age = |at: Timestamp| newest.since(at) as f64 / SECOND as f64;
    let rows = learned.interest.iter().map(|i| (i.item, age(i.at), i.weight));
    let n_items = learned.items.len();
    let popular = popularity::decayed_counts(rows, settings.popularity_half_life_days * 86_400.0, n_items);
    let mut buckets = ndarray::Array2::<f32>::zeros((n_items, TREND_BUCKETS));
    let bucket_seconds = settings.trending_half_life_hours * 3_600.0;
    for interest in &learned.interest {
        let back = age(interest.at) / bucket_seconds;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and compared before it is used"
        )]
        let back = back as usize;
        if back < TREND_BUCKETS
            && let Some(cell) = buckets.get_mut((interest.item as usize, TREND_BUCKETS - 1 - back))
        {
            *cell += interest.weight;
        }
    }
    let trending = popularity::trending(buckets.view(), &Trend::default());
    (popularity::rank(&popular, RANKED), popularity::rank(&trending, RANKED))
}

fn write_models(draft: &mut Draft, models: &Models) -> Result<(), ArtifactError> {
    for (prefix, counts, n) in
        [(files::ALSO_BOUGHT, files::BOUGHT_COUNTS, &models.bought), (files::ALSO_VIEWED, files::VIEWED_COUNTS, &models.viewed)]
    {
        write_neighbors(draft, prefix, &n.indptr, &n.items, &n.scores, &n.support)?;
        draft.write_slice(counts, &n.item_counts)?;
    }
    models.next.save(draft, files::NEXT)
}

fn manifest(
    order: &Order<'_>,
    learned: &Learned,
    models: &Models,
    next: &next_item::Options,
    evaluation: std::collections::BTreeMap<String, f64>,
    newest: Timestamp,
) -> Manifest {
    let settings = order.settings;
    let counts = [
        ("events", learned.events),
        ("visitors", learned.visitors),
        ("items", learned.items.len() as u64),
        ("baskets", u64::from(models.bought.n_groups)),
        ("sessions", u64::from(models.viewed.n_groups)),
        ("also_bought_pairs", models.bought.items.len() as u64),
        ("also_viewed_pairs", models.viewed.items.len() as u64),
        ("events_without_analytics", learned.without_consent),
        ("events_repeated", learned.repeated),
        ("events_over_visitor_cap", learned.capped),
    ];
    let parameters = [
        ("seed", json!(0)),
        ("also_bought.score", json!("llr")),
        ("also_viewed.score", json!("cosine")),
        ("factors", json!(factors::Options::default())),
        ("neighbors", json!(settings.neighbors)),
        ("min_support", json!(settings.min_support)),
        ("min_buyers", json!(settings.min_buyers)),
        ("min_llr", json!(settings.min_llr)),
        (files::BOUGHT_FLOOR, json!(models.floor)),
        ("family_error", json!(settings.family_error)),
        ("max_group", json!(settings.max_group)),
        ("visitor_cap_per_day", json!(settings.visitor_cap_per_day)),
        ("popularity_half_life_days", json!(settings.popularity_half_life_days)),
        ("trending_half_life_hours", json!(settings.trending_half_life_hours)),
        (NEXT_SETTINGS, serde_json::to_value(next).unwrap_or_default()),
        ("next.weights", json!(models.next.weights().collect::<std::collections::BTreeMap<_, _>>())),
        ("next.trees", json!(models.next.forest().n_trees())),
        ("next.importance", json!(models.next.importance().into_iter().collect::<std::collections::BTreeMap<_, _>>())),
        ("session_silence_minutes", json!(crate::event::time::SESSION_SILENCE / (HOUR / 60))),
    ];
    Manifest {
        rapport_version: env!("CARGO_PKG_VERSION").to_owned(),
        site: order.site.to_string(),
        created_at: order.now.0,
        window: Window { from: learned.oldest.unwrap_or(newest).0, to: newest.0 },
        counts: counts.into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
        log_position: learned.positions.iter().map(|(node, position)| (node.to_string(), position.0)).collect(),
        parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        evaluation,
        ..Manifest::default()
    }
}

/// Returns why a build must not replace the active one; nothing where it may.
fn gate(new: &std::collections::BTreeMap<String, f64>, active: &Manifest, least: f64) -> Option<String> {
    ["also_bought_hit_rate_20", "next_item_hit_rate_20"].into_iter().find_map(|name| {
        let (new, old) = (new.get(name)?, active.evaluation.get(name)?);
        (*new < least * old).then(|| {
            format!("{name} is {new:.4}, below {least} times the active build's {old:.4}: kept, not activated; `rapport builds activate` overrules")
        })
    })
}

/// A build as lists show it.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub build: String,
    pub active: bool,
    pub previous: bool,
    pub created_at: String,
    pub window_from: String,
    pub window_to: String,
    pub counts: std::collections::BTreeMap<String, u64>,
    pub evaluation: std::collections::BTreeMap<String, f64>,
    /// What is wrong with it, where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
}

/// Returns a site's builds, newest first; damaged ones last.
pub fn list(models_dir: &Path) -> Result<Vec<Listed>, ArtifactError> {
    if !models_dir.exists() {
        return Ok(Vec::new());
    }
    // A pointer that names nothing leaves the builds what they are; the server and the doctor say what is wrong with it.
    let (active, previous) = (named(publish::active(models_dir))?, named(publish::previous(models_dir))?);
    let mut builds: Vec<Listed> = publish::list(models_dir)?
        .into_iter()
        .map(|(id, manifest)| Listed {
            active: active.as_ref() == Some(&id),
            previous: previous.as_ref() == Some(&id),
            build: id.to_string(),
            created_at: Timestamp(manifest.created_at).to_string(),
            window_from: Timestamp(manifest.window.from).to_string(),
            window_to: Timestamp(manifest.window.to).to_string(),
            counts: manifest.counts,
            evaluation: manifest.evaluation,
            damaged: Artifact::open(models_dir.join(id.as_str())).err().map(|error| error.to_string()),
        })
        .collect();
    for (id, error) in publish::unreadable(models_dir)? {
        builds.push(Listed {
            active: active.as_ref() == Some(&id),
            previous: previous.as_ref() == Some(&id),
            build: id.to_string(),
            created_at: String::new(),
            window_from: String::new(),
            window_to: String::new(),
            counts: Default::default(),
            evaluation: Default::default(),
            damaged: Some(error.to_string()),
        });
    }
    Ok(builds)
}

/// Activates a build after a full check. Returns its id.
pub fn activate(models_dir: &Path, id: &str) -> Result<String, ArtifactError> {
    let id = BuildId::parse(id)?;
    check(models_dir, &id)?;
    publish::activate(models_dir, &id)?;
    Ok(id.to_string())
}

/// Activates the previous build again after a full check. Returns its id.
pub fn rollback(models_dir: &Path) -> Result<String, ArtifactError> {
    if let Some(previous) = publish::previous(models_dir)? {
        check(models_dir, &previous)?;
    }
    Ok(publish::rollback(models_dir)?.to_string())
}

/// Refuses a build that is damaged. One that is not there is for whoever publishes to refuse.
fn check(models_dir: &Path, id: &BuildId) -> Result<(), ArtifactError> {
    let dir = models_dir.join(id.as_str());
    if dir.exists() { Artifact::open(&dir).map(|_| ()) } else { Ok(()) }
}

/// Returns the build a pointer names, if it names one.
fn named(pointer: Result<Option<BuildId>, ArtifactError>) -> Result<Option<BuildId>, ArtifactError> {
    match pointer {
        Err(ArtifactError::MalformedId { .. }) => Ok(None),
        pointer => pointer,
    }
}
