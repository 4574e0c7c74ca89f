//! One row of counts: accumulated, scored, cut.

use super::Score;
use super::packed::{Narrow, Packed, Ranking, STRIDE};
use super::scores::Scorer;
use crate::top;

/// Groups that are copied side by side before their items are counted.
///
/// Reading a group misses the cache and its length ends a loop that nobody can predict: together each miss is waited for. Copied by strides, nearly
/// without branches, the misses of many groups overlap, and one long loop counts.
const BATCH: usize = 64;

/// Counted items between two looks at what can still be among the best.
const CHUNK: usize = 256;

/// Counts told apart when pairs are sifted; the greatest stands for all greater ones and always passes.
const COUNTS: usize = 64;

/// A neighbour of a finished row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) item: u32,
    pub(super) score: f32,
    pub(super) support: u32,
}

/// One thread's row: a dense counter by rank, and the list of what it touched.
#[derive(Debug)]
pub(super) struct Row<'a, Id, Count> {
    scorer: &'a Scorer<'a>,
    ranking: &'a Ranking<Id>,
    counts: Vec<Count>,
    /// The ranks counted, and behind them the rest of earlier rows.
    touched: Vec<Id>,
    touched_len: usize,
    batch: Vec<Id>,
    /// The ranks that might be among the best.
    sifted: Vec<Id>,
    best: top::Best,
}

impl<'a, Id: Narrow, Count: Narrow> Row<'a, Id, Count> {
    pub(super) fn new(scorer: &'a Scorer<'a>, ranking: &'a Ranking<Id>, limit: usize) -> Self {
        let n_items = ranking.n_items();
        Self {
            scorer,
            ranking,
            counts: vec![Count::default(); n_items],
            // One place more than items: what turns out not to belong is written after the last one.
            touched: vec![Id::default(); n_items + 1],
            touched_len: 0,
            batch: Vec::new(),
            sifted: vec![Id::default(); n_items + 1],
            best: top::Best::new(limit),
        }
    }

    /// Works out the best neighbours of the item of a rank, best first.
    pub(super) fn fill<Place: Narrow>(&mut self, groups: &Packed<Id, Place>, rank: usize, keep: impl FnMut(Kept)) {
        self.count(groups.places(rank), groups);
        self.cut(rank, keep);
    }

    /// Counts how often each item occurs in the groups at the given places.
    fn count<Place: Narrow>(&mut self, places: &[Place], groups: &Packed<Id, Place>) {
        // Locals, for a field behind a reference would be written and read again at every step.
        let (counts, touched) = (self.counts.as_mut_slice(), self.touched.as_mut_slice());
        let mut len = self.touched_len;
        for places in places.chunks(BATCH) {
            for &other in lay_side_by_side(&mut self.batch, groups, places) {
                // Writing always and advancing only for new items spares a branch that would be mispredicted.
                let count = &mut counts[other.unpack()];
                touched[len] = other;
                len += usize::from(count.unpack() == 0);
                *count = Count::pack(count.unpack() + 1);
            }
        }
        self.touched_len = len;
    }

    /// Scores what was counted, hands over the best, and leaves the row empty.
    ///
    /// With the same count, the rarer item never scores less, whatever the score; so once a pair has failed, every pair of the same count with an item
    /// as frequent or more so fails as well, and is sifted out by its rank before anything is computed.
    fn cut(&mut self, rank: usize, keep: impl FnMut(Kept)) {
        // An item is no neighbour of its own.
        self.counts[rank] = Count::default();
        let (_, class) = self.ranking.of_rank(rank);
        let scorer = self.scorer;
        // Each score gets a loop of its own, without a choice inside.
        let end = match scorer.kind() {
            Score::LogLikelihood => self.sift(|other, both| scorer.log_likelihood(class, other, both)),
            Score::Cosine => self.sift(|other, both| scorer.cosine(class, other, both)),
            Score::Jaccard => self.sift(|other, both| scorer.jaccard(class, other, both)),
            Score::Lift => self.sift(|other, both| scorer.lift(class, other, both)),
        };
        let (ranking, counts) = (self.ranking, &mut self.counts);
        let kept = self.best.sorted().iter().map(|&key| {
            let item = top::item(key);
            // `sift` has cleared the count of pairs that occur once.
            Kept { item, score: top::score(key), support: (counts[ranking.rank(item)].unpack() as u32).max(1) }
        });
        kept.for_each(keep);
        for &other in &self.sifted[..end] {
            counts[other.unpack()] = Count::default();
        }
        self.touched_len = 0;
        self.best.clear();
    }

