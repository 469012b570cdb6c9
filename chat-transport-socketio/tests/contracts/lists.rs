//! How much clients may ask: lists and messages take one unit of a quota each. And what lists show of a message
//! that is gone.

use std::sync::Arc;

use axum::Router;
use parlor_core::{
    Chat,
    backends::MemoryStore,
    model::{Identity, NewGroup, NewMessage},
    traits::Quota,
};
use parlor_transport_socketio::{
    Contract, Transport,
    contracts::{BrandInfluencer, Connections, Gateway, TutorBookings},
};
use serde_json::{Value, json};

use super::{Typed, get};
use crate::support::{Raw, Tokens, chat, pair, serve_contract, user};

/// Conversations of one user; a quota of questions that is used up long before.
const MANY: usize = 60;

fn app(chat: &Chat, contract: impl Contract) -> Router {
    Transport::new(chat.clone()).contract(contract).router()
}

/// A user with many conversations, whose last messages are their own.
async fn busy(me: &str, typed: bool) -> Chat {
    let builder = Chat::builder(Arc::new(MemoryStore::new())).configure(|config| {
        config.sends = Quota::new(1000, 1000);
        config.commands = Quota::new(1, 10);
    });
    let builder = match typed {
        true => builder.authenticator(Arc::new(Typed)),
        false => builder.authenticator(Arc::new(Tokens)),
    };
    let chat = builder.build().await.unwrap();
    for at in 0..MANY {
        let peer = chat.as_user(Identity::new(user(&format!("influencer:{at}"))));
        let id = peer.open_direct(user(me)).await.unwrap().conversation.id;
        chat.as_user(Identity::new(user(me))).send(id, NewMessage::text("hi")).await.unwrap();
        if at % 2 == 0 {
            peer.mark_read(id, 1).await.unwrap();
        }
    }
    chat
}

/// Whether the last messages are shown as read, the latest conversation first.
fn are_read(list: &Value) -> Vec<bool> {
    let list = list.as_array().unwrap();
    list.iter().map(|entry| entry["lastMessage"]["isRead"].as_bool().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_one_question_however_long_it_is() {
    let every_other: Vec<bool> = (0..MANY).rev().map(|at| at % 2 == 0).collect();
    let mut found = Vec::new();
    for (contract, list) in
        [("connections", "/chat/conversations"), ("brand", "/api/chat/conversations")]
    {
        let is_brand = contract == "brand";
        let chat = busy("brand:7", is_brand).await;
        let (app, token) = match is_brand {
            true => (app(&chat, BrandInfluencer), "7:brand"),
            false => (app(&chat, Connections), "brand:7"),
        };
        let (status, body) = get(&app, token, list).await;
        assert_eq!(status, 200, "{contract}: {body}");
        found.push(are_read(&body));
    }
    assert_eq!(found, [every_other.clone(), every_other]);

    let chat = busy("ann", false).await;
    let (status, body) = get(&app(&chat, TutorBookings), "ann", "/chat/conversations/ann").await;
    assert_eq!((status, body.as_array().unwrap().len()), (200, MANY));
    let host = chat.system();
    for at in 0..30 {
        let members = vec![user("ann"), user("bob")];
        host.create_group(NewGroup::new(format!("group {at}"), members)).await.unwrap();
    }
    let (status, body) = get(&app(&chat, Gateway::new()), "ann", "/conversations").await;
    assert_eq!(status, 200);
    let groups = body.as_array().unwrap().iter().filter(|entry| entry["type"] == "group");
    let members: Vec<_> = groups.map(|entry| entry["participantIds"].clone()).collect();
    assert_eq!(members, vec![json!(["ann", "bob"]); 30]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_message_that_was_deleted_elsewhere_is_shown_by_no_list() {
    let chat = chat().await;
    let id = pair(&chat, "ann", "bob").await;
    let ann = chat.as_user(Identity::new(user("ann")));
    let sent = ann.send(id, NewMessage::text("oops")).await.unwrap();
    ann.delete(id, sent.id).await.unwrap();
    let (_, list) = get(&app(&chat, Connections), "bob", "/chat/conversations").await;
    assert_eq!(list[0]["lastMessage"], Value::Null, "{list}");
    let (_, list) = get(&app(&chat, Gateway::new()), "bob", "/conversations").await;
    assert_eq!(list[0]["lastMessage"], Value::Null, "{list}");
    let (_, list) = get(&app(&chat, TutorBookings), "bob", "/chat/conversations/bob").await;
    assert_eq!(list[0]["lastMessage"], Value::Null, "{list}");

    let builder = Chat::builder(Arc::new(MemoryStore::new())).authenticator(Arc::new(Typed));
    let chat = builder.build().await.unwrap();
    let brand = chat.as_user(Identity::new(user("brand:7")));
    let id = pair(&chat, "brand:7", "influencer:7").await;
    let sent = brand.send(id, NewMessage::text("oops")).await.unwrap();
    brand.delete(id, sent.id).await.unwrap();
    let list = get(&app(&chat, BrandInfluencer), "7:influencer", "/api/chat/conversations").await.1;
    assert_eq!((&list[0]["lastMessage"], &list[0]["lastMessageAt"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_counts_as_a_message_and_not_as_a_question_as_well() {
    let chat = busy("ann", false).await;
    let id = pair(&chat, "bob", "ann").await;
    let ann = chat.as_user(Identity::new(user("ann")));
    let mut bob = Raw::connect(serve_contract(&chat, TutorBookings).await, "bob").await;
    for at in 0..30 {
        let message =
            json!({ "conversationId": "ann_bob", "receiverId": "ann", "message": format!("{at}") });
        bob.emit("send-message", message).await;
        assert_eq!(bob.event("message-sent").await["message"], format!("{at}"));
    }
    assert_eq!(ann.history(id, None).await.unwrap().messages.len(), 30);
}
