//! The evidence of one visit as it is added up: a cache line for each candidate.
//!
//! An answer adds some thousand numbers to as many candidates, wherever they lie, and then weighs them all. So what is added up stands in two runs of
//! eight lanes, sums are taken lane by lane, and [`pulp`] compiles the weighing once for any processor and once for those with AVX2. Lanes are added in a
//! fixed order and never fused, so every processor gets the same bits.

use pulp::{Arch, Scalar, Simd, WithSimd};

/// Lanes of a run.
pub(super) const LANES: usize = 8;

/// Lanes of [`Row::votes`]; what each means is said at [`Evidence`](super::Evidence).
pub(super) const FRESH: usize = 0;
pub(super) const PLAIN: usize = 1;
pub(super) const FOLLOWS: usize = 2;
pub(super) const ANCHORED: usize = 3;
pub(super) const SEVERAL: usize = 4;
pub(super) const VOTES: usize = 5;
pub(super) const TIMES: usize = 6;
/// Steps back in the visit and one more; 0 is not there.
pub(super) const BACK: usize = 7;

/// Lanes of [`Row::links`].
pub(super) const TOGETHER: usize = 0;
pub(super) const LAST: usize = 1;
pub(super) const SECOND: usize = 2;
pub(super) const RULE: usize = 3;
pub(super) const SECOND_RULE: usize = 4;
pub(super) const HOP: usize = 5;
pub(super) const LINKED: usize = 6;
pub(super) const STRONGEST: usize = 7;

/// What speaks for one candidate.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Row {
    pub(super) votes: [f32; LANES],
    pub(super) links: [f32; LANES],
}

/// The candidates of one visit.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    /// By row.
    items: Vec<u32>,
    /// By item: the number of its row, from 1.
    row_of: Vec<u32>,
}

impl Rows {
    /// Forgets all candidates and makes room for so many items.
    pub(super) fn clear(&mut self, n_items: usize) {
        for item in self.items.drain(..) {
            self.row_of[item as usize] = 0;
        }
        self.rows.clear();
        self.row_of.resize(self.row_of.len().max(n_items), 0);
    }

    /// Returns the number of an item's row, a new one where it has none.
    #[inline]
    pub(super) fn number(&mut self, item: u32) -> usize {
        let place = &mut self.row_of[item as usize];
        if *place == 0 {
            self.rows.push(Row::default());
            self.items.push(item);
            *place = self.rows.len() as u32;
        }
        *place as usize - 1
    }

    /// Returns the row of an item, a new one where it has none.
    #[inline]
    pub(super) fn of(&mut self, item: u32) -> &mut Row {
        let number = self.number(item);
        &mut self.rows[number]
    }

    /// Returns the row of a number.
    #[inline]
    pub(super) fn row(&self, number: usize) -> &Row {
        &self.rows[number]
    }

    /// Returns the same to write to.
    #[inline]
    pub(super) fn row_mut(&mut self, number: usize) -> &mut Row {
        &mut self.rows[number]
    }

    /// Returns the items, by row.
    pub(super) fn items(&self) -> &[u32] {
        &self.items
    }

    /// Returns the row of an item that has one.
    pub(super) fn known(&self, item: u32) -> usize {
        self.row_of[item as usize] as usize - 1
    }

    /// Returns the greatest values of all rows, and the sum of the first votes.
    pub(super) fn greatest(&self, arch: Arch) -> (Row, f32) {
        arch.dispatch(Greatest(&self.rows))
    }

    /// Fills `out` with the weighted sum of each row.
    pub(super) fn blend(&self, arch: Arch, weights: &Weights, out: &mut Vec<f32>) {
        out.resize(self.rows.len(), 0.0);
        arch.dispatch(Blend { rows: &self.rows, weights, out });
    }
}

/// The weights of a blend, lane by lane, with the divisors that make shares of values: a value counts `linear × share + root × √share`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weights {
    pub(super) scale: Row,
    pub(super) linear: Row,
    pub(super) root: Row,
}

impl Weights {
    /// Returns the weighted sum of one row.
    pub(super) fn of(&self, row: &Row) -> f32 {
        self.sum(Scalar::new(), row)
    }

    #[inline(always)]
    fn sum<S: Simd>(&self, simd: S, row: &Row) -> f32 {
        let Self { scale, linear, root } = self;
        let mut sums = [0.0_f32; LANES];
        let (out, _) = S::as_mut_simd_f32s(&mut sums);
        for (lane, out) in out.iter_mut().enumerate() {
            let weighed = |row: &[f32; LANES], scale: &[f32; LANES], linear: &[f32; LANES], root: &[f32; LANES]| {
                let share = simd.mul_f32s(vector(simd, row, lane), vector(simd, scale, lane));
                let straight = simd.mul_f32s(share, vector(simd, linear, lane));
                simd.add_f32s(straight, simd.mul_f32s(simd.sqrt_f32s(share), vector(simd, root, lane)))
            };
            let votes = weighed(&row.votes, &scale.votes, &linear.votes, &root.votes);
            let links = weighed(&row.links, &scale.links, &linear.links, &root.links);
            *out = simd.add_f32s(votes, links);
        }
        ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
    }
}

/// Returns the vector of that number of a run.
#[inline(always)]
fn vector<S: Simd>(simd: S, run: &[f32; LANES], number: usize) -> S::f32s {
    // Every processor's vectors are a part of a run; a wider one would find none.
    S::as_simd_f32s(run).0.get(number).copied().unwrap_or(simd.splat_f32s(0.0))
}

struct Greatest<'a>(&'a [Row]);

impl WithSimd for Greatest<'_> {
    type Output = (Row, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (Row, f32) {
        let (mut most, mut whole) = (Row::default(), 0.0);
        for row in self.0 {
            for (most, run) in [(&mut most.votes, &row.votes), (&mut most.links, &row.links)] {
                for (lane, most) in S::as_mut_simd_f32s(most).0.iter_mut().enumerate() {
                    *most = simd.max_f32s(*most, vector(simd, run, lane));
                }
            }
            whole += row.votes[FRESH];
        }
        (most, whole)
    }
}

struct Blend<'a> {
    rows: &'a [Row],
    weights: &'a Weights,
    out: &'a mut [f32],
}

impl WithSimd for Blend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (out, row) in self.out.iter_mut().zip(self.rows) {
            *out = self.weights.sum(simd, row);
        }
    }
}
