//! What opening a store would find, without changing anything.

use parlor_core::BackendError;
use sqlx::{Connection, PgConnection, query_as};

use crate::{
    config::PostgresConfig,
    database::{connect, options},
    error::Fault,
    schema::{self, Schema},
};

/// What is in a database before a store is opened on it, and what the role may do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The version of the schema, 0 when it is missing.
    pub version: i32,
    /// The version that this release needs, never less than `version`.
    pub needed: i32,
    /// Whether the role may bring the schema up to `needed`, which opening with
    /// [`PostgresConfig::migrate`] does.
    pub may_migrate: bool,
    /// Whether the role may read and write the tables that there are.
    pub may_use: bool,
}

/// Looks what opening a store of this configuration would find. Nothing is made or changed.
///
/// # Errors
/// As [`crate::PostgresStore::connect_with`], but a schema that is missing or older is no error.
pub async fn inspect(
    url: impl AsRef<str>,
    config: &PostgresConfig,
) -> Result<Inspection, BackendError> {
    look(url.as_ref(), config).await.map_err(|fault| fault.during("inspect"))
}

async fn look(url: &str, config: &PostgresConfig) -> Result<Inspection, Fault> {
    let schema = Schema::new(&config.schema)?;
    let mut conn = connect(&options(url)?, config.acquire_timeout).await?;
    schema::check_server(&mut conn).await?;
    let (may_read_version, may_migrate, may_use) = rights(&mut conn, &schema).await?;
    // What the role may not read is there, and older or not: it may not use it either.
    let version = if may_read_version { schema::version(&mut conn, &schema).await? } else { 0 };
    schema::is_current(version)?;
    conn.close().await?;
    Ok(Inspection { version, needed: schema::newest(), may_migrate, may_use })
}

/// Whether the role may read the version, migrate, and use the tables. A role may change what belongs to it or to a
/// role that it is a member of.
async fn rights(conn: &mut PgConnection, schema: &Schema) -> Result<(bool, bool, bool), Fault> {
    let rights = query_as(
        "WITH namespace AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1),
              tables AS (
                  SELECT c.oid, c.relname, c.relowner FROM pg_catalog.pg_class c
                  JOIN namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
              )
         SELECT
             coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM namespace), true)
                 AND coalesce((SELECT bool_and(has_table_privilege(oid, 'SELECT')) FROM tables
                     WHERE relname = 'migrations'), true),
             coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM namespace),
                     has_database_privilege(current_database(), 'CREATE'))
                 AND coalesce((SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM tables), true),
             coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM namespace), true)
                 AND coalesce((SELECT bool_and(has_table_privilege(oid, 'SELECT')
                     AND (relname = 'migrations' OR (has_table_privilege(oid, 'INSERT')
                         AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))))
                     FROM tables), true)",
    );
    Ok(rights.bind(schema.name()).fetch_one(conn).await?)
}
