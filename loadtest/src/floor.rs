//! The floor: what the framework and the machine cost when nothing is done.
//!
//! A bare actix-web handler reads the request to its end and answers fixed bytes. A server that
//! does real work cannot be faster; how close it comes is the figure worth quoting. For beacons there
//! is a second floor, which also parses them and [appends](append) them to a log of its own.

mod append;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::header::ContentType,
    web::{self, Bytes, Data, PayloadConfig},
};
use anyhow::{Context, Result};

use self::append::Appender;

/// What a request is answered with.
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

/// What is done for a request before it is answered.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// It is read to its end.
    Nothing,
    /// It is parsed, and its events are appended to this file and synced.
    Append(PathBuf),
}

/// How the floor is laid.
#[derive(Debug, Clone)]
pub(crate) struct Floor {
    pub(crate) bind: String,
    pub(crate) workers: usize,
    /// A request to `/N/…` gets the `N`th of them, any other the first.
    pub(crate) answers: Vec<Answer>,
    pub(crate) work: Work,
    pub(crate) stall: Option<Stall>,
}

struct Shared {
    answers: Vec<(String, Bytes)>,
    appender: Option<Appender>,
    stall: Option<Stall>,
    served: AtomicU64,
}

/// Serves until the process ends; `listening` is called once with the address.
pub(crate) fn serve(floor: Floor, listening: impl FnOnce(SocketAddr)) -> Result<()> {
    let appender = match &floor.work {
        Work::Nothing => None,
        Work::Append(path) => Some(Appender::open(path)?),
    };
    let shared = Data::from(Arc::new(Shared {
        answers: floor.answers.into_iter().map(|answer| (answer.content_type, Bytes::from(answer.body))).collect(),
        appender,
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

async fn answer(request: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    if let Some(stall) = shared.stall
        && shared.served.fetch_add(1, Ordering::Relaxed) == stall.after
    {
        std::thread::sleep(stall.length);
    }
    if let Some(appender) = &shared.appender
        && let Err(error) = appender.append(&body).await
    {
        return HttpResponse::InternalServerError().body(format!("{error:#}"));
    }
    let Some((content_type, body)) = shared.answer(request.path()) else {
        return HttpResponse::NotFound().finish();
    };
    let mut answer = HttpResponse::Ok();
    if content_type.is_empty() {
        answer.insert_header(ContentType::octet_stream());
    } else {
        answer.content_type(content_type.as_str());
    }
    answer.body(body.clone())
}

impl Shared {
    fn answer(&self, path: &str) -> Option<&(String, Bytes)> {
        let kind = match self.answers.len() {
            // The bare handler does not even look.
            1 => 0,
            _ => path.split('/').nth(1).and_then(|part| part.parse().ok()).unwrap_or(0),
        };
        self.answers.get(kind)
    }
}
