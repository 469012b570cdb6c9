//! The schema, its name, and its migrations.

use std::{borrow::Cow, sync::Arc};

use parlor_core::BackendErrorKind;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, SqlSafeStr, SqlStr, query_scalar, raw_sql};

use crate::error::Fault;

/// The schema's name by default, and the one that stands in all SQL of this crate.
pub(crate) const DEFAULT: &str = "parlor";

/// The newest identifier length that PostgreSQL does not cut.
const NAME_BYTES: usize = 63;

/// One step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// Its place: 1, 2, 3 …
    pub version: i32,
    /// What it is about.
    pub name: &'static str,
    /// The statements, for the schema `parlor`.
    pub sql: &'static str,
}

/// All steps in order. Opening a store applies those that are missing, all in one transaction.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "chat", sql: include_str!("../migrations/0001_chat.sql") },
    Migration { version: 2, name: "append", sql: include_str!("../migrations/0002_append.sql") },
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS parlor.migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
";

/// A checked name of a schema, and SQL with it.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    name: Arc<str>,
}

impl Schema {
    pub(crate) fn new(name: &str) -> Result<Self, Fault> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = |c: char| c.is_ascii_lowercase() || c == '_';
        let good = name.len() <= NAME_BYTES
            && name.starts_with(begins)
            && name.chars().all(plain)
            && !name.starts_with("pg_");
        if good {
            return Ok(Self { name: name.into() });
        }
        Err(Fault::configuration(format!(
            "schema: {name:?} must have 1 to {NAME_BYTES} lower-case letters, digits and underscores of ASCII, \
             and not begin with a digit or pg_"
        )))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// SQL of this crate, for this schema.
    pub(crate) fn sql(&self, sql: &'static str) -> SqlStr {
        match self.named(sql) {
            Cow::Borrowed(sql) => sql.into_sql_str(),
            // The name was checked, and is quoted.
            Cow::Owned(sql) => AssertSqlSafe(sql).into_sql_str(),
        }
    }

    fn named(&self, sql: &'static str) -> Cow<'static, str> {
        if &*self.name == DEFAULT {
            return sql.into();
        }
        sql.replace("parlor.", &format!("\"{}\".", self.name)).into()
    }
}

/// The whole schema as one script, for a role that may create a schema, when the store's own role may not. It
/// brings an older schema up to date and leaves a current one as it is; a store that opens such a database finds
/// nothing to do. The store's role then needs `USAGE` on the schema, and `SELECT`, `INSERT`, `UPDATE` and
/// `DELETE` on its tables.
///
/// # Errors
/// [`BackendErrorKind::Configuration`] for a name that [`crate::PostgresConfig::schema`] does not allow.
pub fn schema_sql(name: &str) -> Result<String, parlor_core::BackendError> {
    let schema = Schema::new(name).map_err(|fault| fault.during("schema_sql"))?;
    let mut script = format!("BEGIN;\n{};\n{}", create(&schema), schema.named(TABLE));
    for migration in MIGRATIONS {
        script.push_str(&format!(
            "\nDO $migration$ BEGIN\nIF NOT EXISTS (SELECT 1 FROM \"{}\".migrations WHERE version = {}) THEN\n{}{}\
             END IF;\nEND $migration$;\n",
            schema.name,
            migration.version,
            schema.named(migration.sql),
            record(&schema, migration),
        ));
    }
    script.push_str("\nCOMMIT;\n");
    Ok(script)
}

fn create(schema: &Schema) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", schema.name)
}

fn record(schema: &Schema, migration: &Migration) -> String {
    format!(
        "\nINSERT INTO \"{}\".migrations (version, name) VALUES ({}, '{}');\n",
        schema.name, migration.version, migration.name
    )
}

