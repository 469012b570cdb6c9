//! `parlor-server token`: a token for trying out.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use parlor::{auth::JwtAuthenticator, model::UserId};
use serde::Serialize;

use crate::{
    failure::Failure,
    options::{Options, TokenOptions},
    secret::{self, Secret},
    settings::{Database, Demands, Keys},
};

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// Signs a token as the server with the same options takes it.
pub(crate) fn sign(options: &Options, token: &TokenOptions) -> Result<String, Failure> {
    let secret = secret(options)?;
    UserId::new(token.sub.as_str())
        .map_err(|error| Failure::Usage(format!("--sub is no id of a user: {error}")))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let demands = Demands::from(&options.keys);
    let claims = Claims {
        sub: &token.sub,
        name: token.name.as_deref(),
        iat: now,
        exp: now + token.ttl.as_secs().max(1),
        iss: demands.issuers.first().map(String::as_str),
        aud: demands.audiences.first().map(String::as_str),
    };
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Start(format!("the token cannot be signed: {error}"))
    };
    // Made ready as the server does, which also chooses the cryptography.
    JwtAuthenticator::hs256(secret.reveal()).build().map_err(|error| failed(&error))?;
    let key = EncodingKey::from_secret(secret.reveal().as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).map_err(|error| failed(&error))
}

fn secret(options: &Options) -> Result<Secret, Failure> {
    let database = Database::check(&options.storage)?;
    match Keys::check(&options.keys, &database, None)? {
        Keys::Secret(secret) => Ok(secret),
        Keys::Development { file } => {
            let secret = secret::of_development(&file)?;
            eprintln!("Signed with the development secret in {}.", file.display());
            Ok(secret)
        }
        Keys::Jwks(_) => Err(Failure::Usage(
            "with --jwks (JWKS_URL) tokens are signed by the identity provider: get one there"
                .into(),
        )),
    }
}
