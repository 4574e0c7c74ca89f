//! Files that are part of the binary: the page snippet, and the demo's storefront.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::problem::{Code, Problem};
use crate::demo::Demo;
use crate::demo::assets as storefront;

/// The version of the snippet that is built in.
pub const SDK_VERSION: &str = "0.1.0";

const SDK: &[(&str, &str, &[u8])] = &[
    ("rapport.js", "text/javascript; charset=utf-8", include_bytes!("../../sdk-js/dist/rapport.js")),
    ("rapport.mjs", "text/javascript; charset=utf-8", include_bytes!("../../sdk-js/dist/rapport.mjs")),
];

/// The snippet, under its version: immutable.
pub fn sdk(config: &mut web::ServiceConfig) {
    config.service(super::resource("/sdk/{version}/{file}").route(web::get().to(sdk_file)));
}

async fn sdk_file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (version, file) = (request.match_info().query("version"), request.match_info().query("file"));
    let found = SDK.iter().find(|(name, ..)| version == SDK_VERSION && *name == file);
    let Some((_, kind, bytes)) = found else {
        return Err(Problem::new(
            Code::NotFound,
            format!("There is /sdk/{SDK_VERSION}/rapport.js and /sdk/{SDK_VERSION}/rapport.mjs."),
        ));
    };
    Ok(HttpResponse::Ok()
        .content_type(*kind)
        .insert_header(("Cache-Control", "public, max-age=31536000, immutable"))
        // Pages of other origins load it, also with an integrity attribute.
        .insert_header(("Access-Control-Allow-Origin", "*"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"))
        .body(*bytes))
}

/// The storefront of the demo.
pub fn demo(config: &mut web::ServiceConfig, demo: Arc<Demo>) {
    config
        .app_data(web::Data::new(demo))
        .service(
            web::resource("/")
                .route(web::get().to(|| async { HttpResponse::Found().insert_header(("Location", "/demo/")).finish() })),
        )
        .service(
            web::resource("/demo")
                .route(web::get().to(|| async { HttpResponse::Found().insert_header(("Location", "/demo/")).finish() })),
        )
        .service(super::resource("/demo/{path:.*}").route(web::get().to(demo_file)));
}

async fn demo_file(demo: web::Data<Arc<Demo>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.match_info().query("path");
    if let Some(json) = demo.document(path) {
        return Ok(HttpResponse::Ok().content_type("application/json").insert_header(("Cache-Control", "no-store")).body(json));
    }
    if let Some(svg) = path.strip_prefix("img/").and_then(|name| demo.picture(name.strip_suffix(".svg")?)) {
        return Ok(HttpResponse::Ok()
            .content_type("image/svg+xml")
            .insert_header(("Cache-Control", "public, max-age=3600"))
            .body(svg.to_owned()));
    }
    let (bytes, kind) =
        storefront::asset(path).ok_or_else(|| Problem::new(Code::NotFound, "There is no such page in the shop."))?;
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header(("Cache-Control", "no-cache"))
        .insert_header(("Content-Security-Policy", "default-src 'self'; frame-ancestors 'self'; base-uri 'none'"))
        .body(bytes))
}
