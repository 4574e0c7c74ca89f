//! Sets and maps of the catalog's slots.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A set of slots that is cleared and filled again with every request.
pub(super) type SlotSet = HashSet<u32, BuildHasherDefault<SlotHasher>>;
/// Something for each of some slots.
pub(super) type SlotMap<V> = HashMap<u32, V, BuildHasherDefault<SlotHasher>>;

/// Spreads slots by a multiplication.
///
/// Nobody outside chooses a slot: they are our own numbers, given one after the other. So a hash that could be steered
/// does no harm, and it costs a tenth of one that could not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SlotHasher(u64);

impl Hasher for SlotHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, slot: u32) {
        self.write_u64(u64::from(slot));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, volume 3, section 6.4).
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
