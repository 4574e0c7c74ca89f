//! What happens to every request and every answer.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::problem::{Code, Problem};
use crate::app::App;

/// Tells this middleware which problem an answer holds; it does not leave the server.
pub const PROBLEM_CODE: HeaderName = HeaderName::from_static("x-problem-code");

/// Answers preflights, puts CORS headers on every answer (errors too), and counts problems.
pub async fn finish(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let app = request.app_data::<web::Data<Arc<App>>>().cloned();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = match (&app, &origin) {
        (Some(app), Some(origin)) => origin.to_str().is_ok_and(|origin| app.keys.any_allows_origin(origin)),
        _ => false,
    };
    let preflight = request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight {
        let mut response = HttpResponse::NoContent();
        if allowed {
            response
                .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE"))
                .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, Content-Encoding"))
                .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"));
        }
        request.into_response(response.finish())
    } else {
        match next.call(request).await {
            Ok(response) => response.map_into_boxed_body(),
            // Nothing but our own extractors fails here, and those answer problems themselves.
            Err(error) => return Err(error),
        }
    };
    if let Some(origin) = origin.filter(|_| allowed) {
        allow(response.headers_mut(), origin);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    let refused = response.status().is_client_error() || response.status().is_server_error();
    let code = if refused { response.headers_mut().remove(&PROBLEM_CODE).next() } else { None };
    if let (Some(app), Some(code)) = (app, code) {
        app.metrics.problems.with_label_values(&[code.to_str().unwrap_or("?")]).inc();
    } else if response.status() == StatusCode::BAD_REQUEST && !is_problem(response.headers()) {
        // What the framework refuses by itself is made to look like everything else.
        let request = response.request().clone();
        let problem = Problem::new(Code::InvalidRequest, "The request cannot be read.");
        let response = actix_web::ResponseError::error_response(&problem);
        return Ok(ServiceResponse::new(request, response));
    }
    Ok(response)
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|h| h.as_bytes().starts_with(b"application/problem+json"))
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(
        HeaderName::from_static("access-control-expose-headers"),
        HeaderValue::from_static("Retry-After, RateLimit, ETag"),
    );
}
