//! The inner loops: dot products of one vector with many.
//!
//! Plain loops over lanes, which the compiler turns into vector instructions; [`pulp`] compiles them once for any processor and once for those with AVX2 and
//! picks at run time. Hence structs and `for` loops: closures would be
//! compiled apart, for any processor. Sums are taken lane by lane in a fixed order and never fused, so every processor gets the same bits.

use std::hint::black_box;

use pulp::{Arch, Simd, WithSimd};

/// Vectors are padded with zeros to a multiple of this many components.
pub(super) const LANES: usize = 16;

/// Bytes of a cache line.
const LINE: usize = 64;

/// The kernels as this processor runs them best.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dots(Arch);

impl Dots {
    pub(super) fn new() -> Self {
        Self(Arch::new())
    }

    /// Returns the dot product of two vectors.
    #[inline]
    pub(super) fn exact(self, a: &[f32], b: &[f32]) -> f32 {
        self.0.dispatch(Exact { a, b })
    }

    /// Fills `out` with the dot products of `query` and the rows of `codes` named by `rows`; a row that does not exist is as unlike as can be.
    #[inline]
    pub(super) fn some(self, query: &[i16], codes: &[i8], rows: &[u32], out: &mut Vec<i32>) {
        out.resize(rows.len(), 0);
        self.0.dispatch(Chosen { query, codes, rows, out });
    }

    /// Fills `out` with the dot products of `query` and consecutive rows.
    #[inline]
    pub(super) fn all(self, query: &[i16], codes: &[i8], out: &mut Vec<i32>) {
        out.resize(codes.len() / query.len().max(1), 0);
        self.0.dispatch(All { query, codes, out });
    }

    /// Returns the greatest value; 0 of none.
    pub(super) fn max(self, values: &[u32]) -> u32 {
        self.0.dispatch(Max(values))
    }
}

struct Exact<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl WithSimd for Exact<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        dot_f32(self.a, self.b)
    }
}

struct Chosen<'a> {
    query: &'a [i16],
    codes: &'a [i8],
    rows: &'a [u32],
    out: &'a mut [i32],
}

impl WithSimd for Chosen<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.query.len();
        // The rows lie anywhere. Asking for all of them before the first is needed lets the processor wait for all at once.
        let mut touched = 0;
        for &row in self.rows {
            touched ^= self.codes.get(row as usize * width).copied().unwrap_or_default();
        }
        black_box(touched);
        for (out, &row) in self.out.iter_mut().zip(self.rows) {
            let at = row as usize * width;
            *out = match self.codes.get(at..at + width) {
                Some(row) => dot_i8(self.query, row),
                None => i32::MIN,
            };
        }
    }
}

struct All<'a> {
    query: &'a [i16],
    codes: &'a [i8],
    out: &'a mut [i32],
}

impl WithSimd for All<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, row) in self.out.iter_mut().zip(self.codes.chunks_exact(self.query.len().max(1))) {
            *out = dot_i8(self.query, row);
        }
    }
}

struct Max<'a>(&'a [u32]);

impl WithSimd for Max<'_> {
    type Output = u32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> u32 {
        let mut max = 0;
        for &value in self.0 {
            max = value.max(max);
        }
        max
    }
}

#[inline(always)]
fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

/// The query stays within what keeps the sum below 2³¹; see `Vectors::encode`.
#[inline(always)]
fn dot_i8(query: &[i16], row: &[i8]) -> i32 {
    // Whole lines first: each is summed up lane by lane before the lanes are added.
    let (lines, rest) = query.as_chunks::<LINE>();
    let (row_lines, row_rest) = row.as_chunks::<LINE>();
    let mut sum = 0;
    for (a, b) in lines.iter().zip(row_lines) {
        sum += dot_chunk(a, b);
    }
    for (a, b) in rest.as_chunks::<LANES>().0.iter().zip(row_rest.as_chunks::<LANES>().0) {
        sum += dot_chunk(a, b);
    }
    sum
}

#[inline(always)]
fn dot_chunk<const N: usize>(a: &[i16; N], b: &[i8; N]) -> i32 {
    let mut sum = 0_i32;
    for lane in 0..N {
        sum += i32::from(a[lane]) * i32::from(b[lane]);
    }
    sum
}
