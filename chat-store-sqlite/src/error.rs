//! The one place that says what a failure of SQLite means.

use std::{error::Error, sync::Arc};

use parlor_core::{BackendError, BackendErrorKind};

/// A failure inside this crate. Becomes a [`BackendError`] where an operation's name is known.
///
/// Cheap to clone: when a commit fails, every write of the batch is told.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    kind: BackendErrorKind,
    source: Arc<dyn Error + Send + Sync>,
}

impl Fault {
    pub(crate) fn new(
        kind: BackendErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, source: Arc::from(source.into()) }
    }

    /// What is stored cannot be read as what it should be.
    pub(crate) fn corrupt(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(BackendErrorKind::Corrupt, source)
    }

    /// The store was closed, or its runtime has ended.
    pub(crate) fn closed() -> Self {
        Self::new(BackendErrorKind::Unavailable, "the store is closed")
    }

    /// A read did not come to its end: its runtime shuts down, or it panicked.
    pub(crate) fn interrupted(error: tokio::task::JoinError) -> Self {
        let kind = if error.is_cancelled() {
            BackendErrorKind::Unavailable
        } else {
            BackendErrorKind::Other
        };
        Self::new(kind, error)
    }

    /// The same failure at a commit, after which nobody knows what is stored: always retryable.
    pub(crate) fn at_commit(self) -> Self {
        match self.kind {
            BackendErrorKind::Full => self,
            _ => Self { kind: BackendErrorKind::Unavailable, ..self },
        }
    }

    /// The same failure while the database is opened: trouble with the file is a matter of its set-up.
    pub(crate) fn at_open(self) -> Self {
        match self.kind {
            BackendErrorKind::Other => Self { kind: BackendErrorKind::Configuration, ..self },
            _ => self,
        }
    }

    pub(crate) fn during(self, operation: &'static str) -> BackendError {
        BackendError::new(self.kind, operation).with_source(Cause(self.source))
    }
}

/// A shared cause, passed on as it is.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Cause(Arc<dyn Error + Send + Sync>);

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::new(kind(&error), error)
    }
}

fn kind(error: &sqlx::Error) -> BackendErrorKind {
    match error {
        sqlx::Error::Database(database) => database
            .code()
            .and_then(|code| code.parse().ok())
            .map_or(BackendErrorKind::Other, of_code),
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Io(_) => BackendErrorKind::Unavailable,
        sqlx::Error::Configuration(_) => BackendErrorKind::Configuration,
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_) => BackendErrorKind::Corrupt,
        _ => BackendErrorKind::Other,
    }
}

/// What a result code of SQLite means; the low byte of an extended code is the primary one.
fn of_code(code: i32) -> BackendErrorKind {
    match code & 0xff {
        // SQLITE_BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, PROTOCOL
        5 | 6 | 7 | 9 | 10 | 15 => BackendErrorKind::Unavailable,
        // SQLITE_FULL, and SQLITE_READONLY for a medium that cannot be written.
        13 | 8 => BackendErrorKind::Full,
        // SQLITE_CORRUPT, NOTADB
        11 | 26 => BackendErrorKind::Corrupt,
        // SQLITE_PERM, CANTOPEN, AUTH
        3 | 14 | 23 => BackendErrorKind::Configuration,
        _ => BackendErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_judged_by_its_low_byte_and_the_cause_is_kept() {
        assert_eq!(of_code(5), BackendErrorKind::Unavailable);
        assert_eq!(of_code(13), BackendErrorKind::Full);
        // SQLITE_IOERR_WRITE, SQLITE_CORRUPT_INDEX, SQLITE_CANTOPEN_ISDIR
        assert_eq!(of_code(778), BackendErrorKind::Unavailable);
        assert_eq!(of_code(779), BackendErrorKind::Corrupt);
        assert_eq!(of_code(526), BackendErrorKind::Configuration);
        let error = Fault::from(sqlx::Error::PoolTimedOut).during("append");
        assert!(error.is_retryable());
        assert!(error.to_string().contains("timed out"), "{error}");
    }
}
