//! The bytes of a file: unpacked, UTF-8 without a mark, lines ending in `\n`, read ahead on a thread of its own.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::read::MultiGzDecoder;

use super::Progress;

const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks unpacked ahead of the parser: enough that neither waits for the other for long.
const CHUNKS_AHEAD: usize = 8;

/// The most one row may hold. A quote that is never closed would otherwise pull the rest of the file into memory.
const MAX_ROW_BYTES: usize = 16 * 1024 * 1024;

/// What a file is, judged by its first bytes and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Plain,
    Gzip,
    Parquet,
}

/// Opens a file and looks at what it is. The first bytes win over the name.
pub(super) fn open(path: &Path, progress: &Progress) -> io::Result<(File, Container)> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut magic = Vec::new();
    (&file).take(4).read_to_end(&mut magic)?;
    file.rewind()?;
    progress.total_bytes.fetch_add(meta.len(), Ordering::Relaxed);
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let container = match magic.as_slice() {
        [0x1f, 0x8b, ..] => Container::Gzip,
        b"PAR1" => Container::Parquet,
        _ if extension.eq_ignore_ascii_case("gz") => Container::Gzip,
        _ if extension.eq_ignore_ascii_case("parquet") => Container::Parquet,
        _ => Container::Plain,
    };
    Ok((file, container))
}

/// The bytes of a text file.
#[derive(Debug)]
pub(super) struct Bytes {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
    /// Bytes handed over since the last row was complete.
    row_bytes: usize,
    too_long: bool,
}

impl Bytes {
    /// Starts reading.
    pub(super) fn spawn(file: File, container: Container, progress: &Arc<Progress>) -> io::Result<Self> {
        let counted = Counted { file, progress: Arc::clone(progress) };
        let input: Box<dyn Read + Send> = match container {
            Container::Gzip => Box::new(MultiGzDecoder::new(counted)),
            Container::Plain | Container::Parquet => Box::new(counted),
        };
        let (sender, chunks) = sync_channel(CHUNKS_AHEAD);
        std::thread::Builder::new().name("import-read".to_owned()).spawn(move || produce(input, &sender))?;
        Ok(Self { chunks, chunk: Vec::new(), at: 0, row_bytes: 0, too_long: false })
    }

    /// Returns the first line, or as much of it as the first chunk holds, without taking it.
    pub(super) fn peek_line(&mut self) -> io::Result<String> {
        let bytes = self.fill_buf()?;
        let end = bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// Says that a row is complete.
    pub(super) fn row_done(&mut self) {
        self.row_bytes = 0;
    }

    /// Returns whether reading failed because a row would not end.
    pub(super) fn is_row_too_long(&self) -> bool {
        self.too_long
    }
}

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let n = bytes.len().min(into.len());
        into[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Bytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.chunk.len() {
            if self.row_bytes > MAX_ROW_BYTES {
                self.too_long = true;
                return Err(io::Error::other("a row does not end"));
            }
            match self.chunks.recv() {
                Ok(chunk) => self.chunk = chunk?,
                // The reading thread has finished.
                Err(_) => return Ok(&[]),
            }
            self.at = 0;
            self.row_bytes += self.chunk.len();
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

/// Reads to the end, or until nobody listens any more.
fn produce(mut input: Box<dyn Read + Send>, sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut cleaner = Cleaner { started: false, held_cr: false, last: b'\n' };
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 2);
        let result = input.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        let ended = !matches!(result, Ok(n) if n > 0);
        cleaner.clean(&mut chunk, ended);
        // What was unpacked before an error is still good.
        if !chunk.is_empty() && sender.send(Ok(chunk)).is_err() {
            return;
        }
        if let Err(error) = result {
            // Nobody listening is no failure of ours.
            let _ = sender.send(Err(error));
            return;
        }
        if ended {
            return;
        }
    }
}

/// Takes out the byte order mark and the `\r` of `\r\n`, and ends the last line.
struct Cleaner {
    started: bool,
    held_cr: bool,
    last: u8,
}

impl Cleaner {
    fn clean(&mut self, chunk: &mut Vec<u8>, ended: bool) {
        if !self.started && !chunk.is_empty() {
            self.started = true;
            if chunk.starts_with(b"\xef\xbb\xbf") {
                chunk.drain(..3);
            }
        }
        if self.held_cr {
            chunk.insert(0, b'\r');
            self.held_cr = false;
        }
        if chunk.last() == Some(&b'\r') {
            // Whether a `\n` follows is in the next chunk.
            chunk.pop();
            self.held_cr = !ended;
        }
        if chunk.contains(&b'\r') {
            let mut kept = 0;
            for at in 0..chunk.len() {
                if !(chunk[at] == b'\r' && chunk.get(at + 1) == Some(&b'\n')) {
                    chunk[kept] = chunk[at];
                    kept += 1;
                }
            }
            chunk.truncate(kept);
        }
        self.last = chunk.last().copied().unwrap_or(self.last);
        if ended && self.last != b'\n' {
            chunk.push(b'\n');
        }
    }
}

/// A file that counts what was read of it.
struct Counted {
    file: File,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(into)?;
        self.progress.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_carriage_returns_go_wherever_chunks_end() {
        let text = b"\xef\xbb\xbfa\r\nb\rc\r\n\r\nd\r";
        for size in 3..text.len() {
            let mut cleaner = Cleaner { started: false, held_cr: false, last: b'\n' };
            let mut all = Vec::new();
            for part in text.chunks(size) {
                let mut chunk = part.to_vec();
                cleaner.clean(&mut chunk, false);
                all.extend(chunk);
            }
            let mut rest = Vec::new();
            cleaner.clean(&mut rest, true);
            all.extend(rest);
            assert_eq!(String::from_utf8_lossy(&all), "a\nb\rc\n\nd\n", "chunks of {size}");
        }
    }
}
