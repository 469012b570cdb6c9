//! The host's own code: no socket needed, and a bot is just a caller.

use std::time::Duration;

use futures::StreamExt;
use parlor::{
    CloseReason, Error, Resume,
    command::*,
    event::{ChangeBody, Event},
    model::*,
    testing::TestClock,
};

use crate::support::*;

#[tokio::test]
async fn a_bot_listens_and_answers() {
    let chat = chat().await;
    let bot = chat.as_user(identity("bot"));
    let id = chat.as_user(identity("ann")).open_direct(user("bot")).await.unwrap().conversation.id;
    let mut events = bot.subscribe(Resume::new()).await.unwrap().into_stream();
    let answering = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Change(change) = &*event
                && let ChangeBody::MessageSent { message } = &change.body
                && message.body == "ping"
            {
                bot.send(change.conversation_id, text("pong")).await.unwrap();
                return;
            }
        }
    });
    let mut ann = Device::connect(&chat, identity("ann")).await;
    // The bot may not be live yet; what it misses by that it is told by the resume.
    chat.as_user(identity("ann")).send(id, text("ping")).await.unwrap();
    ann.until_body(id, "pong").await;
    answering.await.unwrap();
}

#[tokio::test]
async fn the_host_speaks_as_the_system_and_users_cannot() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let system = NewMessage::text("Your booking is confirmed").with_kind(MessageKind::System);
    let message = chat.system().send(id, system.clone()).await.unwrap();
    assert_eq!((message.sender_id, message.kind), (None, MessageKind::System));
    let refused = chat.as_user(identity("ann")).send(id, system).await.unwrap_err();
    assert_eq!(refused.field(), Some("kind"));
    let entry = chat.as_user(identity("bob")).conversation(id).await.unwrap();
    assert_eq!(entry.me.unread, 0, "announcements do not count as unread");
}

#[tokio::test]
async fn groups_have_roles_and_an_owner_remains() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob", "cem"]).await;
    let bob = chat.as_user(identity("bob"));
    assert!(matches!(bob.add_members(id, vec![user("dan")]).await, Err(Error::Forbidden(_))));
    let promote = SetRole { conversation_id: id, user_id: user("bob"), role: Role::Admin };
    chat.as_user(identity("ann")).dispatch(Command::SetRole(promote)).await.unwrap();
    bob.add_members(id, vec![user("dan"), user("dan"), user("ann")]).await.unwrap();
    assert!(matches!(bob.remove_member(id, user("ann")).await, Err(Error::Forbidden(_))));
    chat.as_user(identity("ann")).leave(id).await.unwrap();
    let members = chat.system().members(id).await.unwrap();
    let roles: Vec<_> =
        members.iter().map(|member| (member.user_id.as_str(), member.role)).collect();
    assert_eq!(roles, [("bob", Role::Owner), ("cem", Role::Member), ("dan", Role::Member)]);
}

#[tokio::test]
async fn a_direct_conversation_is_one_whoever_asks() {
    let chat = chat().await;
    let (ann, bob) = (chat.as_user(identity("ann")), chat.as_user(identity("bob")));
    let asked = futures::future::join_all((0..10).map(|number| {
        if number % 2 == 0 { ann.open_direct(user("bob")) } else { bob.open_direct(user("ann")) }
    }));
    let mut ids: Vec<_> =
        asked.await.into_iter().map(|entry| entry.unwrap().conversation.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let booking = ann.open_direct_about(user("bob"), "booking 7").await.unwrap();
    assert_ne!(booking.conversation.id, ids[0]);
    assert_eq!(ann.open_direct(user("ann")).await.unwrap().conversation.member_count, 1);
}

#[tokio::test]
async fn a_group_made_twice_with_one_key_is_one_group() {
    let chat = chat().await;
    let ann = chat.as_user(identity("ann"));
    let mut group = NewGroup::new("Team", [user("bob")]);
    group.client_id = Some(ClientId::new("key").unwrap());
    let first = ann.create_group(group.clone()).await.unwrap().conversation.id;
    assert_eq!(ann.create_group(group.clone()).await.unwrap().conversation.id, first);
    let other = chat.as_user(identity("bob")).create_group(group).await.unwrap();
    assert_ne!(other.conversation.id, first, "the key is the creator's own");
}

#[tokio::test]
async fn cursors_reach_the_others_unless_they_are_private() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob", "cem"]).await;
    let mut ann = Device::connect(&chat, identity("ann")).await;
    chat.as_user(identity("ann")).send(id, text("hello")).await.unwrap();
    let (bob, cem) = (chat.as_user(identity("bob")), chat.as_user(identity("cem")));
    let patch = SettingsPatch { private_receipts: Some(true), ..SettingsPatch::default() };
    let keep = UpdateSettings { conversation_id: id, patch };
    bob.dispatch(Command::UpdateSettings(keep)).await.unwrap();
    bob.mark_read(id, 1).await.unwrap();
    cem.mark_read(id, u64::MAX >> 1).await.unwrap();
    let receipt = ann.until_type("receipt").await;
    assert_eq!((&receipt["user_id"], &receipt["read_seq"]), (&"cem".into(), &1.into()));
    let list = Command::ListCursors(InConversation { conversation_id: id });
    let Reply::Cursors(cursors) = chat.as_user(identity("ann")).dispatch(list).await.unwrap()
    else {
        panic!("cursors")
    };
    let told: Vec<_> = cursors.iter().map(|cursor| cursor.user_id.as_str()).collect();
    assert_eq!(told, ["ann", "cem"]);
}

