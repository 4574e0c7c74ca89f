//! What kind of thing an item is, guessed from its title alone, where a shop names no categories.
//!
//! Titles of one catalog say the same thing in the same words: «JUMBO BAG APPLES», «JUMBO BAG ALPHABET». A kind is a pair
//! of words that stands together in several titles more often than chance would have it (normalised pointwise mutual
//! information: Bouma 2009), and, more broadly, a word that titles like to end with, the rarest such word there is. Of
//! Chinese and Japanese titles it is the last characters. Nothing is known of any language; a title without such words
//! has no kind.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::text::tokens::{Token, is_hangul, tokens};

/// Titles that must share a kind.
const MIN_TITLES: u32 = 4;
/// Share of all titles beyond which a word says too little, and the titles that are always allowed.
const MAX_SHARE: f32 = 0.04;
const MAX_TITLES: f32 = 25.0;
/// Letters of the shortest word that can name a kind; shorter ones join others.
const MIN_LETTERS: usize = 3;
/// Share of a word's titles that must end with it.
const MIN_LAST: f32 = 0.3;
/// How closely a pair must belong together, between 0 (chance) and 1 (never apart).
const MIN_COHESION: f32 = 0.35;
/// Buckets that words and pairs are counted in by their hash.
const BUCKETS: usize = 1 << 20;

/// A kind; equal ones are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u64);

/// The kinds of one item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// A word.
    pub broad: Option<Kind>,
    /// A pair of words.
    pub narrow: Option<Kind>,
}

/// Memory that titles are taken apart in.
#[derive(Debug, Default)]
pub struct Scratch {
    word: String,
    words: Vec<Word>,
    pair: String,
    seen: HashSet<u64>,
    texts: String,
}

/// A word of a title.
#[derive(Debug, Clone, Copy)]
struct Word {
    hash: u64,
    /// Where it lies in the texts of the title.
    start: usize,
    end: usize,
    /// Whether it could be of a kind: long enough, and no number.
    telling: bool,
    /// Whether the title ends with it.
    last: bool,
}

/// Counts the words and pairs of a catalog's titles.
#[derive(Debug)]
pub struct Titles {
    words: Vec<u32>,
    /// How many titles end with a word.
    last: Vec<u32>,
    pairs: Vec<u32>,
    titles: u32,
}

impl Default for Titles {
    fn default() -> Self {
        Self { words: vec![0; BUCKETS], last: vec![0; BUCKETS], pairs: vec![0; BUCKETS], titles: 0 }
    }
}

impl Titles {
    /// Counts one title.
    pub fn add(&mut self, title: &str, scratch: &mut Scratch) {
        self.titles = self.titles.saturating_add(1);
        read(title, scratch);
        let Scratch { words, pair, seen, texts, .. } = scratch;
        seen.clear();
        for word in words.iter().filter(|word| seen.insert(word.hash)) {
            self.words[bucket(word.hash)] += 1;
            self.last[bucket(word.hash)] += u32::from(word.last);
        }
        seen.clear();
        for words in words.windows(2) {
            let hash = pair_hash(words, texts, pair);
            if seen.insert(hash) {
                self.pairs[bucket(hash)] += 1;
            }
        }
    }

    /// Returns the kinds of an item with this title.
    pub fn kinds(&self, title: &str, scratch: &mut Scratch) -> Kinds {
        read(title, scratch);
        let Scratch { words, pair, texts, .. } = scratch;
        let most = (self.titles as f32 * MAX_SHARE).max(MAX_TITLES);
        let common = |word: &Word| self.words[bucket(word.hash)] as f32;
        let mut narrow: Option<(f32, u64)> = None;
        for both in words.windows(2) {
            let hash = pair_hash(both, texts, pair);
            let count = self.pairs[bucket(hash)];
            let (a, b) = (common(&both[0]), common(&both[1]));
            if count < MIN_TITLES || a.min(b) > most || !(both[0].telling && both[1].telling) {
                continue;
            }
            let (count, titles) = (count as f32, self.titles as f32);
            // Where every title has the pair, it says nothing and the divisor is zero.
            let cohesion = (count * titles / (a * b)).ln() / (titles / count).ln();
            let score = cohesion * count.ln();
            if cohesion >= MIN_COHESION && cohesion.is_finite() && narrow.is_none_or(|(best, _)| score >= best) {
                narrow = Some((score, hash));
            }
        }
        let ends = |word: &&Word| {
            let (count, last) = (common(word), self.last[bucket(word.hash)] as f32);
            word.telling && count >= MIN_TITLES as f32 && count <= most && last >= MIN_LAST * count
        };
        // Of equally rare ones the one nearer to the end.
        let broad = words.iter().rev().filter(ends).min_by_key(|word| self.words[bucket(word.hash)]);
        Kinds { broad: broad.map(|word| Kind(word.hash)), narrow: narrow.map(|(_, hash)| Kind(hash)) }
    }
}

