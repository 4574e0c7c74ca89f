//! What is known of an item apart from any visit.

use std::sync::Arc;

use crate::artifact::{Artifact, ArtifactError, Column, Draft};
use crate::sessions::Sessions;

/// Numbers kept for each item.
pub(super) const N: usize = 6;

/// Facts of all items, item by item.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts(Column<f32>);

/// The facts of one item.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fact {
    /// Logarithm of how often it is seen, all the time, in the last tenth and in the last fiftieth, in a million.
    pub popular: f32,
    pub recent: f32,
    pub newest: f32,
    /// How long ago it was first seen, and last, as shares of the time learnt from.
    pub first: f32,
    pub last: f32,
    /// Share of its visits that come back to it.
    pub returns: f32,
}

impl Facts {
    pub(super) fn of(examples: &Sessions<'_>) -> Self {
        let n_items = examples.n_items;
        let mut counts = vec![[0_u32; 5]; n_items];
        let mut ages = vec![[0.0_f32, 1.0]; n_items];
        let mut latest = vec![(u32::MAX, 0_u32); n_items];
        let mut totals = [1.0_f32; 3];
        for (number, session) in examples.sessions.iter().enumerate() {
            let age = examples.age(number);
            let newest_first = examples.sessions.len() - number;
            let spans = [true, newest_first * 10 <= examples.sessions.len(), newest_first * 50 <= examples.sessions.len()];
            for &item in *session {
                let at = item as usize;
                let Some(count) = counts.get_mut(at) else { continue };
                for (span, total) in totals.iter_mut().enumerate() {
                    if spans[span] {
                        count[span] += 1;
                        *total += 1.0;
                    }
                }
                ages[at][0] = ages[at][0].max(age);
                ages[at][1] = ages[at][1].min(age);
                // Sessions that hold it, and those that hold it again later on.
                let (session, times) = &mut latest[at];
                if *session == number as u32 {
                    *times += 1;
                    count[4] += u32::from(*times == 2);
                } else {
                    (*session, *times) = (number as u32, 1);
                    count[3] += 1;
                }
            }
        }
        let log = |count: u32, total: f32| (1.0 + count as f32 * 1e6 / total).ln();
        let facts = counts.iter().zip(&ages).flat_map(|(count, age)| {
            [
                log(count[0], totals[0]),
                log(count[1], totals[1]),
                log(count[2], totals[2]),
                age[0],
                age[1],
                // Damped by ten visits of an item that is returned to in a tenth of them.
                (count[4] as f32 + 1.0) / (count[3] as f32 + 10.0),
            ]
        });
        Self(facts.collect::<Vec<f32>>().into())
    }

    pub(super) fn n_items(&self) -> usize {
        self.0.len() / N
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.0
    }

    pub(super) fn save(&self, draft: &mut Draft, name: &str) -> Result<(), ArtifactError> {
        self.0.save(draft, &format!("{name}.facts.f32"))
    }

    pub(super) fn open(artifact: &Arc<Artifact>, name: &str) -> Result<Self, ArtifactError> {
        Ok(Self(Column::open(artifact, &format!("{name}.facts.f32"))?))
    }
}

/// Returns the facts of an item; those of one nobody knows where there are none.
#[inline]
pub(super) fn of(values: &[f32], item: u32) -> Fact {
    let at = item as usize * N;
    match values.get(at..at + N).and_then(|facts| facts.first_chunk::<N>()) {
        Some(&[popular, recent, newest, first, last, returns]) => Fact { popular, recent, newest, first, last, returns },
        None => Fact::default(),
    }
}
