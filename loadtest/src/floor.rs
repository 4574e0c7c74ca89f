//! The floor: what the framework and the machine cost when nothing is done.
//!
//! A bare actix-web handler reads the request to its end and answers fixed bytes. A server that
//! does real work cannot be faster; how close it comes is the figure worth quoting.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    http::header::ContentType,
    web::{self, Bytes, Data, PayloadConfig},
};
use anyhow::{Context, Result};

/// What every request is answered with.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// A pause, once, of the worker that serves request number `after`.
///
/// It exists to test the generator: a tool that omits the requests meant for the pause would
/// report a fast server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stall {
    pub(crate) after: u64,
    pub(crate) length: Duration,
}

/// How the floor is laid.
#[derive(Debug, Clone)]
pub(crate) struct Floor {
    pub(crate) bind: String,
    pub(crate) workers: usize,
    pub(crate) answer: Answer,
    pub(crate) stall: Option<Stall>,
}

struct Shared {
    content_type: String,
    body: Bytes,
    stall: Option<Stall>,
    served: AtomicU64,
}

/// Serves until the process ends; `listening` is called once with the address.
pub(crate) fn serve(floor: Floor, listening: impl FnOnce(SocketAddr)) -> Result<()> {
    let shared = Data::from(Arc::new(Shared {
        content_type: floor.answer.content_type,
        body: Bytes::from(floor.answer.body),
        stall: floor.stall,
        served: AtomicU64::new(0),
    }));
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::clone(&shared))
                .app_data(PayloadConfig::new(4 * 1024 * 1024))
                .route("/floor", web::get().to(answer))
                .route("/floor", web::post().to(answer))
                // The same for any path, so that the very request of the target can be sent here.
                .default_service(web::to(answer))
        })
        .workers(floor.workers)
        .keep_alive(Duration::from_secs(75))
        .disable_signals()
        .bind(&floor.bind)
        .with_context(|| format!("cannot listen on {}", floor.bind))?;
        let address = server.addrs().first().copied().context("no address")?;
        listening(address);
        server.run().await.context("the floor gave way")
    })
}

async fn answer(_swallowed: Bytes, shared: Data<Shared>) -> HttpResponse {
    if let Some(stall) = shared.stall
        && shared.served.fetch_add(1, Ordering::Relaxed) == stall.after
    {
        std::thread::sleep(stall.length);
    }
    let mut answer = HttpResponse::Ok();
    if shared.content_type.is_empty() {
        answer.insert_header(ContentType::octet_stream());
    } else {
        answer.content_type(shared.content_type.as_str());
    }
    answer.body(shared.body.clone())
}
