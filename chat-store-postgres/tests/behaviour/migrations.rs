//! The schema: made once, whoever comes first; never half; never where it may not be.

use std::{str::FromStr, time::Duration};

use futures::future::join_all;
use parlor_core::{
    BackendErrorKind,
    model::ConversationId,
    store::{
        Advance, ChangesQuery, ConversationStore, CursorStore, ListQuery, MessageRef, MessageStore,
        PrivateChange, Revision,
    },
};
use parlor_store_postgres::{MIGRATIONS, PostgresConfig, PostgresStore, inspect, schema_sql};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{SOON, append, bodies, database, fresh, group, host, message, user};

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
            // On one connection, which looked before it waited and must not remember what it saw.
            PostgresStore::connect_with(url, PostgresConfig::new().connections(1)).await.unwrap()
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

#[tokio::test(flavor = "multi_thread")]
async fn pools_of_another_isolation_level_make_one_schema_too() {
    let url = database();
    let nodes = (0..5).map(|_| {
        let options = PgConnectOptions::from_str(&url).unwrap();
        let options = options.options([("default_transaction_isolation", "serializable")]);
        let pool = PgPoolOptions::new().max_connections(1);
        tokio::spawn(async move {
            PostgresStore::new(pool.connect_with(options).await.unwrap()).await.unwrap()
        })
    });
    for node in join_all(nodes).await {
        node.unwrap().epoch().await.unwrap();
    }
}

#[tokio::test]
async fn the_script_makes_the_schema_and_brings_an_older_one_up_to_date() {
    let url = database();
    let script = schema_sql("parlor").unwrap();
    psql(&url, &script);
    // What an older release left: without the last step.
    psql(&url, "DROP FUNCTION parlor.append; DELETE FROM parlor.migrations WHERE version > 1");
    psql(&url, &script);
    psql(&url, &script);
    let config = PostgresConfig::new().migrate(false);
    let store = PostgresStore::connect_with(&url, config).await.unwrap();
    fresh(append(&store, message(group(&store).await, "a", "hello")).await);
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
async fn inspecting_says_what_is_there_and_may_be_done_and_changes_nothing() {
    let url = database();
    let config = PostgresConfig::new();
    let newest = MIGRATIONS.last().unwrap().version;
    let found = inspect(&url, &config).await.unwrap();
    assert_eq!((found.version, found.needed), (0, newest));
    assert!(found.may_migrate && found.may_use);
    assert_eq!(psql(&url, "SELECT to_regnamespace('parlor') IS NULL"), "t");

    let (_, role) = url.rsplit_once('/').unwrap();
    psql(&url, &format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN"));
    let other = url.replace("postgres@", &format!("{role}@"));
    let found = inspect(&other, &config).await.unwrap();
    assert!(!found.may_migrate && found.may_use, "there is nothing yet");
    PostgresStore::connect(&url).await.unwrap();
    assert!(!inspect(&other, &config).await.unwrap().may_use);
    psql(
        &url,
        &format!(
            "GRANT USAGE ON SCHEMA parlor TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA parlor TO {role}"
        ),
    );
    let found = inspect(&other, &config).await.unwrap();
    assert_eq!(found.version, newest);
    assert!(!found.may_migrate && found.may_use);
    psql(&url, &format!("REVOKE DELETE ON parlor.reactions FROM {role}"));
    assert!(!inspect(&other, &config).await.unwrap().may_use);

    psql(&url, "DELETE FROM parlor.migrations WHERE version > 1");
    let found = inspect(&url, &config).await.unwrap();
    assert_eq!((found.version, found.may_migrate), (1, true));
    psql(&url, "INSERT INTO parlor.migrations (version, name) VALUES (1000, 'later')");
    let error = inspect(&url, &config).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Corrupt);
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

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let url = database();
    let (server, name) = url.rsplit_once('/').unwrap();
    let latin = format!("{name}_latin");
    psql(&url, &format!("CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"));
    let error = PostgresStore::connect(format!("{server}/{latin}")).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("UTF8"), "{error}");
    psql(&url, &format!("DROP DATABASE {latin} WITH (FORCE)"));
}

#[tokio::test]
async fn columns_that_a_later_release_adds_disturb_nobody() {
    let url = database();
    let store =
        PostgresStore::connect_with(&url, PostgresConfig::new().connections(1)).await.unwrap();
    let id = group(&store).await;
    for round in ["before", "after"] {
        // The same statements on the same connection, prepared before the columns came.
        fresh(append(&store, message(id, round, round)).await);
        everything_reads(&store, id).await;
        for table in ["conversations", "members", "messages", "reactions", "deletions"] {
            psql(
                &url,
                &format!("ALTER TABLE parlor.{table} ADD COLUMN IF NOT EXISTS later integer"),
            );
        }
    }
}

async fn everything_reads(store: &PostgresStore, id: ConversationId) {
    let ann = user("ann");
    assert!(!bodies(store, id).await.is_empty());
    assert!(store.conversation(id).await.unwrap().is_some());
    assert_eq!(store.members(id, None, 10).await.unwrap().len(), 2);
    assert!(store.member(id, &ann).await.unwrap().is_some());
    assert!(store.message(MessageRef::Seq(id, 1), Some(&ann)).await.unwrap().is_some());
    let list = ListQuery { after: None, limit: 10, archived: None, hidden: false, unread_cap: 10 };
    assert_eq!(store.list(&ann, list).await.unwrap().len(), 1);
    assert!(store.summary(id, &ann, 10).await.unwrap().is_some());
    assert_eq!(store.memberships(&ann, None, 10).await.unwrap().len(), 1);
    assert!(store.private_changes(id, &ann, 0, 10, 10).await.unwrap().is_some());
    let changes = ChangesQuery { viewer: Some(ann.clone()), since: 0, position: None, limit: 10 };
    assert!(store.changes(id, changes).await.unwrap().unwrap().conversation.is_some());
    let read = Advance {
        conversation_id: id,
        user_id: ann.clone(),
        delivered_seq: None,
        read_seq: Some(1),
    };
    assert!(store.advance(vec![read], 10).await.remove(0).unwrap().is_some());
    assert_eq!(store.cursors(id, 10).await.unwrap().len(), 2);
    let marked = store.change_private(id, &ann, PrivateChange::MarkUnread(1), 10).await.unwrap();
    assert!(marked.is_some());
    let pinned = Revision::Pin { on: true, max_pins: 10 };
    let first = store.message(MessageRef::Seq(id, 1), None).await.unwrap().unwrap();
    store.revise(id, first.id, None, pinned, first.created_at).await.unwrap();
    assert_eq!(store.pinned(id, Some(&ann)).await.unwrap().len(), 1);
}
