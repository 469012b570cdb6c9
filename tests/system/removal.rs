//! Who is removed receives nothing later, and nothing of theirs is stored later.

use std::sync::Arc;

use parlor::{Chat, Error, backends::*, command::*, model::*};

use tokio::sync::Semaphore;

use crate::support::*;

#[tokio::test]
async fn a_removed_member_hears_of_it_and_nothing_after() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let other = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let ann = chat.as_user(identity("ann"));
    ann.send(id, text("before")).await.unwrap();
    ann.remove_member(id, user("bob")).await.unwrap();
    ann.send(id, text("secret")).await.unwrap();
    ann.typing(id, true).await.unwrap();
    ann.send(other, text("mark")).await.unwrap();
    bob.until_type("members.changed").await;
    let of_the_group =
        |event: &serde_json::Value| event["conversation_id"] == serde_json::to_value(id).unwrap();
    bob.none_before(of_the_group, |event| event["message"]["body"] == "mark").await;
}

#[tokio::test]
async fn for_a_stranger_everything_is_as_if_it_did_not_exist() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let message = chat.as_user(identity("ann")).send(id, text("hello")).await.unwrap();
    let absent = ConversationId::new(chat.now());
    let eve = chat.as_user(identity("eve"));
    let commands = |id| {
        let at = AtSeq { conversation_id: id, seq: 1 };
        let inside = InConversation { conversation_id: id };
        let in_message = InMessage { conversation_id: id, message_id: message.id };
        vec![
            Command::Send(Send { conversation_id: id, message: text("x") }),
            Command::Edit(Edit {
                conversation_id: id,
                message_id: message.id,
                edit: MessageEdit { body: Some("x".into()), ..MessageEdit::default() },
            }),
            Command::Delete(Delete {
                conversation_id: id,
                message_id: message.id,
                scope: DeleteFor::Everyone,
            }),
            Command::Delete(Delete {
                conversation_id: id,
                message_id: message.id,
                scope: DeleteFor::Me,
            }),
            Command::React(React {
                conversation_id: id,
                message_id: message.id,
                key: "x".into(),
                on: true,
            }),
            Command::Pin(Pin { conversation_id: id, message_id: message.id, on: true }),
            Command::UpdateConversation(UpdateConversation {
                conversation_id: id,
                patch: ConversationPatch { title: Some("x".into()), ..Default::default() },
            }),
            Command::AddMembers(AddMembers { conversation_id: id, user_ids: vec![user("eve")] }),
            Command::RemoveMember(RemoveMember { conversation_id: id, user_id: user("ann") }),
            Command::Leave(inside),
            Command::SetRole(SetRole {
                conversation_id: id,
                user_id: user("eve"),
                role: Role::Owner,
            }),
            Command::UpdateSettings(UpdateSettings {
                conversation_id: id,
                patch: SettingsPatch { archived: Some(true), ..Default::default() },
            }),
            Command::Hide(inside),
            Command::Clear(inside),
            Command::MarkRead(at),
            Command::MarkDelivered(at),
            Command::MarkUnread(at),
            Command::Typing(Typing { conversation_id: id, on: true }),
            Command::Signal(Signal {
                conversation_id: id,
                name: "x".into(),
                data: serde_json::Value::Null,
                to: None,
            }),
            Command::GetConversation(inside),
            Command::ListMembers(ListMembers { conversation_id: id, limit: None, after: None }),
            Command::History(History {
                conversation_id: id,
                before: None,
                after: None,
                limit: None,
            }),
            Command::GetMessage(in_message),
            Command::ListPins(inside),
            Command::GetChanges(GetChanges {
                conversation_id: id,
                since_rev: 0,
                cursor: None,
                limit: None,
            }),
            Command::ListCursors(inside),
        ]
    };
    for (present, missing) in commands(id).into_iter().zip(commands(absent)) {
        let name = present.name();
        let present = eve.dispatch(present).await.expect_err(name);
        let missing = eve.dispatch(missing).await.expect_err(name);
        assert!(matches!(present, Error::NotFound), "{name}: {present:?}");
        assert_eq!(present.to_string(), missing.to_string(), "{name}");
        assert_eq!(present.code(), missing.code(), "{name}");
    }
    let page = chat.as_user(identity("ann")).history(id, None).await.unwrap();
    assert_eq!(page.messages.len(), 1, "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_removed_member_is_stored_after_the_removal() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let bob = chat.as_user(identity("bob"));
    let mut ann = Device::connect(&chat, identity("ann")).await;
    // Ann's outbox is bounded: Bob is ahead of what she has read by so much and no more.
    let ahead = Arc::new(Semaphore::new(100));
    let pace = Arc::clone(&ahead);
    let flood = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        loop {
            pace.acquire().await.unwrap().forget();
            match bob.send(id, text("flood")).await {
                Ok(message) => acknowledged.push(message.rev),
                Err(Error::NotFound) => return acknowledged,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut read = 0;
    ann.until(|event| {
        ahead.add_permits(1);
        read += usize::from(event["type"] == "message.sent");
        read == 20
    })
    .await;
    let remover = chat.as_user(identity("ann"));
    let removing = async {
        remover.remove_member(id, user("bob")).await.unwrap();
        flood.await.unwrap()
    };
    let removed = ann.until(|event| {
        ahead.add_permits(1);
        event["type"] == "members.changed"
    });
    let (acknowledged, changed) = tokio::join!(removing, removed);
    let removal = changed["rev"].as_u64().unwrap();
    assert!(acknowledged.iter().all(|rev| *rev < removal));
    chat.as_user(identity("ann")).send(id, text("end")).await.unwrap();
    let last = ann.until_type("message.sent").await;
    assert_eq!(last["message"]["body"], "end");
    assert_eq!(last["rev"], removal + 1);
}

#[tokio::test]
async fn a_removal_on_one_node_takes_effect_on_the_other() {
    let (store, hub) = (MemoryStore::new(), MemoryBus::hub());
    let node = || {
        Chat::builder(Arc::new(store.clone()))
            .bus(Arc::new(hub.node()))
            .configure(unlimited)
            .build()
    };
    let (one, two) = (node().await.unwrap(), node().await.unwrap());
    let id = group(&one, &["ann", "bob", "cem"]).await;
    let mut bob = Device::connect(&two, identity("bob")).await;
    let mut cem = Device::connect(&two, identity("cem")).await;
    let ann = one.as_user(identity("ann"));
    ann.remove_member(id, user("bob")).await.unwrap();
    ann.send(id, text("secret")).await.unwrap();
    cem.until_body(id, "secret").await;
    bob.until_type("members.changed").await;
    let made = ann.open_direct(user("bob")).await.unwrap().conversation.id;
    bob.none_before(
        |event| event["message"]["body"] == "secret",
        |event| event["conversation_id"] == serde_json::to_value(made).unwrap(),
    )
    .await;
}
