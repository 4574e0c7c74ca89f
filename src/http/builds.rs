//! `/v1/builds`: which builds there are, and which one is served.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::caller::{Caller, Query};
use super::now;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::secrets::Role;

/// `GET /v1/builds`
pub async fn list(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = Caller::of(&app, &request, &Query::of(&request), None, now(&app))?.with_role(Role::Analyst)?;
    let site = caller.site;
    let serving = site.live.snapshot().build.as_ref().map(|b| b.id.clone());
    let builds = web::block(move || crate::build::list(&site.models_dir)).await.map_err(|e| Problem::internal(&e))?;
    let builds = builds.map_err(|e| Problem::internal(&e))?;
    Ok(HttpResponse::Ok().json(json!({"serving": serving, "builds": builds})))
}

/// `POST /v1/builds/{build}:activate` and `POST /v1/builds:rollback`; the server serves it within a moment.
pub async fn activate(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = Caller::of(&app, &request, &Query::of(&request), None, now(&app))?.with_role(Role::Merchandiser)?;
    let id = super::path_part(&request, "build");
    let dir = caller.site.models_dir.clone();
    let activated = web::block(move || crate::build::activate(&dir, &id)).await.map_err(|e| Problem::internal(&e))?;
    let id = activated.map_err(|e| Problem::new(Code::UnknownBuild, format!("{e}.")))?;
    app.look_again_for_builds().await;
    Ok(HttpResponse::Ok().json(json!({"active": id})))
}

/// `POST /v1/builds:rollback`
pub async fn rollback(app: web::Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = Caller::of(&app, &request, &Query::of(&request), None, now(&app))?.with_role(Role::Merchandiser)?;
    let dir = caller.site.models_dir.clone();
    let rolled = web::block(move || crate::build::rollback(&dir)).await.map_err(|e| Problem::internal(&e))?;
    let id = rolled.map_err(|e| Problem::new(Code::UnknownBuild, format!("{e}.")))?;
    app.look_again_for_builds().await;
    Ok(HttpResponse::Ok().json(Value::from_iter([("active", id)])))
}
