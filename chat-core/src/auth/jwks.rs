//! The public keys of a JSON Web Key Set (RFC 7517).

use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::key::{JwtAlgorithm, fits};
use crate::Invalid;

/// Keys of a set that are looked at; the rest are left out.
const MOST_KEYS: usize = 100;

/// A key that checks signatures.
pub(super) struct PublicKey {
    pub(super) id: Option<String>,
    pub(super) algorithm: JwtAlgorithm,
    pub(super) decoding: DecodingKey,
}

/// The keys of a set that can be used, each id once.
pub(super) fn public_keys(document: &[u8]) -> Result<Vec<PublicKey>, Invalid> {
    /// Each key by itself: one of a kind that nobody knows must not spoil the others.
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(document).map_err(|error| {
        Invalid::new("jwks", format!("must be a JSON Web Key Set ({{\"keys\":[…]}}): {error}"))
    })?;
    let mut keys: Vec<PublicKey> = Vec::new();
    for value in set.keys.into_iter().take(MOST_KEYS) {
        let id = value["kid"].as_str().map(str::to_owned);
        match public_key(value, id.clone()) {
            Ok(key) if keys.iter().any(|known| known.id == key.id) => {
                tracing::debug!(?id, "key left out: its id came already");
            }
            Ok(key) => keys.push(key),
            Err(reason) => tracing::debug!(?id, reason, "key left out"),
        }
    }
    if keys.is_empty() {
        let reason = "holds no public key for RS256 (of at least 2048 bits), ES256 or EdDSA";
        return Err(Invalid::new("jwks", reason));
    }
    Ok(keys)
}

fn public_key(value: Value, id: Option<String>) -> Result<PublicKey, &'static str> {
    let jwk: Jwk =
        serde_json::from_value(value).map_err(|_| "it is malformed or of no known type")?;
    let common = &jwk.common;
    let is_for_signatures =
        common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let verifies = common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !is_for_signatures || !verifies {
        return Err("it is not for signatures");
    }
    // A symmetric key that is published is no secret.
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (JwtAlgorithm::Rs256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (JwtAlgorithm::Es256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (JwtAlgorithm::EdDsa, KeyAlgorithm::EdDSA)
        }
        _ => return Err("its type is not supported"),
    };
    if common.key_algorithm.is_some_and(|given| given != named) {
        return Err("its algorithm is not supported");
    }
    match DecodingKey::from_jwk(&jwk) {
        Ok(decoding) if fits(algorithm.as_jsonwebtoken(), &decoding) => {
            Ok(PublicKey { id, algorithm, decoding })
        }
        _ => Err("it is malformed or too short"),
    }
}

#[cfg(test)]
mod tests;
