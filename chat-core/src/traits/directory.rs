use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    BackendError,
    model::{Profile, UserId},
};

/// Tells what to show of users.
#[async_trait]
pub trait UserDirectory: Debug + Send + Sync + 'static {
    /// The profiles of these users, in any order. Who is left out has no profile and is shown by id.
    async fn profiles(&self, users: &[UserId]) -> Result<Vec<Profile>, BackendError>;

    /// Those of `users` that certainly do not exist: nobody can start a conversation with them.
    /// The default knows of none.
    async fn unknown(&self, users: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        let _ = users;
        Ok(Vec::new())
    }

    /// Told of each identity that connects, so that names in tokens can be remembered.
    /// The default does nothing. Must be quick.
    fn remember(&self, identity: &crate::model::Identity) {
        let _ = identity;
    }
}
