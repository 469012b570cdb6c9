use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;
use crate::testing::TestClock;

const SECRET: &str = "a secret of forty bytes, for tests only.";
const OTHER: &str = "another secret, also for the tests only.";

macro_rules! test_key {
    ($name:literal) => {
        include_str!(concat!("../../../tests/keys/test-only-", $name, ".pem"))
    };
}

/// An algorithm with what checks its tokens, what signs them, and what signs others'.
struct Case {
    algorithm: JwtAlgorithm,
    check: &'static str,
    sign: EncodingKey,
    other: EncodingKey,
}

fn cases() -> Vec<Case> {
    // These tests sign before there is an authenticator.
    install_provider();
    let hmac = [JwtAlgorithm::Hs256, JwtAlgorithm::Hs384, JwtAlgorithm::Hs512];
    let hmac = hmac.map(|algorithm| Case {
        algorithm,
        check: SECRET,
        sign: EncodingKey::from_secret(SECRET.as_bytes()),
        other: EncodingKey::from_secret(OTHER.as_bytes()),
    });
    let public = [
        Case {
            algorithm: JwtAlgorithm::Rs256,
            check: test_key!("rsa.pub"),
            sign: EncodingKey::from_rsa_pem(test_key!("rsa").as_bytes()).unwrap(),
            other: EncodingKey::from_rsa_pem(test_key!("other-rsa").as_bytes()).unwrap(),
        },
        Case {
            algorithm: JwtAlgorithm::Es256,
            check: test_key!("ec.pub"),
            sign: EncodingKey::from_ec_pem(test_key!("ec").as_bytes()).unwrap(),
            other: EncodingKey::from_ec_pem(test_key!("other-ec").as_bytes()).unwrap(),
        },
        Case {
            algorithm: JwtAlgorithm::EdDsa,
            check: test_key!("ed.pub"),
            sign: EncodingKey::from_ed_pem(test_key!("ed").as_bytes()).unwrap(),
            other: EncodingKey::from_ed_pem(test_key!("other-ed").as_bytes()).unwrap(),
        },
    ];
    hmac.into_iter().chain(public).collect()
}

impl Case {
    /// Configured with issuer, audience and a clock that stands still.
    fn authenticator(&self) -> JwtAuthenticator {
        JwtAuthenticator::builder()
            .key(self.algorithm, self.check)
            .issuer("issuer")
            .audience("chat")
            .clock(Arc::new(TestClock::new()))
            .build()
            .unwrap()
    }

    fn header(&self) -> Header {
        Header::new(self.algorithm.as_jsonwebtoken())
    }

    fn token(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.sign).unwrap()
    }
}

fn now() -> i64 {
    TestClock::new().now().as_millis() / 1000
}

fn good() -> Value {
    json!({ "sub": "ann", "exp": now() + 60, "iss": "issuer", "aud": "chat" })
}

