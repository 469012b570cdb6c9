//! Opens the database, and what several nodes share.

use std::{
    fmt::Display,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use parlor::{
    BackendError,
    postgres::{PostgresConfig, PostgresStore},
    redis::{RedisBackends, RedisConfig},
    sqlite::SqliteStore,
    store::Store,
};

use crate::{
    failure::Failure,
    settings::{Database, Postgres, Redis},
};

/// Pauses between attempts at start.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The database, opened.
#[derive(Debug, Clone)]
pub(crate) enum OpenStore {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl OpenStore {
    /// Opens it, once.
    pub(crate) async fn open(database: &Database) -> Result<Self, BackendError> {
        match database {
            Database::Sqlite(file) => Ok(Self::Sqlite(SqliteStore::open(file).await?)),
            Database::Postgres(postgres) => {
                let (url, config) = (postgres.url.reveal(), postgres.config());
                Ok(Self::Postgres(PostgresStore::connect_with(url, config).await?))
            }
        }
    }

    /// For the engine.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// Finishes what waits and closes it.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

impl Postgres {
    /// The settings of the store.
    pub(crate) fn config(&self) -> PostgresConfig {
        let mut config = PostgresConfig::new().schema(&self.schema).migrate(self.migrate);
        if let Some(connections) = self.connections {
            config = config.connections(connections);
        }
        if let Some(lanes) = self.lanes {
            config = config.lanes(lanes);
        }
        config
    }
}

impl Database {
    /// What it is, to be shown.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite:{file}"),
            Self::Postgres(postgres) => postgres.url.without_password(),
        }
    }
}

/// Opens the database; one that cannot be reached yet is tried again within `patience`.
pub(crate) async fn open(database: &Database, patience: Duration) -> Result<OpenStore, Failure> {
    let shown = database.shown();
    let attempt = || OpenStore::open(database);
    let opened = patiently("the database", &shown, patience, BackendError::is_retryable, attempt);
    opened.await.map_err(|error| {
        let advice = match (error.is_retryable(), database) {
            (true, _) => "Is it running, and is --database (DATABASE_URL) right?",
            (false, Database::Sqlite(_)) => "Is --database (DATABASE_URL) right?",
            (false, Database::Postgres(_)) => {
                "Are user, password and database in --database (DATABASE_URL) right, and may the user make a schema? \
                 If not, apply what parlor-server schema prints as a user that may."
            }
        };
        Failure::Start(format!("the database {shown} cannot be opened: {error}. {advice}"))
    })
}

impl Redis {
    /// Opens it. One that cannot be reached is tried again for as long as the server runs.
    pub(crate) async fn open(&self) -> Result<RedisBackends, Failure> {
        let mut config = RedisConfig::new().prefix(&self.prefix);
        if let Some(authorities) = &self.authorities {
            config = config.root_certificates(authorities.clone());
        }
        RedisBackends::open_with(self.url.reveal(), config)
            .await
            .map_err(|error| Failure::option("--redis", "REDIS_URL", format!("is wrong: {error}")))
    }
}

/// Tries until it succeeds, fails for good, or `patience` is over.
pub(crate) async fn patiently<T, E: Display, F: Future<Output = Result<T, E>>>(
    what: &str,
    place: &str,
    patience: Duration,
    is_passing: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E> {
    let end = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let left = end.saturating_duration_since(Instant::now());
        if !is_passing(&error) || left.is_zero() {
            return Err(error);
        }
        pause = pause.min(left);
        tracing::warn!(
            place,
            %error,
            "{what} cannot be reached; trying again in {} ms, for another {} s",
            pause.as_millis(),
            left.as_secs()
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
