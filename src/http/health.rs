//! Health, for load balancers, and figures, for operators.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use super::problem::{Code, Problem};
use crate::app::App;
use crate::event::SiteId;
use crate::site::Site;

/// What stands on the public address.
pub fn public(config: &mut web::ServiceConfig) {
    config
        .service(super::resource("/livez").route(web::get().to(livez)).route(web::head().to(livez)))
        .service(super::resource("/readyz").route(web::get().to(readyz)).route(web::head().to(readyz)))
        .service(super::resource("/openapi.json").route(web::get().to(super::openapi::document)));
}

/// What stands on the admin address.
pub fn admin(config: &mut web::ServiceConfig) {
    public(config);
    config.service(super::resource("/metrics").route(web::get().to(metrics)));
}

/// The process runs.
async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// Requests are answered, but somebody should look.
    Degraded,
    /// Others should get the requests.
    Failing,
}

/// A part of the service, how it is, and what to do about it.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    status: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
    /// What is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_mib: Option<u64>,
}

impl Check {
    fn ok(check: &'static str) -> Self {
        Self { check, status: State::Ok, site: None, detail: None, free_mib: None }
    }

    fn trouble(self, status: State, detail: String) -> Self {
        Self { status, detail: Some(detail), ..self }
    }
}

/// Ready is who can keep events, has loaded the active build of every site, if there is one, and is not about to stop.
///
/// A store that is away is no reason to send requests elsewhere: events are kept in the log, and decisions go on.
async fn readyz(app: web::Data<Arc<App>>) -> Result<HttpResponse, Problem> {
    let mut checks = vec![log(&app), store(&app), disk(&app), archive(&app)];
    checks.extend(app.sites().iter().map(|site| build(site)));
    if app.is_draining() {
        let detail = "The server is about to stop. Send requests to another one.".to_owned();
        checks.push(Check::ok("process").trouble(State::Failing, detail));
    }
    let failing: Vec<&str> =
        checks.iter().filter(|check| check.status == State::Failing).filter_map(|check| check.detail.as_deref()).collect();
    if !failing.is_empty() {
        return Err(Problem::new(Code::NotReady, failing.join(" ")));
    }
    let degraded = checks.iter().any(|check| check.status == State::Degraded);
    let status = if degraded { State::Degraded } else { State::Ok };
    Ok(HttpResponse::Ok().json(json!({"status": status, "checks": checks})))
}

fn log(app: &App) -> Check {
    let check = Check::ok("log");
    match app.collector.log.trouble() {
        None => check,
        Some(trouble) => check.trouble(
            State::Failing,
            format!("{trouble}. Make room, or see to the disk of the data directory; the log goes on by itself once it can be written."),
        ),
    }
}

fn store(app: &App) -> Check {
    let check = Check::ok("store");
    if app.store_is_cut() {
        let detail =
            "Redis does not answer. See to it; events are kept in the log meanwhile, and profiles catch up by themselves.";
        return check.trouble(State::Degraded, detail.to_owned());
    }
    check
}

/// Warns while there is room for two more segments of the log only. Nothing is refused before the disk is full.
fn disk(app: &App) -> Check {
    let wanted = app.config.events.segment_mib.saturating_mul(2);
    let check = Check::ok("disk");
    match rustix::fs::statvfs(&app.paths.log) {
        Ok(system) => {
            let free = system.f_bavail.saturating_mul(system.f_frsize) >> 20;
            let check = Check { free_mib: Some(free), ..check };
            if free >= wanted {
                return check;
            }
            check.trouble(
                State::Degraded,
                format!("{free} MiB are left for the event log. Make room: events are refused once it is full."),
            )
        }
        Err(error) => check.trouble(State::Degraded, format!("How much room is left for the event log cannot be told: {error}.")),
    }
}

fn archive(app: &App) -> Check {
    let check = Check::ok("archive");
    match app.archive_trouble() {
        None => check,
        Some(trouble) => check.trouble(
            State::Degraded,
            format!("{trouble}. See to the archive; closed segments of the log wait in the data directory meanwhile."),
        ),
    }
}

fn build(site: &Site) -> Check {
    let check = Check { site: Some(site.id.clone()), ..Check::ok("build") };
    let active = rapport_models::artifact::publish::active(&site.models_dir).ok().flatten();
    if active.is_some() && site.live.snapshot().build.is_none() {
        let detail = format!(
            "The active build of site `{}` is not loaded. If that lasts, see `rapport doctor`, and activate another build or build anew.",
            site.id
        );
        return check.trouble(State::Failing, detail);
    }
    check
}

async fn metrics(app: web::Data<Arc<App>>) -> HttpResponse {
    app.metrics.store_cut.set(i64::from(app.store_is_cut()));
    app.collector.losses.close(app.clock.steady());
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(app.metrics.render())
}
