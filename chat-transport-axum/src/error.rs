//! The one place that says how errors and ends look on the wire: refusals in frames, problem details
//! over HTTP, close codes of the WebSocket.

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use parlor_core::{CloseReason, Error, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ws::wire::Violation;

/// Why something was not done, as clients are told in a frame of the type `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The stable code.
    pub code: ErrorCode,
    /// What is wrong, for a developer.
    pub message: Cow<'static, str>,
    /// The field at fault, for example `attachments[0].url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<Cow<'static, str>>,
    /// When to come back, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Whether the very same request may succeed later.
    pub retryable: bool,
    /// The text was no JSON at all.
    #[serde(skip)]
    pub(crate) unreadable: bool,
}

/// Error messages may repeat what the client wrote; no more of it than this.
const MESSAGE_BYTES: usize = 300;

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        let mut message = message.into();
        if message.len() > MESSAGE_BYTES && code == ErrorCode::Invalid {
            let end = message.floor_char_boundary(MESSAGE_BYTES);
            message = format!("{} …", &message[..end]).into();
        }
        Self {
            code,
            message,
            field: None,
            retry_after_ms: None,
            retryable: false,
            unreadable: false,
        }
    }

    /// A field that breaks a rule.
    pub(crate) fn invalid(
        field: impl Into<Cow<'static, str>>,
        reason: impl std::fmt::Display,
    ) -> Self {
        let field = field.into();
        // The list of the types that exist may be long; it is not the client's text.
        let message = format!("{field}: {reason}");
        Self { message: message.into(), field: Some(field), ..Self::new(ErrorCode::Invalid, "") }
    }

    /// What serde_json says, with the path at which it said so.
    pub(crate) fn from_json(error: &serde_json::Error, path: Option<&str>) -> Self {
        let said = error.to_string();
        if !error.is_data() {
            // Not JSON, or nested deeper than 128: the position helps, a path would not.
            return Self { unreadable: true, ..Self::new(ErrorCode::Invalid, said) };
        }
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        let path = path.filter(|path| !matches!(*path, "." | "?"));
        let field = match (path, absent_field(said)) {
            (Some(path), Some(absent)) => Some(format!("{path}.{absent}")),
            (None, Some(absent)) => Some(absent.to_owned()),
            (path, None) => path.map(str::to_owned),
        };
        let message = match &field {
            Some(field) => format!("{field}: {said}"),
            None => said.to_owned(),
        };
        Self { field: field.map(Cow::Owned), ..Self::new(ErrorCode::Invalid, message) }
    }
}

/// The field of which serde says that it is missing or there twice: it stands only in the text.
fn absent_field(said: &str) -> Option<&str> {
    let rest = said.strip_prefix("missing field `").or(said.strip_prefix("duplicate field `"))?;
    rest.split('`').next()
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let retry_after_ms = match error {
            Error::RateLimited { retry_after } => Some(millis(*retry_after)),
            _ => None,
        };
        Self {
            code: error.code(),
            message: error.to_string().into(),
            field: error.field().map(|field| Cow::Owned(field.to_owned())),
            retry_after_ms,
            retryable: error.is_retryable(),
            unreadable: false,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Problem details (RFC 9457), sent as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[non_exhaustive]
pub struct Problem {
    /// Always `about:blank`: `code` tells what it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, for a developer.
    pub detail: String,
    /// The stable code.
    pub code: ErrorCode,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// When to come back, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Whether the very same request may succeed later.
    pub retryable: bool,
}

impl Problem {
    /// A problem with another status than its code's own.
    pub(crate) fn new(status: StatusCode, refusal: Refusal) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: refusal.message.into_owned(),
            code: refusal.code,
            field: refusal.field.map(Cow::into_owned),
            retry_after_ms: refusal.retry_after_ms,
            retryable: refusal.retryable,
        }
    }

    /// What does not exist, or cannot.
    pub(crate) fn not_found() -> Self {
        Self::from(Error::NotFound)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        // A cursor comes in the query, and one that was not given out cannot be read.
        let unreadable = refusal.unreadable || refusal.field.as_deref() == Some("cursor");
        let status = match unreadable {
            true => StatusCode::BAD_REQUEST,
            false => status(refusal.code),
        };
        Self::new(status, refusal)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        log(&error);
        Self::from(Refusal::from(&error))
    }
}

impl From<CloseReason> for Problem {
    fn from(reason: CloseReason) -> Self {
        let (status, code, message, retryable) = match reason {
            CloseReason::Expired => {
                return Self::from(Error::Unauthenticated);
            }
            CloseReason::TooManyConnections => (
                StatusCode::TOO_MANY_REQUESTS,
                ErrorCode::RateLimited,
                "too many connections",
                false,
            ),
            CloseReason::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, ErrorCode::RateLimited, "too many connects", true)
            }
            CloseReason::Ended => {
                (StatusCode::FORBIDDEN, ErrorCode::Forbidden, "not allowed to connect", false)
            }
            _ => {
                let message = "temporarily unavailable, try again";
                (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message, true)
            }
        };
        let refusal = Refusal {
            retryable,
            retry_after_ms: retryable.then_some(1000),
            ..Refusal::new(code, message)
        };
        Self::new(status, refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if let Some(millis) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, millis.div_ceil(1000).into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The HTTP status of a code.
pub fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Invalid | ErrorCode::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Why a WebSocket is closed, as the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

impl Close {
    pub(crate) const NORMAL: Self = Self { code: 1000, reason: "" };
    pub(crate) const BINARY: Self = Self { code: 1003, reason: "frames are text" };
    pub(crate) const INTERNAL: Self = Self { code: 1011, reason: "internal error" };
    pub(crate) const RESTART: Self = Self { code: 1012, reason: "restarting" };
    pub(crate) const TRY_LATER: Self = Self { code: 1013, reason: "try again later" };
    pub(crate) const UNAUTHENTICATED: Self = Self { code: 4001, reason: "authentication required" };
    pub(crate) const SLOW: Self = Self { code: 4008, reason: "too slow" };
    pub(crate) const NO_PONG: Self = Self { code: 4010, reason: "no pong" };
}

impl From<CloseReason> for Close {
    fn from(reason: CloseReason) -> Self {
        let (code, reason) = match reason {
            CloseReason::Slow => return Self::SLOW,
            CloseReason::Expired => return Self::UNAUTHENTICATED,
            CloseReason::Restart => return Self::RESTART,
            CloseReason::Ended => (4003, "ended by the host"),
            CloseReason::TooManyConnections => (4029, "too many connections"),
            CloseReason::RateLimited | CloseReason::Unavailable => return Self::TRY_LATER,
            _ => return Self::INTERNAL,
        };
        Self { code, reason }
    }
}

impl From<Violation> for Close {
    fn from(violation: Violation) -> Self {
        let (code, reason) = match violation {
            Violation::Protocol => (1002, "not RFC 6455"),
            Violation::Utf8 => (1007, "not UTF-8"),
            Violation::TooBig => (1009, "message too big"),
        };
        Self { code, reason }
    }
}

/// The cause of a fault goes to the log, because it never goes to a client.
pub(crate) fn log(error: &Error) {
    match error {
        Error::Internal(source) => tracing::error!(error = %source, "internal error"),
        Error::Unavailable(source) => tracing::warn!(error = %source, "backend unavailable"),
        _ => {}
    }
}
