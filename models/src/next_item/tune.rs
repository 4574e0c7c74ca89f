//! Looking for better settings, as long as there is time.
//!
//! A random search around the best found so far (Bergstra & Bengio, *Random search for hyper-parameter optimization*, 2012): the last tenth of the sessions is
//! predicted by the parts alone, for they are learnt in a blink; weights and trees adapt to whatever the parts say.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Options;
use crate::covisitation::CoVisitation;
use crate::evaluate::Gains;
use crate::model::Model;
use crate::session_knn::SessionKnn;
use crate::sessions::Sessions;

/// Length of the lists that are judged.
const K: usize = 20;
/// Visits that are predicted at most.
const VISITS: usize = 3_000;
/// Sessions below which one setting is as good as another.
const ENOUGH: usize = 500;

/// What a search has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Settings tried.
    pub tried: u32,
    /// NDCG@20 on the last tenth of the sessions, of the session neighbours and of co-visitation, with the best settings so far.
    pub session_knn: f64,
    pub co_visitation: f64,
}

/// Returns the best settings found until `go_on` says no; `start` where there is too little to tell.
///
/// `go_on` is asked after each setting and reads the clock for us. The same number of rounds finds the same settings.
pub fn tune(examples: &Sessions<'_>, start: &Options, mut go_on: impl FnMut(&Progress) -> bool) -> Options {
    let n = examples.sessions.len();
    if n < ENOUGH {
        return *start;
    }
    let cut = n - n / 10;
    let train = examples.before(cut);
    let test: Vec<&[u32]> = examples.sessions[cut..].iter().copied().filter(|s| s.len() > 1).take(VISITS).collect();
    let mut best = *start;
    let mut progress = Progress {
        tried: 1,
        session_knn: judge(&SessionKnn::fit(&train, &best.knn), &test),
        co_visitation: judge(&CoVisitation::fit(&train, &best.next), &test),
    };
    while go_on(&progress) {
        let mut dice = Dice { seed: u64::from(progress.tried), throws: 0 };
        let mut tried = best;
        // Neighbours have more to choose from than pairs.
        if progress.tried.is_multiple_of(3) {
            tried.next.decay = dice.near(best.next.decay, 0.1, 2.0);
            tried.next.backward = dice.near(best.next.backward, 0.05, 1.5);
            tried.next.normalization = dice.near(best.next.normalization, 0.05, 1.0);
            let reached = judge(&CoVisitation::fit(&train, &tried.next), &test);
            if reached > progress.co_visitation {
                (best, progress.co_visitation) = (tried, reached);
            }
        } else {
            let knn = &mut tried.knn;
            knn.steps = dice.near(f64::from(knn.steps), 0.5, 20.0) as f32;
            knn.horizon = dice.near(f64::from(knn.horizon), 0.05, 20.0) as f32;
            knn.spread = dice.near(f64::from(knn.spread), 0.5, 20.0) as f32;
            knn.back = dice.near(f64::from(knn.back), 0.05, 1.5) as f32;
            knn.idf = dice.near(f64::from(knn.idf), 0.1, 4.0) as f32;
            knn.neighbors = dice.near(knn.neighbors as f64, 50.0, 500.0) as usize;
            let reached = judge(&SessionKnn::fit(&train, knn), &test);
            if reached > progress.session_knn {
                (best, progress.session_knn) = (tried, reached);
            }
        }
        progress.tried += 1;
    }
    best
}

/// Returns the NDCG@20 over all places of the visits.
fn judge<M>(model: &M, test: &[&[u32]]) -> f64
where
    M: for<'a> Model<Query<'a> = &'a [u32]>,
{
    let (mut scratch, mut out, mut gains) = (M::Scratch::default(), Vec::new(), Gains::default());
    for session in test {
        for next in 1..session.len() {
            model.predict(&session[..next], K + 1, &mut scratch, &mut out);
            gains.add(crate::evaluate::worst_rank(&out, session[next]), K);
        }
    }
    gains.ndcg()
}

/// Throws that depend on nothing but their number.
struct Dice {
    seed: u64,
    throws: u64,
}

impl Dice {
    /// Returns a number from half to twice the middle, within bounds; about every second time the middle itself.
    fn near(&mut self, middle: f64, least: f64, most: f64) -> f64 {
        self.throws += 1;
        let throw = xxh3_64_with_seed(&self.throws.to_le_bytes(), self.seed);
        if throw & 1 == 0 {
            return middle;
        }
        let share = (throw >> 11) as f64 / (1_u64 << 53) as f64;
        (middle * (share * 2.0 - 1.0).exp2()).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_get_better_and_never_worse() {
        // Shoppers go back and forth between neighbours of a ring: what came before is as good a guess as what followed.
        let visits: Vec<Vec<u32>> = (0..900_u32)
            .map(|n| {
                let start = xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()) as u32 % 60;
                if n % 2 == 0 {
                    vec![start, (start + 1) % 60, (start + 2) % 60]
                } else {
                    vec![(start + 2) % 60, (start + 1) % 60, start]
                }
            })
            .collect();
        let slices: Vec<&[u32]> = visits.iter().map(Vec::as_slice).collect();
        let at: Vec<f32> = (0..900).map(|n| n as f32).collect();
        let sessions = Sessions { sessions: &slices, at: &at, n_items: 60 };
        let search = |rounds| {
            let mut seen = Vec::new();
            let found = tune(&sessions, &Options::default(), |progress| {
                seen.push(*progress);
                progress.tried < rounds
            });
            (found, seen)
        };
        let (found, seen) = search(20);
        assert_eq!(seen.len(), 20);
        assert!(seen.windows(2).all(|p| p[1].session_knn >= p[0].session_knn && p[1].co_visitation >= p[0].co_visitation));
        assert!(seen[19].session_knn > seen[0].session_knn, "{seen:?}");
        assert_eq!(search(20).0, found, "the same rounds find the same");
        let few = Sessions { sessions: &slices[..100], at: &at[..100], n_items: 60 };
        assert_eq!(tune(&few, &Options::default(), |_| true), Options::default());
    }
}
