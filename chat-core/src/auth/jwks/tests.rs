use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::*;
use crate::{
    Error,
    auth::{JwtAuthenticator, key::install_provider},
    traits::{Authenticator, Credentials},
};

macro_rules! test_key {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/keys/test-only-", $name, ".pem"))
    };
}

/// What signs, and by which algorithm.
fn pairs() -> [(Algorithm, EncodingKey); 3] {
    install_provider();
    [
        (Algorithm::RS256, EncodingKey::from_rsa_pem(test_key!("rsa")).unwrap()),
        (Algorithm::ES256, EncodingKey::from_ec_pem(test_key!("ec")).unwrap()),
        (Algorithm::EdDSA, EncodingKey::from_ed_pem(test_key!("ed")).unwrap()),
    ]
}

/// The public half as a provider publishes it, with some members changed; null takes one away.
fn published(algorithm: Algorithm, key: &EncodingKey, id: &str, changes: Value) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    jwk["kid"] = id.into();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
            value => jwk[name] = value.clone(),
        }
    }
    jwk
}

fn token(algorithm: Algorithm, key: &EncodingKey, id: &str) -> String {
    let header = Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    encode(&header, &json!({ "sub": "ann", "exp": now + 60 }), key).unwrap()
}

fn authenticator(keys: &[Value]) -> Result<JwtAuthenticator, Invalid> {
    JwtAuthenticator::builder().jwks(json!({ "keys": keys }).to_string()).build()
}

async fn accepts(authenticator: &JwtAuthenticator, token: &str) -> bool {
    match authenticator.authenticate(&Credentials::token(token)).await {
        Ok(_) => true,
        Err(Error::Unauthenticated) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn keys_of_all_three_kinds_check_tokens_with_and_without_alg() {
    for changes in [json!({}), json!({ "alg": null }), json!({ "alg": null, "use": "sig" })] {
        let keys: Vec<Value> = pairs()
            .iter()
            .map(|(algorithm, key)| {
                published(*algorithm, key, &format!("{algorithm:?}"), changes.clone())
            })
            .collect();
        let authenticator = authenticator(&keys).unwrap();
        for (algorithm, key) in &pairs() {
            let id = format!("{algorithm:?}");
            assert!(accepts(&authenticator, &token(*algorithm, key, &id)).await, "{id} {changes}");
            assert!(!accepts(&authenticator, &token(*algorithm, key, "other")).await, "{id}");
        }
    }
}

#[tokio::test]
async fn a_key_is_for_its_own_algorithm_alone() {
    let [(rs256, key), ..] = pairs();
    let authenticator = authenticator(&[published(rs256, &key, "a", json!({}))]).unwrap();
    for algorithm in [Algorithm::RS384, Algorithm::PS256] {
        assert!(!accepts(&authenticator, &token(algorithm, &key, "a")).await, "{algorithm:?}");
    }
    // What is public of the pair as the secret of an HMAC.
    let jwk = published(rs256, &key, "a", json!({}));
    let secret = EncodingKey::from_secret(jwk["n"].as_str().unwrap().as_bytes());
    assert!(!accepts(&authenticator, &token(Algorithm::HS256, &secret, "a")).await);
}

#[tokio::test]
async fn what_cannot_be_used_is_left_out_and_spoils_nothing() {
    let [(rs256, rsa), (es256, ec), (eddsa, ed)] = pairs();
    let short = json!({ "kty": "RSA", "kid": "short", "e": "AQAB", "n": "q".repeat(171) });
    let keys = [
        json!({ "kty": "quantum", "kid": "unknown" }),
        json!("no object"),
        json!({ "kty": "oct", "kid": "symmetric", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" }),
        short,
        published(rs256, &rsa, "encryption", json!({ "use": "enc" })),
        published(rs256, &rsa, "wraps", json!({ "key_ops": ["wrapKey"] })),
        published(rs256, &rsa, "other algorithm", json!({ "alg": "RS512" })),
        published(es256, &ec, "broken", json!({ "x": "AAAA" })),
        published(es256, &ec, "other curve", json!({ "crv": "P-384", "alg": null })),
        published(eddsa, &ed, "broken ed", json!({ "x": "AAAA" })),
        published(eddsa, &ed, "good", json!({})),
        published(es256, &ec, "good", json!({})),
    ];
    let ids: Vec<_> = public_keys(json!({ "keys": keys }).to_string().as_bytes())
        .unwrap()
        .into_iter()
        .map(|key| (key.id.unwrap(), key.algorithm))
        .collect();
    assert_eq!(ids, [("good".to_owned(), JwtAlgorithm::EdDsa)], "the first of an id counts");
    let authenticator = authenticator(&keys).unwrap();
    assert!(accepts(&authenticator, &token(eddsa, &ed, "good")).await);
    assert!(!accepts(&authenticator, &token(rs256, &rsa, "encryption")).await);
}

#[test]
fn a_set_without_a_key_that_can_be_used_says_so() {
    let refused = |document: &str| {
        let error = JwtAuthenticator::builder().jwks(document).build().unwrap_err();
        assert_eq!(error.field, "jwks", "{document}");
        error.to_string()
    };
    for document in ["", "<html>", "[]", "{}", r#"{"keys":{}}"#] {
        assert!(refused(document).contains("must be a JSON Web Key Set"), "{document}");
    }
    assert!(refused(r#"{"keys":[]}"#).contains("holds no public key"));
    let [(rs256, key), ..] = pairs();
    let enough = vec![json!({ "kty": "quantum" }); MOST_KEYS];
    let late = [enough, vec![published(rs256, &key, "late", json!({}))]].concat();
    assert!(refused(&json!({ "keys": late }).to_string()).contains("holds no public key"));
}

#[test]
fn a_token_that_names_a_key_which_is_not_there_is_told_apart() {
    let [(rs256, key), ..] = pairs();
    let authenticator = authenticator(&[published(rs256, &key, "a", json!({}))]).unwrap();
    let lacks = |token: &str| authenticator.lacks_key(&Credentials::token(token));
    assert!(!lacks(&token(rs256, &key, "a")));
    assert!(lacks(&token(rs256, &key, "b")));
    assert!(lacks(&format!("Bearer {}", token(rs256, &key, "b"))));
    assert!(!lacks(&encode(&Header::new(rs256), &json!({}), &key).unwrap()), "it names none");
    assert!(!lacks("no token"));
    assert!(!authenticator.lacks_key(&Credentials::default()));
}
