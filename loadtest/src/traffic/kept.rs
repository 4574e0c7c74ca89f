//! Acknowledged is kept: every event that was answered `ok` is found again, once.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// What the store gave back.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Kept {
    /// Events answered `ok`, in requests whose every event was.
    pub(crate) acknowledged: u64,
    /// Events of this run that the store listed.
    pub(crate) found: u64,
    /// Acknowledged events that it did not list.
    pub(crate) lost: u64,
    /// Events that it listed more than once.
    pub(crate) doubled: u64,
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
}

/// Runs `command`, which prints every kept event as a line of JSON, and looks for what was acknowledged: for each request of
/// the run, the number of its events.
pub(super) fn look(command: &str, run: u64, acknowledged: &[u16]) -> Result<Kept> {
    let mut child = Command::new("sh").args(["-c", command]).stdout(Stdio::piped()).spawn().context("cannot run `sh`")?;
    let output = child.stdout.take().context("no output")?;
    let kept = compare(BufReader::new(output), run, acknowledged)?;
    let status = child.wait()?;
    if !status.success() {
        bail!("`{command}` ended with {status}");
    }
    Ok(kept)
}

fn compare(lines: impl BufRead, run: u64, acknowledged: &[u16]) -> Result<Kept> {
    let prefix = format!("{run:016x}-");
    // For each request the ids found, by the number behind its own. One request has few events, so a list will do.
    let mut found: Vec<Vec<u32>> = vec![Vec::new(); acknowledged.len()];
    let mut kept = Kept { acknowledged: acknowledged.iter().copied().map(u64::from).sum(), ..Kept::default() };
    for line in lines.lines() {
        let line = line.context("cannot read the kept events")?;
        if line.trim().is_empty() {
            continue;
        }
        let listed: Listed<'_> = serde_json::from_str(&line).context("a kept event is no JSON with an `id`")?;
        let Some((request, part)) = listed.id.strip_prefix(&prefix).and_then(|rest| rest.split_once('-')) else {
            continue;
        };
        let (Ok(request), Ok(part)) = (request.parse::<usize>(), part.parse::<u32>()) else {
            continue;
        };
        let Some(parts) = found.get_mut(request) else {
            continue;
        };
        if parts.contains(&part) {
            kept.doubled += 1;
        } else {
            parts.push(part);
            kept.found += 1;
        }
    }
    kept.lost = acknowledged.iter().zip(&found).map(|(sent, found)| u64::from(*sent).saturating_sub(found.len() as u64)).sum();
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_and_doubles_are_counted() {
        let lines = concat!(
            r#"{"id":"00000000000000ab-0-7","type":"view_item"}"#,
            "\n",
            r#"{"type":"view_item","id":"00000000000000ab-0-9"}"#,
            "\n\n",
            r#"{"id":"00000000000000ab-0-9"}"#,
            "\n",
            r#"{"id":"00000000000000ac-1-7"}"#,
            "\n",
            r#"{"id":"somebody else's"}"#,
        );
        let kept = compare(lines.as_bytes(), 0xab, &[2, 1, 0]).expect("readable");
        assert_eq!((kept.acknowledged, kept.found, kept.lost, kept.doubled), (3, 2, 1, 1));
        assert!(compare("oops".as_bytes(), 0xab, &[1]).is_err());
    }

    #[test]
    fn a_command_that_fails_proves_nothing() {
        assert!(look("exit 3", 1, &[]).is_err());
        assert_eq!(look("true", 1, &[1]).expect("ran").lost, 1);
    }
}
