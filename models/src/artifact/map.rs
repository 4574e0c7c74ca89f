//! A file seen as memory. The only file with unsafe code.

use std::fs::File;
use std::hint::black_box;
use std::io;

use memmap2::Mmap;

/// Touching one byte this often brings in every page, on machines with larger pages too.
const PAGE: usize = 4096;

/// The bytes of one file, read-only.
#[derive(Debug)]
pub(super) enum Map {
    /// Some systems cannot map nothing.
    Empty,
    Mapped(Mmap),
}

impl Map {
    /// Maps a file of `length` bytes.
    #[expect(unsafe_code, reason = "mapping a file is unsafe: whoever changes the file changes our memory")]
    pub(super) fn of(file: &File, length: u64) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self::Empty);
        }
        // SAFETY: The memory must not change while it is mapped. Files of a build are written under a draft's name,
        // get their final name once complete, and are never opened for writing again; builds are removed by
        // unlinking, which leaves a mapping whole. Only someone else editing a build in place could break this.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self::Mapped(map))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Mapped(map) => map,
        }
    }

    /// Reads a byte of every page, so that no request waits for the disk.
    pub(super) fn warm(&self) {
        for byte in self.bytes().iter().step_by(PAGE) {
            black_box(*byte);
        }
    }
}
