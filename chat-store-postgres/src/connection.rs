//! A connection, and the schema whose SQL runs on it.

use sqlx::{PgConnection, Postgres, pool::PoolConnection, postgres::PgArguments, query::Query};

use crate::schema::Schema;

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
pub(crate) struct Held {
    pg: PoolConnection<Postgres>,
    schema: Schema,
}

impl Held {
    pub(crate) fn new(pg: PoolConnection<Postgres>, schema: Schema) -> Self {
        Self { pg, schema }
    }

    pub(crate) fn conn(&mut self) -> Conn<'_> {
        Conn::new(&mut self.pg, &self.schema)
    }
}
