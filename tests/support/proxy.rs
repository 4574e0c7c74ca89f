//! A TCP proxy that behaves badly when asked to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// What happens to what is sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Each piece arrives this much later.
    Slow(Duration),
    /// Nothing arrives, and no connection breaks.
    Silent,
    /// Connections break at their next answer, and new ones at once.
    Cut,
    /// Of each answer half arrives, then the connection breaks.
    Truncated,
}

/// Stands between a server and its clients until the test ends.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    kind: Arc<AtomicU8>,
    delay_ms: Arc<AtomicU64>,
}

impl Proxy {
    pub(crate) fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), kind: Arc::default(), delay_ms: Arc::default() };
        let (kind, delay) = (Arc::clone(&proxy.kind), Arc::clone(&proxy.delay_ms));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (Ok(to_server), Ok(from_client)) = (server.try_clone(), client.try_clone()) else { continue };
                std::thread::spawn(move || pass(from_client, to_server, &|| (0, 0)));
                let (kind, delay) = (Arc::clone(&kind), Arc::clone(&delay));
                std::thread::spawn(move || {
                    pass(server, client, &|| (kind.load(Ordering::Relaxed), delay.load(Ordering::Relaxed)));
                });
            }
        });
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, weather: Weather) {
        let (kind, delay) = match weather {
            Weather::Fair => (0, 0),
            Weather::Slow(delay) => (1, u64::try_from(delay.as_millis()).unwrap()),
            Weather::Silent => (2, 0),
            Weather::Cut => (3, 0),
            Weather::Truncated => (4, 0),
        };
        self.delay_ms.store(delay, Ordering::Relaxed);
        self.kind.store(kind, Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, weather: &dyn Fn() -> (u8, u64)) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        let (kind, delay) = weather();
        let whole = &piece[..length];
        let sent = match kind {
            1 => {
                std::thread::sleep(Duration::from_millis(delay));
                to.write_all(whole)
            }
            // Kept back until the weather changes; then the connection is of no use, as answers are missing.
            2 => {
                while weather().0 == 2 {
                    std::thread::sleep(Duration::from_millis(10));
                }
                break;
            }
            3 => break,
            4 => {
                let _ = to.write_all(&whole[..length / 2]);
                break;
            }
            _ => to.write_all(whole),
        };
        if sent.is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
