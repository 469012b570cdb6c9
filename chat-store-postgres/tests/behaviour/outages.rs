//! Parts that fail: retryable errors, and everything works again by itself.

use std::time::{Duration, Instant};

use parlor_core::{
    BackendErrorKind,
    store::{Appended, ConversationStore, MessageStore},
};
use parlor_store_postgres::{PostgresConfig, PostgresStore};
use parlor_test_services::{Postgres, Proxy};
use tokio::time::timeout;

use crate::support::{SOON, append, bodies, database, fresh, group, message};

/// Sends the same until it is stored; every error on the way must be one to try again after.
async fn send_until_stored(store: &PostgresStore, one: parlor_core::store::Append) -> Appended {
    let until = Instant::now() + SOON;
    loop {
        match store.append(vec![one.clone()]).await.pop().unwrap() {
            Ok(appended) => return appended,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        assert!(Instant::now() < until, "it does not work again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_a_free_connection_is_a_retryable_error() {
    let config = PostgresConfig::new().connections(1).acquire_timeout(Duration::from_millis(200));
    let store = PostgresStore::connect_with(database(), config).await.unwrap();
    let id = group(&store).await;
    let held = store.pool().acquire().await.unwrap();
    let outcome = timeout(SOON, store.append(vec![message(id, "a", "hello")])).await.unwrap();
    assert!(outcome[0].as_ref().unwrap_err().is_retryable(), "{outcome:?}");
    assert!(store.conversation(id).await.unwrap_err().is_retryable());
    assert!(store.ping().await.unwrap_err().is_retryable());
    drop(held);
    fresh(append(&store, message(id, "a", "hello")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_restarted_or_down_is_found_again() {
    let server = Postgres::start().unwrap();
    let store = PostgresStore::connect(server.database()).await.unwrap();
    let id = group(&store).await;
    fresh(append(&store, message(id, "a", "before")).await);
    server.restart();
    send_until_stored(&store, message(id, "b", "after the restart")).await;
    server.kill();
    let started = Instant::now();
    let outcome = timeout(SOON, store.append(vec![message(id, "c", "while down")])).await.unwrap();
    assert!(outcome[0].as_ref().unwrap_err().is_retryable(), "{outcome:?}");
    assert!(store.conversation(id).await.unwrap_err().is_retryable());
    assert!(started.elapsed() < Duration::from_secs(15));
    server.revive();
    send_until_stored(&store, message(id, "c", "while down")).await;
    assert_eq!(bodies(&store, id).await, ["before", "after the restart", "while down"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_the_middle_doubles_nothing_and_loses_nothing() {
    let server = Postgres::start().unwrap();
    let url = server.database();
    let proxy = Proxy::start(server.address()).unwrap();
    let through = url.replace(&server.address().to_string(), &proxy.address().to_string());
    let store = PostgresStore::connect(&through).await.unwrap();
    let id = group(&store).await;
    for round in 0..10 {
        let sending = {
            let (store, one) =
                (store.clone(), message(id, &format!("{round}"), &format!("{round}")));
            tokio::spawn(async move { send_until_stored(&store, one).await })
        };
        // Somewhere on the way, never at the same place.
        tokio::time::sleep(Duration::from_micros(somewhere(round))).await;
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(20)).await;
        proxy.heal();
        timeout(SOON, sending).await.unwrap().unwrap();
    }
    // By connections that were not cut: a read on one that was is the caller's to repeat.
    let store = PostgresStore::connect(&url).await.unwrap();
    let expected: Vec<String> = (0..10).map(|round| round.to_string()).collect();
    assert_eq!(bodies(&store, id).await, expected);
    assert_eq!(store.conversation(id).await.unwrap().unwrap().rev, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_given_up_and_its_successor_found() {
    let server = Postgres::start().unwrap();
    let url = server.database();
    let proxy = Proxy::start(server.address()).unwrap();
    let through = url.replace(&server.address().to_string(), &proxy.address().to_string());
    // Waits short enough for a test: a statement may take the time for locks and five seconds.
    let config = PostgresConfig::new().connections(2).lock_timeout(Duration::from_millis(100));
    let store = PostgresStore::connect_with(&through, config).await.unwrap();
    let id = group(&store).await;
    fresh(append(&store, message(id, "a", "before")).await);
    // Both connections are in use when the server's host is lost.
    let reads = [store.conversation(id), store.conversation(id)];
    for read in futures::future::join_all(reads).await {
        read.unwrap();
    }
    proxy.abandon();
    // A read that its caller gives up, and a send that the store gives up.
    let given_up = timeout(Duration::from_millis(100), store.conversation(id)).await;
    assert!(given_up.is_err(), "nobody answers on this path");
    send_until_stored(&store, message(id, "b", "after")).await;
    for _ in 0..4 {
        store.conversation(id).await.unwrap();
    }
    assert_eq!(bodies(&store, id).await, ["before", "after"]);
}

/// Spread over a few milliseconds.
fn somewhere(round: u64) -> u64 {
    (round * 2_654_435_761) % 4_000
}

#[tokio::test]
async fn who_cannot_be_reached_or_refuses_is_told_apart() {
    let nobody = PostgresConfig::new().acquire_timeout(Duration::from_millis(500));
    let error = PostgresStore::connect_with("postgres://ann:s3cret@127.0.0.1:1/chat", nobody)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Unavailable, "{error}");
    let error = PostgresStore::connect("mysql://ann:s3cret@127.0.0.1/chat").await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Configuration, "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    let unknown = format!("{}_unknown", database());
    let error = PostgresStore::connect(unknown).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("does not exist"), "{error}");
}
