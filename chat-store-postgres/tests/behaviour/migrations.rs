//! The schema: made once, whoever comes first; never half; never where it may not be.

use std::time::Duration;

use futures::future::join_all;
use parlor_core::{BackendErrorKind, store::ConversationStore};
use parlor_store_postgres::{MIGRATIONS, PostgresConfig, PostgresStore, schema_sql};

use crate::support::{SOON, append, database, fresh, group, host, message};

fn psql(url: &str, sql: &str) -> String {
    parlor_test_services::postgres().psql(url, sql).trim().to_owned()
}

/// Waits until nobody holds a lock of this database: a connection that goes back into its pool rolls back on the way.
async fn no_lock_is_left(url: &str) {
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND d.datname = current_database()";
    let free = async {
        while psql(url, held) != "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, free).await.expect("a lock is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_nodes_that_start_at_once_make_one_schema() {
    let url = database();
    let nodes = (0..10).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            PostgresStore::connect_with(url, PostgresConfig::new().connections(2)).await.unwrap()
        })
    });
    let stores: Vec<PostgresStore> =
        join_all(nodes).await.into_iter().map(Result::unwrap).collect();
    let epoch = stores[0].epoch().await.unwrap();
    for store in &stores {
        assert_eq!(store.epoch().await.unwrap(), epoch);
    }
    let applied = psql(&url, "SELECT count(*) FROM parlor.migrations");
    assert_eq!(applied, MIGRATIONS.len().to_string());
    no_lock_is_left(&url).await;
}

#[tokio::test]
async fn what_fails_leaves_nothing_behind_and_goes_through_later() {
    let url = database();
    // Something stands in the way of the second table.
    psql(&url, "CREATE SCHEMA parlor; CREATE TABLE parlor.conversations (mine int)");
    let pool = host(&url).await;
    PostgresStore::new(pool.clone()).await.unwrap_err();
    no_lock_is_left(&url).await;
    assert_eq!(psql(&url, "SELECT to_regclass('parlor.state') IS NULL"), "t", "all or nothing");
    psql(&url, "DROP TABLE parlor.conversations");
    let store = PostgresStore::new(pool).await.unwrap();
    fresh(append(&store, message(group(&store).await, "a", "hello")).await);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let url = database();
    PostgresStore::connect(&url).await.unwrap();
    psql(&url, "INSERT INTO parlor.migrations (version, name) VALUES (1000, 'later')");
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Corrupt);
    assert!(error.to_string().contains("newer release"), "{error}");
}

#[tokio::test]
async fn names_that_could_be_anything_else_are_refused() {
    for name in ["", "Parlor", "my schema", "a\"b", "1st", "pg_chat", "a.b", &"x".repeat(64)] {
        let config = PostgresConfig::new().schema(name);
        // Before anybody is asked: there is no such server.
        let error = schema_sql(name).unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Configuration, "{name:?}");
        assert!(error.to_string().contains("schema: "), "{error}");
        PostgresStore::connect_with(database(), config).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_to_do_and_uses_what_was_made_for_it() {
    let url = database();
    let role = format!("guest_{}", std::process::id());
    psql(
        &url,
        &format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'guest-secret'"),
    );
    let database_name = url.rsplit_once('/').unwrap().1.to_owned();
    psql(&url, &format!("REVOKE CREATE ON DATABASE {database_name} FROM PUBLIC"));
    let (_, server) = url.split_once('@').unwrap();
    let as_guest = format!("postgres://{role}:guest-secret@{server}");

    let error = PostgresStore::connect(&as_guest).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("schema_sql"), "{error}");
    assert!(!error.to_string().contains("guest-secret"), "{error}");

    psql(&url, &schema_sql("parlor").unwrap());
    psql(
        &url,
        &format!(
            "GRANT USAGE ON SCHEMA parlor TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA parlor TO {role}"
        ),
    );
    let store = PostgresStore::connect(&as_guest).await.unwrap();
    fresh(append(&store, message(group(&store).await, "a", "hello")).await);
    store.close().await;
    psql(&url, &format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn without_leave_to_migrate_nothing_is_made() {
    let url = database();
    let config = PostgresConfig::new().migrate(false);
    let error = PostgresStore::connect_with(&url, config.clone()).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Configuration);
    assert_eq!(psql(&url, "SELECT to_regnamespace('parlor') IS NULL"), "t");
    PostgresStore::connect(&url).await.unwrap();
    PostgresStore::connect_with(&url, config).await.unwrap();
}

#[tokio::test]
async fn the_hosts_own_tables_and_settings_are_not_touched() {
    let url = database();
    psql(
        &url,
        "CREATE SCHEMA host;
         CREATE TABLE host._sqlx_migrations (version bigint); CREATE TABLE host.messages (mine int)",
    );
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .after_connect(|conn, _| {
            Box::pin(async move {
                sqlx::query("SET search_path = host").execute(conn).await?;
                Ok(())
            })
        })
        .connect(&url)
        .await
        .unwrap();
    let store = PostgresStore::new(pool.clone()).await.unwrap();
    fresh(append(&store, message(group(&store).await, "a", "hello")).await);
    let settings =
        "SELECT concat_ws(' ', current_setting('search_path'), current_setting('lock_timeout'),
        current_setting('enable_seqscan'), current_setting('synchronous_commit'))";
    let settings: String = sqlx::query_scalar(settings).fetch_one(&pool).await.unwrap();
    assert_eq!(settings, "host 0 on on", "the one session of the pool is as the host set it");
    assert_eq!(psql(&url, "SELECT count(*) FROM host._sqlx_migrations"), "0");
    assert_eq!(psql(&url, "SELECT count(*) FROM host.messages"), "0");
}
