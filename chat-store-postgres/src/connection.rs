//! A connection, and the schema whose SQL runs on it.

use std::time::Duration;

use futures::future::BoxFuture;
use parlor_core::BackendError;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Postgres, pool::PoolConnection, postgres::PgArguments,
    query::Query,
};

use tokio::{runtime::Handle, time::timeout};

use crate::{error::Fault, schema::Schema};

/// How long a connection may take to go back into the pool; then it is closed.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// A connection at work: one of the pool's, in a transaction or not, or the host's own.
pub(crate) struct Conn<'c> {
    pg: &'c mut PgConnection,
    schema: &'c Schema,
}

impl<'c> Conn<'c> {
    pub(crate) fn new(pg: &'c mut PgConnection, schema: &'c Schema) -> Self {
        Self { pg, schema }
    }

    /// What statements are executed on.
    pub(crate) fn pg(&mut self) -> &mut PgConnection {
        self.pg
    }

    /// A statement of this crate, for the store's schema.
    pub(crate) fn query<'q>(&self, sql: &'static str) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(self.schema.sql(sql))
    }
}

/// A connection taken from the pool for one call.
///
/// It goes back when the call has come to its end. When it has not, because the server is silent or whoever asked has
/// gone away, it is closed: the pool would wait for the server's word before it lent it to others, perhaps for ever.
pub(crate) struct Held {
    pg: PoolConnection<Postgres>,
    schema: Schema,
    has_ended: bool,
}

impl Held {
    pub(crate) fn new(pg: PoolConnection<Postgres>, schema: Schema) -> Self {
        Self { pg, schema, has_ended: false }
    }

    /// The connection at work. Until [`Held::ended`] says otherwise it is in the middle of that.
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        self.has_ended = false;
        Conn::new(&mut self.pg, &self.schema)
    }

    /// Says how a statement came out: the connection serves others if the server has answered. Returns whether it does.
    pub(crate) fn ended<T>(&mut self, outcome: &Result<T, Fault>) -> bool {
        self.has_ended = outcome.as_ref().map_or_else(Fault::is_an_answer, |_| true);
        self.has_ended
    }

    /// Gives the connection back with the answer to the operation.
    pub(crate) fn answer<T>(
        mut self,
        operation: &'static str,
        outcome: Result<T, Fault>,
    ) -> Result<T, BackendError> {
        self.ended(&outcome);
        outcome.map_err(|fault| fault.during(operation))
    }

    /// Runs work within a transaction.
    pub(crate) async fn transaction<T, F>(&mut self, begin: String, work: &F) -> Result<T, Fault>
    where
        F: for<'a, 'c> Fn(&'a mut Conn<'c>) -> BoxFuture<'a, Result<T, Fault>> + Sync,
    {
        // Made of constants and a number.
        let mut transaction = self.pg.begin_with(AssertSqlSafe(begin)).await?;
        let done = work(&mut Conn::new(&mut transaction, &self.schema)).await?;
        transaction.commit().await.map_err(|error| Fault::from(error).at_commit())?;
        Ok(done)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.has_ended {
            self.pg.close_on_drop();
        } else if let Ok(runtime) = Handle::try_current() {
            // The pool tries the connection before it takes it back, and would try for ever.
            runtime.spawn(timeout(GIVE_BACK, self.pg.return_to_pool()));
        }
    }
}
