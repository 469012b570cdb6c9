//! Tokens that anybody can write, for this machine only: `123:influencer` is the user 123 of that type.

use std::sync::Arc;

use async_trait::async_trait;
use parlor::{
    Error,
    model::{Identity, UserId},
    traits::{Authenticator, Credentials},
};

/// Takes development tokens besides the real ones.
#[derive(Debug)]
pub(crate) struct DevTokens(pub(crate) Arc<dyn Authenticator>);

#[async_trait]
impl Authenticator for DevTokens {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        match credentials.token.as_deref().and_then(identity) {
            Some(identity) => Ok(identity),
            None => self.0.authenticate(credentials).await,
        }
    }
}

/// Whom `USER:TYPE` means. No real token has a colon.
fn identity(token: &str) -> Option<Identity> {
    let (user, user_type) = token.split_once(':')?;
    let mut identity = Identity::new(UserId::new(user).ok()?);
    identity.claims.0.insert("userType".to_owned(), user_type.into());
    Some(identity)
}
