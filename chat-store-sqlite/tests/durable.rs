//! The file: what it keeps, who may have it, and what its troubles are called.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use parlor_core::{
    BackendErrorKind,
    model::ReactionKey,
    store::{
        Advance, Appended, ConversationStore, CursorStore, HistoryQuery, MessageStore, Page,
        PrivateChange, Revision,
    },
};
use parlor_store_sqlite::{SqliteConfig, SqliteStore, schema_sql};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, raw_sql, sqlite::SqliteConnectOptions};
use support::{append, fresh, group, message, now, text, user};

#[tokio::test]
async fn reopening_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(text(&path)).await.unwrap();
    let id = group(&store).await;
    let first = fresh(append(&store, message(id, "a", "hello")).await);
    let second = fresh(append(&store, message(id, "b", "again")).await);
    let react =
        Revision::React { key: ReactionKey::new("👍").unwrap(), on: true, max_distinct: 20 };
    store.revise(id, first.id, Some(&user("bob")), react, now()).await.unwrap();
    let deletion = PrivateChange::DeleteMessages(vec![second.id]);
    store.change_private(id, &user("bob"), deletion, 100).await.unwrap();
    let read = Advance {
        conversation_id: id,
        user_id: user("bob"),
        delivered_seq: None,
        read_seq: Some(1),
    };
    store.advance(vec![read], 100).await.pop().unwrap().unwrap();
    let query = |viewer| HistoryQuery { viewer: Some(user(viewer)), page: Page::Latest, limit: 10 };
    let before = (
        store.epoch().await.unwrap(),
        store.conversation(id).await.unwrap(),
        store.history(id, query("ann")).await.unwrap().unwrap(),
        store.history(id, query("bob")).await.unwrap().unwrap(),
        store.summary(id, &user("bob"), 100).await.unwrap(),
    );
    store.close().await;

    let store = SqliteStore::open(text(&path)).await.unwrap();
    let after = (
        store.epoch().await.unwrap(),
        store.conversation(id).await.unwrap(),
        store.history(id, query("ann")).await.unwrap().unwrap(),
        store.history(id, query("bob")).await.unwrap().unwrap(),
        store.summary(id, &user("bob"), 100).await.unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(after.3.messages.len(), 1);
    assert_eq!(append(&store, message(id, "b", "again")).await, Appended::Replayed(second));
    assert_eq!(fresh(append(&store, message(id, "c", "third")).await).number, first.number + 2);
}

#[tokio::test]
async fn a_closed_store_answers_retryable_errors_and_leaves_one_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(text(&path)).await.unwrap();
    let id = group(&store).await;
    let other = store.clone();
    store.close().await;
    assert!(other.conversation(id).await.unwrap_err().is_retryable());
    assert!(
        other.append(vec![message(id, "a", "hello")]).await[0].as_ref().unwrap_err().is_retryable()
    );
    assert!(!folder.path().join("chat.db-wal").exists(), "the log has been moved into the file");
    other.close().await;
}

#[tokio::test]
async fn opens_of_one_file_in_one_process_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let (one, other) = tokio::join!(
        SqliteStore::open(text(&path)),
        SqliteStore::open(format!("sqlite:{}", text(&path)))
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    let id = group(&one).await;
    assert!(other.conversation(id).await.unwrap().is_some());
    let (first, second) =
        tokio::join!(append(&one, message(id, "a", "x")), append(&other, message(id, "a", "x")));
    assert_ne!(matches!(first, Appended::Fresh(_)), matches!(second, Appended::Fresh(_)));
    // Once the last handle is gone the file can be opened again at once, whatever came in between.
    drop((one, other));
    SqliteStore::open(text(&folder.path().join("other.db"))).await.unwrap();
    let again = SqliteStore::open(text(&path)).await.unwrap();
    assert!(again.conversation(id).await.unwrap().is_some());
}

#[tokio::test]
async fn each_memory_database_stands_alone_but_for_its_clones() {
    let one = SqliteStore::open(":memory:").await.unwrap();
    let other = SqliteStore::open("sqlite::memory:").await.unwrap();
    let id = group(&one).await;
    assert!(one.clone().conversation(id).await.unwrap().is_some());
    assert!(other.conversation(id).await.unwrap().is_none());
}

/// Names the database for [`another_process`].
const DATABASE: &str = "PARLOR_TEST_DATABASE";

