//! Users who name themselves in the query, for development on this machine.

use std::{env, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use parlor::{
    Error,
    model::{Identity, UserId},
    socketio::contracts::Gateway,
    traits::{Authenticator, Credentials},
};

/// Whether `DEV_TOKENS=1` asks for it.
///
/// # Errors
/// When others than this machine can reach the address.
pub(crate) fn wanted(listen: SocketAddr) -> Result<bool, String> {
    if env::var("DEV_TOKENS").as_deref() != Ok("1") {
        return Ok(false);
    }
    if listen.ip().to_canonical().is_loopback() {
        return Ok(true);
    }
    Err(format!(
        "DEV_TOKENS=1 lets anybody in as anybody, and {listen} can be reached from outside"
    ))
}

/// Takes a user's word for who they are, and judges tokens as before.
#[derive(Debug)]
pub(crate) struct QueryUsers {
    tokens: Arc<dyn Authenticator>,
}

impl QueryUsers {
    pub(crate) fn beside(tokens: Arc<dyn Authenticator>) -> Self {
        Self { tokens }
    }
}

#[async_trait]
impl Authenticator for QueryUsers {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        let token = credentials.token.as_deref();
        match token.and_then(|token| token.strip_prefix(Gateway::QUERY_USER)) {
            Some(user) => UserId::new(user).map(Identity::new).map_err(|_| Error::Unauthenticated),
            None => self.tokens.authenticate(credentials).await,
        }
    }
}
