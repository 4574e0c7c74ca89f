//! Learning the blend and the order from what the models did not know yet.

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::evidence::{self, LINEAR, PRIOR};
use super::{CANDIDATES, FEATURES, NextItem, Options, Parts, STRIDE, blend, features};
use crate::sessions::Sessions;
use crate::trees::{Dataset, Forest};

/// Places in visits below which the blend keeps its prior weights, and the order is not learnt.
const ENOUGH: usize = 2_000;
/// Choices the blend is learnt from; it has a dozen weights.
const CHOICES: usize = 10_000;
/// Candidates of a choice.
const AMONG: usize = 200;
/// Places one job works through.
const BLOCK: usize = 512;

/// A place in a visit: session and how many of its items are known.
type Place = (usize, usize);

pub(super) fn learn(examples: &Sessions<'_>, options: &Options) -> NextItem {
    let n = examples.sessions.len();
    let slices = slices(n, options);
    let share = |want: usize, slice: &(usize, usize)| want * (slice.1 - slice.0) / (n - slices[0].0).max(1);
    let mut weights = PRIOR.to_vec();
    let mut data = Dataset::new(FEATURES.len());
    for (number, slice) in slices.iter().enumerate() {
        let before = examples.before(slice.0);
        if before.sessions.is_empty() {
            continue;
        }
        let parts = Parts::fit(&before, options);
        if number == 0 {
            let places = places(examples, *slice, CHOICES);
            if places.len() >= ENOUGH / 4 {
                weights = blend::fit(&choices(examples, &parts, &places), &PRIOR, 10.0);
            }
        }
        if options.trees.trees == 0 {
            break;
        }
        let places = places(examples, *slice, share(options.examples, slice));
        collect(examples, &parts, &weights, &places, &mut data);
    }
    let forest = if data.n_queries() >= ENOUGH { Forest::fit(&data, &options.trees) } else { Forest::default() };
    NextItem { parts: Parts::fit(examples, options), weights: weights.into(), forest }
}

/// Returns the slices of the last sessions: first session and end.
fn slices(n: usize, options: &Options) -> Vec<(usize, usize)> {
    let count = options.slices.max(1);
    let first = n - (n as f64 * options.held_out.clamp(0.01, 0.9)) as usize;
    (0..count).map(|slice| (first + (n - first) * slice / count, first + (n - first) * (slice + 1) / count)).collect()
}

/// Returns at most about `want` places of a slice, drawn by a hash.
fn places(examples: &Sessions<'_>, slice: (usize, usize), want: usize) -> Vec<Place> {
    let sessions = || (slice.0..slice.1).map(|number| (number, examples.sessions[number]));
    let all: usize = sessions().map(|(_, items)| items.len().saturating_sub(1)).sum();
    let keep = want as f64 / all.max(1) as f64;
    sessions()
        .flat_map(|(number, items)| (1..items.len()).map(move |known| (number, known)))
        .filter(|&(number, known)| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
            bytes[8..].copy_from_slice(&(known as u64).to_le_bytes());
            ((xxh3_64(&bytes) >> 11) as f64) < keep * (1_u64 << 53) as f64
        })
        .collect()
}

fn choices(examples: &Sessions<'_>, parts: &Parts, places: &[Place]) -> blend::Choices {
    let blocks: Vec<Vec<(Vec<f32>, usize)>> = places
        .par_chunks(BLOCK)
        .map_init(evidence::Scratch::default, |scratch, places| {
            places
                .iter()
                .filter_map(|&(session, known)| {
                    let items = examples.sessions[session];
                    scratch.gather(parts, &items[..known], &PRIOR);
                    let most = scratch.most;
                    let candidates = scratch.best(AMONG);
                    let chosen = candidates.iter().position(|e| e.item == items[known])?;
                    Some((candidates.iter().flat_map(|e| evidence::linear(e, &most)).collect(), chosen))
                })
                .collect()
        })
        .collect();
    let mut choices = blend::Choices::new(LINEAR.len());
    for (features, chosen) in blocks.iter().flatten() {
        choices.push(features, *chosen);
    }
    choices
}

fn collect(examples: &Sessions<'_>, parts: &Parts, weights: &[f32], places: &[Place], data: &mut Dataset) {
    // In parts, so that the features of a slice do not all wait as numbers.
    for places in places.chunks(BLOCK * 32) {
        let blocks: Vec<Vec<(Vec<f32>, Vec<f32>)>> = places
            .par_chunks(BLOCK)
            .map_init(
                || (evidence::Scratch::default(), vec![0.0; FEATURES.len() * STRIDE]),
                |(scratch, columns), places| {
                    places
                        .iter()
                        .filter_map(|&(session, known)| {
                            let items = examples.sessions[session];
                            scratch.gather(parts, &items[..known], weights);
                            let candidates = scratch.best(CANDIDATES);
                            let relevance: Vec<f32> =
                                candidates.iter().map(|e| f32::from(u8::from(e.item == items[known]))).collect();
                            if !relevance.contains(&1.0) {
                                return None;
                            }
                            features::fill(parts, &items[..known], scratch, STRIDE, columns);
                            // Every second wrong one, wherever it stands: as much is learnt from twice as many places.
                            let kept: Vec<usize> = (0..relevance.len())
                                .filter(|&row| relevance[row] > 0.0 || (row + known + session) % 2 == 0)
                                .collect();
                            let rows = kept.iter().flat_map(|&row| columns.iter().skip(row).step_by(STRIDE).copied()).collect();
                            Some((rows, kept.iter().map(|&row| relevance[row]).collect()))
                        })
                        .collect()
                },
            )
            .collect();
        for (features, relevance) in blocks.iter().flatten() {
            data.push(features, relevance);
        }
    }
}
