//! The bytes of one event: a version byte, then the postcard encoding of [`Event`].

use crate::event::Event;

use super::LogError;

/// The version written. A change to `Event` that postcard cannot read back takes the next number and a decoder of its own.
pub const VERSION: u8 = 1;

/// Why bytes are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the record is empty")]
    Empty,
    #[error("the record has version {0}, this program reads version {VERSION}; use the release that wrote it or a later one")]
    Version(u8),
    #[error("the record is no event: {0}")]
    Malformed(postcard::Error),
    #[error("the record has {0} bytes behind the event")]
    Trailing(usize),
}

/// Appends the encoding of `event` to `bytes`.
pub fn encode(event: &Event, bytes: &mut Vec<u8>) -> Result<(), LogError> {
    bytes.push(VERSION);
    let filled = postcard::to_extend(event, std::mem::take(bytes)).map_err(|e| LogError::Encode(e.to_string()))?;
    *bytes = filled;
    Ok(())
}

/// Returns the event of an encoding.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let (&version, payload) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let (event, rest) = postcard::take_from_bytes(payload).map_err(DecodeError::Malformed)?;
    if rest.is_empty() { Ok(event) } else { Err(DecodeError::Trailing(rest.len())) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event_log::arbitrary::{any_event, sample};

    proptest! {
        #[test]
        fn an_event_comes_back_as_it_went(event in any_event()) {
            let mut bytes = Vec::new();
            encode(&event, &mut bytes).unwrap();
            prop_assert_eq!(decode(&bytes).unwrap(), event);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut versioned = vec![VERSION];
            versioned.extend(&bytes);
            let _ = decode(&bytes);
            let _ = decode(&versioned);
        }
    }

    #[test]
    fn bytes_that_are_no_event_say_why() {
        let mut bytes = Vec::new();
        encode(&sample(1), &mut bytes).unwrap();
        assert_eq!(decode(&[]), Err(DecodeError::Empty));
        assert!(matches!(decode(&bytes[..bytes.len() - 1]), Err(DecodeError::Malformed(_))));
        bytes.push(0);
        assert_eq!(decode(&bytes), Err(DecodeError::Trailing(1)));
        bytes[0] = 9;
        let message = decode(&bytes).unwrap_err().to_string();
        assert!(message.contains("version 9"), "{message}");
    }
}
