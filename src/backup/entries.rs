//! The embedded store as one file: `rapkeys1`, then for each entry the table (a byte), the lengths of key and value (`u32` each,
//! little-endian), key, value; at the end the byte 255 and the number of entries (`u64`).

use std::io::{self, BufReader, Read, Write};

use super::BackupError;
use crate::store_engine::StoreError;
use crate::store_engine::embedded::{Dumped, Embedded};

const MAGIC: &[u8; 8] = b"rapkeys1";
const END: u8 = u8::MAX;
/// Entries written to the store together.
const BATCH: usize = 2_000;

/// Why a file of entries cannot be read back.
#[derive(Debug)]
pub(super) enum EntriesError {
    Io(io::Error),
    Store(StoreError),
    Damaged(String),
}

impl From<io::Error> for EntriesError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Damaged("it is cut off".to_owned()) } else { Self::Io(error) }
    }
}

/// Writes all entries of a store as they are at one moment.
pub(super) fn write(store: &Embedded, out: &mut impl Write) -> Result<(), BackupError> {
    let begun = |error| BackupError::Io { action: "write", path: super::ENTRIES.into(), source: error };
    out.write_all(MAGIC).map_err(begun)?;
    let mut failed = None;
    let mut count = 0_u64;
    let mut put = |entry: Dumped<'_>| -> io::Result<()> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| io::Error::other("an entry is too large"));
        out.write_all(&[entry.table])?;
        out.write_all(&length(entry.key)?.to_le_bytes())?;
        out.write_all(&length(entry.value)?.to_le_bytes())?;
        out.write_all(entry.key)?;
        out.write_all(entry.value)?;
        count += 1;
        Ok(())
    };
    store.dump(&mut |entry| {
        // The first failure ends it; the rest is not written.
        if failed.is_none() {
            failed = put(entry).err();
        }
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(begun(error));
    }
    out.write_all(&[END]).and_then(|()| out.write_all(&count.to_le_bytes())).map_err(begun)
}

/// Reads what [`write()`] wrote into an empty store.
pub(super) fn read(store: &Embedded, from: impl Read) -> Result<(), EntriesError> {
    let mut from = BufReader::with_capacity(1 << 18, from);
    let mut magic = [0; 8];
    from.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(EntriesError::Damaged("these are no entries of a store".to_owned()));
    }
    let mut batch = Vec::with_capacity(BATCH);
    let mut count = 0_u64;
    loop {
        let mut table = [0];
        from.read_exact(&mut table)?;
        if table[0] == END || batch.len() == BATCH {
            store.load(std::mem::take(&mut batch)).map_err(EntriesError::Store)?;
        }
        if table[0] == END {
            break;
        }
        let mut lengths = [[0; 4]; 2];
        from.read_exact(lengths.as_flattened_mut())?;
        let mut read = |length: [u8; 4]| {
            let length = u32::from_le_bytes(length);
            let mut bytes = Vec::new();
            // As much as there is: a wrong length must not ask for memory that nobody has.
            from.by_ref().take(u64::from(length)).read_to_end(&mut bytes)?;
            if bytes.len() < length as usize { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) } else { Ok(bytes) }
        };
        let (key, value) = (read(lengths[0])?, read(lengths[1])?);
        batch.push((table[0], key, value));
        count += 1;
    }
    let mut said = [0; 8];
    from.read_exact(&mut said)?;
    if u64::from_le_bytes(said) != count {
        return Err(EntriesError::Damaged("it has not as many entries as it says".to_owned()));
    }
    Ok(())
}
