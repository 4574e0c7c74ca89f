//! Event ids for rows that have none: the same row gets the same id in every run.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Makes an id of what a row says and, for exact duplicates, of which one it is.
///
/// The id is the 128-bit xxh3 of the format and the row's content after parsing (so that `17850` and `17850.0`, CSV and
/// Parquet agree), seeded with the number of equal rows before it in the file. To count those, 64 bits of every hash are
/// remembered, 10 to 20 bytes a row: 42 million rows need some 600 MB. Forgetting hashes by time would need files in
/// order, and a wrong count is a lost or a doubled event. That two rows share the 64 bits changes no id's uniqueness.
#[derive(Debug)]
pub(super) struct Ids {
    format: &'static str,
    content: Vec<u8>,
    seen: HashSet<u64, BuildHasherDefault<Ready>>,
    /// Only of rows that came again.
    repeats: HashMap<u64, u64, BuildHasherDefault<Ready>>,
}

impl Ids {
    pub(super) fn new(format: &'static str) -> Self {
        Self { format, content: Vec::new(), seen: HashSet::default(), repeats: HashMap::default() }
    }

    /// Returns the id of the next row of this content.
    pub(super) fn id(&mut self, parts: &[&[u8]]) -> String {
        let first = self.hash(parts);
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
        let short = first as u64;
        if self.seen.insert(short) {
            return format!("{first:032x}");
        }
        let occurrence = self.repeats.entry(short).or_default();
        *occurrence += 1;
        format!("{:032x}", xxh3_128_with_seed(&self.content, *occurrence))
    }

    /// Returns the hash of the content alone.
    pub(super) fn hash(&mut self, parts: &[&[u8]]) -> u128 {
        self.content.clear();
        for part in [self.format.as_bytes()].iter().chain(parts) {
            // Lengths keep ("a", "bc") and ("ab", "c") apart.
            self.content.extend_from_slice(&(part.len() as u64).to_le_bytes());
            self.content.extend_from_slice(part);
        }
        xxh3_128_with_seed(&self.content, 0)
    }
}

/// The keys are hashes already.
#[derive(Debug, Default)]
pub(super) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_numbered_and_order_does_not_matter() {
        let ids = |rows: &[&str]| {
            let mut ids = Ids::new("test");
            rows.iter().map(|row| ids.id(&[row.as_bytes()])).collect::<Vec<_>>()
        };
        let one = ids(&["a", "b", "a", "a"]);
        let two = ids(&["b", "a", "a", "a"]);
        assert_eq!((&one[0], &one[2], &one[3]), (&two[1], &two[2], &two[3]));
        assert_eq!(one[1], two[0]);
        assert_eq!(one.iter().collect::<HashSet<_>>().len(), 4);
        assert_eq!(one[0].len(), 32);
    }

    #[test]
    fn fields_do_not_run_together() {
        let mut ids = Ids::new("test");
        assert_ne!(ids.hash(&[b"a", b"bc"]), ids.hash(&[b"ab", b"c"]));
        assert_ne!(Ids::new("x").hash(&[b"a"]), Ids::new("y").hash(&[b"a"]));
    }
}
