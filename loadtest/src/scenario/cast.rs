//! Who asks what at each start of a schedule, decided before the first request is sent.

use std::collections::{HashMap, VecDeque};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde::Deserialize;

use super::template::Who;

/// Newcomers who are on the site at a time, at most.
const PRESENT: usize = 512;

/// The people of a shop: some come back, others see a few pages and are gone.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crowd {
    /// How many visitors come back again and again.
    pub(crate) regulars: u64,
    /// The part of all requests that is theirs.
    pub(crate) returning: f64,
    /// How many requests anybody else sends, on average.
    pub(crate) pages: f64,
}

/// What one start is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Index of the template.
    pub(crate) template: usize,
    pub(crate) who: Who,
}

/// The turns of a whole schedule.
#[derive(Debug, Clone)]
pub(crate) struct Cast {
    /// Template, visitor, batch number: narrow, as there are millions.
    turns: Vec<(u8, u32, u32)>,
}

impl Cast {
    /// Casts `count` turns: templates by `weights` (at most 256), visitors from the crowd. `numbered` says of each template
    /// whether it carries the visitor's batch number.
    pub(crate) fn new(count: usize, weights: &[f64], numbered: &[bool], crowd: Crowd, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let whole: f64 = weights.iter().sum();
        let mut next_newcomer = crowd.regulars;
        let mut present = VecDeque::new();
        let mut batches: HashMap<u64, u32> = HashMap::new();
        let mut turns = Vec::with_capacity(count);
        for _ in 0..count {
            let mut left = random.random::<f64>() * whole;
            let drawn = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            let template = drawn.unwrap_or(weights.len().saturating_sub(1));
            let visitor = if crowd.regulars > 0 && random.random::<f64>() < crowd.returning {
                random.random_range(0..crowd.regulars)
            } else {
                newcomer(&mut random, crowd, &mut next_newcomer, &mut present)
            };
            let mut seq = 0;
            if numbered.get(template).copied().unwrap_or_default() {
                let sent = batches.entry(visitor).or_default();
                seq = *sent;
                *sent += 1;
            }
            turns.push((template as u8, visitor as u32, seq));
        }
        Self { turns }
    }

    /// Returns what a slot of the schedule is about.
    pub(crate) fn turn(&self, slot: usize) -> Option<Turn> {
        let (template, visitor, seq) = *self.turns.get(slot)?;
        Some(Turn { template: template.into(), who: Who { visitor: visitor.into(), seq: seq.into() } })
    }
}

/// Returns somebody who is here, or, once in `pages` times, somebody new.
fn newcomer(random: &mut impl Rng, crowd: Crowd, next: &mut u64, present: &mut VecDeque<u64>) -> u64 {
    if present.is_empty() || random.random::<f64>() * crowd.pages < 1.0 {
        let visitor = *next;
        *next += 1;
        present.push_back(visitor);
        if present.len() > PRESENT {
            present.pop_front();
        }
        return visitor;
    }
    present[random.random_range(0..present.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const CROWD: Crowd = Crowd { regulars: 100, returning: 0.6, pages: 4.0 };

    #[test]
    fn weights_and_returning_visitors_are_as_asked_and_repeatable() {
        let cast = |seed| Cast::new(40_000, &[3.0, 1.0], &[false, true], CROWD, seed);
        let (first, again) = (cast(1), cast(1));
        assert_eq!(first.turns, again.turns);
        assert_ne!(first.turns, cast(2).turns);
        let share = |is: &dyn Fn(&(u8, u32, u32)) -> bool| first.turns.iter().filter(|turn| is(turn)).count() as f64 / 40_000.0;
        assert!((share(&|turn| turn.0 == 0) - 0.75).abs() < 0.01);
        assert!((share(&|turn| turn.1 < 100) - 0.6).abs() < 0.01);
        let newcomers: HashSet<u32> = first.turns.iter().map(|turn| turn.1).filter(|visitor| *visitor >= 100).collect();
        let pages = 16_000.0 / newcomers.len() as f64;
        assert!((3.5..4.5).contains(&pages), "{pages}");
        assert_eq!(first.turn(40_000), None);
    }

    #[test]
    fn batches_of_a_visitor_are_numbered_without_gaps() {
        let cast = Cast::new(5_000, &[1.0, 1.0], &[false, true], CROWD, 3);
        let mut sent: HashMap<u32, u32> = HashMap::new();
        for (template, visitor, seq) in &cast.turns {
            let expected = sent.entry(*visitor).or_default();
            assert_eq!(*seq, if *template == 1 { *expected } else { 0 });
            *expected += u32::from(*template);
        }
    }
}