#[tokio::test]
async fn reading_on_one_device_is_told_on_the_other() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    chat.as_user(identity("ann")).send(id, text("hello")).await.unwrap();
    let mut phone = Device::connect(&chat, identity("bob")).await;
    let laptop = Device::connect(&chat, identity("bob")).await;
    let read = AtSeq { conversation_id: id, seq: 1 };
    laptop.subscription.session().dispatch(Command::MarkRead(read)).await.unwrap();
    let told = phone.until_type("member.changed").await;
    assert_eq!((&told["state"]["read_seq"], &told["state"]["unread"]), (&1.into(), &0.into()));
}

#[tokio::test]
async fn an_identity_that_ends_closes_the_connection_unless_it_is_renewed() {
    let clock = TestClock::new();
    let chat = builder().clock(std::sync::Arc::new(clock.clone())).build().await.unwrap();
    let until = |seconds| {
        let moment = chat.now().plus(Duration::from_secs(seconds));
        identity("ann").with_expiry(moment)
    };
    let mut lapsing = Device::connect(&chat, until(60)).await;
    let renewed = Device::connect(&chat, until(60)).await;
    renewed.subscription.session().reauthenticate(until(3600)).unwrap();
    let other = identity("bob").with_expiry(chat.now().plus(Duration::from_secs(3600)));
    assert!(renewed.subscription.session().reauthenticate(other).is_err());
    let caller = chat.as_user(until(60));
    clock.advance(Duration::from_secs(61));
    assert_eq!(lapsing.until_closed().await, CloseReason::Expired);
    assert!(renewed.subscription.session().is_live());
    assert!(matches!(caller.open_direct(user("bob")).await, Err(Error::Unauthenticated)));
    assert!(matches!(caller.subscribe(Resume::new()).await, Err(Error::Unauthenticated)));
}

#[tokio::test]
async fn the_host_ends_a_users_connections() {
    let chat = chat().await;
    let mut ann = Device::connect(&chat, identity("ann")).await;
    chat.disconnect(&user("ann"));
    assert_eq!(ann.until_closed().await, CloseReason::Ended);
}

#[tokio::test]
async fn signals_reach_those_they_are_for_and_nothing_is_stored() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob", "cem"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let mut cem = Device::connect(&chat, identity("cem")).await;
    let ann = chat.as_user(identity("ann"));
    let signal = Signal {
        conversation_id: id,
        name: "call.ring".into(),
        data: serde_json::json!({ "room": 7 }),
        to: Some(vec![user("bob")]),
    };
    ann.dispatch(Command::Signal(signal)).await.unwrap();
    let heard = bob.until_type("signal").await;
    assert_eq!((&heard["name"], &heard["data"]["room"]), (&"call.ring".into(), &7.into()));
    ann.send(id, text("mark")).await.unwrap();
    cem.none_before(|event| event["type"] == "signal", |event| event["message"]["body"] == "mark")
        .await;
    assert_eq!(ann.history(id, None).await.unwrap().messages.len(), 1);
}

#[tokio::test]
async fn the_engines_tasks_end_with_the_last_handle() {
    let store = std::sync::Arc::new(parlor::backends::MemoryStore::new());
    let chat = parlor::Chat::builder(store.clone()).build().await.unwrap();
    let ann = chat.as_user(identity("ann"));
    ann.open_direct(user("bob")).await.unwrap();
    drop((chat, ann));
    // Every task of the engine holds the store; they let go once they have noticed.
    while std::sync::Arc::strong_count(&store) > 1 {
        tokio::task::yield_now().await;
    }
}
