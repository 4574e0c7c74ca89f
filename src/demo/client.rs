//! A small HTTP/1.1 client for the loopback: keep-alive, bodies by length or in chunks, a timeout.
//!
//! The demonstration's shoppers use the same door as everyone else. For one host, one method at a time and bodies of known
//! length that takes a page of code, and no HTTP stack in the binary that nothing else needs.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a request may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most an answer's head may measure, and its body.
const MOST_HEAD: usize = 32 * 1024;
const MOST_BODY: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("The server did not answer in time.")]
    Timeout,
    #[error("The connection failed.")]
    Connection(#[from] std::io::Error),
    #[error("The answer is not HTTP that this client reads: {0}")]
    Answer(&'static str),
}

/// One connection to one server, opened when needed and again when lost.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connection: Option<BufStream<TcpStream>>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Sends a GET and returns status and body.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<(u16, Vec<u8>), ClientError> {
        self.request("GET", path, headers, b"").await
    }

    /// Sends a POST and returns status and body.
    pub async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, Vec<u8>), ClientError> {
        self.request("POST", path, headers, body).await
    }

    async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut request = request.into_bytes();
        request.extend_from_slice(body);

        let reused = self.connection.is_some();
        match timeout(PATIENCE, self.exchange(&request)).await {
            Err(_) => {
                self.connection = None;
                Err(ClientError::Timeout)
            }
            // A kept connection may have been closed by the server meanwhile. Sending again is safe: events carry ids.
            Ok(Err(ClientError::Connection(_))) if reused => {
                self.connection = None;
                timeout(PATIENCE, self.exchange(&request)).await.map_err(|_| ClientError::Timeout)?
            }
            Ok(answer) => answer,
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>), ClientError> {
        // Taken out, and put back only after a complete answer: a half-read connection is never used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                BufStream::new(stream)
            }
        };
        connection.write_all(request).await?;
        connection.flush().await?;

        let (mut status, mut head) = read_head(&mut connection).await?;
        while status / 100 == 1 {
            (status, head) = read_head(&mut connection).await?;
        }
        let body = match (status, head.chunked, head.length) {
            (204 | 304, ..) => Vec::new(),
            (_, true, _) => read_chunks(&mut connection).await?,
            (_, false, Some(length)) => read_exactly(&mut connection, length).await?,
            (_, false, None) => {
                // Without a length the answer ends with the connection.
                let mut body = Vec::new();
                connection.take(MOST_BODY as u64).read_to_end(&mut body).await?;
                return Ok((status, body));
            }
        };
        if !head.close {
            self.connection = Some(connection);
        }
        Ok((status, body))
    }
}

#[derive(Debug, Default)]
struct Head {
    length: Option<usize>,
    chunked: bool,
    close: bool,
}

async fn read_head(connection: &mut BufStream<TcpStream>) -> Result<(u16, Head), ClientError> {
    let first = read_line(connection).await?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or(ClientError::Answer("no status line"))?;
    let mut head = Head::default();
    let mut size = 0;
    loop {
        let line = read_line(connection).await?;
        size += line.len();
        if size > MOST_HEAD {
            return Err(ClientError::Answer("a head too long"));
        }
        if line.is_empty() {
            return Ok((status, head));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim().to_ascii_lowercase();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                head.length = Some(value.parse().map_err(|_| ClientError::Answer("a length that is no number"))?);
            }
            "transfer-encoding" => head.chunked = value.contains("chunked"),
            "connection" => head.close = value.contains("close"),
            _ => {}
        }
    }
}

async fn read_chunks(connection: &mut BufStream<TcpStream>) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    loop {
        let line = read_line(connection).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| ClientError::Answer("a chunk without a size"))?;
        if size == 0 {
            while !read_line(connection).await?.is_empty() {}
            return Ok(body);
        }
        if body.len().saturating_add(size) > MOST_BODY {
            return Err(ClientError::Answer("a body too long"));
        }
        body.extend(read_exactly(connection, size).await?);
        read_line(connection).await?;
    }
}

async fn read_exactly(connection: &mut BufStream<TcpStream>, length: usize) -> Result<Vec<u8>, ClientError> {
    if length > MOST_BODY {
        return Err(ClientError::Answer("a body too long"));
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    Ok(body)
}

async fn read_line(connection: &mut BufStream<TcpStream>) -> Result<String, ClientError> {
    let mut line = Vec::new();
    let read = connection.take(MOST_HEAD as u64).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    if line.last() != Some(&b'\n') {
        return Err(ClientError::Answer("a line without an end"));
    }
    let text = String::from_utf8_lossy(&line);
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Serves one scripted answer per request over real sockets; returns how many connections it took.
    async fn server(answers: Vec<&'static str>) -> (SocketAddr, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut answers = answers.into_iter().peekable();
            let mut connections = 0;
            while answers.peek().is_some() {
                let (stream, _) = listener.accept().await.unwrap();
                connections += 1;
                let mut stream = BufStream::new(stream);
                while answers.peek().is_some() {
                    let Ok((_, head)) = read_request(&mut stream).await else { break };
                    read_exactly(&mut stream, head).await.unwrap();
                    let answer = answers.next().unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                    if answer.contains("hang up") {
                        break;
                    }
                }
            }
            connections
        });
        (address, task)
    }

    async fn read_request(stream: &mut BufStream<TcpStream>) -> Result<(String, usize), ClientError> {
        let first = read_line(stream).await?;
        let mut length = 0;
        loop {
            let line = read_line(stream).await?;
            if line.is_empty() {
                return Ok((first, length));
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.parse().unwrap();
            }
        }
    }

    #[tokio::test]
    async fn answers_by_length_and_in_chunks_share_a_connection() {
        let (address, task) = server(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ])
        .await;
        let mut client = Client::new(address);
        assert_eq!(client.post("/a", &[("X-A", "b")], b"{}").await.unwrap(), (200, b"hello".to_vec()));
        assert_eq!(client.get("/b", &[]).await.unwrap(), (202, b"abcde".to_vec()));
        assert_eq!(client.get("/c", &[]).await.unwrap(), (204, Vec::new()));
        assert_eq!(task.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_connection_the_server_closed_is_opened_again() {
        let (address, task) = server(vec![
            "HTTP/1.1 200 OK\r\nX-Then: hang up\r\nContent-Length: 1\r\n\r\na",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nb",
        ])
        .await;
        let mut client = Client::new(address);
        assert_eq!(client.get("/a", &[]).await.unwrap().1, b"a");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(client.get("/b", &[]).await.unwrap().1, b"b");
        assert!(client.connection.is_none());
        assert_eq!(task.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(Client::new(address).get("/", &[]).await, Err(ClientError::Connection(_))));
    }
}
