//! The letters of one day: a file and the key that opens it.
//!
//! ```text
//! header  8 bytes "rappdl01"   u64 the next position when the file was made   8 bytes key id   u32 CRC-32 of these 24 bytes
//! frame   u32 length   u32 CRC-32 of what follows   12 bytes nonce   ChaCha20-Poly1305 of the letter as JSON
//! ```
//!
//! Integers are little endian. The length counts nonce, ciphertext and tag. The positions of a day are above those of the days before it.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::{Letter, LettersError};
use crate::event::ids::hex;
use crate::event::time::DAY;
use crate::event::{SiteId, Timestamp};

const MAGIC: &[u8; 8] = b"rappdl01";
const HEADER_BYTES: usize = 28;
const HEAD_BYTES: usize = 8;
const KEY_BYTES: usize = 32;
/// Larger than any body a letter can come from.
const MAX_FRAME_BYTES: usize = 16 << 20;
const LETTERS: &str = ".letters";

/// One day's file, open to be appended to.
#[derive(Debug)]
pub(super) struct Day {
    path: PathBuf,
    file: File,
    key: LessSafeKey,
    key_path: PathBuf,
    /// How long the file is.
    pub bytes: u64,
    /// The first and the last position in it.
    pub range: Option<(u64, u64)>,
    /// Hashes of everybody its letters are of or name; nobody is missing.
    people: HashSet<u64>,
}

/// What a day's file holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// The position after the last one that was given.
    pub next: u64,
    pub letters: Vec<Letter>,
    /// Where whole frames end.
    end: usize,
    /// How many frames cannot be opened.
    pub damaged: u64,
    key: LessSafeKey,
    key_path: PathBuf,
}

/// Returns the days that have a file, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<i32>, LettersError> {
    let mut days: Vec<i32> = names(dir)?
        .iter()
        .filter_map(|name| Some(Timestamp::parse(&format!("{}T00:00:00Z", name.strip_suffix(LETTERS)?))?.day()))
        .collect();
    days.sort_unstable();
    Ok(days)
}

/// Makes the folder, which only its owner can look into.
pub(super) fn make_dir(dir: &Path) -> Result<(), LettersError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(LettersError::io("create", dir))
}

/// Removes what no file needs: keys whose file has been sealed anew, and files that were never finished.
pub(super) fn tidy(dir: &Path) -> Result<(), LettersError> {
    let mut needed = HashSet::new();
    for day in list(dir)? {
        let path = path(dir, day);
        let bytes = fs::read(&path).map_err(LettersError::io("read", &path))?;
        if let Some((_, id)) = header_of(&bytes) {
            needed.insert(key_name(day, id));
        }
    }
    for name in names(dir)?.iter().filter(|name| !name.ends_with(LETTERS) && !needed.contains(*name)) {
        shred(&dir.join(name))?;
    }
    Ok(())
}

