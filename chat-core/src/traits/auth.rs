use std::fmt;

use async_trait::async_trait;

use crate::{Error, model::Identity};

/// What a caller shows to prove who they are.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Credentials {
    /// A bearer token, from the `Authorization` header or the first frame.
    pub token: Option<String>,
    /// The request's headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Credentials {
    /// A bearer token alone.
    pub fn token(token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), headers: Vec::new() }
    }

    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Credentials never reach a log.
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Tells who a caller is.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// The identity that the credentials prove.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for whatever is wrong with them, always the same text;
    /// [`Error::Unavailable`] when it cannot be told at the moment.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error>;
}
