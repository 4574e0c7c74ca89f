//! Real visits: what shoppers looked at, in their order, as the filling of `{viewed}`.
//!
//! A request is about one moment of one visit: every page of the file is as likely as any other, so long visits are
//! asked about as often as they would ask themselves.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

/// Pages of a visit a request tells of, at most; a page keeps no longer list.
const SHOWN: usize = 100;

/// Visits one after another, ready to be written into JSON.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visits {
    /// Each id as a JSON string, quotes and all; every visit oldest first.
    pages: Vec<String>,
    /// For every page, where its visit begins.
    begins: Vec<usize>,
    /// Where each visit begins.
    firsts: Vec<usize>,
}

impl Visits {
    /// Reads visits from a file: one a line, item ids separated by blanks, oldest first.
    pub(crate) fn from_file(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {} as text", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Reads visits from their text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut visits = Self::default();
        for line in text.lines() {
            let begin = visits.pages.len();
            for id in line.split_whitespace() {
                if visits.pages.len() == begin {
                    visits.firsts.push(begin);
                }
                visits.pages.push(serde_json::to_string(id)?);
                visits.begins.push(begin);
            }
        }
        if visits.pages.is_empty() {
            bail!("there are no visits");
        }
        Ok(visits)
    }

    /// Returns visit `n` as JSON strings, oldest first; after the last they start over.
    pub(crate) fn whole(&self, n: u64) -> &[String] {
        let begin = self.firsts[(n % self.firsts.len() as u64) as usize];
        let end = self.begins[begin..].partition_point(|other| *other == begin) + begin;
        &self.pages[begin..end]
    }

    /// Writes the visit up to a page drawn by `random`, newest first: the elements of a JSON array.
    pub(crate) fn write(&self, random: u64, out: &mut Vec<u8>) {
        // The remainder's bias is far below what any run could show.
        let page = (random % self.pages.len() as u64) as usize;
        let oldest = self.begins[page].max((page + 1).saturating_sub(SHOWN));
        for (index, id) in self.pages[oldest..=page].iter().rev().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(id.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(visits: &Visits, page: u64) -> String {
        let mut out = Vec::new();
        visits.write(page, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn every_page_of_every_visit_is_drawn_with_what_came_before_it() {
        let visits = Visits::parse("a b c\n\n d\t\"e\"\n").expect("visits");
        let drawn: Vec<String> = (0..5).map(|page| written(&visits, page)).collect();
        assert_eq!(drawn, [r#""a""#, r#""b","a""#, r#""c","b","a""#, r#""d""#, r#""\"e\"","d""#]);
        assert_eq!(written(&visits, 5), drawn[0], "any number will do");
        assert_eq!([0, 1, 2].map(|n| visits.whole(n).len()), [3, 2, 3]);
    }

    #[test]
    fn a_long_visit_is_told_from_its_newest_pages() {
        let line: Vec<String> = (0..300).map(|n| n.to_string()).collect();
        let visits = Visits::parse(&line.join(" ")).expect("visits");
        let told = written(&visits, 299);
        assert!(told.starts_with("\"299\",\"298\",") && told.ends_with(",\"200\""), "{told}");
    }

    #[test]
    fn nothing_is_no_visit() {
        assert!(Visits::parse(" \n\n").is_err());
    }
}
