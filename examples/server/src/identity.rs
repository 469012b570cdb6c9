//! What tells callers by their tokens.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parlor::{
    auth::{DevTokens, JwtAuthenticator},
    traits::Authenticator,
};

use crate::{
    backends::patiently,
    failure::Failure,
    jwks::JwksAuthenticator,
    secret,
    settings::{Demands, Keys},
};

/// Who checks tokens, and for development who gives them out.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) development: Option<Arc<DevTokens>>,
}

impl Gate {
    /// Makes ready to check tokens at a server that listens at `listener`. Keys that cannot be fetched yet are tried
    /// again within `patience`.
    pub(crate) async fn open(
        keys: &Keys,
        demands: &Demands,
        listener: SocketAddr,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let (authenticator, development): (Arc<dyn Authenticator>, _) = match keys {
            Keys::Secret(secret) => {
                let builder = JwtAuthenticator::hs256(secret.reveal());
                let checked = demands.apply(builder).build();
                (Arc::new(checked.map_err(|error| Failure::Usage(error.to_string()))?), None)
            }
            Keys::Jwks(settings) => {
                let jwks = JwksAuthenticator::new(settings, demands)?;
                let url = settings.shown();
                patiently("the keys", &url, patience, |_| true, || jwks.fetch()).await.map_err(
                    |reason| {
                        Failure::Start(format!(
                            "the keys at {url} cannot be fetched: {reason}. \
                             Is --jwks (JWKS_URL) right, and can this machine reach it?"
                        ))
                    },
                )?;
                (Arc::new(jwks.keep_fresh(settings.refresh())), None)
            }
            Keys::Development { file } => {
                let secret = secret::of_development(file)?;
                let tokens = DevTokens::for_listener(listener)
                    .and_then(|tokens| tokens.with_secret(secret.reveal()))
                    .map_err(|error| Failure::Usage(error.to_string()))?;
                let tokens = Arc::new(tokens);
                (tokens.clone(), Some(tokens))
            }
        };
        Ok(Self { authenticator, development })
    }
}
