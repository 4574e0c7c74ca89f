//! What the log's stream is made of.
//!
//! ```text
//! record   u32 length (1 to MAX_RECORD_BYTES)   u32 CRC-32 of the payload       payload (see `codec`)
//! mark     u32 0xFFFF_FFFF                      u32 CRC-32 of its own position
//! ```
//!
//! Integers are little endian. A mark begins every commit: whoever wrote it knew that all before it was durable.

use super::codec;
use super::{LogError, Position};
use crate::event::Event;

/// Bytes in front of a payload.
pub const HEAD_BYTES: usize = 8;

/// Largest payload. An order with thousands of lines is far below.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

const MARK: [u8; 4] = [0xFF; 4];

/// What stands at a place of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    Mark,
    /// A whole record with a payload of that many bytes.
    Record(usize),
    /// The bytes end before the frame does; it needs so many in all.
    Incomplete(usize),
    Broken(&'static str),
}

impl Frame {
    /// Returns how many bytes of the stream a whole frame takes.
    pub fn stream_bytes(self) -> Option<usize> {
        match self {
            Self::Mark => Some(HEAD_BYTES),
            Self::Record(payload) => Some(HEAD_BYTES + payload),
            Self::Incomplete(_) | Self::Broken(_) => None,
        }
    }
}

/// Appends an event as a record and returns how many bytes that took.
pub fn push_record(event: &Event, stream: &mut Vec<u8>) -> Result<usize, LogError> {
    let start = stream.len();
    stream.extend([0; HEAD_BYTES]);
    codec::encode(event, stream)?;
    let payload = &stream[start + HEAD_BYTES..];
    let bytes = payload.len();
    if bytes > MAX_RECORD_BYTES {
        return Err(LogError::TooLarge { bytes, max: MAX_RECORD_BYTES });
    }
    let length = u32::try_from(bytes).map_err(|_| LogError::TooLarge { bytes, max: MAX_RECORD_BYTES })?;
    let sum = crc32fast::hash(payload);
    stream[start..start + 4].copy_from_slice(&length.to_le_bytes());
    stream[start + 4..start + HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
    Ok(HEAD_BYTES + bytes)
}

/// Returns the mark that stands at `position`.
pub fn mark(position: Position) -> [u8; HEAD_BYTES] {
    let sum = crc32fast::hash(&position.0.to_le_bytes()).to_le_bytes();
    [0xFF, 0xFF, 0xFF, 0xFF, sum[0], sum[1], sum[2], sum[3]]
}

/// Returns what `bytes` begin with, given the position of their first.
pub fn parse(bytes: &[u8], position: Position) -> Frame {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Frame::Incomplete(HEAD_BYTES);
    };
    let [a, b, c, d, sum @ ..] = *head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if [a, b, c, d] == MARK {
        return if *head == mark(position) { Frame::Mark } else { Frame::Broken("a commit mark of another place") };
    }
    if length == 0 || length > MAX_RECORD_BYTES {
        return Frame::Broken("an impossible length");
    }
    let Some(payload) = rest.get(..length) else {
        return Frame::Incomplete(HEAD_BYTES + length);
    };
    if crc32fast::hash(payload) == u32::from_le_bytes(sum) {
        Frame::Record(length)
    } else {
        Frame::Broken("the checksum does not match")
    }
}

/// Returns where in `bytes` the first commit mark is, given the position of their first byte.
pub fn find_mark(bytes: &[u8], position: Position) -> Option<usize> {
    (0..bytes.len().saturating_sub(HEAD_BYTES - 1)).find(|&at| {
        let candidate = &bytes[at..at + HEAD_BYTES];
        candidate.starts_with(&MARK) && candidate == mark(position.plus(at))
    })
}

/// How far a stream can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// To its end.
    Whole,
    /// Up to here; what follows is the remains of one commit that was cut off.
    Torn { at: usize, what: &'static str },
    /// Up to here; later commits follow, so this had once been whole.
    Damaged { at: usize, what: &'static str },
}

/// Checks every frame of a stream, given the position of its first byte.
pub fn scan(stream: &[u8], position: Position) -> Scan {
    let mut at = 0;
    while at < stream.len() {
        let frame = parse(&stream[at..], position.plus(at));
        let what = match frame {
            Frame::Mark | Frame::Record(_) => {
                at += frame.stream_bytes().unwrap_or(HEAD_BYTES);
                continue;
            }
            Frame::Incomplete(_) => "the record is cut off",
            Frame::Broken(what) => what,
        };
        // The broken frame's own first byte cannot begin a mark, or it would have been read as one.
        return match find_mark(&stream[at + 1..], position.plus(at + 1)) {
            None => Scan::Torn { at, what },
            Some(_) => Scan::Damaged { at, what },
        };
    }
    Scan::Whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_log::arbitrary::sample;

    fn commit(stream: &mut Vec<u8>, start: Position, events: u64) {
        stream.extend(mark(start.plus(stream.len())));
        for n in 0..events {
            push_record(&sample(n), stream).unwrap();
        }
    }

    #[test]
    fn a_cut_off_commit_is_torn_wherever_it_is_cut() {
        let start = Position(1000);
        let mut stream = Vec::new();
        commit(&mut stream, start, 3);
        let durable = stream.len();
        commit(&mut stream, start, 2);
        assert_eq!(scan(&stream, start), Scan::Whole);
        for length in durable + 1..stream.len() {
            match scan(&stream[..length], start) {
                Scan::Whole => {}
                Scan::Torn { at, .. } => assert!(at >= durable, "{length}"),
                Scan::Damaged { at, what } => panic!("{length}: {what} at {at}"),
            }
        }
    }

    #[test]
    fn any_flipped_bit_before_the_last_commit_is_damage() {
        let start = Position(0);
        let mut stream = Vec::new();
        commit(&mut stream, start, 2);
        let durable = stream.len();
        commit(&mut stream, start, 1);
        for bit in 0..stream.len() * 8 {
            stream[bit / 8] ^= 1 << (bit % 8);
            let found = scan(&stream, start);
            if bit / 8 < durable {
                assert!(matches!(found, Scan::Damaged { at, .. } if at <= bit / 8), "bit {bit}: {found:?}");
            } else {
                assert!(matches!(found, Scan::Torn { at, .. } if at >= durable), "bit {bit}: {found:?}");
            }
            stream[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn zeros_are_no_records() {
        assert_eq!(scan(&[0; 64], Position(0)), Scan::Torn { at: 0, what: "an impossible length" });
    }
}
