//! Going away in an orderly way.

use std::time::{Duration, Instant};

use parlor::{CloseReason, ConnectOptions, Error};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_finishes_what_is_in_flight_and_sends_clients_away() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let sends: Vec<_> = (0..50)
        .map(|number| {
            let ann = chat.as_user(identity("ann"));
            tokio::spawn(async move { ann.send(id, text(format!("{number}"))).await })
        })
        .collect();
    bob.until_type("message.sent").await;
    let draining = tokio::spawn({
        let chat = chat.clone();
        async move { chat.drain(Duration::from_secs(3), Duration::from_secs(10)).await }
    });
    let reconnect = bob.until_type("reconnect").await;
    assert!(reconnect["after_ms"].as_u64().unwrap() < 3000);
    assert_eq!(bob.until_closed().await, CloseReason::Restart);
    let heard = bob.follower.bodies(id).len();
    drop(bob);
    draining.await.unwrap();
    let mut acknowledged = 0;
    for send in sends {
        match send.await.unwrap() {
            Ok(_) => acknowledged += 1,
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
    assert!(heard <= acknowledged);
    let refused = chat.connect(identity("cem"), ConnectOptions::default()).await.unwrap_err();
    assert_eq!(refused, CloseReason::Restart);
    assert!(matches!(chat.ready().await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn a_drain_keeps_its_deadline_though_clients_stay() {
    let chat = chat().await;
    let _bob = Device::connect(&chat, identity("bob")).await;
    let before = Instant::now();
    chat.drain(Duration::from_secs(1), Duration::from_millis(400)).await;
    assert!(before.elapsed() < Duration::from_secs(3));
}
