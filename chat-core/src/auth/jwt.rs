use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Map, Value};

use super::{
    jwks::public_keys,
    key::{JwtAlgorithm, decoding_key, install_provider},
};
use crate::{
    Clock, Error, Invalid, SystemClock, Timestamp,
    model::{Identity, Metadata, UserId},
    traits::{Authenticator, Credentials},
};

/// Longest token, in bytes.
const TOKEN_BYTES: usize = 16 * 1024;

/// Authenticates JSON Web Tokens.
///
/// A token must be signed with a configured key by that key's own algorithm, and must carry `exp` and
/// `sub` (a text or a whole number). `nbf` is honoured, and `iss` and `aud` are checked where they are
/// configured. `name` and `picture` become the user's, when they are texts; all other claims but the
/// times are handed to policies and hooks. Tokens above 16 KiB are refused.
///
/// Why a token was refused is told to `tracing` at the level debug, and to nobody else.
///
/// ```
/// use parlor_core::auth::JwtAuthenticator;
///
/// let authenticator = JwtAuthenticator::hs256("0123456789abcdef0123456789abcdef")
///     .issuer("https://example.com")
///     .build()?;
/// # Ok::<(), parlor_core::Invalid>(())
/// ```
pub struct JwtAuthenticator {
    keys: Vec<Key>,
    leeway: Duration,
    clock: Arc<dyn Clock>,
}

impl JwtAuthenticator {
    /// Starts with one secret of at least 32 bytes, for tokens signed by HS256.
    pub fn hs256(secret: impl AsRef<[u8]>) -> JwtBuilder {
        Self::builder().key(JwtAlgorithm::Hs256, secret)
    }

    /// Starts without a key.
    pub fn builder() -> JwtBuilder {
        JwtBuilder {
            keys: Vec::new(),
            sets: Vec::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
            short_secrets: false,
        }
    }

    /// Whether the credentials are a token that names a key which is not configured: its issuer may have made
    /// a new one since. Says nothing about whether the token is good.
    pub fn lacks_key(&self, credentials: &Credentials) -> bool {
        let id = shown_token(credentials)
            .filter(|token| token.len() <= TOKEN_BYTES)
            .and_then(|token| jsonwebtoken::decode_header(token).ok()?.kid);
        id.is_some() && !self.keys.iter().any(|key| key.id == id)
    }

    pub(super) fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    fn identify(&self, token: &str) -> Result<Identity, Refusal> {
        if token.len() > TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        let id = jsonwebtoken::decode_header(token)?.kid;
        let named = self.keys.iter().find(|key| id.is_some() && key.id == id);
        let key = named.or_else(|| self.keys.iter().find(|key| key.id.is_none()));
        let Some(key) = key else { return Err(Refusal::UnknownKey) };
        let decoded =
            jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &key.validation)?;
        if decoded.header.crit.is_some() {
            // RFC 7515, section 4.1.11: what must be understood and is not refuses the token.
            return Err(Refusal::Critical);
        }
        self.identity(decoded.claims)
    }

    /// What the claims of a genuine token say, if they hold now.
    fn identity(&self, mut claims: Map<String, Value>) -> Result<Identity, Refusal> {
        let now = self.clock.now();
        let expires_at = moment(&claims, "exp")?.ok_or(Refusal::Claim("exp"))?;
        let ends_at = expires_at.plus(self.leeway);
        if ends_at <= now {
            return Err(Refusal::Expired);
        }
        if moment(&claims, "nbf")?.is_some_and(|start| start > now.plus(self.leeway)) {
            return Err(Refusal::NotYet);
        }
        let user_id = match claims.remove("sub") {
            Some(Value::String(text)) => UserId::new(text),
            Some(Value::Number(number)) if !number.is_f64() => UserId::new(number.to_string()),
            _ => return Err(Refusal::Claim("sub")),
        };
        let mut identity = Identity::new(user_id.map_err(|_| Refusal::Claim("sub"))?);
        // Within the leeway the identity must not be born expired.
        identity.expires_at = Some(if expires_at > now { expires_at } else { ends_at });
        identity.name = text(claims.remove("name"));
        identity.picture = text(claims.remove("picture"));
        for time in ["exp", "nbf", "iat"] {
            claims.remove(time);
        }
        // An emptied map keeps its node, 632 bytes for each connection.
        identity.claims = if claims.is_empty() { Metadata::default() } else { Metadata(claims) };
        Ok(identity)
    }
}

#[async_trait]
impl Authenticator for JwtAuthenticator {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        let token = shown_token(credentials);
        token.ok_or(Refusal::Missing).and_then(|token| self.identify(token)).map_err(|refusal| {
            tracing::debug!(reason = %refusal, "token refused");
            Error::Unauthenticated
        })
    }
}

impl fmt::Debug for JwtAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(|key| (&key.id, key.algorithm)).collect();
        f.debug_struct("JwtAuthenticator").field("keys", &keys).finish_non_exhaustive()
    }
}

/// Configures a [`JwtAuthenticator`].
#[must_use]
pub struct JwtBuilder {
    keys: Vec<(Option<String>, JwtAlgorithm, Vec<u8>)>,
    sets: Vec<Vec<u8>>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    leeway: Duration,
    clock: Arc<dyn Clock>,
    short_secrets: bool,
}

