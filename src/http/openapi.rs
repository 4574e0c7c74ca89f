//! The OpenAPI document, and a page to read it.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::problem::Code;

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
            super::resource("/docs")
                .route(web::get().to(|| async { page("text/html; charset=utf-8", include_str!("docs/docs.html")) })),
        )
        .service(
            super::resource("/docs/docs.js")
                .route(web::get().to(|| async { page("text/javascript; charset=utf-8", include_str!("docs/docs.js")) })),
        )
        .service(
            super::resource("/docs/docs.css")
                .route(web::get().to(|| async { page("text/css; charset=utf-8", include_str!("docs/docs.css")) })),
        );
}

fn page(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(kind).insert_header(("Content-Security-Policy", "default-src 'self'")).body(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::collect::outcome::{DropReason, Note, Outcome, RetryReason};
    use crate::event::{Rejection, RejectionCode};

    #[test]
    fn every_problem_has_an_example_that_is_true() {
        let document = build();
        let examples = document["components"]["examples"].as_object().unwrap();
        assert_eq!(examples.len(), Code::ALL.len());
        for code in Code::ALL {
            let example = &examples[code.slug()]["value"];
            assert_eq!(example["type"], format!("/docs#{}", code.slug()));
            assert_eq!((&example["code"], &example["title"]), (&json!(code.slug()), &json!(code.meaning())));
            assert_eq!(example["status"], code.status().as_u16());
        }
    }

    #[test]
    fn every_code_of_an_event_is_explained() {
        let notes = [Note::MoneyUnverified, Note::ValueWithoutCurrency].map(|note| Outcome::Ok(Some(note)));
        let drops = [DropReason::NoConsent, DropReason::Bot].map(Outcome::Drop);
        let retries = [RetryReason::InFlight, RetryReason::Overloaded, RetryReason::LogUnavailable].map(Outcome::Retry);
        let rejections = RejectionCode::ALL.iter().map(|code| Outcome::Rejected(Rejection::new(*code, "")));
        let real: BTreeSet<(String, String)> = notes
            .into_iter()
            .chain(drops)
            .chain(retries)
            .chain(rejections)
            .map(|outcome| (outcome.code().unwrap().to_owned(), outcome.result().to_owned()))
            .collect();
        let document = build();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let explained = document["x-event-codes"].as_array().unwrap();
        assert!(explained.iter().all(|entry| !text(&entry["meaning"]).is_empty()));
        assert_eq!(explained.iter().map(|e| (text(&e["code"]), text(&e["result"]))).collect::<BTreeSet<_>>(), real);
    }
}
