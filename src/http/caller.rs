//! Who is calling: a key, found where browsers and servers may put it, or a person's token.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderName, ORIGIN, USER_AGENT};

use super::problem::{Code, Problem};
use crate::app::App;
use crate::event::{SiteId, Source, Timestamp, VisitorId};
use crate::keys::{Key, KeyKind};
use crate::secrets::{Claims, Role};
use crate::site::Site;

/// A caller that has proved who it is.
#[derive(Debug, Clone)]
pub struct Caller {
    pub site: Arc<Site>,
    pub who: Who,
}

#[derive(Debug, Clone)]
pub enum Who {
    Key(Arc<Key>),
    /// A person, signed in to the console.
    Person(Claims),
}

impl Caller {
    /// Returns the caller of a request that may carry its key in the header, the address or the body.
    pub fn of(
        app: &App,
        request: &HttpRequest,
        query: &Query<'_>,
        body_key: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let header = match header {
            None => None,
            Some(value) => Some(credentials(value)?),
        };
        if let Some(token) = header.as_deref().filter(|text| text.starts_with("eyJ")) {
            return Self::person(app, query, token, now);
        }
        let from_browser = [query.get("key"), body_key];
        let mut key: Option<&str> = header.as_deref();
        for given in from_browser.into_iter().flatten() {
            if given.starts_with("sk_") {
                return Err(Problem::new(
                    Code::SecretKeyExposed,
                    "Send secret keys in the Authorization header only, and revoke this one.",
                ));
            }
            match key {
                Some(other) if other != given => {
                    return Err(Problem::new(Code::KeyMismatch, "Two different keys were sent; send one."));
                }
                _ => key = Some(given),
            }
        }
        let Some(text) = key else {
            return Err(Problem::new(
                Code::MissingKey,
                "Send the key as `Authorization: Bearer …`; pages may also use `?key=` or `key` in the body.",
            ));
        };
        let key =
            app.keys.find(text).ok_or_else(|| Problem::new(Code::InvalidKey, "There is no such key, or it was revoked."))?;
        if let (KeyKind::Publishable, Some(origin)) = (key.record.kind, request.headers().get(ORIGIN)) {
            let origin = origin.to_str().unwrap_or_default();
            if !key.allows_origin(origin) {
                let detail = "This key does not serve pages of this origin; create one with `rapport keys create --origin`.";
                return Err(Problem::new(Code::OriginNotAllowed, detail).of(&key.record.site));
            }
        }
        if let Err(seconds) = key.admit(app.clock.steady(), app.config.rate_limit) {
            app.metrics.rate_limited.inc();
            let problem = Problem::new(Code::RateLimited, "This key has used up its allowance.");
            return Err(problem.retry_after(seconds).of(&key.record.site));
        }
        let site = app
            .site(&key.record.site)
            .ok_or_else(|| Problem::new(Code::InvalidKey, "The key's site does not exist any more."))?;
        Ok(Self { site, who: Who::Key(key) })
    }

    fn person(app: &App, query: &Query<'_>, token: &str, now: Timestamp) -> Result<Self, Problem> {
        let claims = app.secrets.claims(token, now).ok_or_else(|| {
            Problem::new(Code::InvalidKey, "The token is not ours or has expired; make one with `rapport token`.")
        })?;
        let site = SiteId::parse(query.get("site").unwrap_or("default"))
            .map_err(|e| Problem::new(Code::InvalidRequest, e.to_string()))?;
        let site = app.site(&site).ok_or_else(|| Problem::new(Code::NotFound, "There is no such site."))?;
        Ok(Self { site, who: Who::Person(claims) })
    }

    /// Returns the caller if it is the shop's server.
    pub fn server(self) -> Result<Self, Problem> {
        if self.is_server() { Ok(self) } else { Err(Problem::new(Code::Forbidden, "This needs a secret key.")) }
    }

    /// Returns the caller if it holds a key: events come from pages and servers, not from people.
    pub fn with_key(self) -> Result<Self, Problem> {
        match self.who {
            Who::Key(_) => Ok(self),
            Who::Person(_) => Err(Problem::new(Code::Forbidden, "This needs a key.")),
        }
    }

