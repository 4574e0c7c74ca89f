//! Problems: every error the API answers, as RFC 9457 `application/problem+json` with a stable `code`.
//!
//! Two messages: `detail` helps the caller; what happened inside goes to the log, once, where the problem is made.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use super::middleware::PROBLEM_CODE;
use crate::event::SiteId;

macro_rules! problem_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $status:ident, $slug:literal;)*) => {
        /// The stable code of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $name,)*
        }

        impl Code {
            /// Every code, for the documentation.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// Returns the code as the API writes it.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// Returns the HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Returns what it means, for the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

problem_codes! {
    /// The body is no JSON.
    MalformedJson = BAD_REQUEST, "malformed_json";
    /// The batch is JSON, but not a batch: the detail names the field.
    InvalidBatch = BAD_REQUEST, "invalid_batch";
    /// A parameter or field is missing or not as documented: the detail names it.
    InvalidRequest = BAD_REQUEST, "invalid_request";
    /// The filter cannot be compiled: the detail names the place in the tree.
    InvalidFilter = BAD_REQUEST, "invalid_filter";
    /// The body says it is gzip and cannot be unpacked.
    DamagedGzip = BAD_REQUEST, "damaged_gzip";
    /// No key was sent: use the Authorization header, `?key=`, or `key` in the body.
    MissingKey = UNAUTHORIZED, "missing_key";
    /// There is no such key, or it was revoked.
    InvalidKey = UNAUTHORIZED, "invalid_key";
    /// Two different keys were sent.
    KeyMismatch = UNAUTHORIZED, "key_mismatch";
    /// A secret key was sent where browsers send keys. Revoke it: addresses and bodies end up in logs.
    SecretKeyExposed = UNAUTHORIZED, "secret_key_exposed";
    /// This key may not do that.
    Forbidden = FORBIDDEN, "forbidden";
    /// The publishable key does not serve pages of this origin.
    OriginNotAllowed = FORBIDDEN, "origin_not_allowed";
    /// Explanations hold business figures: use a secret key or a role token.
    ExplainNeedsSecretKey = FORBIDDEN, "explain_needs_secret_key";
    /// There is nothing at this address.
    NotFound = NOT_FOUND, "not_found";
    /// There is no placement of that name.
    UnknownPlacement = NOT_FOUND, "unknown_placement";
    /// There is no item of that id.
    UnknownItem = NOT_FOUND, "unknown_item";
    /// There is no build of that id.
    UnknownBuild = NOT_FOUND, "unknown_build";
    /// The address exists, but not for this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed";
    /// What is stored is not what `If-Match` or `If-None-Match` expects.
    PreconditionFailed = PRECONDITION_FAILED, "precondition_failed";
    /// The body is larger than allowed.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body_too_large";
    /// Send `application/json` or `text/plain`.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type";
    /// Only gzip bodies are unpacked.
    UnsupportedEncoding = UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding";
    /// The key's allowance is used up; wait as long as `Retry-After` says.
    RateLimited = TOO_MANY_REQUESTS, "rate_limited";
    /// Something inside went wrong. It is in our log.
    Internal = INTERNAL_SERVER_ERROR, "internal";
    /// None of the events could be kept. Send them again.
    EventsNotKept = SERVICE_UNAVAILABLE, "events_not_kept";
    /// A store we need did not answer; the same request may succeed later.
    StoreUnavailable = SERVICE_UNAVAILABLE, "store_unavailable";
    /// The server is starting or stopping.
    NotReady = SERVICE_UNAVAILABLE, "not_ready";
}

/// An error for the caller.
#[derive(Debug)]
pub struct Problem {
    pub code: Code,
    detail: String,
    retry_after: Option<u64>,
    /// Whose key was sent, where that is known though the caller was refused.
    pub site: Option<SiteId>,
}

impl Problem {
    /// Returns a problem with what the caller should do about it.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after = (code.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self { code, detail: detail.into(), retry_after, site: None }
    }

    /// Returns a problem about one parameter or field.
    pub fn invalid(field: &str, wanted: &str) -> Self {
        Self::new(Code::InvalidRequest, format!("`{field}` {wanted}."))
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Says whose key was sent.
    #[must_use]
    pub fn of(self, site: &SiteId) -> Self {
        Self { site: Some(site.clone()), ..self }
    }

    /// Returns the problem of a store that did not answer, and logs why.
    pub fn store(error: &crate::store_engine::StoreError) -> Self {
        tracing::warn!(%error, "A store did not answer");
        Self::new(Code::StoreUnavailable, "The store cannot be reached right now.")
    }

    /// Returns a problem that tells the caller nothing and the log everything.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "A request failed");
        Self::new(Code::Internal, "Something went wrong on our side.")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.slug(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        response.content_type("application/problem+json");
        if let Some(seconds) = self.retry_after {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        if self.code == Code::RateLimited {
            // The draft standard's header beside the old one.
            response.insert_header(("RateLimit", format!("\"default\";r=0;t={}", self.retry_after.unwrap_or(1))));
        }
        response.insert_header((PROBLEM_CODE, self.code.slug()));
        response.body(
            serde_json::json!({
                "type": format!("/docs#{}", self.code.slug()),
                "title": self.code.meaning(),
                "status": self.code.status().as_u16(),
                "code": self.code.slug(),
                "detail": self.detail,
            })
            .to_string(),
        )
    }
}
