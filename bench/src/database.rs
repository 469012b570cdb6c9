//! The database that is measured: SQLite in a temporary folder, a Postgres started for the purpose, or a given one.

use std::sync::Arc;

use clap::Args;
use parlor::{postgres::PostgresStore, sqlite::SqliteStore, store::Store};
use parlor_test_services::Postgres;
use tempfile::TempDir;

use crate::{
    Result,
    proc::{Cpu, Process},
};

/// Which database.
#[derive(Args)]
pub(crate) struct Choice {
    /// `sqlite`, `postgres` (a server is started, with its own defaults), or the URL of a Postgres database
    #[arg(long, default_value = "sqlite")]
    database: String,
}

/// A database that ends with this value, unless it was given.
pub(crate) struct Database {
    url: String,
    what: String,
    held: Held,
}

enum Held {
    Folder { _removed_with_this: TempDir },
    Server(Box<Postgres>),
    Given,
}

impl Choice {
    /// Starts it.
    pub(crate) fn start(&self) -> Result<Database> {
        let (url, what, held) = match self.database.as_str() {
            "sqlite" => {
                let folder = tempfile::tempdir()?;
                let file = folder.path().join("bench.db");
                (
                    file.to_string_lossy().into_owned(),
                    "SQLite".to_owned(),
                    Held::Folder { _removed_with_this: folder },
                )
            }
            "postgres" => {
                let server = Postgres::start()?;
                let url = server.database();
                let version = server.psql(&url, "SHOW server_version");
                let what = format!("Postgres {} with its defaults", version.trim());
                (url, what, Held::Server(Box::new(server)))
            }
            url if url.contains("://") => {
                (url.to_owned(), "the Postgres given".to_owned(), Held::Given)
            }
            other => {
                return Err(format!("--database: sqlite, postgres or a URL, not {other:?}").into());
            }
        };
        Ok(Database { url, what, held })
    }
}

impl Database {
    /// What [`open`] takes.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// For a reader.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// CPU of the database's own processes so far, those that ended included.
    pub(crate) fn cpu(&self) -> Option<Cpu> {
        let Held::Server(server) = &self.held else { return None };
        let mut pids = server.pids().into_iter();
        let main = Process::new(pids.next()?).cpu_with_ended_children().ok()?;
        // One that ended meanwhile is counted with the main process the next time.
        Some(pids.filter_map(|pid| Process::new(pid).cpu().ok()).fold(main, Cpu::plus))
    }

    /// Runs SQL, where there is a server of ours.
    pub(crate) fn sql(&self, sql: &str) -> Option<String> {
        match &self.held {
            Held::Server(server) => Some(server.psql(&self.url, sql)),
            Held::Folder { .. } | Held::Given => None,
        }
    }
}

/// An open store. SQLite wants to be closed before another process opens it.
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
