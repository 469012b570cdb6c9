//! The one place that says what a failure of PostgreSQL means.

use std::{error::Error, sync::Arc};

use parlor_core::{BackendError, BackendErrorKind};

/// A failure inside this crate. Becomes a [`BackendError`] where an operation's name is known.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    kind: BackendErrorKind,
    /// Whether only what was asked is at fault, and not the connection or the server.
    of_data: bool,
    /// What PostgreSQL calls it.
    state: Option<SqlState>,
    source: Arc<dyn Error + Send + Sync>,
}

/// An SQLSTATE, five letters and digits.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
type SqlState = [u8; 5];

impl Fault {
    pub(crate) fn new(
        kind: BackendErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, of_data: false, state: None, source: Arc::from(source.into()) }
    }

    /// What is stored cannot be read as what it should be.
    pub(crate) fn corrupt(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(BackendErrorKind::Corrupt, source)
    }

    /// The database has to be set up in another way.
    pub(crate) fn configuration(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(BackendErrorKind::Configuration, source)
    }

    /// A call did not come to its end: its runtime shuts down, or it panicked.
    pub(crate) fn interrupted(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        // How far it came nobody knows.
        Self::new(BackendErrorKind::Unavailable, error)
    }

    /// The same failure at a commit, after which nobody knows what is stored: always retryable.
    pub(crate) fn at_commit(self) -> Self {
        match self.kind {
            BackendErrorKind::Full => self,
            _ => Self { kind: BackendErrorKind::Unavailable, ..self },
        }
    }

    /// Somebody else holds a lock for longer than we wait.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        self.state.is_some_and(|state| &state == b"55P03")
    }

    /// Two transactions stood in each other's way; nothing is stored, and the same goes through when it is tried again.
    pub(crate) fn is_conflict(&self) -> bool {
        self.state.is_some_and(|state| matches!(&state, b"40001" | b"40P01"))
    }

    /// The server has answered, so the connection is as good as before.
    pub(crate) fn is_an_answer(&self) -> bool {
        self.state.is_some_and(|state| !matches!(&state[..2], b"08" | b"57"))
    }

    /// Somebody else holds a conversation's lock for longer than we wait.
    pub(crate) fn locked() -> Self {
        let reason = "the conversation is locked by another transaction";
        Self::new(BackendErrorKind::Unavailable, reason)
    }

    /// The server did not answer in time; what it did nobody knows.
    pub(crate) fn silent() -> Self {
        Self::new(BackendErrorKind::Unavailable, "the server does not answer")
    }

    /// Of several questions one may be at fault, by what it asks or what is stored for it.
    pub(crate) fn is_of_one(&self) -> bool {
        self.of_data || self.kind == BackendErrorKind::Corrupt
    }

    /// One of the rows cannot be stored; others can.
    pub(crate) fn is_of_data(&self) -> bool {
        self.of_data
    }

    pub(crate) fn kind(&self) -> BackendErrorKind {
        self.kind
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
        let state = error
            .as_database_error()
            .and_then(|error| SqlState::try_from(error.code()?.as_bytes()).ok());
        let of_data = state.is_some_and(|state| matches!(&state[..2], b"22" | b"23" | b"54"));
        Self { of_data, state, ..Self::new(kind(&error, state), error) }
    }
}

fn kind(error: &sqlx::Error, state: Option<SqlState>) -> BackendErrorKind {
    match error {
        sqlx::Error::Database(_) => state.map_or(BackendErrorKind::Other, of_state),
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Io(_)
        | sqlx::Error::BeginFailed
        // An answer cut short, as when the server goes away in the middle of it.
        | sqlx::Error::Protocol(_) => BackendErrorKind::Unavailable,
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => BackendErrorKind::Configuration,
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_) => BackendErrorKind::Corrupt,
        _ => BackendErrorKind::Other,
    }
}

fn of_state(state: SqlState) -> BackendErrorKind {
    match &state {
        // disk_full
        b"53100" => BackendErrorKind::Full,
        // query_canceled, lock_not_available, read_only_sql_transaction (a standby after a failover),
        // in_failed_sql_transaction, idle_in_transaction_session_timeout, transaction_timeout
        b"57014" | b"55P03" | b"25006" | b"25P02" | b"25P03" | b"25P04" => {
            BackendErrorKind::Unavailable
        }
        // insufficient_privilege, undefined_table, undefined_function, undefined_column
        b"42501" | b"42P01" | b"42883" | b"42703" => BackendErrorKind::Configuration,
        _ => match &state[..2] {
            // Connection, conflicts, resources, operator intervention, system
            b"08" | b"40" | b"53" | b"57" | b"58" => BackendErrorKind::Unavailable,
            // Authorization, catalogue and schema names
            b"28" | b"3D" | b"3F" => BackendErrorKind::Configuration,
            // data_corrupted, index_corrupted and other internal errors
            b"XX" => BackendErrorKind::Corrupt,
            _ => BackendErrorKind::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_judged_by_its_code_or_its_class() {
        assert_eq!(of_state(*b"57P01"), BackendErrorKind::Unavailable);
        assert_eq!(of_state(*b"40P01"), BackendErrorKind::Unavailable);
        assert_eq!(of_state(*b"53100"), BackendErrorKind::Full);
        assert_eq!(of_state(*b"53300"), BackendErrorKind::Unavailable);
        assert_eq!(of_state(*b"42501"), BackendErrorKind::Configuration);
        assert_eq!(of_state(*b"28P01"), BackendErrorKind::Configuration);
        assert_eq!(of_state(*b"23505"), BackendErrorKind::Other);
        let error = Fault::from(sqlx::Error::PoolTimedOut).during("append");
        assert!(error.is_retryable());
        assert!(error.to_string().contains("timed out"), "{error}");
    }
}
