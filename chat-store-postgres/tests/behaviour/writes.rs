//! Batches: durable, in order, without a deadlock, each message for itself.

use std::str::FromStr;

use futures::future::join_all;
use parlor_core::{
    model::{ConversationPatch, NewMessage},
    store::{ConversationChange, ConversationStore, MessageStore},
};
use parlor_store_postgres::PostgresStore;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{append, bodies, database, fresh, group, message, new_message, now, opened};

#[tokio::test]
async fn one_message_that_cannot_be_stored_fails_alone() {
    let store = opened().await;
    let id = group(&store).await;
    let stored = fresh(append(&store, message(id, "a", "one")).await);
    let mut same_id = message(id, "b", "two");
    same_id.message_id = stored.id;
    let batch = vec![message(id, "c", "three"), same_id, message(id, "d", "four")];
    let mut outcomes = store.append(batch).await.into_iter();
    assert_eq!(fresh(outcomes.next().unwrap().unwrap()).seq, 2);
    assert!(!outcomes.next().unwrap().unwrap_err().is_retryable());
    assert_eq!(fresh(outcomes.next().unwrap().unwrap()).seq, 3);
    assert_eq!(store.conversation(id).await.unwrap().unwrap().last_seq, 3);
}

#[tokio::test]
async fn an_answer_to_a_message_of_the_same_batch_keeps_the_order() {
    let store = opened().await;
    let (id, other) = (group(&store).await, group(&store).await);
    let first = message(id, "a", "first");
    let answer = NewMessage { reply_to: Some(first.message_id), ..NewMessage::text("answer") };
    let batch = vec![
        first,
        new_message(id, answer),
        message(other, "x", "elsewhere"),
        message(id, "b", "last"),
    ];
    let outcomes = store.append(batch).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(bodies(&store, id).await, ["first", "answer", "last"]);
    assert_eq!(bodies(&store, other).await, ["elsewhere"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_whose_batches_cross_never_wait_in_a_circle() {
    let url = database();
    let nodes = [
        PostgresStore::connect(&url).await.unwrap(),
        PostgresStore::connect(&url).await.unwrap(),
        PostgresStore::connect(&url).await.unwrap(),
    ];
    let ids = join_all((0..20).map(|_| group(&nodes[0]))).await;
    let work = nodes.iter().enumerate().map(|(number, node)| {
        let (node, mut ids) = (node.clone(), ids.clone());
        tokio::spawn(async move {
            for round in 0..30 {
                ids.rotate_left(number + 1);
                if round % 2 == 0 {
                    ids.reverse();
                }
                let batch = ids.iter().map(|id| {
                    message(*id, &format!("{number}-{round}"), &format!("{number} {round}"))
                });
                for outcome in node.append(batch.collect()).await {
                    fresh(outcome.unwrap());
                }
            }
        })
    });
    for done in join_all(work).await {
        done.unwrap();
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = sqlx::query_scalar(deadlocks).fetch_one(nodes[0].pool()).await.unwrap();
    assert_eq!(deadlocks, 0);
    for id in ids {
        assert_eq!(nodes[0].conversation(id).await.unwrap().unwrap().last_seq, 90);
    }
}

/// Writes down with which durability each table was written.
const SPY: &str = "
    CREATE TABLE seen (what text, durability text);
    CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.seen VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
            RETURN NULL;
        END $$;
    CREATE TRIGGER spy AFTER INSERT ON parlor.messages FOR EACH ROW EXECUTE FUNCTION spy();
    CREATE TRIGGER spy AFTER UPDATE OF title ON parlor.conversations FOR EACH ROW EXECUTE FUNCTION spy();";

#[tokio::test]
async fn commits_wait_for_the_disk_whatever_the_hosts_pool_says() {
    for (pools, ours) in [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")] {
        let url = database();
        let options = PgConnectOptions::from_str(&url).unwrap();
        let options = options.options([("synchronous_commit", pools)]);
        let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
        let store = PostgresStore::new(pool.clone()).await.unwrap();
        sqlx::raw_sql(SPY).execute(&pool).await.unwrap();
        let id = group(&store).await;
        fresh(append(&store, message(id, "a", "hello")).await);
        let patch = ConversationPatch { title: Some("Dinner".into()), ..Default::default() };
        store.change(id, None, ConversationChange::Patch(patch), 10, now()).await.unwrap();
        let seen = "SELECT what || ' ' || durability FROM seen ORDER BY what";
        let seen: Vec<String> = sqlx::query_scalar(seen).fetch_all(&pool).await.unwrap();
        assert_eq!(seen, [format!("conversations {ours}"), format!("messages {ours}")]);
        let still: String =
            sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&pool).await.unwrap();
        assert_eq!(still, pools, "the host's sessions keep their own");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_another_isolation_level_numbers_without_holes() {
    let url = database();
    let options = PgConnectOptions::from_str(&url).unwrap();
    let options = options.options([("default_transaction_isolation", "repeatable read")]);
    let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
    let store = PostgresStore::new(pool).await.unwrap();
    let id = group(&store).await;
    let sends = (0..40).map(|n| {
        let store = store.clone();
        // Every key twice, at once.
        tokio::spawn(
            async move { append(&store, message(id, &format!("{}", n / 2), "hello")).await },
        )
    });
    for sent in join_all(sends).await {
        sent.unwrap();
    }
    assert_eq!(bodies(&store, id).await.len(), 20);
    assert_eq!(store.conversation(id).await.unwrap().unwrap().last_seq, 20);
}