    /// Returns the caller if it is a person with at least this role, or the shop's server.
    pub fn with_role(self, role: Role) -> Result<Self, Problem> {
        let allowed = match &self.who {
            Who::Person(claims) => claims.role >= role,
            Who::Key(_) => self.is_server(),
        };
        if allowed {
            Ok(self)
        } else {
            Err(Problem::new(Code::Forbidden, "This needs a role token; make one with `rapport token`."))
        }
    }

    /// Returns whether it holds a secret key.
    pub fn is_server(&self) -> bool {
        matches!(&self.who, Who::Key(key) if key.record.kind == KeyKind::Secret)
    }

    /// Returns whether it may see counts and reasons.
    pub fn may_explain(&self) -> bool {
        self.is_server() || matches!(self.who, Who::Person(_))
    }

    /// Returns how far its events are believed.
    pub fn source(&self) -> Source {
        if self.is_server() { Source::Server } else { Source::Browser }
    }
}

/// Returns whose key a request carries in its header or address, for counting what is refused before the caller is known.
pub fn site_of_key(app: &App, request: &HttpRequest) -> Option<SiteId> {
    let query = Query::of(request);
    let header = request.headers().get(AUTHORIZATION).and_then(|value| credentials(value.to_str().ok()?).ok());
    let key = app.keys.find(header.as_deref().or(query.get("key"))?)?;
    Some(key.record.site.clone())
}

/// Returns what an `Authorization` header carries: a bearer token, or Segment's write key as a user name.
fn credentials(value: &str) -> Result<Cow<'_, str>, Problem> {
    let malformed = || Problem::new(Code::InvalidKey, "The Authorization header must read `Bearer KEY`.");
    let (scheme, rest) = value.split_once(' ').ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(rest.trim().into());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64_decode(rest.trim()).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(malformed)?;
        return Ok(decoded.split(':').next().unwrap_or_default().to_owned().into());
    }
    Err(malformed())
}

/// Decodes standard base64 (RFC 4648), for one header of one dialect.
fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let mut bits = 0u32;
    let mut held = 0;
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap_or(0));
        }
    }
    Some(bytes)
}

/// The parameters behind the `?`.
#[derive(Debug, Default)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Returns the parameters of a request; of letters that are no UTF-8 a replacement is read.
    pub fn of(request: &'a HttpRequest) -> Self {
        let pairs = request.query_string().split('&').filter(|pair| !pair.is_empty());
        Self(pairs.filter_map(parameter).collect())
    }

    /// Returns a parameter; the first, where it is given twice.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

/// Reads `name=value`, as the URL Standard says (`application/x-www-form-urlencoded`).
fn parameter(pair: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    if pair.contains(['%', '+']) {
        return form_urlencoded::parse(pair.as_bytes()).next();
    }
    // Most mean what they say.
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some((name.into(), value.into()))
}

/// Returns the visitor the cookie names, if we signed it.
pub fn cookie_visitor(app: &App, site: &SiteId, request: &HttpRequest) -> Option<VisitorId> {
    request.headers().get_all(COOKIE).filter_map(|h| h.to_str().ok()).find_map(|header| app.secrets.visitor(site, header))
}

/// Returns the browser's name, if it said one.
pub fn user_agent(request: &HttpRequest) -> Option<&str> {
    request.headers().get(USER_AGENT).and_then(|h| h.to_str().ok())
}

/// The browser's privacy signal (Global Privacy Control, W3C).
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// Returns whether the browser's privacy signal is set.
pub fn gpc(request: &HttpRequest) -> bool {
    request.headers().get(&SEC_GPC).is_some_and(|h| h.as_bytes() == b"1")
}

/// Returns whether the page was loaded over HTTPS, by our socket or a proxy we trust.
pub fn is_secure(app: &App, request: &HttpRequest) -> bool {
    let trusted = request.peer_addr().is_some_and(|peer| app.config.http.trusted_proxies.contains(&peer.ip()));
    trusted && request.headers().get("X-Forwarded-Proto").is_some_and(|h| h.as_bytes() == b"https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_key_travels_as_a_user_name() {
        assert_eq!(credentials("Basic cGtfYV9iOg==").unwrap(), "pk_a_b");
        assert_eq!(credentials("bearer  pk_a_b").unwrap(), "pk_a_b");
        for bad in ["", "Bearer", "Basic %%%", "Digest x"] {
            assert!(credentials(bad).is_err(), "{bad}");
        }
    }
}
