//! Writes that wait together: they share commits, and fail alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use futures::future::join_all;
use parlor_core::{
    model::{ConversationId, MessageId},
    store::{
        Advance, Appended, ConversationStore, CursorStore, HistoryQuery, MessageRef, MessageStore,
        Page,
    },
};
use parlor_store_sqlite::{SqliteConfig, SqliteStore};
use support::{append, fresh, group, message, now, text, user};

async fn opened(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(text(&folder.path().join("chat.db"))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_appends_share_commits_and_leave_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let id = group(&store).await;
    let before = store.commits();
    let sends = (0..64).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            fresh(append(&store, message(id, &format!("k{n}"), "hello")).await).seq
        })
    });
    let mut seqs: Vec<u64> = join_all(sends).await.into_iter().map(Result::unwrap).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=64).collect::<Vec<_>>());
    let commits = store.commits() - before;
    assert!(commits <= 32, "64 appends took {commits} commits");
}

#[tokio::test]
async fn writes_of_all_kinds_share_a_commit() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    let id = group(&store).await;
    fresh(append(&store, message(id, "first", "hello")).await);
    let before = store.commits();
    // On one thread all of these are queued before the writer runs.
    let read = Advance {
        conversation_id: id,
        user_id: user("bob"),
        delivered_seq: Some(1),
        read_seq: Some(1),
    };
    let (appended, advanced, made) = tokio::join!(
        append(&store, message(id, "second", "again")),
        store.advance(vec![read], 100),
        group(&store)
    );
    fresh(appended);
    assert!(advanced[0].as_ref().unwrap().as_ref().unwrap().moved);
    assert_ne!(made, id);
    assert_eq!(store.commits() - before, 1);
}

#[tokio::test]
async fn one_message_that_cannot_be_stored_fails_alone() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    let id = group(&store).await;
    let stored = fresh(append(&store, message(id, "a", "one")).await);
    let mut same_id = message(id, "b", "two");
    same_id.message_id = stored.id;
    let batch = vec![message(id, "c", "three"), same_id, message(id, "d", "four")];
    let mut outcomes = store.append(batch).await.into_iter();
    assert_eq!(fresh(outcomes.next().unwrap().unwrap()).seq, 2);
    outcomes.next().unwrap().unwrap_err();
    assert_eq!(fresh(outcomes.next().unwrap().unwrap()).seq, 3);
    assert_eq!(store.conversation(id).await.unwrap().unwrap().last_seq, 3);
}

#[tokio::test]
async fn a_batch_answers_in_order_whatever_becomes_of_each() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    let (id, other) = (group(&store).await, group(&store).await);
    let unknown = ConversationId::new(now());
    let reply = |to: ConversationId, key: &str, target: MessageId| {
        let mut append = message(to, key, "reply");
        let new = parlor_core::model::NewMessage {
            reply_to: Some(target),
            ..append.draft.message().clone()
        };
        append.content_hash = new.content_hash();
        append.draft =
            parlor_core::model::Draft::check(new, false, &parlor_core::Limits::default()).unwrap();
        append
    };
    let first = message(id, "a", "one");
    let target = first.message_id;
    let batch = vec![
        first,
        message(unknown, "a", "one"),
        message(id, "a", "one"),
        message(id, "a", "other"),
        message(other, "a", "one"),
        reply(id, "r", target),
        reply(other, "r", target),
        message(id, "b", "two"),
    ];
    let outcomes: Vec<Appended> =
        store.append(batch).await.into_iter().map(Result::unwrap).collect();
    let seq = |appended: &Appended| fresh(appended.clone()).seq;
    assert_eq!(seq(&outcomes[0]), 1);
    assert_eq!(outcomes[1], Appended::NotFound);
    assert_eq!(outcomes[2], Appended::Replayed(fresh(outcomes[0].clone())));
    assert_eq!(outcomes[3], Appended::Conflict);
    assert_eq!(seq(&outcomes[4]), 1);
    assert_eq!(seq(&outcomes[5]), 2);
    assert_eq!(outcomes[6], Appended::UnknownReply);
    assert_eq!(seq(&outcomes[7]), 3);
}

#[tokio::test]
async fn more_rows_than_any_statement_takes_are_stored_whole() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    let id = group(&store).await;
    // Two statements of 64 rows, one of 16, and three of a row each.
    let batch = (0..147).map(|n| message(id, &format!("k{n}"), &format!("body {n}"))).collect();
    for (n, outcome) in store.append(batch).await.into_iter().enumerate() {
        let message = fresh(outcome.unwrap());
        let stored = store.message(MessageRef::Seq(id, n as u64 + 1), None).await.unwrap();
        assert_eq!(stored, Some(message));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_each_write_whole_or_undone() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let id = group(&store).await;
    for n in 0..200 {
        let store = Arc::new(store.clone());
        let sending = tokio::spawn(async move {
            let batch = (0..3).map(|part| message(id, &format!("{n}-{part}"), "hello")).collect();
            store.append(batch).await
        });
        if n % 3 == 0 {
            tokio::task::yield_now().await;
        }
        sending.abort();
    }
    // The writer takes writes in turn: when this one is answered, those before it are over.
    let last = fresh(append(&store, message(id, "last", "hello")).await);
    assert_eq!(last.seq % 3, 1, "batches of three are stored whole");
    let query = HistoryQuery { viewer: None, page: Page::After(0), limit: 1000 };
    let page = store.history(id, query).await.unwrap().unwrap();
    let seqs: Vec<u64> = page.messages.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, (1..=last.seq).collect::<Vec<_>>());
    assert!(page.messages.windows(2).all(|two| two[0].number < two[1].number));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_keeps_no_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_with(
        text(&folder.path().join("chat.db")),
        SqliteConfig::new().readers(1),
    )
    .await
    .unwrap();
    let id = group(&store).await;
    let query = HistoryQuery { viewer: None, page: Page::Latest, limit: 10 };
    for n in 1..=50 {
        let reading = tokio::spawn({
            let (store, query) = (store.clone(), query.clone());
            async move { store.history(id, query).await }
        });
        tokio::task::yield_now().await;
        reading.abort();
        let sent = fresh(append(&store, message(id, &format!("k{n}"), "hello")).await);
        let page = store.history(id, query.clone()).await.unwrap().unwrap();
        assert_eq!(page.messages.last().map(|message| message.seq), Some(sent.seq));
    }
}

#[tokio::test]
async fn numbers_beyond_what_sqlite_keeps_are_clamped() {
    let store = SqliteStore::open(":memory:").await.unwrap();
    let id = group(&store).await;
    fresh(append(&store, message(id, "a", "hello")).await);
    let page = |page| HistoryQuery { viewer: None, page, limit: usize::MAX };
    let before = store.history(id, page(Page::Before(u64::MAX))).await.unwrap().unwrap();
    assert_eq!(before.messages.len(), 1);
    let after = store.history(id, page(Page::After(u64::MAX))).await.unwrap().unwrap();
    assert!(after.messages.is_empty() && !after.has_more);
    assert_eq!(store.message(MessageRef::Number(u64::MAX), None).await.unwrap(), None);
    assert_eq!(store.conversation_by_number(u64::MAX).await.unwrap(), None);
    let read = Advance {
        conversation_id: id,
        user_id: user("bob"),
        delivered_seq: Some(u64::MAX),
        read_seq: Some(u64::MAX),
    };
    let advanced = store.advance(vec![read], u32::MAX).await.pop().unwrap().unwrap().unwrap();
    assert_eq!(advanced.state.read_seq, 1);
}
