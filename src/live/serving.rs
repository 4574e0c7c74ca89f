//! A build as it is served: an artifact, verified and mapped, with views of its arrays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rapport_models::artifact::{Artifact, ArtifactError, NeighborsView, Row};
use rapport_models::factors::Factors;
use rapport_models::model::Model;
use rapport_models::neighbors::{self, Query};
use rapport_models::next_item::{NextItem, Scratch};
use rapport_models::purchase::NextPurchase;
use rapport_models::quantized;

use crate::build::files;
use crate::event::Timestamp;

/// A build in service.
#[derive(Debug)]
pub struct ServedBuild {
    pub id: String,
    artifact: Arc<Artifact>,
    also_bought: NeighborsView,
    also_viewed: NeighborsView,
    next: NextItem,
    /// Only where people came back to buy.
    purchase: Option<NextPurchase>,
    /// Builds of earlier versions have none.
    company: Option<Company>,
    /// Finds items by their factors; used where there are too many to look at all of them.
    near: Option<neighbors::Index>,
    /// How much to believe of each item's factors, by how often it was looked at or bought.
    trust: Vec<f32>,
    baskets: u64,
    sessions: u64,
}

/// The factors of all items, a byte a number: one question looks at all of them.
#[derive(Debug)]
struct Company {
    dims: usize,
    codes: Vec<i8>,
    /// Size of a step of each item's codes.
    steps: Vec<f32>,
}

/// Which neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    Bought,
    Viewed,
}

impl ServedBuild {
    /// Opens and verifies a build and reads all of it once, so that the first request finds it in memory.
    pub fn open(dir: &Path) -> Result<Self, ArtifactError> {
        let artifact = Arc::new(Artifact::open(dir)?);
        let also_bought = NeighborsView::open(artifact.clone(), files::ALSO_BOUGHT)?;
        let also_viewed = NeighborsView::open(artifact.clone(), files::ALSO_VIEWED)?;
        // Asked for once here, so that a missing array is an error now and not in a request.
        artifact.strings(files::ITEMS)?;
        for name in [files::POPULAR_ITEMS, files::TRENDING_ITEMS, files::BOUGHT_COUNTS, files::VIEWED_COUNTS] {
            artifact.slice::<u32>(name)?;
        }
        for name in [files::POPULAR_SCORES, files::TRENDING_SCORES] {
            artifact.slice::<f32>(name)?;
        }
        let next = NextItem::open(&artifact, files::NEXT)?;
        let has = |model: &str| artifact.manifest().files.keys().any(|file| file.starts_with(model));
        let has_purchase = has(&format!("{}.", files::PURCHASE));
        let purchase = if has_purchase { Some(NextPurchase::open(&artifact, files::PURCHASE)?) } else { None };
        let company = if has(files::FACTORS) { Some(Company::of(&Factors::open(&artifact, files::FACTORS)?)) } else { None };
        let near = if has(&format!("{}.", files::NEAR)) { Some(neighbors::Index::open(&artifact, files::NEAR)?) } else { None };
        let counts = artifact.slice::<u32>(files::BOUGHT_COUNTS)?.iter().zip(artifact.slice::<u32>(files::VIEWED_COUNTS)?);
        let trust = counts.map(|(bought, viewed)| trust(bought.saturating_add(*viewed))).collect();
        artifact.warm();
        let count = |name: &str| artifact.manifest().counts.get(name).copied().unwrap_or(0);
        Ok(Self {
            id: artifact.id().to_string(),
            baskets: count("baskets"),
            sessions: count("sessions"),
            also_bought,
            also_viewed,
            next,
            purchase,
            company,
            near,
            trust,
            artifact,
        })
    }

    /// Returns the G² that its pairs bought together had to reach.
    pub fn bought_floor(&self) -> Option<f64> {
        self.artifact.manifest().parameters.get(files::BOUGHT_FLOOR)?.as_f64()
    }

    /// Returns the ids of its items, in their order.
    pub fn item_ids(&self) -> impl Iterator<Item = &str> {
        self.artifact.strings(files::ITEMS).ok().into_iter().flat_map(|strings| strings.iter())
    }

