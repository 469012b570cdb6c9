//! What a request carries: ids in the path, parameters in the query, JSON in the body.

use axum::extract::{
    FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection,
};
use bytes::Bytes;
use http::{StatusCode, header, request::Parts};
use parlor_core::{ErrorCode, model::UserId};
use serde::de::DeserializeOwned;

use crate::{
    codec,
    error::{Problem, Refusal},
};

/// The ids of the path. One that cannot be an id names nothing that exists.
pub(super) struct At<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(ids)) => Ok(Self(ids)),
            Err(_) => Err(Problem::not_found()),
        }
    }
}

/// The parameters of the query. Unknown ones are ignored; of one given twice the last counts.
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(unreadable("the query cannot be read")),
        }
    }
}

impl Params {
    fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        self.parsed(name, "must be a whole number, 0 or more")
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, Problem> {
        self.parsed(name, "must be true or false")
    }

    /// Any text.
    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        self.last(name).map(str::to_owned)
    }

    /// A user's id.
    pub(super) fn user(&self, name: &'static str) -> Result<Option<UserId>, Problem> {
        self.last(name).map(|id| user(name, id)).transpose()
    }

    /// Users' ids: `a,b`, or the parameter several times.
    pub(super) fn users(&self, name: &'static str) -> Result<Vec<UserId>, Problem> {
        let lists = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let ids = lists.flat_map(|list| list.split(',')).filter(|id| !id.is_empty());
        ids.map(|id| user(name, id)).collect()
    }

    /// One of the words of an enum.
    pub(super) fn word<T: DeserializeOwned>(
        &self,
        name: &'static str,
        reason: &'static str,
    ) -> Result<Option<T>, Problem> {
        let parse = |text| {
            T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text))
        };
        self.last(name).map(|text| parse(text).map_err(|_| wrong(name, reason))).transpose()
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        name: &'static str,
        reason: &'static str,
    ) -> Result<Option<T>, Problem> {
        self.last(name).map(|text| text.parse().map_err(|_| wrong(name, reason))).transpose()
    }
}

fn user(name: &'static str, id: &str) -> Result<UserId, Problem> {
    UserId::new(id).map_err(|invalid| wrong(name, &invalid.reason))
}

fn wrong(name: &'static str, reason: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Refusal::invalid(name, reason))
}

/// A body of JSON, within the limit.
pub(super) struct Payload(String);

impl<S: Send + Sync> FromRequest<S> for Payload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        // A form of a foreign page cannot say this without being asked for by CORS first.
        if !kind.is_some_and(is_json) {
            let refusal = Refusal::invalid("content-type", "must be application/json");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(not_taken)?;
        match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(Self(text)),
            Err(_) => Err(unreadable("the body is not UTF-8")),
        }
    }
}

impl Payload {
    /// Reads the body; a problem names the field at fault.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        Ok(codec::read(&self.0)?)
    }

    /// The text itself.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

fn not_taken(rejection: BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::new(ErrorCode::Invalid, "the body is too big"),
        ),
        _ => unreadable("the body ended early"),
    }
}

fn unreadable(reason: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Refusal::new(ErrorCode::Invalid, reason))
}
