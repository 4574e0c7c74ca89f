//! Health, for load balancers, and figures, for operators.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::problem::{Code, Problem};
use crate::app::App;

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

/// Events can be kept, and the active build of every site, if there is one, is the one being served.
async fn readyz(app: web::Data<Arc<App>>) -> Result<HttpResponse, Problem> {
    if let Some(trouble) = app.collector.log.trouble() {
        return Err(Problem::new(Code::NotReady, format!("{trouble}. It goes on by itself once it can be written.")));
    }
    for site in app.sites() {
        let active = rapport_models::artifact::publish::active(&site.models_dir).ok().flatten();
        if active.is_some() && site.live.snapshot().build.is_none() {
            return Err(Problem::new(Code::NotReady, format!("The active build of site `{}` is not loaded.", site.id)));
        }
    }
    Ok(HttpResponse::Ok().json(json!({"status": "ok"})))
}

async fn metrics(app: web::Data<Arc<App>>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(app.metrics.render())
}
