//! The install's own secrets: what signs visitor cookies and console tokens. Kept as documents, so that all nodes share
//! them.

use cookie::{Cookie, CookieJar};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::documents::{DocumentPut, DocumentStore, Documents, Expect};
use crate::event::ids::{hex, random_hex};
use crate::event::{SiteId, Timestamp, VisitorId};
use crate::keys::SYSTEM;
use crate::store_engine::StoreError;

const KIND: &str = "secret";
const ISSUER: &str = "rapport";
const AUDIENCE: &str = "console";

/// What signs.
pub struct Secrets {
    cookie: cookie::Key,
    token: Vec<u8>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// What a person may do in the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees reports and explanations.
    Analyst,
    /// Changes what is shown.
    Merchandiser,
    Admin,
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "analyst" => Ok(Self::Analyst),
            "merchandiser" => Ok(Self::Merchandiser),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("`{text}` is no role; use admin, merchandiser or analyst")),
        }
    }
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub sub: String,
    pub role: Role,
    pub iss: String,
    pub aud: String,
    pub iat: i64,
    pub exp: i64,
}

impl Secrets {
    /// Reads the secrets, or makes them on a fresh install. Of several nodes starting at once, one makes them.
    pub async fn open(documents: &Documents, rng: &mut (impl rand::Rng + Send)) -> Result<Self, StoreError> {
        let mut read = Vec::new();
        for name in ["cookie", "token"] {
            let fresh: String = (0..4).map(|_| random_hex(rng)).collect();
            let put = DocumentPut {
                id: name.to_owned(),
                expect: Expect::Absent,
                body: Some(fresh.into_bytes()),
                external_revision: None,
            };
            documents.put_many(SYSTEM, KIND, vec![put]).await?;
            let stored = documents.get_many(SYSTEM, KIND, &[name]).await?.pop().flatten();
            read.push(stored.ok_or_else(|| StoreError::Refused(format!("the secret `{name}` cannot be read")))?.body);
        }
        let (Some(token), Some(cookie)) = (read.pop(), read.pop()) else {
            return Err(StoreError::Refused("the install's secrets cannot be read".to_owned()));
        };
        Ok(Self { cookie: cookie::Key::derive_from(&cookie), token })
    }

    /// Returns a key for hashing names that nodes share; nothing of the secrets can be read from it.
    pub fn pseudonym_key(&self) -> [u8; 32] {
        Sha256::new().chain_update(b"rapport pseudonyms\0").chain_update(&self.token).finalize().into()
    }

    /// Returns a new visitor id: 128 random bits.
    pub fn mint(rng: &mut impl rand::Rng) -> Option<VisitorId> {
        let mut bytes = [0u8; 16];
        rng.fill_bytes(&mut bytes);
        VisitorId::new(&hex(&bytes)).ok()
    }

    /// Returns the `Set-Cookie` value that makes a browser come back as this visitor.
    pub fn visitor_cookie(&self, site: &SiteId, visitor: &VisitorId, days: i64, cross_site: bool, secure: bool) -> String {
        // The site is part of what is signed, so that one shop's cookie is nobody at another.
        let mut cookie = Cookie::build((cookie_name(site), format!("{site}:{visitor}")))
            .path("/")
            .http_only(true)
            .max_age(cookie::time::Duration::days(days))
            .same_site(cookie::SameSite::Lax)
            .secure(secure)
            .build();
        if cross_site {
            cookie.set_same_site(cookie::SameSite::None);
            cookie.set_secure(true);
            cookie.set_partitioned(true);
        }
        let mut jar = CookieJar::new();
        let name = cookie.name().to_owned();
        jar.signed_mut(&self.cookie).add(cookie);
        jar.get(&name).map(|c| c.encoded().to_string()).unwrap_or_default()
    }

    /// Returns the visitor a `Cookie` header names, if the signature is ours.
    pub fn visitor(&self, site: &SiteId, header: &str) -> Option<VisitorId> {
        let name = cookie_name(site);
        let mut jar = CookieJar::new();
        for cookie in Cookie::split_parse_encoded(header.to_owned()).flatten() {
            if cookie.name() == name {
                jar.add_original(cookie.into_owned());
            }
        }
        let signed = jar.signed(&self.cookie).get(&name)?;
        let (owner, visitor) = signed.value().split_once(':')?;
        if owner == site.as_str() { VisitorId::new(visitor).ok() } else { None }
    }

    /// Returns a token that signs a person in until `expires`.
    pub fn token(
        &self,
        email: &str,
        role: Role,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            sub: email.to_owned(),
            role,
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now.0 / 1_000_000,
            exp: expires.0 / 1_000_000,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&self.token))
    }

    /// Returns who a token signs in at `now`.
    pub fn claims(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // The library reads the clock; ours is an argument.
        validation.validate_exp = false;
        let data = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&self.token), &validation).ok()?;
        (data.claims.exp > now.0 / 1_000_000).then_some(data.claims)
    }
}

fn cookie_name(site: &SiteId) -> String {
    format!("rapport_{site}")
}

/// Chooses the cryptography of tokens; without this the library would panic at the first one.
pub fn install_crypto() {
    // It fails only where one is installed already, which is as good.
    let _ = jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
}
