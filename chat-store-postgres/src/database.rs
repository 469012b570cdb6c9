//! The pool, and how calls run on it.

use std::{future::Future, str::FromStr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use parlor_core::BackendError;
use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{
    config::PostgresConfig,
    connection::{Conn, Held},
    error::Fault,
    schema::{self, Schema},
};

/// A connection that was idle for longer is tried before it is used: the server may have been restarted.
const FRESH: Duration = Duration::from_secs(1);

/// How long that may take.
const PING: Duration = Duration::from_secs(1);

/// How long a lock of somebody else's is waited for at first.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// How long a statement may take besides waiting for locks. A server that was silent for longer is given up.
const WORK: Duration = Duration::from_secs(5);

/// The errors name the part at fault and not the URL, which may hold a password.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, Fault> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Fault::configuration("the URL of the database must begin with postgres://"));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        Fault::configuration(format!("the URL of the database cannot be read: {error}"))
    })?;
    // No floats are used, and poolers refuse a setting that they do not know.
    Ok(options.application_name("parlor").extra_float_digits(None))
}

/// One connection.
pub(crate) async fn connect(
    options: &PgConnectOptions,
    deadline: Duration,
) -> Result<PgConnection, Fault> {
    let connecting = timeout(deadline, PgConnection::connect_with(options));
    Ok(connecting.await.map_err(|_| Fault::silent())??)
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
    /// Places of those who wait for locks of somebody else's.
    waiting: Arc<Semaphore>,
}

impl Database {
    /// Connects by URL with a pool of the store's own.
    pub(crate) async fn connect(url: &str, config: PostgresConfig) -> Result<Self, Fault> {
        let options = options(url)?;
        // The pool would only say that it had to wait: the first connection tells what is wrong.
        connect(&options, config.acquire_timeout).await?.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(config.connections)
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(|conn, _| {
                // Where a conversation is very long, statements look so costly that they would be compiled at each call,
                // for half a second.
                Box::pin(async move { sqlx::query("SET jit = off").execute(conn).await.map(drop) })
            })
            .before_acquire(|conn, meta| {
                Box::pin(async move {
                    if meta.idle_for > FRESH {
                        return Ok(timeout(PING, conn.ping()).await.is_ok_and(|pong| pong.is_ok()));
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Self::on(pool, config).await
    }

    /// Takes a pool of the host's own, whose sessions are left as they are.
    pub(crate) async fn of_host(pool: PgPool, config: PostgresConfig) -> Result<Self, Fault> {
        let database = Self::on(pool, config).await?;
        let compiles = "SELECT current_setting('jit', true) = 'on'";
        let compiles: Option<bool> = sqlx::query_scalar(compiles).fetch_one(&database.pool).await?;
        if compiles == Some(true) {
            tracing::warn!(
                "the pool's sessions have jit = on: with millions of messages in a conversation, reads of \
                 a millisecond may take half a second; set jit = off for them"
            );
        }
        Ok(database)
    }

    async fn on(pool: PgPool, config: PostgresConfig) -> Result<Self, Fault> {
        let schema = Schema::new(&config.schema)?;
        schema::prepare(&pool, &schema, config.migrate).await?;
        let waiting = Arc::new(Semaphore::new(half(&pool).div_ceil(2)));
        Ok(Self { pool, schema, config, waiting })
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

    /// Batches that may be appended at once: they leave at least half of the pool to others.
    pub(crate) fn lanes(&self) -> usize {
        self.config.lanes.min(half(&self.pool))
    }

    /// Runs a transaction of a trait's method.
    pub(crate) async fn write<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> Result<T, BackendError>
    where
        F: for<'a, 'c> Fn(&'a mut Conn<'c>) -> BoxFuture<'a, Result<T, Fault>>
            + Send
            + Sync
            + 'static,
        T: Send + 'static,
    {
        self.transact(work).await.map_err(|fault| fault.during(operation))
    }

    /// Runs a transaction, in a task of its own: whoever asked may go away, and it is done or undone as a whole.
    ///
    /// What somebody else has locked is waited for a moment, and then with few others, so that those who wait for
    /// one conversation do not take the connections of all.
    pub(crate) async fn transact<T, F>(&self, work: F) -> Result<T, Fault>
    where
        F: for<'a, 'c> Fn(&'a mut Conn<'c>) -> BoxFuture<'a, Result<T, Fault>>
            + Send
            + Sync
            + 'static,
        T: Send + 'static,
    {
        let database = self.clone();
        let done = tokio::spawn(async move {
            match database.once(MOMENT, &work).await {
                Err(fault) if fault.is_lock_timeout() => {
                    let _place = database.place_to_wait().await?;
                    database.once(database.config.lock_timeout, &work).await
                }
                Err(fault) if fault.is_conflict() => database.once(MOMENT, &work).await,
                done => done,
            }
        });
        done.await.unwrap_or_else(|error| Err(Fault::interrupted(error)))
    }

    async fn once<T, F>(&self, lock_timeout: Duration, work: &F) -> Result<T, Fault>
    where
        F: for<'a, 'c> Fn(&'a mut Conn<'c>) -> BoxFuture<'a, Result<T, Fault>> + Sync,
    {
        let mut held = self.acquire().await?;
        let running = held.transaction(begin(lock_timeout), work);
        let done = in_time(lock_timeout, running).await;
        held.ended(&done);
        done
    }

    /// Leave to hold a connection while waiting for a lock of somebody else's.
    ///
    /// # Errors
    /// That of a lock that is held for too long.
    pub(crate) async fn place_to_wait(&self) -> Result<SemaphorePermit<'_>, Fault> {
        match timeout(self.config.lock_timeout, self.waiting.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // It is never closed.
            Ok(Err(_)) | Err(_) => Err(Fault::locked()),
        }
    }
}

/// Waits for the server no longer than it may wait for a lock, and some time to work.
pub(crate) async fn in_time<T>(
    lock_timeout: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    timeout(lock_timeout + WORK, work).await.unwrap_or_else(|_| Err(Fault::silent()))
}

fn half(pool: &PgPool) -> usize {
    usize::try_from(pool.options().get_max_connections() / 2).unwrap_or(usize::MAX).max(1)
}