    /// Offers what may be among the best; leaves the counts of nothing but the first of `sifted`, whose number it returns.
    ///
    /// Most pairs occur once, few of those are among the best, and once the others are through it is known how rare the item of such a pair must be.
    /// So pairs that occur once wait until the end, and most of them cost one comparison.
    #[inline]
    fn sift(&mut self, score: impl Fn(usize, u32) -> f32) -> usize {
        let (counts, touched, sifted) = (self.counts.as_mut_slice(), self.touched.as_mut_slice(), self.sifted.as_mut_slice());
        let (ranking, best) = (self.ranking, &mut self.best);
        let mut sieve = Sieve::new(self.scorer.min_support());

        let (mut end, mut once) = (0, 0);
        for from in (0..self.touched_len).step_by(CHUNK) {
            let start = end;
            for at in from..(from + CHUNK).min(self.touched_len) {
                let other = touched[at];
                let count = &mut counts[other.unpack()];
                let passes = (count.unpack() > 1) & (other.unpack() >= sieve.first_rank(count.unpack()));
                sifted[end] = other;
                end += usize::from(passes);
                touched[once] = other;
                once += usize::from(count.unpack() == 1);
                // Without a branch, for nobody can predict which pairs pass.
                *count = Count::pack(count.unpack() * usize::from(passes));
            }
            for &other in &sifted[start..end] {
                let count = counts[other.unpack()].unpack();
                let (item, class) = ranking.of_rank(other.unpack());
                let score = score(class, count as u32);
                best.offer(top::key(score, item));
                sieve.learn(other.unpack(), count, best.is_hopeless(score));
            }
        }
        for ranks in touched[..once].chunks(CHUNK) {
            let mut passed = end;
            let first = sieve.first_rank(1);
            for &other in ranks {
                sifted[passed] = other;
                passed += usize::from(other.unpack() >= first);
            }
            for &other in &sifted[end..passed] {
                let (item, class) = ranking.of_rank(other.unpack());
                let score = score(class, 1);
                best.offer(top::key(score, item));
                sieve.learn(other.unpack(), 1, best.is_hopeless(score));
            }
        }
        end
    }
}

/// The first rank that may still be among the best, for each count; pairs of the last count told apart, or a greater one, always may.
struct Sieve([u32; COUNTS]);

impl Sieve {
    fn new(min_support: u32) -> Self {
        let mut first = [0; COUNTS];
        first[..(min_support.max(1) as usize).min(COUNTS - 1)].fill(u32::MAX);
        Self(first)
    }

    #[inline(always)]
    fn first_rank(&self, count: usize) -> usize {
        self.0[count.min(COUNTS - 1)] as usize
    }

    /// Notes whether a pair failed.
    #[inline(always)]
    fn learn(&mut self, rank: usize, count: usize, failed: bool) {
        let first = &mut self.0[count.min(COUNTS - 1)];
        let next = (rank as u32 + 1) * u32::from(failed & (count < COUNTS - 1));
        *first = (*first).max(next);
    }
}

/// Copies the items of the groups at the given places, of which there are at most [`BATCH`], one after the other.
#[inline]
fn lay_side_by_side<'a, Id: Narrow, Place: Narrow>(
    batch: &'a mut Vec<Id>,
    groups: &Packed<Id, Place>,
    places: &[Place],
) -> &'a [Id] {
    // Nothing here depends on what was read, so the processor waits for many groups at once.
    let mut heads = [[Id::default(); STRIDE]; BATCH];
    for (head, &place) in heads.iter_mut().zip(places) {
        head.copy_from_slice(&groups.at(place)[..STRIDE]);
    }
    let mut end = 0;
    for (head, &place) in heads.iter().zip(places) {
        let length = head[0].unpack();
        let room = end + length.max(STRIDE);
        if batch.len() < room {
            batch.resize(2 * room, Id::default());
        }
        batch[end..end + STRIDE - 1].copy_from_slice(&head[1..]);
        if length >= STRIDE {
            batch[end + STRIDE - 1..end + length].copy_from_slice(&groups.at(place)[STRIDE..=length]);
        }
        end += length;
    }
    &batch[..end]
}