fn bucket(hash: u64) -> usize {
    (hash >> 44) as usize
}

/// Fills the scratch with the words of a title.
fn read(title: &str, scratch: &mut Scratch) {
    let Scratch { word, words, texts, .. } = scratch;
    words.clear();
    texts.clear();
    let mut put = |text: &str, telling| {
        let start = texts.len();
        texts.push_str(text);
        words.push(Word { hash: xxh3_64_with_seed(text.as_bytes(), 1), start, end: texts.len(), telling, last: false });
    };
    tokens(title, word, |token| match token {
        Token::Word(text) => {
            let telling = text.chars().nth(MIN_LETTERS - 1).is_some() && !text.bytes().any(|byte| byte.is_ascii_digit());
            put(text, telling);
        }
        Token::Ideographs(run) if is_hangul(run) => put(run, true),
        Token::Ideographs(run) => {
            // The last three characters, and the last two: «连衣裙», «餐桌».
            for characters in [3, 2] {
                if let Some((at, _)) = run.char_indices().rev().nth(characters - 1) {
                    put(&run[at..], true);
                }
            }
        }
    });
    // Sizes in figures stand behind what they measure, and a run ends with both of its endings.
    let mut rest = words.iter_mut().rev().skip_while(|word| !word.telling);
    if let Some(word) = rest.next() {
        word.last = true;
        if let Some(before) = rest.next().filter(|before| texts[before.start..before.end].ends_with(&texts[word.start..word.end]))
        {
            before.last = true;
        }
    }
}

fn pair_hash(words: &[Word], texts: &str, pair: &mut String) -> u64 {
    pair.clear();
    for word in words {
        pair.push_str(&texts[word.start..word.end]);
        pair.push(' ');
    }
    xxh3_64_with_seed(pair.as_bytes(), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a catalog up with titles that share nothing.
    fn catalog(titles: &[&str]) -> Titles {
        let mut counted = Titles::default();
        let mut scratch = Scratch::default();
        titles.iter().for_each(|title| counted.add(title, &mut scratch));
        for n in 0..400_u32 {
            counted.add(&format!("wort{n}a wort{n}b"), &mut scratch);
        }
        counted
    }

    fn kinds(counted: &Titles, title: &str) -> Kinds {
        counted.kinds(title, &mut Scratch::default())
    }

    const BAGS: [&str; 9] = [
        "JUMBO BAG APPLES",
        "JUMBO BAG ALPHABET",
        "JUMBO BAG PINK POLKADOT",
        "JUMBO BAG 12 OWLS",
        "SMALL SHOPPER BAG",
        "CHARLOTTE BAG",
        "NATURAL SLATE CHALKBOARD",
        "HEART CHALKBOARD 20CM",
        "CHALKBOARD",
    ];

    #[test]
    fn titles_that_share_words_are_of_a_kind() {
        let counted = catalog(&BAGS);
        let apples = kinds(&counted, "JUMBO BAG APPLES");
        assert!(apples.narrow.is_some());
        assert_eq!(kinds(&counted, "Jumbo bag, owls").narrow, apples.narrow, "however it is written");
        let shopper = kinds(&counted, "SMALL SHOPPER BAG");
        assert_eq!((shopper.narrow, shopper.broad), (None, kinds(&counted, "RED BAG").broad));
        assert!(shopper.broad.is_some());
        assert_eq!(kinds(&counted, "HEART CHALKBOARD"), Kinds::default(), "three are too few");
        assert_eq!(kinds(&counted, "12 – 3"), Kinds::default());
        assert_eq!(kinds(&Titles::default(), "JUMBO BAG"), Kinds::default(), "an empty catalog knows none");
    }

    #[test]
    fn endings_are_kinds_where_words_are_not_parted() {
        let dresses = ["红色棉布连衣裙", "蓝色雪纺连衣裙", "女士连衣裙", "长袖连衣裙 XL", "不锈钢保温杯"];
        let counted = catalog(&dresses);
        let kind = kinds(&counted, dresses[0]).broad;
        assert!(kind.is_some());
        for title in &dresses[..4] {
            assert_eq!(kinds(&counted, title).broad, kind, "{title}");
        }
        assert_eq!(kinds(&counted, dresses[4]).broad, None);
        let mugs = ["빨간 머그컵", "도자기 머그컵", "큰 머그컵", "작은 머그컵"];
        let counted = catalog(&mugs);
        assert!(kinds(&counted, mugs[0]).broad.is_some());
        assert_eq!(kinds(&counted, mugs[0]).broad, kinds(&counted, mugs[3]).broad);
    }
}
