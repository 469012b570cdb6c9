//! What the REST routes of contracts are made of: who asks, what they sent, how errors are written.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Query, Request},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use parlor_core::{
    Caller, Chat, Error,
    model::{ConversationId, ConversationSummary, Identity, UserId},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{connect::Mount, handshake::Handshake, incoming, known::Place, numbers::Number};

/// The state of a contract's routes.
#[derive(Debug, Clone)]
pub struct Rest {
    mount: Arc<Mount>,
}

impl Rest {
    pub(crate) fn new(mount: Arc<Mount>) -> Self {
        Self { mount }
    }

    /// The engine.
    pub fn chat(&self) -> &Chat {
        &self.mount.chat
    }

    /// The conversation with this number, whoever may see it: the commands check that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn numbered(&self, number: Number) -> Result<ConversationId, Error> {
        self.mount.known.numbered(number.0).await
    }

    /// A conversation that the asker may see, for writing about it. Whether they may has been checked by
    /// the command before.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn place(&self, conversation_id: ConversationId) -> Result<Place, Error> {
        self.mount.known.place(conversation_id, None).await
    }

    /// The same for the entries of a list, with one question for all profiles.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn places(&self, list: &[ConversationSummary]) -> Result<Vec<Place>, Error> {
        self.mount.known.places(list).await
    }
}

/// Who asks. Refused with 401 when the request does not prove it.
#[derive(Debug)]
pub struct Asker {
    /// The user as one who asks.
    pub caller: Caller,
    /// The identity that was proved.
    pub identity: Identity,
}

impl Asker {
    /// The user.
    pub fn user_id(&self) -> &UserId {
        &self.identity.user_id
    }
}

impl FromRequestParts<Rest> for Asker {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Failure> {
        let handshake = Handshake::new(&Value::Null, parts);
        let identity = rest.mount.identify(&handshake).await?;
        rest.mount.known.forget_profile(&identity.user_id);
        Ok(Self { caller: rest.chat().as_user(identity.clone()), identity })
    }
}

/// The one id of the path. What cannot be an id names nothing that exists.
#[derive(Debug, Clone)]
pub struct At<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Error::NotFound.into()),
        }
    }
}

/// A body of JSON. A problem names the field at fault. As an `Option` it may be missing or empty.
#[derive(Debug, Clone)]
pub struct Payload<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Payload<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let is_json = says_json(&request);
        let bytes = body(request, state).await?;
        read(is_json, &bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Payload<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Failure> {
        let is_json = says_json(&request);
        let bytes = body(request, state).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        read(is_json, &bytes).map(Self).map(Some)
    }
}

/// A form of a foreign page cannot say this without being asked for by CORS first.
fn says_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"))
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Failure> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| Failure::new(rejection.status(), "the body is too big or ended early"))
}

fn read<T: DeserializeOwned>(is_json: bool, bytes: &[u8]) -> Result<T, Failure> {
    if !is_json {
        let message = "content-type: must be application/json";
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(incoming::read(&value)?)
}

/// Which part of a list: `limit` and `before` of the query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Window {
    /// At most so many entries: 100 by default, and at most.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Only entries before the one with this id.
    #[serde(default)]
    pub before: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Window {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<Self>::from_request_parts(parts, state).await {
            Ok(Query(window)) => Ok(window),
            Err(_) => {
                let message = "limit: must be a whole number, 0 or more; before: one id";
                Err(Failure::new(StatusCode::BAD_REQUEST, message))
            }
        }
    }
}

/// An error as the answer to a REST request: `{statusCode, message, error}`, as NestJS services write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    message: String,
    retry_after: Option<u64>,
}

impl Failure {
    /// An error with a status of its own.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut retry_after = None;
        let status = match &error {
            Error::Invalid(_) | Error::Rejected(_) => StatusCode::BAD_REQUEST,
            Error::Unauthenticated => StatusCode::UNAUTHORIZED,
            Error::NotFound => StatusCode::NOT_FOUND,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::RateLimited { retry_after: after } => {
                retry_after = Some(after.as_millis().div_ceil(1000).try_into().unwrap_or(1));
                StatusCode::TOO_MANY_REQUESTS
            }
            Error::Unavailable(source) => {
                tracing::warn!(error = %source, "backend unavailable");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::Internal(source) => {
                tracing::error!(error = %source, "internal error");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, message: error.to_string(), retry_after }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({
            "statusCode": self.status.as_u16(),
            "message": self.message,
            "error": self.status.canonical_reason().unwrap_or("Error"),
        });
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
