//! The database of one run: a fresh one on the Postgres that all systems share, a file of SQLite, or none.

use std::sync::Arc;

use parlor::{postgres::PostgresStore, sqlite::SqliteStore, store::Store};
use parlor_test_services::Postgres;
use tempfile::TempDir;

use super::System;
use crate::{Result, measure::Process};

/// A database, removed with this value where it is a file.
pub(crate) enum Database {
    Sqlite { url: String, _folder: TempDir },
    Postgres { url: String, server: Arc<Postgres> },
    None,
}

impl Database {
    /// An empty one, of the kind that a system takes.
    pub(crate) fn fresh(system: System, postgres: &Arc<Postgres>) -> Result<Self> {
        match system {
            System::ParlorSqlite => {
                let folder = tempfile::tempdir()?;
                let url = folder.path().join("bench.db").to_string_lossy().into_owned();
                Ok(Self::Sqlite { url, _folder: folder })
            }
            System::Floor => Ok(Self::None),
            _ => {
                // What an earlier run wrote is not paid for by this one.
                postgres.psql(postgres.url(), "CHECKPOINT");
                Ok(Self::Postgres { url: postgres.database(), server: Arc::clone(postgres) })
            }
        }
    }

    /// A URL, or the path of a file.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Sqlite { url, .. } | Self::Postgres { url, .. } => url,
            Self::None => "",
        }
    }

    /// Seconds of CPU so far of a database server's processes, those that ended included.
    pub(crate) fn cpu(&self) -> f64 {
        let Self::Postgres { server, .. } = self else { return 0.0 };
        let main = server.pids().first().copied();
        main.and_then(|main| Process::new(main).cpu().ok()).unwrap_or(0.0)
    }

    /// Runs SQL on a database server; nothing elsewhere.
    pub(crate) fn sql(&self, sql: &str) -> String {
        match self {
            Self::Postgres { url, server } => server.psql(url, sql),
            Self::Sqlite { .. } | Self::None => String::new(),
        }
    }

    /// Bytes of the write-ahead log so far.
    pub(crate) fn log_bytes(&self) -> f64 {
        self.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
            .trim()
            .parse()
            .unwrap_or(0.0)
    }
}

/// An open store of parlor. SQLite wants to be closed before another process opens it.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    sqlite: Option<SqliteStore>,
}

/// Opens a database by URL, or a file of SQLite.
pub(crate) async fn open(url: &str) -> Result<Opened> {
    if url.starts_with("postgres") {
        let store = PostgresStore::connect(url).await?;
        return Ok(Opened { store: Arc::new(store), sqlite: None });
    }
    let store = SqliteStore::open(url).await?;
    Ok(Opened { store: Arc::new(store.clone()), sqlite: Some(store) })
}

impl Opened {
    /// Closes it. All engines on it must be gone.
    pub(crate) async fn close(self) {
        drop(self.store);
        if let Some(store) = self.sqlite {
            store.close().await;
        }
    }
}
