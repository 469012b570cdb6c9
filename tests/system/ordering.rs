//! Every member sees the same total order without a hole; a retry never makes a second message.

use std::collections::HashSet;

use parlor::{Error, command::*, model::*};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_sends_are_dense_and_everybody_sees_the_same_order() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob", "cem"]).await;
    let mut devices = Vec::new();
    for name in ["ann", "ann", "bob", "cem"] {
        devices.push(Device::connect(&chat, identity(name)).await);
    }
    let mut sends = Vec::new();
    for number in 0..64 {
        let sender = chat.as_user(identity(["ann", "bob", "cem"][number % 3]));
        sends.push(tokio::spawn(async move {
            sender.send(id, text(format!("message {number}"))).await.unwrap()
        }));
    }
    let mut seqs = HashSet::new();
    let mut revs = HashSet::new();
    for send in sends {
        let message = send.await.unwrap();
        seqs.insert(message.seq);
        revs.insert(message.rev);
    }
    assert_eq!(seqs, (1..=64).collect());
    assert_eq!(revs, (2..=65).collect(), "rev 1 is the conversation's creation");
    let mut orders = Vec::new();
    for device in &mut devices {
        device.until(|event| event["rev"] == 65).await;
        device.follower.assert_dense(id);
        assert_eq!(device.follower.holes, 0);
        orders.push(device.follower.bodies(id));
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_retry_is_the_same_message_and_other_content_a_conflict() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let ann = chat.as_user(identity("ann"));
    let send = |message: NewMessage| {
        let ann = ann.clone();
        async move { ann.dispatch(Command::Send(Send { conversation_id: id, message })).await }
    };
    let Ok(Reply::Sent { message: first, replayed: false }) = send(keyed("hello", "k1")).await
    else {
        panic!("fresh")
    };
    let Ok(Reply::Sent { message: again, replayed: true }) = send(keyed("hello", "k1")).await
    else {
        panic!("replayed")
    };
    assert_eq!(first.id, again.id);
    assert!(matches!(send(keyed("other", "k1")).await, Err(Error::Conflict(_))));
    let bob = chat.as_user(identity("bob"));
    let independent = bob.send(id, keyed("other", "k1")).await.unwrap();
    assert_eq!(independent.seq, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raced_key_gives_one_message() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let mut sends = Vec::new();
    for _ in 0..32 {
        let ann = chat.as_user(identity("ann"));
        sends.push(tokio::spawn(async move {
            let message = keyed("once", "k");
            ann.dispatch(Command::Send(Send { conversation_id: id, message })).await.unwrap()
        }));
    }
    let mut fresh = 0;
    for send in sends {
        let Reply::Sent { replayed, .. } = send.await.unwrap() else { panic!("sent") };
        fresh += u32::from(!replayed);
    }
    assert_eq!(fresh, 1);
    chat.as_user(identity("ann")).send(id, text("end")).await.unwrap();
    bob.until_body(id, "end").await;
    assert_eq!(bob.follower.bodies(id), ["once", "end"]);
}

#[tokio::test]
async fn edits_deletions_and_reactions_take_their_place_in_the_order() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let ann = chat.as_user(identity("ann"));
    let first = ann.send(id, text("first")).await.unwrap();
    let second = ann.send(id, text("second")).await.unwrap();
    let edit = MessageEdit { body: Some("first, edited".into()), ..MessageEdit::default() };
    ann.edit(id, first.id, edit).await.unwrap();
    chat.as_user(identity("bob")).react(id, first.id, "👍", true).await.unwrap();
    ann.delete(id, second.id).await.unwrap();
    let deleted = bob.until_type("message.deleted").await;
    assert_eq!(deleted["rev"], 6);
    assert_eq!(bob.follower.bodies(id), ["first, edited", ""]);
    let reaction = bob.heard.iter().find(|event| event["type"] == "reaction.changed").unwrap();
    assert_eq!((&reaction["count"], &reaction["user_id"]), (&1.into(), &"bob".into()));
    assert_eq!(bob.follower.holes, 0);
}
