//! Gradients of one ordered list.

use super::Objective;

/// Memory for the gradients of one list.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    order: Vec<u32>,
    rank: Vec<u32>,
}

/// Fills the first and second derivative of the loss by each candidate's score.
pub(super) fn gradients(
    objective: Objective,
    truncation: usize,
    relevance: &[f32],
    scores: &[f32],
    scratch: &mut Scratch,
    gradient: &mut [f32],
    hessian: &mut [f32],
) {
    gradient.fill(0.0);
    hessian.fill(0.0);
    match objective {
        Objective::Softmax => softmax(relevance, scores, gradient, hessian),
        Objective::Lambda => lambda(truncation, relevance, scores, scratch, gradient, hessian),
    }
}

fn softmax(relevance: &[f32], scores: &[f32], gradient: &mut [f32], hessian: &mut [f32]) {
    let whole: f32 = relevance.iter().sum();
    if whole <= 0.0 {
        return;
    }
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mass: f32 = scores.iter().map(|score| (score - most).exp()).sum();
    for (at, score) in scores.iter().enumerate() {
        let share = (score - most).exp() / mass;
        gradient[at] = whole * share - relevance[at];
        hessian[at] = whole * share * (1.0 - share);
    }
}

/// The weight of a rank, from 0.
fn discount(rank: u32) -> f32 {
    (rank as f32 + 2.0).log2().recip()
}

fn lambda(
    truncation: usize,
    relevance: &[f32],
    scores: &[f32],
    scratch: &mut Scratch,
    gradient: &mut [f32],
    hessian: &mut [f32],
) {
    let Scratch { order, rank } = scratch;
    order.clear();
    order.extend(0..scores.len() as u32);
    // Ties stand in the order of the list, so that the first round has one too.
    order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
    rank.clear();
    rank.resize(scores.len(), 0);
    for (place, &row) in order.iter().enumerate() {
        rank[row as usize] = place as u32;
    }
    let mut right: Vec<u32> = (0..scores.len() as u32).filter(|&row| relevance[row as usize] > 0.0).collect();
    right.sort_by(|&a, &b| relevance[b as usize].total_cmp(&relevance[a as usize]));
    let ideal: f32 =
        right.iter().take(truncation).enumerate().map(|(place, &row)| relevance[row as usize] * discount(place as u32)).sum();
    if ideal <= 0.0 {
        return;
    }
    let mut sum = 0.0;
    for &high in &right {
        let high = high as usize;
        for low in 0..scores.len() {
            if relevance[low] >= relevance[high] || rank[high].min(rank[low]) as usize >= truncation {
                continue;
            }
            let change = (relevance[high] - relevance[low]) * (discount(rank[high]) - discount(rank[low])).abs() / ideal;
            let doubt = 1.0 / (1.0 + (scores[high] - scores[low]).exp());
            let force = change * doubt;
            let curve = (change * doubt * (1.0 - doubt)).max(1e-12);
            gradient[high] -= force;
            gradient[low] += force;
            hessian[high] += curve;
            hessian[low] += curve;
            sum += 2.0 * force;
        }
    }
    // Lists with much to mend would outweigh the others; the logarithm keeps them in proportion, as LightGBM does.
    if sum > 0.0 {
        let scale = (1.0 + sum).log2() / sum;
        gradient.iter_mut().for_each(|g| *g *= scale);
        hessian.iter_mut().for_each(|h| *h *= scale);
    }
}
