//! From what is written about an item to a vector, without a vocabulary.
//!
//! A text is words and the character n-grams inside of them, so that plurals, compounds and misspellings are near each
//! other; scripts that do not part their words (Chinese, Japanese; Korean for its endings) are single characters and pairs.
//! Tags such as a brand or a category count as one word of their own. Each feature is hashed; the hash chooses where and
//! with which signs it is added to the vector (sparse random projection: Achlioptas 2003; the "hashing trick": Weinberger
//! et al. 2009), so that the dot product of two vectors estimates the cosine of the two lists of features, with a standard
//! error of `1/√DIMS`. Features that say little because many items have them weigh little (inverse document frequency,
//! Spärck Jones 1972, per bucket of hashes).
//!
//! The same text has the same vector on any machine, and an item that came a moment ago needs nothing but its own words.

use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) mod tokens;

use tokens::{Token, is_hangul, tokens};

/// Numbers of a text's vector.
pub const DIMS: usize = 256;
/// Places a feature is added to; more make two features less likely to be taken for one another.
const PLACES: usize = 8;
/// Hash buckets that document frequencies are counted in.
const BUCKETS: usize = 1 << 17;
/// What all n-grams of a word weigh, as a length, beside the word itself.
const GRAMS: f32 = 1.0;
/// What one character of an ideographic run weighs beside a pair.
const SINGLE: f32 = 0.5;

/// What is known about an item, piece by piece.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part<'a> {
    /// Running text: a title, a description. With its weight; a title's is 1.
    Text(&'a str, f32),
    /// A name and its value, equal or not equal: a brand, a category, an attribute. With its weight.
    Tag(&'a str, &'a str, f32),
}

/// Memory that texts are taken apart in.
#[derive(Debug, Default)]
pub struct Scratch {
    word: String,
    padded: String,
    bounds: Vec<usize>,
}

/// Counts in how many texts of a catalog each feature is.
#[derive(Debug)]
pub struct Learner {
    counts: Vec<u32>,
    /// The last text that had each feature, so that one text counts once.
    last: Vec<u32>,
    texts: u32,
    scratch: Scratch,
}

/// How much each feature says, learnt from a catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    idf: Vec<f32>,
}

impl Default for Learner {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], last: vec![0; BUCKETS], texts: 0, scratch: Scratch::default() }
    }
}

impl Learner {
    /// Counts one text.
    pub fn add<'a>(&mut self, parts: impl IntoIterator<Item = Part<'a>>) {
        let Self { counts, last, texts, scratch } = self;
        *texts = texts.saturating_add(1);
        features(parts, scratch, |hash, _| {
            let bucket = bucket(hash);
            if last[bucket] != *texts {
                last[bucket] = *texts;
                counts[bucket] += 1;
            }
        });
    }

    /// Returns the weights: `ln((texts + 100) / (texts with the feature + 1))`, which is positive.
    ///
    /// The hundred are texts that might still come: a handful of titles cannot tell which words are common.
    pub fn finish(self) -> Weights {
        let texts = self.texts as f32;
        Weights { idf: self.counts.iter().map(|&count| ((texts + 100.0) / (count as f32 + 1.0)).ln()).collect() }
    }
}

impl Default for Weights {
    /// Every feature says as much as any other.
    fn default() -> Self {
        Self { idf: vec![1.0; BUCKETS] }
    }
}

impl Weights {
    /// Fills `vector` with the direction of a text: length 1, or all zeros where there is nothing to go by.
    pub fn vector<'a>(&self, parts: impl IntoIterator<Item = Part<'a>>, scratch: &mut Scratch, vector: &mut [f32; DIMS]) {
        vector.fill(0.0);
        features(parts, scratch, |hash, weight| add(hash, weight * self.idf[bucket(hash)], vector));
        normalize(vector);
    }
}

/// Makes a vector one of length 1; one of zeros stays.
pub fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 && length.is_finite() {
        vector.iter_mut().for_each(|x| *x /= length);
    } else {
        vector.fill(0.0);
    }
}

fn bucket(hash: u64) -> usize {
    // The low bits choose the places in the vector.
    (hash >> 47) as usize
}

/// Adds a feature to the places its hash chooses, with the signs it chooses.
#[inline]
fn add(hash: u64, weight: f32, vector: &mut [f32; DIMS]) {
    let mut bits = hash;
    for _ in 0..PLACES {
        // The step of splitmix64, which makes independent numbers of consecutive ones.
        bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = bits;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let place = (mixed >> 32) as usize % DIMS;
        vector[place] += if mixed & 1 == 0 { weight } else { -weight };
    }
}

/// What a feature is made of, so that a word is not taken for a brand.
#[derive(Clone, Copy)]
enum Kind {
    Word = 1,
    Gram = 2,
    Single = 3,
    Pair = 4,
    Tag = 5,
}

fn hash(text: &str, kind: Kind) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), kind as u64)
}

fn features<'a>(parts: impl IntoIterator<Item = Part<'a>>, scratch: &mut Scratch, mut each: impl FnMut(u64, f32)) {
    let Scratch { word, padded, bounds } = scratch;
    for part in parts {
        match part {
            Part::Tag(name, value, weight) => {
                // A tag's words do not count one by one; case and spaces do not make another value.
                padded.clear();
                padded.push_str(name);
                tokens(value, word, |token| {
                    let (Token::Word(text) | Token::Ideographs(text)) = token;
                    padded.push(' ');
                    padded.push_str(text);
                });
                if padded.len() > name.len() {
                    each(hash(padded, Kind::Tag), weight);
                }
            }
            Part::Text(text, weight) => tokens(text, word, |token| match token {
                Token::Word(word) => {
                    each(hash(word, Kind::Word), weight);
                    grams(word, weight, padded, bounds, &mut each);
                }
                Token::Ideographs(run) => {
                    if is_hangul(run) {
                        each(hash(run, Kind::Word), weight);
                    }
                    pairs(run, weight, bounds, &mut each);
                }
            }),
        }
    }
}

/// The 3- and 4-grams of a word with its ends marked (Bojanowski et al. 2017).
fn grams(word: &str, weight: f32, padded: &mut String, bounds: &mut Vec<usize>, each: &mut impl FnMut(u64, f32)) {
    padded.clear();
    padded.push('<');
    padded.push_str(word);
    padded.push('>');
    boundaries(padded, bounds);
    let characters = bounds.len() - 1;
    // Of words of one or two letters, and of numbers, nothing but the whole means anything.
    if characters < 5 || word.bytes().all(|byte| byte.is_ascii_digit()) {
        return;
    }
    let weight = weight * GRAMS / ((characters - 2 + characters - 3) as f32).sqrt();
    for length in [3, 4] {
        for ends in bounds.windows(length + 1) {
            each(hash(&padded[ends[0]..ends[length]], Kind::Gram), weight);
        }
    }
}

/// Single characters and pairs of a run without spaces.
fn pairs(run: &str, weight: f32, bounds: &mut Vec<usize>, each: &mut impl FnMut(u64, f32)) {
    boundaries(run, bounds);
    for ends in bounds.windows(2) {
        each(hash(&run[ends[0]..ends[1]], Kind::Single), weight * SINGLE);
    }
    for ends in bounds.windows(3) {
        each(hash(&run[ends[0]..ends[2]], Kind::Pair), weight);
    }
}

/// Where characters start, and the end.
fn boundaries(text: &str, bounds: &mut Vec<usize>) {
    bounds.clear();
    bounds.extend(text.char_indices().map(|(at, _)| at));
    bounds.push(text.len());
}

#[cfg(test)]
mod tests;
