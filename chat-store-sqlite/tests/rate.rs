//! Measurements, for a release build: `cargo test -p parlor-store-sqlite --release -- --ignored --nocapture rate`

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

use futures::future::join_all;
use parlor_core::{
    Timestamp,
    model::{ConversationId, MessageId},
    store::{Append, ChangesQuery, ConversationStore, HistoryQuery, MessageStore, Page},
};
use parlor_store_sqlite::SqliteStore;
use support::{group, message, text, user};

const BODY: &str = "See you at the usual place at half past twelve, bring the others along.";

/// A message whose id is made later than the ones before, as in life.
fn sent(to: ConversationId, key: &str) -> Append {
    static MILLIS: AtomicI64 = AtomicI64::new(1_790_000_000_000);
    let at = Timestamp::from_millis(MILLIS.fetch_add(1, Ordering::Relaxed));
    let mut append = message(to, key, BODY);
    (append.message_id, append.created_at) = (MessageId::new(at), at);
    append
}

async fn fill(store: &SqliteStore, id: ConversationId, messages: usize) {
    let last = store.conversation(id).await.unwrap().unwrap().last_seq as usize;
    for start in (last..messages).step_by(5000) {
        let end = messages.min(start + 5000);
        let batch = (start..end).map(|n| sent(id, &format!("k{n}"))).collect();
        for outcome in store.append(batch).await {
            outcome.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn rate_of_appends() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(text(&folder.path().join("chat.db"))).await.unwrap();
    let groups = join_all((0..50).map(|_| group(&store))).await;
    for batch in [1, 64, 512, 2048] {
        let total = if batch == 1 { 2_000 } else { 100_000 };
        let batches: Vec<Vec<_>> = (0..total / batch)
            .map(|call| {
                (0..batch).map(|n| sent(groups[n % 50], &format!("{batch}-{call}-{n}"))).collect()
            })
            .collect();
        let (start, commits) = (Instant::now(), store.commits());
        for batch in batches {
            for outcome in store.append(batch).await {
                outcome.unwrap();
            }
        }
        report(&format!("one caller, batches of {batch}"), total, start, &store, commits);
    }
    for callers in [64, 512] {
        let each = 100_000 / callers;
        let (start, commits) = (Instant::now(), store.commits());
        let sending = (0..callers).map(|caller| {
            let (store, to) = (store.clone(), groups[caller % 50]);
            tokio::spawn(async move {
                for n in 0..each {
                    let key = format!("c{callers}-{caller}-{n}");
                    for outcome in store.append(vec![sent(to, &key)]).await {
                        outcome.unwrap();
                    }
                }
            })
        });
        join_all(sending).await;
        report(
            &format!("{callers} callers, one message each"),
            each * callers,
            start,
            &store,
            commits,
        );
    }
}

fn report(what: &str, messages: usize, start: Instant, store: &SqliteStore, commits: u64) {
    let took = start.elapsed();
    let rate = messages as f64 / took.as_secs_f64();
    let commits = store.commits() - commits;
    println!("{what}: {messages} messages in {took:.2?}, {commits} commits, {rate:.0}/s");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn rate_of_reads_does_not_depend_on_the_length() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(text(&folder.path().join("chat.db"))).await.unwrap();
    let id = group(&store).await;
    for messages in [1_000, 1_000_000] {
        fill(&store, id, messages).await;
        let head = store.conversation(id).await.unwrap().unwrap().rev;
        let rounds = 200;
        let start = Instant::now();
        for round in 0..rounds {
            let before = 100 + (round * 7919) % (messages as u64 - 100);
            let query =
                HistoryQuery { viewer: Some(user("bob")), page: Page::Before(before), limit: 50 };
            assert_eq!(store.history(id, query).await.unwrap().messages.len(), 50);
        }
        let history = start.elapsed() / rounds as u32;
        let start = Instant::now();
        for _ in 0..rounds {
            let query = ChangesQuery {
                viewer: Some(user("bob")),
                since: head - 20,
                position: None,
                limit: 50,
            };
            assert_eq!(store.changes(id, query).await.unwrap().unwrap().messages.len(), 20);
        }
        let changes = start.elapsed() / rounds as u32;
        let start = Instant::now();
        for _ in 0..rounds {
            store.summary(id, &user("bob"), 1000).await.unwrap().unwrap();
        }
        let summary = start.elapsed() / rounds as u32;
        println!(
            "{messages} messages: history of 50 in {history:.0?}, changes of 20 in {changes:.0?}, \
             entry with 1,000 unread in {summary:.0?}"
        );
    }
}
