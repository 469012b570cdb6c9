//! A device that comes back gets exactly what it missed, in order, or is told that it does not.

use std::sync::Arc;

use parlor::{Known, Resume, Unknown, backends::MemoryStore, command::*, model::*};

use crate::support::*;

#[tokio::test]
async fn a_device_that_was_away_gets_sends_edits_and_deletions() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let ann = chat.as_user(identity("ann"));
    let first = ann.send(id, text("first")).await.unwrap();
    let second = ann.send(id, text("second")).await.unwrap();
    let bob = Device::connect(&chat, identity("bob")).await;
    let mut follower = bob.leave();
    // It had loaded the history before it went away.
    let page = chat.as_user(identity("bob")).history(id, None).await.unwrap();
    for message in page.messages {
        let json = serde_json::to_value(&message).unwrap();
        follower.conversations.get_mut(&id).unwrap().messages.insert(message.seq, json);
    }
    let edit = MessageEdit { body: Some("first, edited".into()), ..MessageEdit::default() };
    ann.edit(id, first.id, edit).await.unwrap();
    ann.delete(id, second.id).await.unwrap();
    ann.send(id, text("third")).await.unwrap();
    let resume = Resume::from_known(chat.epoch(), follower.known());
    let bob = Device::resume(&chat, identity("bob"), resume, follower).await;
    assert_eq!(bob.follower.bodies(id), ["first, edited", "", "third"]);
    assert_eq!(bob.follower.copy(id).rev, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_missed_changes_come_in_order() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let bob = Device::connect(&chat, identity("bob")).await;
    let follower = bob.leave();
    let mut sends = Vec::new();
    for worker in 0..20 {
        let ann = chat.as_user(identity("ann"));
        sends.push(tokio::spawn(async move {
            for number in 0..500 {
                ann.send(id, text(format!("{worker}.{number}"))).await.unwrap();
            }
        }));
    }
    for send in sends {
        send.await.unwrap();
    }
    // Conversations that were made meanwhile are new to the device.
    let made = group(&chat, &["cem", "bob"]).await;
    chat.as_user(identity("cem")).send(made, text("new here")).await.unwrap();
    let resume = Resume::from_known(chat.epoch(), follower.known()).with_unknown(Unknown::Replay);
    let bob = Device::resume(&chat, identity("bob"), resume, follower).await;
    bob.follower.assert_dense(id);
    assert_eq!(bob.follower.copy(id).messages.len(), 10_000);
    assert_eq!(bob.follower.copy(id).rev, 10_001);
    assert!(!bob.follower.copy(id).limited);
    assert_eq!(bob.follower.bodies(made), ["new here"]);
}

#[tokio::test]
async fn too_much_is_told_explicitly_and_live_events_continue() {
    let chat = builder().configure(|config| config.replay_limit = 100).build().await.unwrap();
    let id = group(&chat, &["ann", "bob"]).await;
    let follower = Device::connect(&chat, identity("bob")).await.leave();
    let ann = chat.as_user(identity("ann"));
    for number in 0..101 {
        ann.send(id, text(format!("{number}"))).await.unwrap();
    }
    let resume = Resume::from_known(chat.epoch(), follower.known());
    let mut bob = Device::resume(&chat, identity("bob"), resume, follower).await;
    let limited = bob.heard.iter().find(|event| event["type"] == "limited").unwrap();
    assert_eq!(limited["last_seq"], 101);
    assert_eq!(limited["rev"], 102);
    ann.send(id, text("live")).await.unwrap();
    bob.until_body(id, "live").await;
    assert_eq!(bob.follower.holes, 0);
}

#[tokio::test]
async fn conversations_made_and_lost_meanwhile_are_told() {
    let chat = chat().await;
    let lost = group(&chat, &["ann", "bob"]).await;
    let kept = group(&chat, &["ann", "bob"]).await;
    let follower = Device::connect(&chat, identity("bob")).await.leave();
    assert_eq!(follower.conversations.len(), 2);
    let ann = chat.as_user(identity("ann"));
    ann.remove_member(lost, user("bob")).await.unwrap();
    let made = ann.open_direct(user("bob")).await.unwrap().conversation.id;
    let resume = Resume::from_known(chat.epoch(), follower.known());
    let bob = Device::resume(&chat, identity("bob"), resume, follower).await;
    let ids: Vec<_> = bob.follower.conversations.keys().copied().collect();
    let mut wanted = vec![kept, made];
    wanted.sort();
    assert_eq!(ids, wanted);
}

