//! An answer read in pieces of any size.

use anyhow::{Context, Result, bail};

const HEAD_LIMIT: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Expects {
    #[default]
    Head,
    Bytes(usize),
    UntilClose,
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailer,
    Nothing,
}

/// Decodes one answer after another; buffers are kept between answers.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    expects: Expects,
    status: u16,
    keep_alive: bool,
    content_type: Option<String>,
    body: Vec<u8>,
}

impl Decoder {
    /// Forgets the last answer.
    pub(crate) fn reset(&mut self) {
        self.expects = Expects::Head;
        self.status = 0;
        self.keep_alive = true;
        self.content_type = None;
        self.body.clear();
    }

    /// Takes what it can from `input` and returns how many bytes that were.
    pub(crate) fn push(&mut self, input: &[u8]) -> Result<usize> {
        let mut taken = 0;
        loop {
            let rest = &input[taken..];
            let step = match self.expects {
                Expects::Head => self.head(rest)?,
                Expects::Bytes(wanted) => {
                    let step = self.copy(rest, wanted);
                    self.expects = match wanted - step {
                        0 => Expects::Nothing,
                        missing => Expects::Bytes(missing),
                    };
                    step
                }
                Expects::UntilClose => self.copy(rest, usize::MAX),
                Expects::ChunkSize => match line(rest) {
                    Some((line, step)) => {
                        self.expects = match chunk_size(line)? {
                            0 => Expects::Trailer,
                            size => Expects::Chunk(size),
                        };
                        step
                    }
                    None => 0,
                },
                Expects::Chunk(wanted) => {
                    let step = self.copy(rest, wanted);
                    self.expects = match wanted - step {
                        0 => Expects::ChunkEnd,
                        missing => Expects::Chunk(missing),
                    };
                    step
                }
                Expects::ChunkEnd => match line(rest) {
                    Some((b"", step)) => {
                        self.expects = Expects::ChunkSize;
                        step
                    }
                    Some(_) => bail!("a chunk is longer than it said"),
                    None => 0,
                },
                Expects::Trailer => match line(rest) {
                    Some((line, step)) => {
                        if line.is_empty() {
                            self.expects = Expects::Nothing;
                        }
                        step
                    }
                    None => 0,
                },
                Expects::Nothing => 0,
            };
            taken += step;
            if step == 0 || self.expects == Expects::Nothing {
                return Ok(taken);
            }
        }
    }

    /// Returns the status once the whole answer is in.
    pub(crate) fn status_if_complete(&self) -> Option<u16> {
        (self.expects == Expects::Nothing).then_some(self.status)
    }

    /// Returns the status when the server's closing is what ends the answer.
    pub(crate) fn finish_at_close(&mut self) -> Result<Option<u16>> {
        match self.expects {
            Expects::UntilClose => {
                self.expects = Expects::Nothing;
                Ok(Some(self.status))
            }
            Expects::Head if self.status == 0 => bail!("closed without an answer"),
            Expects::Head
            | Expects::Bytes(_)
            | Expects::ChunkSize
            | Expects::Chunk(_)
            | Expects::ChunkEnd
            | Expects::Trailer
            | Expects::Nothing => Ok(None),
        }
    }

    /// Tells whether the connection may carry another request.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Returns the body read so far.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the content type, where the answer has one.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    fn copy(&mut self, rest: &[u8], wanted: usize) -> usize {
        let step = rest.len().min(wanted);
        self.body.extend_from_slice(&rest[..step]);
        step
    }

    fn head(&mut self, rest: &[u8]) -> Result<usize> {
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
            if rest.len() > HEAD_LIMIT {
                bail!("the answer's head is longer than {HEAD_LIMIT} bytes");
            }
            return Ok(0);
        };
        let head = std::str::from_utf8(&rest[..end]).context("the answer's head is not text")?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let Some((version, status)) = status_line.split_once(' ') else {
            bail!("`{status_line}` is not a status line");
        };
        if !version.starts_with("HTTP/1.") {
            bail!("`{status_line}` is not a status line");
        }
        self.status =
            status.get(..3).and_then(|digits| digits.parse().ok()).with_context(|| format!("`{status_line}` has no status"))?;
        self.keep_alive = version != "HTTP/1.0";

        let (mut length, mut chunked) = (None, false);
        for header in lines {
            let Some((name, value)) = header.split_once(':') else {
                bail!("`{header}` is not a header");
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                let parsed: usize = value.parse().with_context(|| format!("`{value}` is not a length"))?;
                length = Some(parsed);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.to_ascii_lowercase().ends_with("chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                let value = value.to_ascii_lowercase();
                self.keep_alive = !value.contains("close") && (self.keep_alive || value.contains("keep-alive"));
            } else if name.eq_ignore_ascii_case("content-type") {
                self.content_type = Some(value.to_owned());
            }
        }
        self.expects = if (100..200).contains(&self.status) {
            Expects::Head // an interim answer; the real one follows
        } else if matches!(self.status, 204 | 304) {
            Expects::Nothing
        } else if chunked {
            Expects::ChunkSize
        } else {
            match length {
                Some(0) => Expects::Nothing,
                Some(length) => Expects::Bytes(length),
                None => Expects::UntilClose,
            }
        };
        Ok(end + 4)
    }
}

