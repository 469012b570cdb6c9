//! The pool, and how calls run on it.

use std::{str::FromStr, time::Duration};

use futures::future::BoxFuture;
use parlor_core::{BackendError, BackendErrorKind};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    config::PostgresConfig,
    connection::{Conn, Held},
    error::Fault,
    schema::{self, Schema},
};

/// A connection that was idle for longer is tried before it is used: the server may have been restarted.
const FRESH: Duration = Duration::from_secs(1);

/// The errors name the part at fault and not the URL, which may hold a password.
fn options(url: &str) -> Result<PgConnectOptions, Fault> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Fault::configuration("the URL of the database must begin with postgres://"));
    }
    PgConnectOptions::from_str(url).map_err(|error| {
        Fault::configuration(format!("the URL of the database cannot be read: {error}"))
    })
}

/// Begins a transaction, in one round trip. The level is what the store is written for, whatever the pool has. A
/// commit is durable, also where the pool would not wait for the disk (`remote_apply`, which is more, stays). A node
/// that is frozen in the middle of a transaction does not hold its locks for ever.
fn begin(lock_timeout: Duration) -> String {
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
         SELECT set_config('synchronous_commit', 'on', true) \
         WHERE current_setting('synchronous_commit') IN ('off', 'local'); \
         SET LOCAL lock_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = 5000",
        lock_timeout.as_millis()
    )
}

/// Where chat is kept. Clones share the pool.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: PgPool,
    schema: Schema,
    config: PostgresConfig,
}

impl Database {
    /// Connects by URL with a pool of the store's own.
    pub(crate) async fn connect(url: &str, config: PostgresConfig) -> Result<Self, Fault> {
        let options = options(url)?.application_name("parlor");
        // The pool would only say that it had to wait: the first connection tells what is wrong.
        let first =
            tokio::time::timeout(config.acquire_timeout, PgConnection::connect_with(&options));
        let first = first.await.map_err(|_| {
            Fault::new(BackendErrorKind::Unavailable, "the server does not answer")
        })??;
        first.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(config.connections)
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|conn, meta| {
                Box::pin(async move {
                    if meta.idle_for > FRESH {
                        conn.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Self::on(pool, config).await
    }

    /// Takes a pool of the host's own.
    pub(crate) async fn on(pool: PgPool, config: PostgresConfig) -> Result<Self, Fault> {
        let schema = Schema::new(&config.schema)?;
        schema::prepare(&pool, &schema, config.migrate).await?;
        Ok(Self { pool, schema, config })
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) fn config(&self) -> &PostgresConfig {
        &self.config
    }

    /// A connection for one call.
    pub(crate) async fn acquire(&self) -> Result<Held, Fault> {
        Ok(Held::new(self.pool.acquire().await?, self.schema.clone()))
    }

    /// Runs a transaction of a trait's method.
    pub(crate) async fn write<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'a, 'c> FnOnce(&'a mut Conn<'c>) -> BoxFuture<'a, Result<T, Fault>> + Send + 'static,
        T: Send + 'static,
    {
        self.transact(work).await.map_err(|fault| fault.during(operation))
    }

    /// Runs a transaction, in a task of its own: whoever asked may go away, and it is done or undone as a whole.
    pub(crate) async fn transact<T, F>(&self, work: F) -> Result<T, Fault>
    where
        F: for<'a, 'c> FnOnce(&'a mut Conn<'c>) -> BoxFuture<'a, Result<T, Fault>> + Send + 'static,
        T: Send + 'static,
    {
        let database = self.clone();
        let done = tokio::spawn(async move {
            // Made of constants and a number.
            let begin = AssertSqlSafe(begin(database.config.lock_timeout));
            let mut transaction = database.pool.begin_with(begin).await?;
            let done = work(&mut Conn::new(&mut transaction, &database.schema)).await?;
            transaction.commit().await.map_err(|error| Fault::from(error).at_commit())?;
            Ok(done)
        });
        done.await.unwrap_or_else(|error| Err(Fault::interrupted(error)))
    }
}