/// Brings the schema up to date, or says what is missing. Refuses one that is newer than this crate.
///
/// All in one transaction with a lock that ends with it: nodes that start together wait for the first,
/// and whatever goes wrong leaves nothing behind.
pub(crate) async fn prepare(
    pool: &PgPool,
    schema: &Schema,
    may_migrate: bool,
) -> Result<(), Fault> {
    let mut conn = pool.acquire().await?;
    check_server(&mut conn).await?;
    if is_current(version(&mut conn, schema).await?)? {
        return Ok(());
    }
    if !may_migrate {
        return Err(missing(schema, "it was opened without leave to migrate"));
    }
    drop(conn);
    // Whoever waits for another node must see what that one made, whatever level the pool has.
    let mut transaction =
        pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await?;
    migrate(&mut transaction, schema).await.map_err(|fault| {
        if fault.kind() == BackendErrorKind::Configuration {
            missing(schema, fault.during("migrate"))
        } else {
            fault
        }
    })?;
    Ok(transaction.commit().await?)
}

/// The oldest server that has all that is used, as `server_version_num` writes it.
const OLDEST: i32 = 140_000;

pub(crate) async fn check_server(conn: &mut PgConnection) -> Result<(), Fault> {
    let (version, encoding): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding')",
    )
    .fetch_one(conn)
    .await?;
    if version < OLDEST {
        let major = version / 10_000;
        return Err(Fault::configuration(format!(
            "PostgreSQL {major} is too old: 14 or newer is needed"
        )));
    }
    if encoding != "UTF8" {
        return Err(Fault::configuration(format!(
            "the database is encoded in {encoding} and cannot hold every text: make one with ENCODING 'UTF8'"
        )));
    }
    Ok(())
}

fn missing(schema: &Schema, why: impl std::fmt::Display) -> Fault {
    Fault::configuration(format!(
        "the schema {:?} is missing or older than this release of parlor, and was not changed ({why}). Let the \
         role create it, or apply the script of parlor_store_postgres::schema_sql as a role that may, and grant \
         USAGE on the schema and SELECT, INSERT, UPDATE, DELETE on its tables",
        schema.name
    ))
}

/// The version of the schema, 0 when there is none.
pub(crate) async fn version(conn: &mut PgConnection, schema: &Schema) -> Result<i32, Fault> {
    // The catalogue itself: `to_regclass` answers out of a cache that a wait for a lock does not renew, so who waited
    // for another node would not see what that one made.
    let there: bool = query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = 'migrations')",
    )
    .bind(schema.name())
    .fetch_one(&mut *conn)
    .await?;
    if !there {
        return Ok(0);
    }
    let newest = schema.sql("SELECT coalesce(max(version), 0) FROM parlor.migrations");
    Ok(query_scalar(newest).fetch_one(conn).await?)
}

/// The version that this release needs.
pub(crate) fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Whether nothing is to be done.
pub(crate) fn is_current(version: i32) -> Result<bool, Fault> {
    let known = newest();
    if version > known {
        return Err(Fault::corrupt(format!(
            "the database has schema version {version}, this release of parlor knows versions up to {known}: use \
             the newer release that wrote it"
        )));
    }
    Ok(version == known)
}

async fn migrate(conn: &mut PgConnection, schema: &Schema) -> Result<(), Fault> {
    // Ends with the transaction, also behind a pooler.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("parlor migrations {}", schema.name))
        .execute(&mut *conn)
        .await?;
    let version = version(&mut *conn, schema).await?;
    if is_current(version)? {
        return Ok(());
    }
    // Not needed where somebody made the schema for a role that may not.
    let there: bool =
        query_scalar("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1)")
            .bind(schema.name())
            .fetch_one(&mut *conn)
            .await?;
    if !there {
        // Made of a checked name.
        raw_sql(AssertSqlSafe(create(schema))).execute(&mut *conn).await?;
    }
    raw_sql(schema.sql(TABLE)).execute(&mut *conn).await?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > version) {
        raw_sql(schema.sql(migration.sql)).execute(&mut *conn).await?;
        raw_sql(AssertSqlSafe(record(schema, migration))).execute(&mut *conn).await?;
        tracing::info!(
            schema = schema.name(),
            version = migration.version,
            name = migration.name,
            "schema migrated"
        );
    }
    Ok(())
}
