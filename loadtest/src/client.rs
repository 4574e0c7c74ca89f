//! HTTP/1.1 over one kept-alive connection, as little of it as a load generator needs.

mod decoder;
mod target;

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) use self::{decoder::Decoder, target::Target};

const READ: usize = 16 * 1024;
/// A connection that was idle for longer is looked at before it is used; looking costs as much as sending.
const IDLE: Duration = Duration::from_millis(500);

/// One connection to a target; it connects when first used and again after a failure.
#[derive(Debug)]
pub(crate) struct Connection {
    target: Target,
    stream: Option<TcpStream>,
    input: Vec<u8>,
    decoder: Decoder,
    /// When the last answer was complete.
    used: Instant,
}

impl Connection {
    /// Returns a connection that is not open yet.
    pub(crate) fn new(target: Target) -> Self {
        Self { target, stream: None, input: Vec::with_capacity(READ), decoder: Decoder::default(), used: Instant::now() }
    }

    /// Opens the connection, so that the first request does not pay for it.
    pub(crate) async fn open(&mut self) -> Result<()> {
        self.usable_stream().await.map(|_| ())
    }

    /// Sends one request and returns the answer's status; the body is then in [`Self::body`].
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<u16> {
        self.decoder.reset();
        self.input.clear();
        match self.exchange(request).await {
            Ok((status, keep_alive)) => {
                if !keep_alive {
                    self.stream = None;
                }
                self.used = Instant::now();
                Ok(status)
            }
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    /// Drops the connection: after a time-out its next bytes belong to nobody.
    pub(crate) fn abandon(&mut self) {
        self.stream = None;
    }

    /// Returns the body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        self.decoder.body()
    }

    /// Returns the content type of the last answer.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.decoder.content_type()
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<(u16, bool)> {
        let stream = self.usable_stream().await?;
        stream.write_all(request).await.context("cannot send")?;
        loop {
            let stream = self.stream.as_mut().context("the connection is gone")?;
            let read = stream.read_buf(&mut self.input).await.context("cannot read")?;
            if read == 0 {
                return match self.decoder.finish_at_close()? {
                    Some(status) => Ok((status, false)),
                    None => bail!("the connection was closed inside an answer"),
                };
            }
            let taken = self.decoder.push(&self.input)?;
            self.input.drain(..taken);
            if let Some(status) = self.decoder.status_if_complete() {
                if !self.input.is_empty() {
                    bail!("the server sent more than the answer");
                }
                return Ok((status, self.decoder.keeps_alive()));
            }
        }
    }

    async fn usable_stream(&mut self) -> Result<&mut TcpStream> {
        // A server may close a connection that was idle for long; that is no failed request.
        let idle = self.used.elapsed() > IDLE;
        let closed = self.stream.as_ref().filter(|_| idle).is_some_and(|stream| {
            let mut byte = [0];
            !matches!(stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        });
        if closed {
            self.stream = None;
        }
        if self.stream.is_none() {
            let stream = TcpStream::connect((self.target.host.as_str(), self.target.port))
                .await
                .with_context(|| format!("cannot connect to {}", self.target))?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        self.stream.as_mut().context("the connection is gone")
    }
}
