//! What titles and attributes say about items: a direction and a kind for each, kept beside the catalog.
//!
//! Made from the catalog and not in a build, so that an item that came a moment ago has neighbours at once. New and
//! reworded items are read when the next snapshot is made; rows of the others are shared with the snapshot before. Which
//! words are common is learnt again whenever the catalog has doubled.

use std::sync::Arc;

use rapport_models::kinds::{self, Kinds, Titles};
use rapport_models::quantized;
use rapport_models::text::{self, DIMS, Learner, Part, Weights};
use rayon::prelude::*;

use crate::catalog::Index;
use crate::catalog::item::Item;

/// Items whose rows are kept, and copied, together.
const CHUNK: usize = 512;
/// Items a catalog grows by before its words are learnt again, however small it was.
const FIRST: usize = 16;
/// Bytes of a description that are read; what a text is about stands at its beginning.
const DESCRIPTION: usize = 400;
/// What the words of each part weigh beside those of the title.
const DESCRIPTION_WEIGHT: f32 = 0.3;
const BRAND_WEIGHT: f32 = 0.7;
const CATEGORY_WEIGHT: f32 = 0.7;
const ATTRIBUTE_WEIGHT: f32 = 0.4;
/// Attributes that are read.
const ATTRIBUTES: usize = 16;
/// Where an item and another both have a vector of the shop's own, its share of their similarity beside the words'.
const GIVEN: f32 = 0.7;

/// The rows of a catalog.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    learnt: Arc<Learnt>,
    chunks: Vec<Arc<Chunk>>,
}

/// Which words a catalog uses.
#[derive(Debug, Default)]
struct Learnt {
    /// Items it was learnt from, and how often they had been reworded by then.
    items: usize,
    reworded: u64,
    weights: Weights,
    titles: Titles,
}

#[derive(Debug, Default)]
struct Chunk {
    rows: Vec<Row>,
    /// The directions of the rows, one after the other.
    codes: Vec<i8>,
}

/// What is known of one item.
#[derive(Debug, Clone, Default)]
struct Row {
    /// How often the item had been reworded when this was made.
    wording: u64,
    /// Size of a step of its codes; 0 where there are no words.
    step: f32,
    kinds: Kinds,
    given: Option<Arc<Given>>,
}

/// A vector of the shop's own.
#[derive(Debug)]
struct Given {
    step: f32,
    codes: Box<[i8]>,
}

#[derive(Default)]
struct Scratch {
    text: text::Scratch,
    kinds: kinds::Scratch,
}

impl Words {
    /// Returns the rows of a catalog, learning anew which words are common, if anything has changed since that was learnt.
    #[must_use]
    pub(super) fn renew(&self, index: &Index, reworded: u64) -> Self {
        let same = (self.learnt.items, self.learnt.reworded) == (index.len(), reworded);
        if same { self.follow(index, reworded) } else { Self::default().follow(index, reworded) }
    }

    /// Returns the rows of a catalog as it is now; those of items that are known already are shared.
    ///
    /// `reworded` is how often items had been described anew, read before the index was.
    #[must_use]
    pub(super) fn follow(&self, index: &Index, reworded: u64) -> Self {
        let due = index.len() > self.learnt.items * 2 + FIRST || (self.learnt.items == 0 && !index.is_empty());
        let learnt = if due { Arc::new(Learnt::of(index, reworded)) } else { Arc::clone(&self.learnt) };
        let known: &[Arc<Chunk>] = if due { &[] } else { &self.chunks };
        let chunks = (0..index.len().div_ceil(CHUNK))
            .into_par_iter()
            .map(|number| {
                let slots = number * CHUNK..((number + 1) * CHUNK).min(index.len());
                match known.get(number) {
                    Some(chunk) if chunk.is_current(index, slots.clone()) => Arc::clone(chunk),
                    before => Arc::new(Chunk::read(index, slots, before, &learnt)),
                }
            })
            .collect();
        Self { learnt, chunks }
    }

    /// Returns the kinds of the item in a slot.
    pub(super) fn kinds(&self, slot: u32) -> Kinds {
        self.row(slot).map_or(Kinds::default(), |(row, _)| row.kinds)
    }

    /// Returns whether anything is written about the item in a slot.
    pub(super) fn has(&self, slot: u32) -> bool {
        self.row(slot).is_some_and(|(row, _)| row.step > 0.0 || row.given.is_some())
    }

    /// Returns how near each item's words are to those of the item in a slot: cosines, in the order of the slots.
    pub(super) fn similarities(&self, slot: u32) -> impl Iterator<Item = f32> + '_ {
        let asked = self.row(slot);
        self.chunks.iter().flat_map(move |chunk| {
            chunk.rows.iter().zip(chunk.codes.chunks_exact(DIMS)).map(move |(row, codes)| match asked {
                Some((asked, asked_codes)) => asked.similarity(asked_codes, row, codes),
                None => 0.0,
            })
        })
    }

    /// Returns how near the words of two items are: a cosine, 0 where either has none.
    pub(super) fn similarity(&self, slot: u32, other: u32) -> f32 {
        match (self.row(slot), self.row(other)) {
            (Some((asked, asked_codes)), Some((row, codes))) => asked.similarity(asked_codes, row, codes),
            _ => 0.0,
        }
    }

    fn row(&self, slot: u32) -> Option<(&Row, &[i8])> {
        let slot = usize::try_from(slot).ok()?;
        let chunk = self.chunks.get(slot / CHUNK)?;
        let place = slot % CHUNK;
        Some((chunk.rows.get(place)?, chunk.codes.get(place * DIMS..(place + 1) * DIMS)?))
    }
}

