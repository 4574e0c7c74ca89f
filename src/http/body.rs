//! Reading a body: bounded, and unpacked within bounds.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{HttpRequest, web};

use super::problem::{Code, Problem};
use crate::collect::beacon::{GunzipError, gunzip};

/// Reads a body of at most `most` bytes, also after unpacking.
pub async fn read(request: &HttpRequest, payload: web::Payload, most: usize) -> Result<web::Bytes, Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("The body may have {most} bytes."));
    let body = match payload.to_bytes_limited(most).await {
        Ok(Ok(body)) => body,
        // The connection broke: nobody will read the answer.
        Ok(Err(_broken)) => return Err(Problem::new(Code::InvalidRequest, "The body ended early.")),
        Err(_limit) => return Err(too_large()),
    };
    match request.headers().get(CONTENT_ENCODING).map(|h| h.as_bytes().to_ascii_lowercase()) {
        None => Ok(body),
        Some(encoding) if encoding == b"identity" => Ok(body),
        Some(encoding) if encoding == b"gzip" => match gunzip(&body, most) {
            Ok(unpacked) => Ok(unpacked.into()),
            Err(GunzipError::TooLarge) => Err(too_large()),
            Err(GunzipError::Damaged) => Err(Problem::new(Code::DamagedGzip, "The body is not the gzip it says it is.")),
        },
        Some(_) => Err(Problem::new(Code::UnsupportedEncoding, "Send the body plain or with `Content-Encoding: gzip`.")),
    }
}

/// What bodies may be called. The last is what `curl -d` says of any body; it is read as JSON like the others.
const READ_AS_JSON: &[&str] =
    &["application/json", "text/plain", "application/x-ndjson", "application/jsonl", "application/x-www-form-urlencoded"];

/// Checks that a body says it is JSON, or text, which spares browsers a preflight.
pub fn check_type(request: &HttpRequest) -> Result<(), Problem> {
    let Some(value) = request.headers().get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.is_empty() || READ_AS_JSON.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType, "Send `application/json` or `text/plain`."))
    }
}
