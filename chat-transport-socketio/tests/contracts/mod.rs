//! What the published contracts do with a directory of the host's own, and what they leave alone.

use std::sync::Arc;

use async_trait::async_trait;
use parlor_core::{
    BackendError, Chat,
    backends::MemoryStore,
    command::ListConversations,
    model::{Identity, Profile, UserId},
    traits::UserDirectory,
};
use parlor_transport_socketio::contracts::DirectMessages;
use serde_json::json;

use crate::support::{Raw, Tokens, chat, serve_contract, user};

/// Knows everybody but `ghost`.
#[derive(Debug)]
struct People;

#[async_trait]
impl UserDirectory for People {
    async fn profiles(&self, users: &[UserId]) -> Result<Vec<Profile>, BackendError> {
        let known = users.iter().filter(|user| user.as_str() != "ghost");
        Ok(known
            .map(|user| {
                let mut profile = Profile::new(user.clone());
                profile.name = Some(user.as_str().to_uppercase());
                profile
            })
            .collect())
    }

    async fn unknown(&self, users: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        Ok(users.iter().filter(|user| user.as_str() == "ghost").cloned().collect())
    }
}

async fn chat_with_people() -> Chat {
    let builder = Chat::builder(Arc::new(MemoryStore::new()))
        .directory(Arc::new(People))
        .authenticator(Arc::new(Tokens));
    builder.build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_receiver_is_refused_only_by_the_directory() {
    let chat = chat_with_people().await;
    let mut ann = Raw::connect(serve_contract(&chat, DirectMessages::new()).await, "ann").await;
    ann.emit("send_message", json!({ "receiverId": "ghost", "content": "boo" })).await;
    let error = ann.event("error").await;
    assert!(error["message"].as_str().unwrap().starts_with("receiverId: "), "{error}");
    ann.emit("send_message", json!({ "receiverId": "bob", "content": "hi" })).await;
    let sent = ann.event("receive_message").await;
    assert_eq!((&sent["senderName"], &sent["receiverName"]), (&json!("ANN"), &json!("BOB")));
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_messages_makes_no_conversation() {
    let chat = chat().await;
    let mut ann = Raw::connect(serve_contract(&chat, DirectMessages::new()).await, "ann").await;
    ann.emit("get_messages", json!({ "otherUserId": "bob" })).await;
    assert_eq!(ann.event("messages_list").await, json!([]));
    ann.emit("send_message", json!({ "receiverId": "bob", "content": " " })).await;
    ann.event("error").await;
    let caller = chat.as_user(Identity::new(user("ann")));
    let list = caller.conversations(ListConversations::default()).await.unwrap();
    assert!(list.conversations.is_empty());
}