fn line(rest: &[u8]) -> Option<(&[u8], usize)> {
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    Some((&rest[..end], end + 2))
}

fn chunk_size(line: &[u8]) -> Result<usize> {
    let text = std::str::from_utf8(line).context("a chunk size is not text")?;
    let digits = text.split(';').next().unwrap_or_default().trim();
    usize::from_str_radix(digits, 16).with_context(|| format!("`{text}` is not a chunk size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `size`, keeping what was not taken, as a connection does.
    fn decode(bytes: &[u8], size: usize) -> Result<(Decoder, usize)> {
        let mut decoder = Decoder::default();
        decoder.reset();
        let mut input = Vec::new();
        let mut used = 0;
        for piece in bytes.chunks(size) {
            input.extend_from_slice(piece);
            let taken = decoder.push(&input)?;
            input.drain(..taken);
            used += taken;
            if decoder.status_if_complete().is_some() {
                break;
            }
        }
        Ok((decoder, used))
    }

    #[test]
    fn answers_are_the_same_however_the_bytes_arrive() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\ncontent-type: application/json\r\n\r\nhello\r\n\r\nyou";
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n5;x=y\r\nhello\r\nA\r\n\r\n0\r\n\r\n678\r\n0\r\nTrailer: t\r\n\r\n";
        for size in 1..=plain.len() {
            let (decoder, used) = decode(plain, size).expect("decodes");
            assert_eq!(decoder.status_if_complete(), Some(200), "pieces of {size}");
            assert_eq!(decoder.body(), b"hello\r\n\r\nyo");
            assert_eq!(decoder.content_type(), Some("application/json"));
            assert!(decoder.keeps_alive());
            assert_eq!(used, plain.len() - 1, "the next answer's bytes stay");
        }
        for size in 1..=chunked.len() {
            let (decoder, used) = decode(chunked, size).expect("decodes");
            assert_eq!(decoder.status_if_complete(), Some(200), "pieces of {size}");
            assert_eq!(decoder.body(), b"hello\r\n0\r\n\r\n678");
            assert_eq!(used, chunked.len());
        }
    }

    #[test]
    fn heads_decide_about_bodies_and_connections() {
        let whole = |text: &str| decode(text.as_bytes(), 7).expect("decodes").0;
        let decoder = whole("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(decoder.status_if_complete(), Some(204));
        let decoder = whole("HTTP/1.1 503 \r\nconnection: Close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(decoder.status_if_complete(), Some(503));
        assert!(!decoder.keeps_alive());
        let decoder = whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!((decoder.status_if_complete(), decoder.body()), (Some(200), &b"ok"[..]));
        let mut decoder = whole("HTTP/1.0 200 OK\r\n\r\nrest");
        assert_eq!(decoder.status_if_complete(), None);
        assert_eq!(decoder.finish_at_close().expect("ends"), Some(200));
        assert_eq!(decoder.body(), b"rest");
    }

    #[test]
    fn broken_answers_are_errors() {
        for bad in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabcd\r\n",
        ] {
            assert!(decode(bad.as_bytes(), 3).is_err(), "{bad:?}");
        }
        let (mut decoder, _) = decode(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", 64).expect("decodes");
        assert_eq!(decoder.finish_at_close().expect("no claim"), None);
    }
}
