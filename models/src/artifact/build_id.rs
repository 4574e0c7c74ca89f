//! The name of a build.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ArtifactError;

/// Name of a build and of its directory, such as `2026-11-23T01-20Z-9f3a`.
///
/// Only [`BuildId::parse`] makes one, so an id can be joined to a path without a second thought.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildId(String);

impl BuildId {
    /// Reads an id: a UTC time to the minute or second, four hex digits, and a number from 2 where two builds collide.
    pub fn parse(text: &str) -> Result<Self, ArtifactError> {
        if is_build_id(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ArtifactError::MalformedId { id: text.escape_debug().to_string() })
        }
    }

    /// Returns the id for the `number`th build of this time and content.
    pub(super) fn new(time: &str, hash: u64, number: u32) -> Result<Self, ArtifactError> {
        if !is_time(time) {
            return Err(ArtifactError::MalformedTime { time: time.escape_debug().to_string() });
        }
        let digits = format!("{hash:016x}");
        let first = digits.get(..4).unwrap_or_default();
        Ok(Self(if number < 2 { format!("{time}-{first}") } else { format!("{time}-{first}-{number}") }))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_build_id(text: &str) -> bool {
    let Some((time, rest)) = text.split_once("Z-") else { return false };
    let (hash, number) = match rest.split_once('-') {
        Some((hash, number)) => (hash, Some(number)),
        None => (rest, None),
    };
    is_time_without_zone(time)
        && hash.len() == 4
        && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && number.is_none_or(is_repeat_number)
}

/// Tells whether this is a number as we write it: from 2, without sign or leading zeros.
fn is_repeat_number(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|n| n >= 2 && n.to_string() == text)
}

fn is_time(text: &str) -> bool {
    text.strip_suffix('Z').is_some_and(is_time_without_zone)
}

fn is_time_without_zone(text: &str) -> bool {
    matches_pattern(text, "0000-00-00T00-00") || matches_pattern(text, "0000-00-00T00-00-00")
}

fn matches_pattern(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(b, p)| if p == b'0' { b.is_ascii_digit() } else { b == p })
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BuildId {
    type Err = ArtifactError;

    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for BuildId {
    type Error = ArtifactError;

    fn try_from(text: String) -> Result<Self, ArtifactError> {
        Self::parse(&text)
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.0
    }
}