/// Reads a day's letters.
pub(super) fn read(dir: &Path, day: i32) -> Result<Contents, LettersError> {
    let path = path(dir, day);
    let bytes = fs::read(&path).map_err(LettersError::io("read", &path))?;
    let unreadable = |what| LettersError::Unreadable { path: path.clone(), what };
    let (next, id) = header_of(&bytes).ok_or_else(|| unreadable("this is no file of dead letters of this version"))?;
    let key_path = dir.join(key_name(day, id));
    let key = match fs::read(&key_path) {
        Ok(secret) => UnboundKey::new(&CHACHA20_POLY1305, &secret).map_err(|_| unreadable("its key is damaged"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unreadable("its key is gone")),
        Err(error) => return Err(LettersError::io("read", &key_path)(error)),
    };
    let mut contents =
        Contents { next, letters: Vec::new(), end: HEADER_BYTES, damaged: 0, key: LessSafeKey::new(key), key_path };
    while let Some((sound, sealed)) = frame(&bytes, contents.end) {
        let after = contents.end + HEAD_BYTES + sealed.len();
        if !sound && after == bytes.len() {
            // Cut off while it was written, so it was never kept.
            break;
        }
        contents.end = after;
        match open(&contents.key, sealed).filter(|_| sound) {
            Some(letter) => contents.letters.push(letter),
            None => contents.damaged += 1,
        }
    }
    contents.next = contents.letters.last().map_or(next, |last| next.max(last.position + 1));
    Ok(contents)
}

impl Day {
    /// Makes a day's file with these letters, sealed with a new key, in place of the one before; durable when it returns.
    pub(super) fn write(dir: &Path, day: i32, next: u64, letters: &[Letter]) -> Result<Self, LettersError> {
        let random = SystemRandom::new();
        let (mut id, mut secret) = ([0; 8], [0; KEY_BYTES]);
        random.fill(&mut id).and_then(|()| random.fill(&mut secret)).map_err(|_| LettersError::Seal)?;
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &secret).map_err(|_| LettersError::Seal)?);
        let path = path(dir, day);
        let mut bytes = header(next, id).to_vec();
        for letter in letters {
            bytes.extend(seal(&key, letter)?);
        }
        let key_path = dir.join(key_name(day, id));
        write_whole(&key_path, &secret)?;
        let aside = path.with_extension("new");
        write_whole(&aside, &bytes)?;
        fs::rename(&aside, &path).map_err(LettersError::io("rename to", &path))?;
        sync_dir(dir)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(LettersError::io("open", &path))?;
        let mut made = Self { path, file, key, key_path, bytes: bytes.len() as u64, range: None, people: HashSet::new() };
        letters.iter().for_each(|letter| made.note(letter));
        Ok(made)
    }

    /// Opens a day's file and cuts off what was not written to its end.
    pub(super) fn open(dir: &Path, day: i32) -> Result<(Self, Contents), LettersError> {
        let contents = read(dir, day)?;
        let path = path(dir, day);
        let file = OpenOptions::new().append(true).open(&path).map_err(LettersError::io("open", &path))?;
        let bytes = contents.end as u64;
        file.set_len(bytes).map_err(LettersError::io("cut", &path))?;
        let (key, key_path) = (contents.key.clone(), contents.key_path.clone());
        let mut opened = Self { path, file, key, key_path, bytes, range: None, people: HashSet::new() };
        contents.letters.iter().for_each(|letter| opened.note(letter));
        Ok((opened, contents))
    }

    /// Appends a letter; synced later.
    pub(super) fn append(&mut self, letter: &Letter) -> Result<(), LettersError> {
        let frame = seal(&self.key, letter)?;
        self.file.write_all(&frame).map_err(LettersError::io("write", &self.path))?;
        self.bytes += frame.len() as u64;
        self.note(letter);
        Ok(())
    }

    /// Makes what was appended durable.
    pub(super) fn sync(&self) -> Result<(), LettersError> {
        self.file.sync_data().map_err(LettersError::io("sync", &self.path))
    }

    /// Returns whether a letter of this day may be of somebody or name them.
    pub(super) fn may_name(&self, site: &SiteId, person: &str) -> bool {
        self.people.contains(&hash(site, person))
    }

    /// Destroys the key it was opened or made with, once the file is sealed with another.
    pub(super) fn destroy_key(&self) -> Result<(), LettersError> {
        shred(&self.key_path)
    }

    /// Destroys the key and then the letters.
    pub(super) fn destroy(self) -> Result<(), LettersError> {
        self.destroy_key()?;
        remove(&self.path)
    }

    fn note(&mut self, letter: &Letter) {
        let first = self.range.map_or(letter.position, |(first, _)| first);
        self.range = Some((first, letter.position));
        self.people.extend(letter.people().iter().map(|person| hash(&letter.site, person)));
    }
}

/// Removes a day that cannot be read.
pub(super) fn remove_unreadable(dir: &Path, day: i32) -> Result<(), LettersError> {
    remove(&path(dir, day))
}

fn hash(site: &SiteId, person: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{site}\0{person}").as_bytes())
}

fn date(day: i32) -> String {
    Timestamp(i64::from(day) * DAY).date()
}

fn path(dir: &Path, day: i32) -> PathBuf {
    dir.join(format!("{}{LETTERS}", date(day)))
}

fn key_name(day: i32, id: [u8; 8]) -> String {
    format!("{}.{}.key", date(day), hex(&id))
}

fn names(dir: &Path) -> Result<Vec<String>, LettersError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LettersError::io("list", dir)(error)),
    };
    entries.map(|entry| Ok(entry.map_err(LettersError::io("list", dir))?.file_name().to_string_lossy().into_owned())).collect()
}

fn header(next: u64, id: [u8; 8]) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&next.to_le_bytes());
    bytes[16..24].copy_from_slice(&id);
    let sum = crc32fast::hash(&bytes[..24]);
    bytes[24..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Returns the next position and the key id a file names.
fn header_of(bytes: &[u8]) -> Option<(u64, [u8; 8])> {
    let found = bytes.first_chunk::<HEADER_BYTES>()?;
    let next = u64::from_le_bytes(*found[8..].first_chunk()?);
    let id = *found[16..].first_chunk()?;
    (*found == header(next, id)).then_some((next, id))
}

/// Returns the frame that begins there, and whether its checksum matches; nothing where no whole frame does.
fn frame(bytes: &[u8], at: usize) -> Option<(bool, &[u8])> {
    let (head, rest) = bytes.get(at..)?.split_first_chunk::<HEAD_BYTES>()?;
    let [a, b, c, d, sum @ ..] = *head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length == 0 || length > MAX_FRAME_BYTES {
        return None;
    }
    let sealed = rest.get(..length)?;
    Some((crc32fast::hash(sealed) == u32::from_le_bytes(sum), sealed))
}

fn seal(key: &LessSafeKey, letter: &Letter) -> Result<Vec<u8>, LettersError> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| LettersError::Seal)?;
    let mut text = serde_json::to_vec(letter).map_err(|_| LettersError::Seal)?;
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(MAGIC), &mut text)
        .map_err(|_| LettersError::Seal)?;
    let length = NONCE_LEN + text.len();
    if length > MAX_FRAME_BYTES {
        return Err(LettersError::Seal);
    }
    let mut frame = Vec::with_capacity(HEAD_BYTES + length);
    frame.extend(u32::try_from(length).map_err(|_| LettersError::Seal)?.to_le_bytes());
    frame.extend([0; 4]);
    frame.extend(nonce);
    frame.extend(text);
    let sum = crc32fast::hash(&frame[HEAD_BYTES..]);
    frame[4..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
    Ok(frame)
}