/// Not a test of its own: holds a database with one acknowledged message until it is killed.
#[tokio::test]
#[ignore = "the other process of another test"]
async fn another_process() {
    let Ok(path) = std::env::var(DATABASE) else { return };
    let store = SqliteStore::open(path).await.unwrap();
    let id = group(&store).await;
    fresh(append(&store, message(id, "a", "acknowledged")).await);
    println!("\nacknowledged {id}");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_is_gone_and_a_crash_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let mut first = Command::new(std::env::current_exe().unwrap())
        .args(["another_process", "--exact", "--ignored", "--nocapture"])
        .env(DATABASE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let id = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned))
        .expect("the other process opened the database");

    let refused = SqliteStore::open(text(&path)).await.unwrap_err();
    assert_eq!(refused.kind(), BackendErrorKind::Configuration);
    assert!(refused.to_string().contains("another process has it open"), "{refused}");

    first.kill().unwrap();
    first.wait().unwrap();
    let store = SqliteStore::open(text(&path)).await.unwrap();
    let query = HistoryQuery { viewer: None, page: Page::Latest, limit: 10 };
    let page = store.history(id.parse().unwrap(), query).await.unwrap().unwrap();
    assert_eq!(page.messages[0].body, "acknowledged");
}

#[tokio::test]
async fn a_full_medium_is_told_as_such_and_takes_writes_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let config = SqliteConfig::new().max_bytes(300 * 1024);
    let store = SqliteStore::open_with(text(&path), config).await.unwrap();
    let id = group(&store).await;
    let body = "x".repeat(30_000);
    let mut stored = 0;
    let error = loop {
        let batch = vec![message(id, &format!("k{stored}"), &body)];
        match store.append(batch).await.pop().unwrap() {
            Ok(appended) => stored = fresh(appended).seq,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), BackendErrorKind::Full);
    assert!(error.to_string().contains("full"), "{error}");
    assert!(stored > 0);
    assert_eq!(store.conversation(id).await.unwrap().unwrap().last_seq, stored);
    store.close().await;

    let store = SqliteStore::open(text(&path)).await.unwrap();
    let retried = fresh(append(&store, message(id, &format!("k{stored}"), &body)).await);
    assert_eq!(retried.seq, stored + 1, "the failed message took no number");
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let kind = async |location: String| {
        let error = SqliteStore::open(&location).await.unwrap_err();
        println!("{error}");
        error.kind()
    };
    let missing = folder.path().join("no/such/folder/chat.db");
    assert_eq!(kind(text(&missing).to_owned()).await, BackendErrorKind::Configuration);
    assert_eq!(kind(text(folder.path()).to_owned()).await, BackendErrorKind::Configuration);
    assert_eq!(kind(String::new()).await, BackendErrorKind::Configuration);
    assert_eq!(kind("sqlite:chat.db?mode=ro".to_owned()).await, BackendErrorKind::Configuration);
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "certainly no database ".repeat(1000)).unwrap();
    assert_eq!(kind(text(&garbage).to_owned()).await, BackendErrorKind::Corrupt);
}

#[tokio::test]
async fn a_lock_of_another_program_is_waited_for_and_then_told_as_retryable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let config = SqliteConfig::new().busy_timeout(Duration::from_millis(50));
    let store = SqliteStore::open_with(text(&path), config).await.unwrap();
    let id = group(&store).await;
    let mut other = connect(&path).await;
    raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let error = store.append(vec![message(id, "a", "hello")]).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Unavailable);
    assert!(store.conversation(id).await.unwrap().is_some(), "reads go on");
    raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(fresh(append(&store, message(id, "a", "hello")).await).seq, 1);
    other.close().await.unwrap();
}

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn run(path: &Path, sql: String) {
    let mut conn = connect(path).await;
    raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    SqliteStore::open(text(&path)).await.unwrap().close().await;
    run(&path, "INSERT INTO parlor_migrations VALUES (9000, 'tomorrow', 0)".to_owned()).await;
    let error = SqliteStore::open(text(&path)).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Corrupt);
    assert!(error.to_string().contains("schema version 9000"), "{error}");
    run(&path, "DELETE FROM parlor_migrations WHERE version = 9000".to_owned()).await;
    SqliteStore::open(text(&path)).await.expect("the refusal let go of the file");
}

#[tokio::test]
async fn the_schema_script_alone_makes_a_database_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    run(&path, schema_sql()).await;
    let store = SqliteStore::open(text(&path)).await.unwrap();
    let id = group(&store).await;
    fresh(append(&store, message(id, "a", "hello")).await);
}

#[tokio::test]
async fn a_restored_backup_gets_a_new_epoch() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    let before = store.epoch().await.unwrap();
    assert_eq!(store.epoch().await.unwrap(), before);
    let renewed = store.renew_epoch().await.unwrap();
    assert_ne!(renewed, before);
    assert_eq!(store.epoch().await.unwrap(), renewed);
}
