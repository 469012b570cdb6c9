//! The schema and its migrations.

use parlor_core::BackendErrorKind;
use sqlx::{AssertSqlSafe, SqliteConnection, query, query_scalar, raw_sql};

use crate::error::Fault;

/// One step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// Its place: 1, 2, 3 …
    pub version: i64,
    /// What it is about.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// All steps in order. [`crate::SqliteStore::open`] applies those that are missing, each in one transaction.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "chat", sql: include_str!("../migrations/0001_chat.sql") },
    Migration {
        version: 2,
        name: "arrivals",
        sql: include_str!("../migrations/0002_arrivals.sql"),
    },
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS parlor_migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;
";

/// The whole schema as one script, for whoever prepares the file by other means; a store that opens
/// such a file finds nothing to do.
pub fn schema_sql() -> String {
    let mut script = TABLE.to_owned();
    for migration in MIGRATIONS {
        script.push_str(migration.sql);
        script.push_str(&record(migration));
    }
    script
}

fn record(migration: &Migration) -> String {
    format!(
        "\nINSERT INTO parlor_migrations (version, name, applied_at) VALUES ({}, '{}', unixepoch() * 1000);\n",
        migration.version, migration.name
    )
}

/// Brings the schema up to date. Refuses one that is newer than this crate.
pub(crate) async fn migrate(conn: &mut SqliteConnection) -> Result<(), Fault> {
    query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    let done = apply(conn).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = query(end).execute(&mut *conn).await;
    done?;
    ended?;
    Ok(())
}

async fn apply(conn: &mut SqliteConnection) -> Result<(), Fault> {
    raw_sql(TABLE).execute(&mut *conn).await?;
    let version: i64 = query_scalar("SELECT coalesce(max(version), 0) FROM parlor_migrations")
        .fetch_one(&mut *conn)
        .await?;
    let known = MIGRATIONS.last().map_or(0, |migration| migration.version);
    if version > known {
        let reason = format!(
            "the database has schema version {version}, this release of parlor knows versions up to \
             {known}: use the newer release that wrote it"
        );
        return Err(Fault::new(BackendErrorKind::Corrupt, reason));
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > version) {
        raw_sql(migration.sql).execute(&mut *conn).await?;
        // Made of this crate's own constants.
        raw_sql(AssertSqlSafe(record(migration))).execute(&mut *conn).await?;
        tracing::info!(version = migration.version, name = migration.name, "schema migrated");
    }
    Ok(())
}
