//! What can go wrong, and what a caller is told about it.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

/// Input that breaks a limit or a rule of form. Names the field and says what it takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field as the caller wrote it, for example `body` or `attachments[3].url`.
    pub field: Cow<'static, str>,
    /// What is wrong with it, for a developer to read.
    pub reason: Cow<'static, str>,
}

impl Invalid {
    /// Names a field and what is wrong with it.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// The stable codes of [`Error`] on every wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// A field breaks a limit or a rule of form (HTTP 422).
    Invalid,
    /// Credentials are missing, wrong or expired (HTTP 401).
    Unauthenticated,
    /// It does not exist, or the caller may not see it (HTTP 404).
    NotFound,
    /// The caller sees it, but may not do this to it (HTTP 403).
    Forbidden,
    /// It contradicts what is stored, for example a reused idempotency key (HTTP 409).
    Conflict,
    /// Too many requests; `retry_after_ms` says when to come back (HTTP 429).
    RateLimited,
    /// A hook of the host refused the command (HTTP 422).
    Rejected,
    /// A backend is down or slow, or the outcome is unknown; the same request may be sent again (HTTP 503).
    Unavailable,
    /// A fault of the server (HTTP 500).
    Internal,
}

impl ErrorCode {
    /// The code as it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the engine did not carry out a command.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of the command is not acceptable.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The caller is not who it must be. One text for every cause, so that nothing can be probed.
    #[error("authentication required")]
    Unauthenticated,
    /// Absent, or not for this caller's eyes; the two are told apart nowhere.
    #[error("not found")]
    NotFound,
    /// Visible, but not allowed.
    #[error("not allowed: {0}")]
    Forbidden(Cow<'static, str>),
    /// Contradicts the stored state.
    #[error("conflict: {0}")]
    Conflict(Cow<'static, str>),
    /// The caller's quota is used up.
    #[error("too many requests, retry after {} ms", .retry_after.as_millis())]
    RateLimited {
        /// When the same request will be granted.
        retry_after: Duration,
    },
    /// A hook refused, with the host's own words.
    #[error("rejected: {0}")]
    Rejected(Cow<'static, str>),
    /// A backend did not answer, or the outcome of a commit is unknown. Retrying is safe.
    #[error("temporarily unavailable, try again")]
    Unavailable(#[source] BackendError),
    /// A fault. The details are in the log, never in an answer.
    #[error("internal error")]
    Internal(#[source] BackendError),
}

impl Error {
    /// The stable code of this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::Invalid,
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::NotFound => ErrorCode::NotFound,
            Self::Forbidden(_) => ErrorCode::Forbidden,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Rejected(_) => ErrorCode::Rejected,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    /// Whether the very same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable(_))
    }

    /// The field at fault, for [`Error::Invalid`].
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(invalid) => Some(&invalid.field),
            _ => None,
        }
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        if error.is_retryable() { Self::Unavailable(error) } else { Self::Internal(error) }
    }
}

/// What kind of trouble a backend is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BackendErrorKind {
    /// Not reachable, restarting, out of connections, out of time, or the outcome of a commit is unknown.
    Unavailable,
    /// The medium is full or cannot be written.
    Full,
    /// What is stored contradicts itself, or belongs to a newer version.
    Corrupt,
    /// Set up wrongly: a bad URL, missing rights, a missing schema.
    Configuration,
    /// Anything else.
    Other,
}

/// A failure of a backend. Absence, replay, denial and exhaustion are values, never errors.
#[derive(Debug, Clone)]
pub struct BackendError {
    kind: BackendErrorKind,
    operation: &'static str,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl BackendError {
    /// A failure of `operation` (the trait method's name) without a cause.
    pub fn new(kind: BackendErrorKind, operation: &'static str) -> Self {
        Self { kind, operation, source: None }
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> BackendErrorKind {
        self.kind
    }

    /// The operation that failed.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, BackendErrorKind::Unavailable | BackendErrorKind::Full)
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {:?}", self.operation, self.kind)?;
        // The chain is written out: a log line that only says "unavailable" helps nobody.
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for BackendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