impl JwtBuilder {
    /// Adds the key for tokens that name none, or none that is known: a secret of at least 32 bytes
    /// for the HS algorithms, else a public key in PEM.
    pub fn key(mut self, algorithm: JwtAlgorithm, key: impl AsRef<[u8]>) -> Self {
        self.keys.push((None, algorithm, key.as_ref().to_vec()));
        self
    }

    /// Adds a key for tokens whose header names it in `kid`, so that keys can be rotated.
    pub fn key_with_id(
        mut self,
        id: impl Into<String>,
        algorithm: JwtAlgorithm,
        key: impl AsRef<[u8]>,
    ) -> Self {
        self.keys.push((Some(id.into()), algorithm, key.as_ref().to_vec()));
        self
    }

    /// Adds the public keys of a JSON Web Key Set, the document in which an identity provider publishes
    /// its keys: those for RS256, ES256 and EdDSA, as `alg` says or else the key's type. Others are left out: keys
    /// for encryption, symmetric ones, RSA keys under 2,048 bits, and all but the first 100.
    pub fn jwks(mut self, document: impl AsRef<[u8]>) -> Self {
        self.sets.push(document.as_ref().to_vec());
        self
    }

    /// Requires this `iss`; one of them when called again. Defaults to any or none.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Requires this among `aud`; one of them when called again. Defaults to any or none.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How far the issuer's clock may be off, for `exp` and `nbf`. Defaults to 30 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The clock that judges `exp` and `nbf`. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes shorter secrets as well when nobody but this machine can reach the server's `listener`, as the
    /// settings of a development machine have them. Defaults to at least 32 bytes.
    pub fn short_secrets_on(mut self, listener: SocketAddr) -> Self {
        self.short_secrets = listener.ip().to_canonical().is_loopback();
        self
    }

    /// Checks the keys and makes the authenticator.
    ///
    /// # Errors
    /// [`Invalid`] for the field `key`, `secret` or `jwks` says what it takes: there is no key, two have the
    /// same id or none, a secret is too short, a key is not a public key of its algorithm in PEM, or a set
    /// is malformed or holds no key that can be used.
    pub fn build(self) -> Result<JwtAuthenticator, Invalid> {
        install_provider();
        if self.keys.is_empty() && self.sets.is_empty() {
            return Err(Invalid::new("key", "at least one is needed to check tokens with"));
        }
        let mut keys: Vec<Key> = Vec::with_capacity(self.keys.len());
        let mut add = |id: Option<String>, algorithm, decoding| {
            if keys.iter().any(|key| key.id == id) {
                return Err(Invalid::new("key", "give each of several keys an id of its own"));
            }
            keys.push(Key { id, algorithm, decoding, validation: self.validation(algorithm) });
            Ok(())
        };
        for (id, algorithm, material) in &self.keys {
            add(id.clone(), *algorithm, decoding_key(*algorithm, material, self.short_secrets)?)?;
        }
        for document in &self.sets {
            for key in public_keys(document)? {
                add(key.id, key.algorithm, key.decoding)?;
            }
        }
        Ok(JwtAuthenticator { keys, leeway: self.leeway, clock: self.clock })
    }

    fn validation(&self, algorithm: JwtAlgorithm) -> Validation {
        let mut validation = Validation::new(algorithm.as_jsonwebtoken());
        // The times are judged here, by a clock that tests can move.
        validation.validate_exp = false;
        validation.validate_aud = !self.audiences.is_empty();
        let mut required = vec!["exp"];
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl fmt::Debug for JwtBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBuilder")
            .field("issuers", &self.issuers)
            .field("audiences", &self.audiences)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

struct Key {
    id: Option<String>,
    algorithm: JwtAlgorithm,
    decoding: DecodingKey,
    validation: Validation,
}

/// Why a token is refused. For the log alone.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is none")]
    Missing,
    #[error("longer than {TOKEN_BYTES} bytes")]
    TooLong,
    #[error("signed with a key that is not configured")]
    UnknownKey,
    #[error("asks for extensions that are not understood (crit)")]
    Critical,
    #[error("claim {0} is missing or malformed")]
    Claim(&'static str),
    #[error("expired")]
    Expired,
    #[error("not valid yet")]
    NotYet,
    #[error(transparent)]
    Jwt(#[from] jsonwebtoken::errors::Error),
}

/// The token that the credentials show, wherever it is.
fn shown_token(credentials: &Credentials) -> Option<&str> {
    let token = credentials.token.as_deref().or_else(|| credentials.header("authorization"));
    token.map(strip_bearer)
}

/// The token without the scheme that an `Authorization` header puts before it.
fn strip_bearer(token: &str) -> &str {
    match token.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => token,
    }
}

/// A claim in seconds since the epoch, whole or not.
fn moment(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().ok_or(Refusal::Claim(name))?;
    // Exact for whole seconds far beyond the year 9999; the cast saturates and the rest is clamped.
    Ok(Some(Timestamp::from_millis((seconds * 1000.0) as i64)))
}

fn text(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