#[tokio::test]
async fn more_unknown_conversations_than_are_sent_are_counted() {
    let chat = builder().configure(|config| config.unknown_limit = 3).build().await.unwrap();
    for _ in 0..5 {
        group(&chat, &["ann", "bob"]).await;
    }
    let bob = Device::connect(&chat, identity("bob")).await;
    assert_eq!(bob.follower.conversations.len(), 3);
    let limited = bob.heard.iter().find(|event| event["type"] == "list_limited").unwrap();
    assert_eq!(limited["omitted"], 2);
}

#[tokio::test]
async fn private_changes_made_on_another_device_come_at_resume() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let ann = chat.as_user(identity("ann"));
    let message = ann.send(id, text("hello")).await.unwrap();
    let follower = Device::connect(&chat, identity("bob")).await.leave();
    let bob = chat.as_user(identity("bob"));
    bob.mark_read(id, 1).await.unwrap();
    bob.delete_for_me(id, message.id).await.unwrap();
    let resume = Resume::from_known(chat.epoch(), follower.known());
    let device = Device::resume(&chat, identity("bob"), resume, follower).await;
    let changed = device.heard.iter().find(|event| event["type"] == "member.changed").unwrap();
    assert_eq!(changed["state"]["read_seq"], 1);
    assert_eq!(changed["deleted"][0], serde_json::to_value(message.id).unwrap());
}

