//! Typing is never stored: starts are rare, stops certain.

use std::time::Duration;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_start_goes_out_once_in_three_seconds_and_a_stop_always() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let ann = chat.as_user(identity("ann"));
    for _ in 0..100 {
        ann.typing(id, true).await.unwrap();
    }
    ann.typing(id, false).await.unwrap();
    bob.until(|event| event["type"] == "typing" && event["on"] == false).await;
    let starts = |bob: &Device| {
        bob.heard.iter().filter(|event| event["type"] == "typing" && event["on"] == true).count()
    };
    assert!(starts(&bob) <= 1, "a start may also be replaced by its own stop");
    ann.typing(id, true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3100)).await;
    ann.typing(id, true).await.unwrap();
    let mut heard = 0;
    while heard < 1 {
        heard += usize::from(bob.until_type("typing").await["on"] == true);
    }
}

#[tokio::test(start_paused = true)]
async fn starts_and_stops_in_turn_are_held_to_the_same_pace() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let ann = chat.as_user(identity("ann"));
    for _ in 0..5 {
        for _ in 0..20 {
            ann.typing(id, true).await.unwrap();
            ann.typing(id, false).await.unwrap();
            // Whatever was told is taken, so that nothing is coalesced on the way.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    ann.send(id, text("done")).await.unwrap();
    bob.until_body(id, "done").await;
    let told = bob.heard.iter().filter(|event| event["type"] == "typing").count();
    assert!((1..=10).contains(&told), "{told} for five bursts");
}

#[tokio::test(start_paused = true)]
async fn the_server_sends_the_stop_itself() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    chat.as_user(identity("ann")).typing(id, true).await.unwrap();
    assert_eq!(bob.until_type("typing").await["on"], true);
    let before = tokio::time::Instant::now();
    assert_eq!(bob.until_type("typing").await["on"], false);
    let after = before.elapsed();
    assert!((6..=7).contains(&after.as_secs()), "after six seconds: {after:?}");
}

#[tokio::test]
async fn a_send_and_a_disconnect_stop_typing_and_oneself_is_not_told() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let mut ann = Device::connect(&chat, identity("ann")).await;
    let session = ann.subscription.session();
    let typing =
        |on| parlor::command::Command::Typing(parlor::command::Typing { conversation_id: id, on });
    session.dispatch(typing(true)).await.unwrap();
    assert_eq!(bob.until_type("typing").await["on"], true);
    chat.as_user(identity("ann")).send(id, text("done")).await.unwrap();
    assert_eq!(bob.until_type("typing").await["on"], false);
    ann.until_body(id, "done").await;
    assert!(ann.heard.iter().all(|event| event["type"] != "typing"));
    ann.subscription.session().dispatch(typing(true)).await.unwrap();
    assert_eq!(bob.until_type("typing").await["on"], true);
    drop(ann);
    assert_eq!(bob.until_type("typing").await["on"], false);
}

#[tokio::test]
async fn strangers_cannot_type() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let refused = chat.as_user(identity("eve")).typing(id, true).await.unwrap_err();
    assert!(matches!(refused, parlor::Error::NotFound));
}
