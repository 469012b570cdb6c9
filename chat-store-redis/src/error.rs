//! The one place that says what a failure of Redis means.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use parlor_core::{BackendError, BackendErrorKind};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// A failure inside this crate. Becomes a [`BackendError`] where an operation's name is known.
///
/// Cheap to clone: why there is no connection is told to every call until there is one again.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    kind: BackendErrorKind,
    source: Arc<dyn Error + Send + Sync>,
}

impl Fault {
    fn new(kind: BackendErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Arc::from(source.into()) }
    }

    /// Set up wrongly.
    pub(crate) fn configuration(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(BackendErrorKind::Configuration, source)
    }

    /// Redis cannot be asked at the moment.
    pub(crate) fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(BackendErrorKind::Unavailable, source)
    }

    /// No answer in time.
    pub(crate) fn late(timeout: Duration) -> Self {
        Self::unavailable(format!("no answer from Redis within {} ms", timeout.as_millis()))
    }

    /// A fault that another try does not mend.
    pub(crate) fn other(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(BackendErrorKind::Other, source)
    }

    /// An answer that the script or command cannot have given.
    pub(crate) fn unexpected() -> Self {
        Self::new(BackendErrorKind::Corrupt, "Redis gave an answer of an unknown form")
    }

    /// The same cause for a call that found no connection: always worth another try.
    pub(crate) fn while_down(&self) -> Self {
        Self { kind: BackendErrorKind::Unavailable, ..self.clone() }
    }

    /// Redis does not know the script that it was to run.
    pub(crate) fn is_unknown_script(&self) -> bool {
        self.source
            .downcast_ref::<RedisError>()
            .is_some_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
    }

    pub(crate) fn during(self, operation: &'static str) -> BackendError {
        BackendError::new(self.kind, operation).with_source(Cause(self.source))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// A shared cause, passed on as it is.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Cause(Arc<dyn Error + Send + Sync>);

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        Self::new(kind(&error), error)
    }
}

fn kind(error: &RedisError) -> BackendErrorKind {
    match error.kind() {
        // A cut connection, and a server that starts, fails over, or is no primary any more.
        ErrorKind::Io
        | ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain,
        ) => BackendErrorKind::Unavailable,
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::RESP3NotSupported
        | ErrorKind::Server(ServerErrorKind::NoPerm) => BackendErrorKind::Configuration,
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => BackendErrorKind::Corrupt,
        _ => match error.code() {
            Some("OOM" | "MISCONF") => BackendErrorKind::Full,
            Some("NOREPLICAS") => BackendErrorKind::Unavailable,
            Some("NOAUTH" | "WRONGPASS") => BackendErrorKind::Configuration,
            _ => BackendErrorKind::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_retryable_and_the_cause_is_kept() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = Fault::from(RedisError::from(refused)).during("publish");
        assert!(error.is_retryable());
        assert!(error.to_string().contains("refused"), "{error}");
        let denied = RedisError::from((ErrorKind::AuthenticationFailed, "wrong password"));
        let denied = Fault::from(denied);
        assert_eq!(denied.clone().during("ping").kind(), BackendErrorKind::Configuration);
        assert!(denied.while_down().during("publish").is_retryable());
    }
}