    /// Returns an item's neighbours, best first.
    pub fn neighbors(&self, relation: Relation, item: u32) -> Row<'_> {
        match relation {
            Relation::Bought => self.also_bought.row(item),
            Relation::Viewed => self.also_viewed.row(item),
        }
    }

    /// Returns how many baskets (or sessions) hold each item.
    pub fn counts(&self, relation: Relation) -> &[u32] {
        let name = match relation {
            Relation::Bought => files::BOUGHT_COUNTS,
            Relation::Viewed => files::VIEWED_COUNTS,
        };
        self.artifact.slice::<u32>(name).unwrap_or_default()
    }

    /// Returns how many baskets (or sessions) it has learnt from.
    pub fn groups(&self, relation: Relation) -> u32 {
        let groups = match relation {
            Relation::Bought => self.baskets,
            Relation::Viewed => self.sessions,
        };
        u32::try_from(groups).unwrap_or(u32::MAX)
    }

    /// Returns how far it has read each node's log.
    pub fn learnt(&self) -> BTreeMap<u64, u64> {
        let positions = &self.artifact.manifest().log_position;
        positions.iter().filter_map(|(node, position)| Some((node.parse().ok()?, *position))).collect()
    }

    /// Returns when the newest event it has learnt from happened.
    pub fn newest(&self) -> Timestamp {
        Timestamp(self.artifact.manifest().window.to)
    }

    /// Predicts the next items of a visit, given oldest first.
    pub fn next_items(&self, visit: &[u32], most: usize, scratch: &mut Scratch, out: &mut Vec<(u32, f32)>) {
        self.next.predict(visit, most, scratch, out);
    }

    /// Returns the model of what is bought next, where there is one.
    pub fn purchase(&self) -> Option<&NextPurchase> {
        self.purchase.as_ref()
    }

    /// Returns items by decayed popularity, best first.
    pub fn popular(&self) -> Vec<(u32, f32)> {
        self.ranked(files::POPULAR_ITEMS, files::POPULAR_SCORES)
    }

    /// Returns items that rise, best first.
    pub fn trending(&self) -> Vec<(u32, f32)> {
        self.ranked(files::TRENDING_ITEMS, files::TRENDING_SCORES)
    }

    fn ranked(&self, items: &str, scores: &str) -> Vec<(u32, f32)> {
        let items = self.artifact.slice::<u32>(items).unwrap_or_default();
        let scores = self.artifact.slice::<f32>(scores).unwrap_or_default();
        items.iter().copied().zip(scores.iter().copied()).collect()
    }

    /// Returns how much the company two items keep is alike, from −1 to 1, and how much to believe of that, from 0 to 1.
    pub fn company(&self, a: u32, b: u32) -> (f32, f32) {
        let trust = |item: u32| usize::try_from(item).ok().and_then(|i| self.trust.get(i)).copied().unwrap_or(0.0);
        match &self.company {
            Some(company) => (company.cosine(a, b), trust(a) * trust(b)),
            None => (0.0, 0.0),
        }
    }

    /// Fills `out` with the `k` items that keep the most like company, where a graph finds them; empty for an item whose company is hardly known.
    pub fn near(&self, item: u32, k: usize, scratch: &mut neighbors::Scratch, out: &mut Vec<(u32, f32)>) {
        out.clear();
        let known = usize::try_from(item).ok().and_then(|i| self.trust.get(i)).is_some_and(|trust| *trust > 0.5);
        if let Some(near) = self.near.as_ref().filter(|near| known && near.has_graph()) {
            near.predict(Query::item(item).ef(k), k, scratch, out);
        }
    }

    /// Returns when the build was made, in microseconds since 1970.
    pub fn created_at(&self) -> i64 {
        self.artifact.manifest().created_at
    }
}

impl Company {
    fn of(factors: &Factors) -> Self {
        let dims = factors.dims();
        let mut codes = vec![0; factors.n_items() * dims];
        let rows = factors.vectors().chunks_exact(dims).zip(codes.chunks_exact_mut(dims));
        let steps = rows.map(|(vector, codes)| quantized::quantize(vector, codes)).collect();
        Self { dims, codes, steps }
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum of some dozens of products of bytes")]
    fn cosine(&self, a: u32, b: u32) -> f32 {
        let row = |item: u32| {
            let item = usize::try_from(item).ok()?;
            Some((self.codes.chunks_exact(self.dims).nth(item)?, *self.steps.get(item)?))
        };
        match (row(a), row(b)) {
            (Some((a, a_step)), Some((b, b_step))) => quantized::dot(a, b) as f32 * a_step * b_step,
            _ => 0.0,
        }
    }
}

/// The square root of `n / (n + 10)`: the product of two is half where both items were met ten times.
#[expect(clippy::cast_precision_loss, reason = "a count whose last digits do not matter")]
fn trust(met: u32) -> f32 {
    let met = met as f32;
    (met / (met + 10.0)).sqrt()
}
