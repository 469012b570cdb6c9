//! Keys that tokens are checked with.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, crypto::CryptoProvider,
};

use crate::Invalid;

#[cfg(feature = "jwt-aws-lc")]
static PROVIDER: &CryptoProvider = &jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
#[cfg(not(feature = "jwt-aws-lc"))]
static PROVIDER: &CryptoProvider = &jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;

/// Shortest secret, in bytes: as long as the hash of HS256 (RFC 7518, section 3.2).
const SECRET_BYTES: usize = 32;
/// Shortest RSA modulus, in bytes (RFC 7518, section 3.3).
const RSA_BYTES: usize = 256;
/// An uncompressed point of P-256.
const P256_BYTES: usize = 65;
/// A compressed point of Ed25519.
const ED25519_BYTES: usize = 32;

/// How tokens are signed. Chosen by configuration; a token's header cannot change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// HMAC with SHA-384 and a shared secret.
    Hs384,
    /// HMAC with SHA-512 and a shared secret.
    Hs512,
    /// RSA with SHA-256 (PKCS #1 v1.5) and a public key of at least 2,048 bits in PEM.
    Rs256,
    /// ECDSA on P-256 with SHA-256 and a public key in PEM.
    Es256,
    /// Ed25519 and a public key in PEM.
    EdDsa,
}

impl JwtAlgorithm {
    pub(super) fn as_jsonwebtoken(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Hs384 => Algorithm::HS384,
            Self::Hs512 => Algorithm::HS512,
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// Chooses the cryptography of the crate's feature. Without a choice jsonwebtoken panics when a host
/// turns on both backends.
pub(super) fn install_provider() {
    // A provider that is installed already, ours or the host's choice, stays.
    let _ = PROVIDER.install_default();
}

/// Reads a secret or a public key in PEM.
pub(super) fn decoding_key(
    algorithm: JwtAlgorithm,
    key: &[u8],
    short_secrets: bool,
) -> Result<DecodingKey, Invalid> {
    let algorithm = algorithm.as_jsonwebtoken();
    if algorithm.family() == AlgorithmFamily::Hmac {
        if !short_secrets || key.is_empty() {
            check_secret(key)?;
        }
        return Ok(DecodingKey::from_secret(key));
    }
    if String::from_utf8_lossy(key).contains("PRIVATE KEY") {
        return Err(Invalid::new("key", "must be the public key; this is the private one"));
    }
    public_key(algorithm, key).ok_or_else(|| {
        let takes = match algorithm.family() {
            AlgorithmFamily::Rsa => "an RSA public key of at least 2048 bits",
            AlgorithmFamily::Ec => "a public key on the curve P-256",
            _ => "an Ed25519 public key",
        };
        Invalid::new("key", format!("must be {takes} in PEM (-----BEGIN PUBLIC KEY-----)"))
    })
}

/// Checks that a secret cannot be guessed from a token.
pub(super) fn check_secret(secret: &[u8]) -> Result<(), Invalid> {
    if secret.len() < SECRET_BYTES {
        let reason = format!(
            "must be at least {SECRET_BYTES} bytes, and random; make one with: openssl rand -hex 32"
        );
        return Err(Invalid::new("secret", reason));
    }
    Ok(())
}

fn public_key(algorithm: Algorithm, pem: &[u8]) -> Option<DecodingKey> {
    let key = match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(pem),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(pem),
        _ => DecodingKey::from_ed_pem(pem),
    };
    key.ok().filter(|key| fits(algorithm, key))
}

/// Whether a public key can check what this algorithm signs, and is long enough. jsonwebtoken looks closer only
/// at the first token, which is too late for a configuration.
pub(super) fn fits(algorithm: Algorithm, key: &DecodingKey) -> bool {
    let long = match (algorithm.family(), key.kind()) {
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, .. }) => {
            n.iter().skip_while(|byte| **byte == 0).count() >= RSA_BYTES
        }
        (AlgorithmFamily::Rsa, DecodingKeyKind::SecretOrDer(der)) => {
            (PROVIDER.key_utils.rsa_pub_components_from_public_key)(der)
                .is_ok_and(|(modulus, _)| modulus.len() >= RSA_BYTES)
        }
        (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => point.len() == P256_BYTES,
        // jsonwebtoken panics at a shorter one.
        (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(point)) => point.len() == ED25519_BYTES,
        _ => false,
    };
    long && (PROVIDER.verifier_factory)(&algorithm, key).is_ok()
}
