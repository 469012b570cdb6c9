use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use uuid::Uuid;

use super::{JwtAuthenticator, key::check_secret};
use crate::{
    BackendError, BackendErrorKind, Clock, Error, Invalid, SystemClock,
    model::{Identity, UserId},
    traits::{Authenticator, Credentials},
};

/// A development login: gives anybody on this machine a token for any user, without a password, and
/// authenticates such tokens.
///
/// It exists only for a listener on a loopback address. Behind a proxy on the same machine every
/// caller looks local: never offer it there. Tokens are HS256 JWTs.
pub struct DevTokens {
    signing: EncodingKey,
    authenticator: JwtAuthenticator,
    life: Duration,
    clock: Arc<dyn Clock>,
}

impl DevTokens {
    /// Tokens for a server that listens at `listener`, signed with a random secret of this process.
    ///
    /// # Errors
    /// [`Error::Invalid`] when others than this machine can reach the address.
    pub fn for_listener(listener: SocketAddr) -> Result<Self, Error> {
        if !is_loopback(listener.ip()) {
            let reason = format!(
                "development tokens let anybody in as anybody, and {listener} can be reached from \
                 outside: listen on 127.0.0.1 or [::1], or configure a JWT secret instead"
            );
            return Err(Invalid::new("listener", reason).into());
        }
        Ok(Self {
            life: Duration::from_secs(12 * 3600),
            clock: Arc::new(SystemClock),
            ..Self::signed_with(&random_secret())?
        })
    }

    /// Signs with this secret of at least 32 bytes, so that tokens outlive the process. Never give it
    /// the secret of real tokens. Defaults to a random one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `secret` when it is too short.
    pub fn with_secret(self, secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        let signed = Self::signed_with(secret.as_ref())?;
        Ok(Self { life: self.life, ..signed.with_clock(self.clock) })
    }

    /// How long a token lives, in whole seconds. Defaults to 12 h.
    #[must_use]
    pub fn with_life(self, life: Duration) -> Self {
        Self { life, ..self }
    }

    /// The clock that dates tokens and judges them. Defaults to the system's.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        let authenticator = self.authenticator.with_clock(clock.clone());
        Self { authenticator, clock, ..self }
    }

    /// Makes a token for `user`, with a name to show, for a caller at the address `peer`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the caller is not on this machine.
    pub fn issue(&self, user: &UserId, name: Option<&str>, peer: IpAddr) -> Result<String, Error> {
        if !is_loopback(peer) {
            return Err(Error::Forbidden(
                "development tokens are for callers on the server's own machine".into(),
            ));
        }
        let now = self.clock.now();
        let claims = Claims {
            sub: user.as_str(),
            name,
            iat: now.as_millis() / 1000,
            exp: now.plus(self.life).as_millis() / 1000,
        };
        jsonwebtoken::encode(&Header::default(), &claims, &self.signing).map_err(|error| {
            BackendError::new(BackendErrorKind::Other, "issue").with_source(error).into()
        })
    }

    fn signed_with(secret: &[u8]) -> Result<Self, Invalid> {
        check_secret(secret)?;
        Ok(Self {
            signing: EncodingKey::from_secret(secret),
            // Issuer and judge share one clock.
            authenticator: JwtAuthenticator::hs256(secret).leeway(Duration::ZERO).build()?,
            life: Duration::ZERO,
            clock: Arc::new(SystemClock),
        })
    }
}

#[async_trait]
impl Authenticator for DevTokens {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        self.authenticator.authenticate(credentials).await
    }
}

impl fmt::Debug for DevTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevTokens").field("life", &self.life).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    iat: i64,
    exp: i64,
}

/// Whether an address is this machine's own, also when written as IPv6 (`::ffff:127.0.0.1`).
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// 48 bytes, 366 bits of them from a cryptographic generator which the system seeds.
fn random_secret() -> Vec<u8> {
    (0..3).flat_map(|_| Uuid::new_v4().into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestClock;

    const LOCAL: &str = "127.0.0.1:3000";
    const SECRET: &str = "a development secret for tests only";

    fn tokens() -> DevTokens {
        DevTokens::for_listener(LOCAL.parse().unwrap()).unwrap()
    }

    fn issue(tokens: &DevTokens) -> String {
        let ann = UserId::new("ann").unwrap();
        tokens.issue(&ann, Some("Ann"), "::1".parse().unwrap()).unwrap()
    }

    async fn authenticate(tokens: &DevTokens, token: &str) -> Result<Identity, Error> {
        tokens.authenticate(&Credentials::token(token)).await
    }

    #[tokio::test]
    async fn a_token_is_good_for_its_life() {
        let clock = TestClock::new();
        let tokens = tokens()
            .with_clock(Arc::new(clock.clone()))
            .with_secret(SECRET)
            .unwrap()
            .with_life(Duration::from_secs(60));
        let token = issue(&tokens);
        let end = clock.now().plus(Duration::from_secs(60));
        clock.advance(Duration::from_secs(59));
        let identity = authenticate(&tokens, &token).await.unwrap();
        assert_eq!(identity.user_id.as_str(), "ann");
        assert_eq!(identity.name.as_deref(), Some("Ann"));
        assert_eq!(identity.expires_at, Some(end));
        clock.advance(Duration::from_secs(1));
        assert!(matches!(authenticate(&tokens, &token).await, Err(Error::Unauthenticated)));
    }

    #[tokio::test]
    async fn a_token_lives_twelve_hours_by_default() {
        let clock = TestClock::new();
        let tokens = tokens().with_clock(Arc::new(clock.clone()));
        let identity = authenticate(&tokens, &issue(&tokens)).await.unwrap();
        assert_eq!(identity.expires_at, Some(clock.now().plus(Duration::from_secs(12 * 3600))));
    }

    #[tokio::test]
    async fn tokens_outlive_the_process_only_with_a_given_secret() {
        let token = issue(&tokens().with_secret(SECRET).unwrap());
        assert!(authenticate(&tokens().with_secret(SECRET).unwrap(), &token).await.is_ok());
        assert!(authenticate(&tokens(), &token).await.is_err());
        assert!(authenticate(&tokens(), &issue(&tokens())).await.is_err());
        let error = tokens().with_secret("short").unwrap_err();
        assert_eq!(error.field(), Some("secret"));
    }

    #[test]
    fn only_a_listener_on_this_machine_gets_them() {
        for address in ["127.0.0.1:0", "127.8.9.1:80", "[::1]:3000", "[::ffff:127.0.0.1]:3000"] {
            assert!(DevTokens::for_listener(address.parse().unwrap()).is_ok(), "{address}");
        }
        let outside =
            ["0.0.0.0:3000", "[::]:3000", "192.168.1.5:80", "[::ffff:10.0.0.1]:80", "[fe80::1]:80"];
        for address in outside {
            let error = DevTokens::for_listener(address.parse().unwrap()).unwrap_err();
            assert_eq!(error.field(), Some("listener"), "{address}");
            assert!(error.to_string().contains("listen on 127.0.0.1"), "{error}");
        }
    }

    #[test]
    fn only_a_caller_on_this_machine_gets_one() {
        let tokens = tokens();
        let ann = UserId::new("ann").unwrap();
        let issue = |peer: &str| tokens.issue(&ann, None, peer.parse().unwrap());
        for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(issue(peer).is_ok(), "{peer}");
        }
        for peer in ["10.0.0.1", "::", "::ffff:10.0.0.1", "2001:db8::1"] {
            assert!(matches!(issue(peer), Err(Error::Forbidden(_))), "{peer}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", tokens().with_secret(SECRET).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