fn open(key: &LessSafeKey, sealed: &[u8]) -> Option<Letter> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut rest = rest.to_vec();
    let text = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(MAGIC), &mut rest).ok()?;
    serde_json::from_slice(text).ok()
}

/// Writes a file that only its owner can read; durable, but for its name.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), LettersError> {
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(LettersError::io("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(LettersError::io("write", path))
}

/// Removes a file after writing over it, which is as much as can be done about what a disk remembers.
fn shred(path: &Path) -> Result<(), LettersError> {
    if path.extension().is_some_and(|end| end == "key") && path.exists() {
        let mut file = OpenOptions::new().write(true).open(path).map_err(LettersError::io("open", path))?;
        file.write_all(&[0; KEY_BYTES]).and_then(|()| file.sync_all()).map_err(LettersError::io("write over", path))?;
    }
    remove(path)
}

/// Removes a file; durable when it returns.
fn remove(path: &Path) -> Result<(), LettersError> {
    match fs::remove_file(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LettersError::io("remove", path)(error)),
    }
}

fn sync_dir(dir: &Path) -> Result<(), LettersError> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(LettersError::io("sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::{Dialect, letter::Batch};
    use crate::event::{ConsentClaim, Source};

    const TODAY: i32 = 20_000;

    fn letter(position: u64) -> Letter {
        Letter {
            position,
            received_at: Timestamp(i64::from(TODAY) * DAY),
            site: SiteId::default_site(),
            visitor: None,
            code: "too_long".to_owned(),
            detail: String::new(),
            source: Source::Browser,
            dialect: Dialect::Rapport,
            batch: Batch { visitor: None, session: None, seq: None, sent_at: None, consent: ConsentClaim::default(), gpc: false },
            event: format!(r#"{{"id":"{position}","visitor_id":7,"customer_id":"c{position}","params":{{"visitor_id":"x"}}}}"#),
        }
    }

    fn positions(contents: &Contents) -> Vec<u64> {
        contents.letters.iter().map(|letter| letter.position).collect()
    }

    #[test]
    fn a_file_is_whole_up_to_where_it_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut day = Day::write(dir.path(), TODAY, 5, &[letter(5), letter(6)]).unwrap();
        let two = day.bytes as usize;
        day.append(&letter(7)).unwrap();
        let path = path(dir.path(), TODAY);
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, day.bytes);
        for length in two..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut opened, contents) = Day::open(dir.path(), TODAY).unwrap();
            assert_eq!((positions(&contents), contents.next, contents.damaged), (vec![5, 6], 7, 0), "{length}");
            opened.append(&letter(8)).unwrap();
            assert_eq!(positions(&read(dir.path(), TODAY).unwrap()), [5, 6, 8], "{length}");
        }
        // Length and name were written, and what the disk had there before.
        fs::write(&path, [&whole[..whole.len() - 40], &[0; 40]].concat()).unwrap();
        assert_eq!(positions(&Day::open(dir.path(), TODAY).unwrap().1), [5, 6]);
        // Damage in the middle costs one letter and says so.
        let mut damaged = whole;
        damaged[HEADER_BYTES + 30] ^= 1;
        fs::write(&path, damaged).unwrap();
        let (_, contents) = Day::open(dir.path(), TODAY).unwrap();
        assert_eq!((positions(&contents), contents.damaged), (vec![6, 7], 1));
    }

    #[test]
    fn a_letter_names_people_in_its_own_members() {
        let site = SiteId::default_site();
        let dir = tempfile::tempdir().unwrap();
        let day = Day::write(dir.path(), TODAY, 1, &[letter(1)]).unwrap();
        for (person, named) in [("7", true), ("c1", true), ("x", false), ("1", false)] {
            assert_eq!((day.may_name(&site, person), letter(1).is_of(Some(&site), person)), (named, named), "{person}");
        }
        assert!(!letter(1).is_of(Some(&SiteId::parse("other").unwrap()), "7"));
    }

    #[test]
    fn without_its_key_nobody_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let old = Day::write(dir.path(), TODAY, 1, &[letter(1), letter(2)]).unwrap();
        let copy = fs::read(path(dir.path(), TODAY)).unwrap();
        let new = Day::write(dir.path(), TODAY, 3, &[letter(2)]).unwrap();
        // As after a crash in between: nothing needs the old key.
        tidy(dir.path()).unwrap();
        assert!(!old.key_path.exists() && new.key_path.exists());
        assert_eq!(positions(&read(dir.path(), TODAY).unwrap()), [2]);
        fs::write(path(dir.path(), TODAY), copy).unwrap();
        assert!(matches!(read(dir.path(), TODAY), Err(LettersError::Unreadable { .. })));
    }
}
