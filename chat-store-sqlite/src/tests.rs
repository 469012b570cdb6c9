//! What only shows from inside: pragmas of the real connections, and query plans.

use sqlx::{AssertSqlSafe, Row, SqliteConnection, query, query_scalar};

use crate::{
    SqliteStore, append, changes, conversations, cursors, error::Fault, history, insert, lists,
    private, reactions, revise, unread,
};
use parlor_core::store::ConversationStore;

async fn pragmas(conn: &mut SqliteConnection) -> Result<(String, i64, i64, i64), Fault> {
    Ok((
        query_scalar("PRAGMA journal_mode").fetch_one(&mut *conn).await?,
        query_scalar("PRAGMA synchronous").fetch_one(&mut *conn).await?,
        query_scalar("PRAGMA foreign_keys").fetch_one(&mut *conn).await?,
        query_scalar("PRAGMA query_only").fetch_one(&mut *conn).await?,
    ))
}

#[tokio::test]
async fn every_connection_is_durable_and_readers_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    let full = 2;
    let writing = store.medium().write("pragmas", |conn| Box::pin(pragmas(conn))).await.unwrap();
    assert_eq!(writing, ("wal".to_owned(), full, 1, 0));
    // All four at once, so that each is looked at.
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(store.medium().readers().acquire().await.unwrap());
    }
    for reader in &mut readers {
        assert_eq!(pragmas(reader).await.unwrap(), ("wal".to_owned(), full, 1, 1));
        assert!(query("DELETE FROM members").execute(&mut **reader).await.is_err());
    }
}

/// Writes what only the commit finds wrong: a reaction to no message.
async fn spoil(conn: &mut SqliteConnection) -> Result<(), Fault> {
    query("PRAGMA defer_foreign_keys = ON").execute(&mut *conn).await?;
    query("INSERT INTO reactions VALUES (99, '+', 'ann', 1)").execute(&mut *conn).await?;
    Ok(())
}

#[tokio::test]
async fn when_a_commit_fails_every_write_of_the_batch_is_to_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    for location in [":memory:", path.to_str().unwrap()] {
        let store = SqliteStore::open(location).await.unwrap();
        let epoch = store.epoch().await.unwrap();
        // On one thread both are queued before the writer runs.
        let (spoilt, renewed) = tokio::join!(
            store.medium().write("spoil", |conn| Box::pin(spoil(conn))),
            store.renew_epoch()
        );
        assert!(spoilt.unwrap_err().is_retryable());
        let error = renewed.unwrap_err();
        assert!(error.is_retryable());
        assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
        assert_eq!(store.epoch().await.unwrap(), epoch, "all of it was undone");
        let renewed = store.renew_epoch().await.unwrap();
        assert_eq!(store.epoch().await.unwrap(), renewed, "the next writes go through");
    }
}

/// Every statement whose cost must not grow with what it does not look for, and a step of its plan.
const HOT: &[(&str, &str, &str)] = &[
    ("append rooms", append::ROOMS, "SEARCH c USING INDEX"),
    (
        "append members",
        append::MEMBERS,
        "SEARCH m USING PRIMARY KEY (conversation=? AND user_id=?)",
    ),
    ("append keys", append::KEYS, "messages_by_key (conversation=? AND client_id=? AND <expr>=?)"),
    ("append targets", append::TARGETS, "SEARCH m USING INDEX"),
    ("grow", insert::GROW, "SEARCH conversations USING INTEGER PRIMARY KEY"),
    (
        "history backwards",
        history::BACKWARDS,
        "messages_by_seq (conversation=? AND seq>? AND seq<?)",
    ),
    ("history forwards", history::FORWARDS, "messages_by_seq (conversation=? AND seq>?)"),
    ("pinned", history::PINNED, "messages_pinned"),
    ("pins", revise::PINS, "messages_pinned"),
    ("changes, new", changes::NEW, "messages_by_seq (conversation=? AND seq>?)"),
    ("changes, revised", changes::REVISED, "messages_revised (conversation=? AND changed_rev>?)"),
    ("reactions", reactions::REACTIONS, "SEARCH r USING PRIMARY KEY (message=?)"),
    (
        "unread counts",
        unread::COUNTS,
        "COVERING INDEX messages_counting (conversation=? AND seq>?)",
    ),
    ("unread total", unread::TOTAL, "COVERING INDEX messages_counting (conversation=? AND seq>?)"),
    ("list", lists::LIST, "members_by_user (user_id=?)"),
    ("last messages", lists::LAST, "messages_by_seq (conversation=? AND seq>?)"),
    ("arrivals", lists::ARRIVALS, "SEARCH m USING COVERING INDEX members_by_arrival (joined_at>?)"),
    ("heads", lists::HEADS, "SEARCH c USING INDEX"),
    ("sharing", lists::SHARING, "members_by_user (user_id=?)"),
    ("members", conversations::MEMBERS, "PRIMARY KEY (conversation=? AND user_id>?)"),
    ("cursor seats", cursors::SEATS, "SEARCH m USING PRIMARY KEY (conversation=? AND user_id=?)"),
    (
        "cursor moves",
        cursors::MOVE,
        "SEARCH members USING PRIMARY KEY (conversation=? AND user_id=?)",
    ),
    ("private deletions", private::DELETED, "deletions_by_rev"),
];

/// What a plan may scan: parameters, and results that were found by an index before.
fn scans_no_table(step: &str) -> bool {
    let tables = ["messages", "conversations", "members", "deletions", "reactions"];
    let aliases = ["m", "c", "v", "d", "r", "me", "mine", "theirs"];
    let Some(scanned) = step.strip_prefix("SCAN ") else { return true };
    let name = scanned.split_whitespace().next().unwrap_or_default();
    !tables.contains(&name) && !aliases.contains(&name)
}

async fn plan(store: &SqliteStore, sql: &'static str) -> Vec<String> {
    store
        .medium()
        .write("plan", move |conn| {
            Box::pin(async move {
                let explain = format!("EXPLAIN QUERY PLAN {sql}");
                let rows = query(AssertSqlSafe(explain)).fetch_all(conn).await?;
                Ok(rows.iter().map(|row| row.get("detail")).collect())
            })
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn hot_queries_go_by_indexes() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    for (name, sql, step) in HOT {
        let plan = plan(&store, sql).await;
        assert!(plan.iter().all(|step| scans_no_table(step)), "{name} scans a table: {plan:#?}");
        assert!(plan.iter().any(|found| found.contains(step)), "{name} has no {step}: {plan:#?}");
    }
}

#[tokio::test]
async fn pages_need_no_sort() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    for sql in [history::BACKWARDS, history::FORWARDS, changes::NEW, changes::REVISED] {
        let plan = plan(&store, sql).await;
        assert!(!plan.iter().any(|step| step.contains("ORDER BY")), "{sql} sorts: {plan:#?}");
    }
}

#[test]
fn a_scan_is_recognised() {
    assert!(!scans_no_table("SCAN m USING INDEX messages_by_seq"));
    assert!(!scans_no_table("SCAN messages"));
    assert!(scans_no_table("SCAN asked VIRTUAL TABLE INDEX 1:"));
    assert!(scans_no_table("SEARCH m USING INDEX messages_by_seq (conversation=? AND seq>?)"));
}
