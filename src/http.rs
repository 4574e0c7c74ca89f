//! The only code that knows actix: routes, who may call them, what they answer.
//!
//! Two addresses. The public one serves shops and pages; the admin one serves operators. Middleware runs from the
//! outside in: [`middleware::finish`] (request id, CORS, counting problems), then the handler, which finds its caller
//! itself ([`caller::Caller::of`]), because the key may be in the body.

pub mod assets;
pub mod body;
pub mod builds;
pub mod caller;
pub mod catalog;
pub mod decisions;
pub mod events;
pub mod health;
pub mod json_text;
pub mod middleware;
pub mod openapi;
pub mod problem;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App as ActixApp, HttpRequest, HttpServer, Resource, guard, web};

use crate::app::App;
use crate::collect::segment::Call;
use crate::decide::placement::BUILT_IN;
use crate::demo::Demo;
use crate::event::Timestamp;
use problem::{Code, Problem};

/// Returns the time, for a request that has just come in.
fn now(app: &App) -> Timestamp {
    app.clock.now()
}

/// Returns a part of the path as it was meant.
///
/// The router leaves `/`, `%` and `+` as they were sent, so that they do not divide the path; here they are letters.
fn path_part(request: &HttpRequest, name: &str) -> String {
    let sent = request.match_info().query(name);
    let mut parts = sent.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let letter = match part.as_bytes() {
            [b'2', b'f' | b'F', ..] => Some('/'),
            [b'2', b'5', ..] => Some('%'),
            [b'2', b'b' | b'B', ..] => Some('+'),
            _ => None,
        };
        match letter.zip(part.get(2..)) {
            Some((letter, rest)) => {
                text.push(letter);
                text.push_str(rest);
            }
            None => {
                text.push('%');
                text.push_str(part);
            }
        }
    }
    text
}

/// What a server serves besides the API.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// The demo's storefront.
    pub demo: Option<Arc<Demo>>,
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
    handles: Vec<ServerHandle>,
    tasks: Vec<tokio::task::JoinHandle<std::io::Result<()>>>,
}

impl Running {
    /// Stops taking requests, lets those in flight finish, and returns.
    pub async fn stop(self) {
        for handle in &self.handles {
            handle.stop(true).await;
        }
        self.finished().await;
    }

    /// Waits until the server has stopped.
    pub async fn finished(self) {
        for task in self.tasks {
            if let Ok(Err(error)) = task.await {
                tracing::error!(%error, "A server ended with an error");
            }
        }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key}): {source}")]
pub struct ListenError {
    key: &'static str,
    address: String,
    source: std::io::Error,
}

/// Starts both servers.
pub fn serve(app: &Arc<App>, extras: &Extras) -> Result<Running, ListenError> {
    let http = app.config.http.clone();
    let workers = if http.workers == 0 { std::thread::available_parallelism().map_or(2, usize::from) } else { http.workers };
    let shutdown = http.shutdown_seconds;
    let data = web::Data::new(app.clone());
    let demo = extras.demo.clone();
    let public = HttpServer::new(move || {
        let demo = demo.clone();
        ActixApp::new()
            .app_data(data.clone())
            .wrap(actix_web::middleware::from_fn(middleware::finish))
            .configure(api)
            .configure(health::public)
            .configure(assets::sdk)
            .configure(move |config| {
                if let Some(demo) = demo {
                    assets::demo(config, demo);
                }
            })
            .default_service(web::to(not_found))
    })
    .workers(workers)
    .shutdown_timeout(shutdown)
    // A slow sender gets time to send its headers; nothing is kept for one that never does.
    .client_request_timeout(Duration::from_secs(10))
    .disable_signals();
    let public =
        public.bind(&http.bind).map_err(|source| ListenError { key: "http.bind", address: http.bind.clone(), source })?;
    let address = public.addrs().first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let public = public.run();

    let data = web::Data::new(app.clone());
    let admin = HttpServer::new(move || {
        ActixApp::new()
            .app_data(data.clone())
            .wrap(actix_web::middleware::from_fn(middleware::finish))
            .configure(health::admin)
            .configure(openapi::docs)
            .default_service(web::to(not_found))
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals()
    .bind(&http.admin_bind)
    .map_err(|source| ListenError { key: "http.admin_bind", address: http.admin_bind.clone(), source })?;
    let admin_address = admin.addrs().first().copied();
    let admin = admin.run();

    let handles = vec![public.handle(), admin.handle()];
    let tasks = vec![tokio::spawn(public), tokio::spawn(admin)];
    Ok(Running { address, admin_address, handles, tasks })
}

/// The API. Every address here is in the OpenAPI document; a test compares the two.
fn api(config: &mut web::ServiceConfig) {
    for placement in BUILT_IN {
        // A path without a pattern is compared and not matched by a regular expression, which takes longer than a decision.
        let path = format!("/v1/recommendations/{}", placement.id);
        let get = move |app, request| decisions::recommendations(Some(placement), app, request);
        config.service(resource(&path).route(web::get().to(get)));
    }
    config
        .service(resource("/v1/events").route(web::post().to(events::post)))
        .service(resource("/v1/segment/track").route(web::post().to(|a, r, p| events::post_segment(Call::Track, a, r, p))))
        .service(resource("/v1/segment/identify").route(web::post().to(|a, r, p| events::post_segment(Call::Identify, a, r, p))))
        .service(resource("/v1/segment/page").route(web::post().to(|a, r, p| events::post_segment(Call::Page, a, r, p))))
        .service(resource("/v1/segment/batch").route(web::post().to(|a, r, p| events::post_segment(Call::Batch, a, r, p))))
        .service(resource("/v1/decide").route(web::post().to(decisions::decide_page)))
        .service(resource("/v1/recommendations/{placement}").route(web::get().to(|a, r| decisions::recommendations(None, a, r))))
        .service(resource("/v1/placements").route(web::get().to(decisions::placements)))
        .service(
            resource("/v1/catalog/items").route(web::post().to(catalog::post_items)).route(web::get().to(catalog::list_items)),
        )
        .service(
            resource("/v1/catalog/items/{item_id}")
                .route(web::get().to(catalog::get_item))
                .route(web::put().to(catalog::put_item))
                .route(web::delete().to(catalog::delete_item)),
        )
        .service(resource("/v1/builds").route(web::get().to(builds::list)))
        .service(resource("/v1/builds:rollback").route(web::post().to(builds::rollback)))
        .service(resource("/v1/builds/{build}:activate").route(web::post().to(builds::activate)));
}

/// A resource that answers a problem where the method is not its own.
fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::route().guard(guard::fn_guard(|_| true)).to(method_not_allowed))
}

async fn not_found() -> Result<actix_web::HttpResponse, Problem> {
    Err(Problem::new(Code::NotFound, "There is nothing at this address."))
}

async fn method_not_allowed(request: HttpRequest) -> Result<actix_web::HttpResponse, Problem> {
    Err(Problem::new(Code::MethodNotAllowed, format!("{} is not for this address.", request.method())))
}
