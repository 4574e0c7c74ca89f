//! Sets and maps by our own numbers: slots of the catalog, items, hashes of visitors.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A set of numbers.
pub type NumberSet<K = u32> = HashSet<K, BuildHasherDefault<NumberHasher>>;
/// Something for each of some numbers.
pub type NumberMap<V, K = u32> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Spreads numbers by a multiplication.
///
/// Nobody outside chooses them: they are given one after the other, or are hashes with a key of ours. So a hash that could
/// be steered does no harm, and it costs a tenth of one that could not.
#[derive(Debug, Clone, Copy, Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, volume 3, section 6.4).
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
