//! Who calls: the host's session first, then what the request's headers prove.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use parlor_core::{
    Caller, Chat, Error,
    model::{Identity, UserId},
    traits::Credentials,
};

use crate::{error::Problem, ws::Shared};

/// Who calls, as far as a request's head tells. `None`: it says nothing (or only a cookie that proves nothing).
///
/// # Errors
/// [`Error::Unauthenticated`] when it says something that is not so.
pub(crate) async fn identify(chat: &Chat, parts: &Parts) -> Result<Option<Identity>, Error> {
    if let Some(identity) = parts.extensions.get::<Identity>() {
        if identity.is_expired(chat.now()) {
            return Err(Error::Unauthenticated);
        }
        return Ok(Some(identity.clone()));
    }
    let shown = parts.headers.contains_key(header::AUTHORIZATION);
    if !shown && !parts.headers.contains_key(header::COOKIE) {
        return Ok(None);
    }
    match chat.authenticate(&credentials(&parts.headers)).await {
        Ok(identity) => Ok(Some(identity)),
        // A cookie may be anybody's; the first frame may still say more.
        Err(Error::Unauthenticated) if !shown => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a request shows: its bearer token and its headers.
fn credentials(headers: &HeaderMap) -> Credentials {
    let mut credentials = Credentials::default();
    credentials.token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    credentials.headers = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    credentials
}

/// The caller of a REST request.
pub(crate) struct Authenticated {
    pub(crate) user_id: UserId,
    pub(crate) caller: Caller,
}

impl FromRequestParts<Arc<Shared>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let chat = &shared.transport.chat;
        let identity = identify(chat, parts).await?.ok_or(Error::Unauthenticated)?;
        tracing::Span::current().record("user", tracing::field::display(&identity.user_id));
        Ok(Self { user_id: identity.user_id.clone(), caller: chat.as_user(identity) })
    }
}
