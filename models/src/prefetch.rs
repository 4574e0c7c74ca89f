//! Reading ahead, in safe code.

use std::hint::black_box;

/// Has the processor fetch what lies at `at`, without waiting for it; it is a read that nobody uses.
#[inline]
pub(crate) fn touch<T: Copy>(values: &[T], at: usize) {
    black_box(values.get(at).copied());
}