/// The good claims with some of them changed; null takes one away.
fn with(changes: Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

async fn authenticate(authenticator: &JwtAuthenticator, token: &str) -> Result<Identity, Error> {
    authenticator.authenticate(&Credentials::token(token)).await
}

async fn assert_refused(authenticator: &JwtAuthenticator, token: &str, why: &str) {
    let result = authenticate(authenticator, token).await;
    let error = result.expect_err(why);
    assert!(matches!(error, Error::Unauthenticated), "{why}: {error:?}");
    assert_eq!(error.to_string(), "authentication required", "{why}");
}

#[tokio::test]
async fn a_good_token_says_who_it_is() {
    let claims = with(json!({
        "name": "Ann", "picture": "https://example.com/ann.png", "userType": "brand",
        "nbf": now(), "iat": now(),
    }));
    for case in cases() {
        let (authenticator, token) = (case.authenticator(), case.token(&claims));
        for token in [token.clone(), format!("Bearer {token}"), format!("bearer  {token}")] {
            let identity = authenticate(&authenticator, &token).await.unwrap();
            assert_eq!(identity.user_id.as_str(), "ann");
            assert_eq!(identity.name.as_deref(), Some("Ann"));
            assert_eq!(identity.picture.as_deref(), Some("https://example.com/ann.png"));
            assert_eq!(identity.expires_at, Some(Timestamp::from_millis((now() + 60) * 1000)));
            let rest = json!({ "userType": "brand", "iss": "issuer", "aud": "chat" });
            assert_eq!(Value::Object(identity.claims.0), rest);
        }
    }
}

#[tokio::test]
async fn bad_claims_are_refused_whatever_the_algorithm() {
    let bad = [
        ("expired", json!({ "exp": now() - 30 })),
        ("expired, with a fraction", json!({ "exp": (now() - 31) as f64 + 0.5 })),
        ("without exp", json!({ "exp": null })),
        ("exp is a text", json!({ "exp": (now() + 60).to_string() })),
        ("exp is negative", json!({ "exp": -1 })),
        ("not valid yet", json!({ "nbf": now() + 31 })),
        ("nbf is a text", json!({ "nbf": "now" })),
        ("without sub", json!({ "sub": null })),
        ("sub is empty", json!({ "sub": "" })),
        ("sub is too long", json!({ "sub": "x".repeat(129) })),
        ("sub has control characters", json!({ "sub": "an\u{0}n" })),
        ("sub is a fraction", json!({ "sub": 1.5 })),
        ("sub is a list", json!({ "sub": ["ann"] })),
        ("another issuer", json!({ "iss": "somebody" })),
        ("without issuer", json!({ "iss": null })),
        ("issuer is a number", json!({ "iss": 1 })),
        ("another audience", json!({ "aud": "mail" })),
        ("other audiences", json!({ "aud": ["mail", "news"] })),
        ("without audience", json!({ "aud": null })),
        ("longer than 16 KiB", json!({ "name": "x".repeat(16 * 1024) })),
    ];
    for case in cases() {
        let authenticator = case.authenticator();
        for (why, changes) in &bad {
            let token = case.token(&with(changes.clone()));
            assert_refused(&authenticator, &token, &format!("{:?}: {why}", case.algorithm)).await;
        }
    }
}

#[tokio::test]
async fn acceptable_claims_are_accepted() {
    let case = &cases()[0];
    let authenticator = case.authenticator();
    let far = json!({ "exp": u64::MAX, "sub": "ann" });
    for changes in [
        json!({ "aud": ["mail", "chat"] }),
        json!({ "exp": now() as f64 + 0.5 }),
        json!({ "nbf": now() + 30 }),
        json!({ "name": 7, "picture": { "url": 1 } }),
        json!({ "name": " " }),
        far,
    ] {
        let token = case.token(&with(changes.clone()));
        let result = authenticate(&authenticator, &token).await;
        assert!(result.is_ok(), "{changes}");
        let identity = result.unwrap();
        assert_eq!((identity.name, identity.picture), (None, None), "{changes}");
    }
    let token = case.token(&with(json!({ "sub": 9_007_199_254_740_993_i64 })));
    let identity = authenticate(&authenticator, &token).await.unwrap();
    assert_eq!(identity.user_id.as_str(), "9007199254740993");
}

#[tokio::test]
async fn forged_tokens_are_refused_whatever_the_algorithm() {
    // {"alg":"none"} and {"alg":"none","typ":"JWT"}
    let none = ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"];
    for case in cases() {
        let authenticator = case.authenticator();
        let token = case.token(&good());
        let parts: Vec<&str> = token.split('.').collect();
        let (header, payload, signature) = (parts[0], parts[1], parts[2]);
        let admin = case.token(&with(json!({ "sub": "admin" })));
        let stolen = admin.split('.').nth(1).unwrap();
        let critical = Header { crit: Some(vec!["exp".to_owned()]), ..case.header() };
        let forged = [
            ("other payload", format!("{header}.{stolen}.{signature}")),
            ("without signature", format!("{header}.{payload}.")),
            ("cut signature", format!("{header}.{payload}.{}", &signature[..signature.len() - 4])),
            ("alg none", format!("{}.{payload}.", none[0])),
            ("alg none with typ", format!("{}.{payload}.{signature}", none[1])),
            ("another key", encode(&case.header(), &good(), &case.other).unwrap()),
            ("unknown extension", encode(&critical, &good(), &case.sign).unwrap()),
        ];
        for (why, token) in forged {
            assert_refused(&authenticator, &token, &format!("{:?}: {why}", case.algorithm)).await;
        }
        authenticate(&authenticator, &token).await.unwrap();
    }
}

#[tokio::test]
async fn the_algorithm_is_the_keys_own_never_the_headers() {
    for case in cases() {
        let authenticator = case.authenticator();
        for other in cases().iter().filter(|other| other.algorithm != case.algorithm) {
            let why = format!("{:?} for {:?}", other.algorithm, case.algorithm);
            assert_refused(&authenticator, &other.token(&good()), &why).await;
        }
        // The swap: what is public of a key pair serves as the secret of an HMAC.
        let public = EncodingKey::from_secret(case.check.as_bytes());
        for hmac in [JwtAlgorithm::Hs256, JwtAlgorithm::Hs384, JwtAlgorithm::Hs512] {
            if hmac != case.algorithm {
                let header = Header::new(hmac.as_jsonwebtoken());
                let token = encode(&header, &good(), &public).unwrap();
                assert_refused(&authenticator, &token, &format!("swapped to {hmac:?}")).await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let authenticator = cases()[0].authenticator();
    // A header of nested lists, as Base64.
    let deep = format!("{}.e30.", "W1tb".repeat(3000));
    let long = "x".repeat(1 << 20);
    for token in ["", " ", ".", "..", "...", "a.b.c", "Bearer", "Bearer ", "ü.ü.ü", &deep, &long]
    {
        assert_refused(&authenticator, token, token).await;
    }
    let nobody = authenticator.authenticate(&Credentials::default()).await;
    assert!(matches!(nobody, Err(Error::Unauthenticated)));
}

#[tokio::test]
async fn the_authorization_header_serves_where_no_token_was_taken_out() {
    let case = &cases()[0];
    let mut credentials = Credentials::default();
    credentials.headers.push(("authorization".into(), format!("Bearer {}", case.token(&good()))));
    assert!(case.authenticator().authenticate(&credentials).await.is_ok());
}

#[tokio::test]
async fn issuer_and_audience_are_free_unless_configured_and_may_be_several() {
    let clock = Arc::new(TestClock::new());
    let free = JwtAuthenticator::hs256(SECRET).clock(clock.clone()).build().unwrap();
    let several = JwtAuthenticator::hs256(SECRET)
        .issuer("issuer")
        .issuer("another")
        .audience("chat")
        .audience("mail")
        .clock(clock)
        .build()
        .unwrap();
    let case = &cases()[0];
    let nameless = case.token(&with(json!({ "iss": null, "aud": null })));
    let another = case.token(&with(json!({ "iss": "another", "aud": "mail" })));
    assert!(authenticate(&free, &nameless).await.is_ok());
    assert!(authenticate(&free, &another).await.is_ok());
    assert!(authenticate(&several, &another).await.is_ok());
    assert_refused(&several, &nameless, "neither of the issuers").await;
}

#[tokio::test]
async fn time_is_the_clocks_and_within_the_leeway_an_identity_lives_on() {
    let clock = TestClock::new();
    let authenticator = JwtAuthenticator::hs256(SECRET)
        .clock(Arc::new(clock.clone()))
        .leeway(Duration::from_secs(5))
        .build()
        .unwrap();
    let exp = Timestamp::from_millis((now() + 60) * 1000);
    let token = cases()[0].token(&good());
    clock.set(Timestamp::from_millis(exp.as_millis() - 1));
    let identity = authenticate(&authenticator, &token).await.unwrap();
    assert_eq!(identity.expires_at, Some(exp));
    clock.advance(Duration::from_millis(2));
    let identity = authenticate(&authenticator, &token).await.unwrap();
    assert_eq!(identity.expires_at, Some(exp.plus(Duration::from_secs(5))));
    assert!(!identity.is_expired(clock.now()));
    clock.set(exp.plus(Duration::from_secs(5)));
    assert_refused(&authenticator, &token, "expired").await;
}

#[tokio::test]
async fn keys_rotate_by_their_ids_and_each_keeps_its_algorithm() {
    let cases = cases();
    let (old, new) = (&cases[0], &cases[5]);
    let rotating = |builder: JwtBuilder| builder.clock(Arc::new(TestClock::new())).build().unwrap();
    let both =
        rotating(JwtAuthenticator::hs256(SECRET).key_with_id("new", new.algorithm, new.check));
    let only_named =
        rotating(JwtAuthenticator::builder().key_with_id("new", new.algorithm, new.check));
    let sign = |case: &Case, key: &EncodingKey, id: &str| {
        let header = Header { kid: Some(id.to_owned()), ..case.header() };
        encode(&header, &good(), key).unwrap()
    };
    let named = sign(new, &new.sign, "new");
    assert!(authenticate(&both, &named).await.is_ok());
    assert!(authenticate(&only_named, &named).await.is_ok());
    assert!(authenticate(&both, &old.token(&good())).await.is_ok());
    assert!(authenticate(&both, &sign(old, &old.sign, "older")).await.is_ok());
    assert_refused(&both, &sign(old, &old.sign, "new"), "the old key under the new id").await;
    assert_refused(&both, &sign(new, &new.sign, "older"), "the new key under another id").await;
    assert_refused(&only_named, &new.token(&good()), "a key without a name").await;
}

#[test]
fn wrong_keys_are_refused_with_what_they_take() {
    use JwtAlgorithm::{EdDsa, Es256, Hs256, Hs512, Rs256};
    let wrong = [
        (Hs256, "", "secret: must be at least 32 bytes"),
        (Hs512, "0123456789012345678901234567890", "secret: must be at least 32 bytes"),
        (Rs256, SECRET, "key: must be an RSA public key of at least 2048 bits in PEM"),
        (Rs256, test_key!("ec.pub"), "key: must be an RSA public key"),
        (Rs256, test_key!("rsa1024.pub"), "key: must be an RSA public key of at least 2048 bits"),
        (Rs256, test_key!("rsa"), "key: must be the public key; this is the private one"),
        (Es256, test_key!("ed.pub"), "key: must be a public key on the curve P-256 in PEM"),
        (Es256, test_key!("p384.pub"), "key: must be a public key on the curve P-256 in PEM"),
        (EdDsa, test_key!("rsa.pub"), "key: must be an Ed25519 public key in PEM"),
    ];
    for (algorithm, key, message) in wrong {
        let error = JwtAuthenticator::builder().key(algorithm, key).build().unwrap_err();
        assert!(error.to_string().starts_with(message), "{algorithm:?}: {error}");
        assert!(!error.to_string().contains(SECRET));
    }
    assert_eq!(JwtAuthenticator::builder().build().unwrap_err().field, "key");
    let twice = JwtAuthenticator::hs256(SECRET).key(JwtAlgorithm::Hs256, OTHER).build();
    assert_eq!(twice.unwrap_err().field, "key");
}

#[test]
fn a_short_secret_is_for_this_machine_alone() {
    let built = |secret: &str, listener: &str| {
        let builder = JwtAuthenticator::hs256(secret);
        builder.short_secrets_on(listener.parse().unwrap()).build().is_ok()
    };
    assert!(built("short", "127.0.0.1:3000") && built("short", "[::1]:3000"));
    assert!(!built("short", "0.0.0.0:3000") && !built("short", "10.0.0.1:3000"));
    assert!(!built("", "127.0.0.1:3000"));
}

#[test]
fn secrets_do_not_show() {
    let builder = JwtAuthenticator::hs256(SECRET);
    assert!(!format!("{builder:?}").contains("forty"));
    let shown = format!("{:?}", builder.build().unwrap());
    assert!(shown.contains("Hs256") && !shown.contains("forty"), "{shown}");
}
