//! The OpenAPI document, and a page to read it.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::problem::Code;
use crate::event::RejectionCode;

const DOCUMENT: &str = include_str!("openapi.json");

/// Returns the document, completed with the codes the code knows.
pub fn build() -> Value {
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let problems: Vec<Value> = Code::ALL
        .iter()
        .map(|code| json!({"code": code.slug(), "status": code.status().as_u16(), "meaning": code.meaning()}))
        .collect();
    document["x-problem-codes"] = problems.into();
    document["x-event-codes"] = RejectionCode::ALL.iter().map(|code| code.as_str()).collect();
    document
}

/// `GET /openapi.json`
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().insert_header(("Access-Control-Allow-Origin", "*")).json(build())
}

/// `GET /docs`
pub fn docs(config: &mut web::ServiceConfig) {
    config
        .service(
            super::resource("/docs").route(web::get().to(|| page("text/html; charset=utf-8", include_str!("docs/docs.html")))),
        )
        .service(
            super::resource("/docs/docs.js")
                .route(web::get().to(|| page("text/javascript; charset=utf-8", include_str!("docs/docs.js")))),
        )
        .service(
            super::resource("/docs/docs.css")
                .route(web::get().to(|| page("text/css; charset=utf-8", include_str!("docs/docs.css")))),
        );
}

async fn page(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(kind).insert_header(("Content-Security-Policy", "default-src 'self'")).body(text)
}