impl Learnt {
    fn of(index: &Index, reworded: u64) -> Self {
        let (mut learner, mut titles, mut scratch) = (Learner::default(), Titles::default(), kinds::Scratch::default());
        for item in index.items() {
            learner.add(parts(&item));
            if let Some(title) = &item.title {
                titles.add(title, &mut scratch);
            }
        }
        Self { items: index.len(), reworded, weights: learner.finish(), titles }
    }
}

impl Chunk {
    fn is_current(&self, index: &Index, slots: std::ops::Range<usize>) -> bool {
        let wordings = slots.clone().map(|slot| wording(index, slot));
        self.rows.len() == slots.len() && self.rows.iter().zip(wordings).all(|(row, now)| row.wording == now)
    }

    /// Makes the rows of some slots, taking over those of `before` that still say the same.
    fn read(index: &Index, slots: std::ops::Range<usize>, before: Option<&Arc<Self>>, learnt: &Learnt) -> Self {
        let mut chunk = Self::default();
        let mut scratch = Scratch::default();
        let mut vector = [0.0; DIMS];
        for (place, slot) in slots.enumerate() {
            let start = chunk.codes.len();
            // Read before the item is, so that a row is never taken for newer than it is.
            let wording = wording(index, slot);
            let known = before.and_then(|b| Some((b.rows.get(place)?, b.codes.get(start..start + DIMS)?)));
            if let Some((row, codes)) = known.filter(|(row, _)| row.wording == wording) {
                chunk.rows.push(row.clone());
                chunk.codes.extend_from_slice(codes);
                continue;
            }
            chunk.codes.resize(start + DIMS, 0);
            let mut row = Row { wording, ..Row::default() };
            if let Some(item) = u32::try_from(slot).ok().and_then(|n| index.slot(n)).map(crate::catalog::Slot::item) {
                learnt.weights.vector(parts(&item), &mut scratch.text, &mut vector);
                row.step = quantized::quantize(&vector, &mut chunk.codes[start..]);
                row.kinds = item.title.as_ref().map_or(Kinds::default(), |t| learnt.titles.kinds(t, &mut scratch.kinds));
                row.given = item.vector.as_deref().map(Given::of);
            }
            chunk.rows.push(row);
        }
        chunk
    }
}

impl Row {
    fn similarity(&self, codes: &[i8], other: &Self, other_codes: &[i8]) -> f32 {
        let words = cosine(codes, self.step, other_codes, other.step);
        match (&self.given, &other.given) {
            // Only vectors of one length have an angle; the catalog keeps others out, but other nodes may lag behind.
            (Some(a), Some(b)) if a.codes.len() == b.codes.len() => {
                let given = cosine(&a.codes, a.step, &b.codes, b.step);
                if self.step > 0.0 && other.step > 0.0 { GIVEN * given + (1.0 - GIVEN) * words } else { given }
            }
            _ => words,
        }
    }
}

impl Given {
    fn of(vector: &[f32]) -> Arc<Self> {
        let mut unit = vector.to_vec();
        text::normalize(&mut unit);
        let mut codes = vec![0; unit.len()].into_boxed_slice();
        Arc::new(Self { step: quantized::quantize(&unit, &mut codes), codes })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sum of at most a thousand products of bytes")]
fn cosine(a: &[i8], a_step: f32, b: &[i8], b_step: f32) -> f32 {
    quantized::dot(a, b) as f32 * a_step * b_step
}

fn wording(index: &Index, slot: usize) -> u64 {
    u32::try_from(slot).ok().and_then(|n| index.slot(n)).map_or(0, crate::catalog::Slot::wording)
}

/// What is read of an item.
fn parts(item: &Item) -> impl Iterator<Item = Part<'_>> {
    let title = item.title.iter().map(|title| Part::Text(title, 1.0));
    let description = item.description.iter().map(|text| {
        let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= DESCRIPTION).unwrap_or(text.len());
        Part::Text(&text[..end], DESCRIPTION_WEIGHT)
    });
    let brand = item.brand.iter().map(|brand| Part::Tag("brand", brand, BRAND_WEIGHT));
    let categories = item.categories.iter().map(|category| Part::Tag("category", category, CATEGORY_WEIGHT));
    // Texts and flags; a number says little unless it is equal, and then it is mostly a size.
    let attributes = item.attributes.iter().take(ATTRIBUTES).filter_map(|(name, value)| {
        let value = value.as_str().or(if value == &serde_json::Value::Bool(true) { Some("yes") } else { None })?;
        Some(Part::Tag(name, value, ATTRIBUTE_WEIGHT))
    });
    title.chain(description).chain(brand).chain(categories).chain(attributes)
}