#[tokio::test]
async fn another_epoch_or_a_rev_beyond_the_head_is_a_resync() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let follower = Device::connect(&chat, identity("bob")).await.leave();
    let elsewhere = Resume::from_known(uuid::Uuid::new_v4(), follower.known());
    let bob = Device::resume(&chat, identity("bob"), elsewhere, follower.clone()).await;
    assert_eq!(bob.follower.resyncs, 1);
    assert!(bob.follower.conversations.contains_key(&id), "and what there is comes anew");
    let known = vec![Known { conversation_id: id, rev: 99, member_rev: 0 }];
    let beyond = Resume::from_known(chat.epoch(), known);
    let bob = Device::resume(&chat, identity("bob"), beyond, follower).await;
    assert_eq!(bob.follower.resyncs, 1);
    assert_eq!(bob.follower.copy(id).rev, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_under_load_misses_nothing() {
    let store = MemoryStore::new();
    // Room for all of it: being too slow is another matter.
    let roomy = |config: &mut parlor::Config| {
        unlimited(config);
        config.outbox_events = 10_000;
    };
    let chat = parlor::Chat::builder(Arc::new(store)).configure(roomy).build().await.unwrap();
    let id = group(&chat, &["ann", "bob"]).await;
    let ann = chat.as_user(identity("ann"));
    let load = tokio::spawn(async move {
        for number in 0..2000 {
            ann.send(id, text(format!("{number}"))).await.unwrap();
        }
    });
    let mut follower = Follower::default();
    let mut rounds = 0;
    while !load.is_finished() || rounds == 0 {
        let resume = match rounds {
            0 => Resume::new().with_unknown(Unknown::Replay),
            _ => Resume::from_known(chat.epoch(), follower.known()),
        };
        let mut bob = Device::resume(&chat, identity("bob"), resume, follower).await;
        for _ in 0..20 {
            let next = std::time::Duration::from_millis(20);
            match tokio::time::timeout(next, bob.next()).await {
                Ok(Ok(_)) => {}
                // Nothing comes, or it was too slow.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        follower = bob.leave();
        rounds += 1;
    }
    load.await.unwrap();
    let resume = Resume::from_known(chat.epoch(), follower.known());
    let bob = Device::resume(&chat, identity("bob"), resume, follower).await;
    bob.follower.assert_dense(id);
    assert_eq!(bob.follower.copy(id).messages.len(), 2000);
    assert_eq!(bob.follower.holes, 0);
    assert!(rounds > 1, "the load outlived a connection");
}

#[tokio::test]
async fn a_resume_may_come_in_chunks_and_hidden_conversations_stay_away() {
    let chat = chat().await;
    let (one, two) = (group(&chat, &["ann", "bob"]).await, group(&chat, &["ann", "bob"]).await);
    let bob = chat.as_user(identity("bob"));
    bob.dispatch(Command::Hide(InConversation { conversation_id: two })).await.unwrap();
    let mut first = Resume::from_known(
        chat.epoch(),
        vec![Known { conversation_id: one, rev: 1, member_rev: 0 }],
    );
    first.more = true;
    let subscription = bob.subscribe(first).await.unwrap();
    let mut device = Device { subscription, follower: Follower::default(), heard: Vec::new() };
    device.subscription.session().resume(Resume::from_known(chat.epoch(), vec![])).unwrap();
    device.until_type("resumed").await;
    let kinds: Vec<_> = device.heard.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["resumed"], "one is known and the other hidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_deleted_for_oneself_meanwhile_is_told() {
    const MESSAGES: usize = 1500;
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let (ann, bob) = (chat.as_user(identity("ann")), chat.as_user(identity("bob")));
    let mut sent = Vec::new();
    for number in 0..MESSAGES {
        sent.push(ann.send(id, text(format!("{number}"))).await.unwrap().id);
    }
    let follower = Device::connect(&chat, identity("bob")).await.leave();
    for message in sent {
        bob.delete_for_me(id, message).await.unwrap();
    }
    let resume = Resume::from_known(chat.epoch(), follower.known());
    let device = Device::resume(&chat, identity("bob"), resume, follower).await;
    let told = device.heard.iter().filter(|event| event["type"] == "member.changed");
    let told: usize = told.map(|event| event["deleted"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(told, MESSAGES);
}

#[tokio::test]
async fn who_left_and_came_back_meanwhile_begins_anew() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let (ann, bob) = (chat.as_user(identity("ann")), chat.as_user(identity("bob")));
    let sent = ann.send(id, text("hello")).await.unwrap();
    bob.mark_read(id, 1).await.unwrap();
    bob.delete_for_me(id, sent.id).await.unwrap();
    let known = Known { conversation_id: id, rev: 2, member_rev: 2 };
    bob.leave(id).await.unwrap();
    ann.add_members(id, vec![user("bob")]).await.unwrap();
    let resume = Resume::from_known(chat.epoch(), vec![known]);
    let mut device = bob.subscribe(resume).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|kind| kind != "resumed") {
        let event = serde_json::to_value(&*device.next().await.unwrap()).unwrap();
        told.push(event["type"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(told, ["conversation.removed", "conversation.added", "resumed"]);
}

/// Bob's new device reads its list, whose page holds so many entries, and before it goes on his other device archives a
/// conversation in which ann, on another node, sends.
async fn connects_while_things_change(page: usize) -> Device {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let node = || {
        let node = parlor::Chat::builder(Arc::new(store.clone())).configure(unlimited);
        // Of what was lost only the device itself can tell.
        node.configure(move |config| {
            config.limits.page_max = page;
            config.sweep_interval = std::time::Duration::ZERO;
        })
        .build()
    };
    let (one, two) = (node().await.unwrap(), node().await.unwrap());
    for other in ["cem", "dan"] {
        group(&one, &[other, "bob"]).await;
    }
    let id = group(&one, &["ann", "bob"]).await;
    let (read, go_on) = store.pause_after_list();
    let connecting = tokio::spawn(async move { Device::connect(&one, identity("bob")).await });
    read.await.unwrap();
    two.as_user(identity("ann")).send(id, text("meanwhile")).await.unwrap();
    let patch = SettingsPatch { archived: Some(true), ..SettingsPatch::default() };
    let archive = Command::UpdateSettings(UpdateSettings { conversation_id: id, patch });
    two.as_user(identity("bob")).dispatch(archive).await.unwrap();
    go_on.send(()).unwrap();
    let mut bob = connecting.await.unwrap();
    assert_eq!(bob.follower.conversations.len(), 3);
    bob.until_body(id, "meanwhile").await;
    assert_eq!((bob.follower.copy(id).rev, bob.follower.holes), (2, 0));
    bob
}

#[tokio::test]
async fn a_new_device_misses_nothing_sent_after_its_list_was_read() {
    connects_while_things_change(100).await;
}

#[tokio::test]
async fn a_list_of_several_pages_is_brought_to_the_heads() {
    let bob = connects_while_things_change(2).await;
    let archived = |event: &serde_json::Value| {
        event["type"] == "member.changed" && event["state"]["archived"] == true
    };
    assert!(bob.heard.iter().any(archived), "{:?}", bob.heard);
}
