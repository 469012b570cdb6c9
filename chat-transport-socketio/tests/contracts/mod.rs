//! What the published contracts do with a directory of the host's own, and what they leave alone.

mod groups;
mod lists;
mod queue;

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Router, body::Body, http::Request};
use parlor_core::{
    BackendError, Chat, Error,
    backends::MemoryStore,
    command::ListConversations,
    model::{Identity, Profile, UserId},
    traits::{Authenticator, Credentials, UserDirectory},
};
use parlor_transport_socketio::{
    Transport,
    contracts::{BrandInfluencer, Connections, DirectMessages, Gateway, TutorBookings},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Raw, Tokens, chat, serve_contract, user};

/// Knows everybody but `ghost` and `brand:404`.
#[derive(Debug)]
struct People;

#[async_trait]
impl UserDirectory for People {
    async fn profiles(&self, users: &[UserId]) -> Result<Vec<Profile>, BackendError> {
        Ok(users.iter().filter(|user| !is_ghost(user)).map(profile).collect())
    }

    async fn unknown(&self, users: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        Ok(users.iter().filter(|user| is_ghost(user)).cloned().collect())
    }
}

fn is_ghost(user: &UserId) -> bool {
    ["ghost", "brand:404"].contains(&user.as_str())
}

fn profile(user: &UserId) -> Profile {
    let mut profile = Profile::new(user.clone());
    profile.name = Some(user.as_str().to_uppercase());
    if user.as_str().starts_with("influencer:") {
        profile.picture = Some("https://example.com/john.png".into());
        let attributes = json!({ "username": "john_doe", "firstName": "John", "lastName": "Doe" });
        profile.attributes = serde_json::from_value(attributes).unwrap();
    }
    profile
}

/// The token `7:brand` is that of the user 7 who is a brand.
#[derive(Debug)]
struct Typed;

#[async_trait]
impl Authenticator for Typed {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        let token = credentials.token.as_deref().ok_or(Error::Unauthenticated)?;
        let (id, user_type) = token.split_once(':').ok_or(Error::Unauthenticated)?;
        let mut identity = Identity::new(UserId::new(id)?);
        identity.claims.0.insert("userType".into(), user_type.into());
        Ok(identity)
    }
}

async fn chat_with_people(authenticator: impl Authenticator) -> Chat {
    let builder = Chat::builder(Arc::new(MemoryStore::new()))
        .directory(Arc::new(People))
        .authenticator(Arc::new(authenticator));
    builder.build().await.unwrap()
}

async fn post(app: &Router, token: &str, path: &str, body: Value) -> (u16, Value) {
    let request = Request::post(path)
        .header("authorization", token)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    answer(app, request).await
}

async fn get(app: &Router, token: &str, path: &str) -> (u16, Value) {
    let request = Request::get(path).header("authorization", token).body(Body::empty()).unwrap();
    answer(app, request).await
}

async fn answer(app: &Router, request: Request<Body>) -> (u16, Value) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_receiver_is_refused_only_by_the_directory() {
    let chat = chat_with_people(Tokens).await;
    let mut ann = Raw::connect(serve_contract(&chat, DirectMessages).await, "ann").await;
    ann.emit("send_message", json!({ "receiverId": "ghost", "content": "boo" })).await;
    let error = ann.event("error").await;
    assert!(error["message"].as_str().unwrap().starts_with("receiverId: "), "{error}");
    ann.emit("send_message", json!({ "receiverId": "bob", "content": "hi" })).await;
    let sent = ann.event("receive_message").await;
    assert_eq!((&sent["senderName"], &sent["receiverName"]), (&json!("ANN"), &json!("BOB")));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_directory_does_not_know_is_refused_by_the_field_that_names_them() {
    let chat = chat_with_people(Tokens).await;
    let connections: Router = Transport::new(chat.clone()).contract(Connections).router();
    let gateway: Router = Transport::new(chat.clone()).contract(Gateway::new()).router();
    for (app, path, field, body) in [
        (&connections, "/chat/conversations", "participantId", json!({ "participantId": "ghost" })),
        (
            &gateway,
            "/conversations",
            "participantIds",
            json!({ "participantIds": ["ann", "ghost"] }),
        ),
        (
            &gateway,
            "/conversations",
            "participantIds",
            json!({ "participantIds": ["ann", "b", "ghost"] }),
        ),
    ] {
        let (status, refused) = post(app, "ann", path, body).await;
        assert_eq!(status, 400, "{path}");
        assert!(
            refused["message"].as_str().unwrap().starts_with(&format!("{field}: ")),
            "{refused}"
        );
    }
    let mut ann = Raw::connect(serve_contract(&chat, TutorBookings).await, "ann").await;
    let message = json!({ "conversationId": "ann_ghost", "receiverId": "ghost", "message": "boo" });
    ann.emit("send-message", message).await;
    let error = ann.event("error").await;
    assert!(error["message"].as_str().unwrap().starts_with("receiverId: "), "{error}");
    let caller = chat.as_user(Identity::new(user("ann")));
    let list = caller.conversations(ListConversations::default()).await.unwrap();
    assert!(list.conversations.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_messages_makes_no_conversation() {
    let chat = chat().await;
    let mut ann = Raw::connect(serve_contract(&chat, DirectMessages).await, "ann").await;
    ann.emit("get_messages", json!({ "otherUserId": "bob" })).await;
    assert_eq!(ann.event("messages_list").await, json!([]));
    ann.emit("send_message", json!({ "receiverId": "bob", "content": " " })).await;
    ann.event("error").await;
    let caller = chat.as_user(Identity::new(user("ann")));
    let list = caller.conversations(ListConversations::default()).await.unwrap();
    assert!(list.conversations.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn brands_and_influencers_are_shown_as_the_directory_knows_them() {
    let chat = chat_with_people(Typed).await;
    let app: Router = Transport::new(chat).contract(BrandInfluencer).router();
    let somebody = json!({ "participantId": 7, "participantType": "influencer" });
    let (_, opened) = post(&app, "7:brand", "/api/chat/conversations", somebody).await;
    let john = json!({
        "id": 7,
        "username": "john_doe",
        "firstName": "John",
        "lastName": "Doe",
        "profileImage": "https://example.com/john.png",
    });
    assert_eq!(opened["participant"], john);
    let message = json!({ "conversationId": opened["id"], "content": "hi" });
    let (_, sent) = post(&app, "7:influencer", "/api/chat/messages", message.clone()).await;
    assert_eq!(sent["sender"], john);
    let (_, sent) = post(&app, "7:brand", "/api/chat/messages", message).await;
    assert_eq!(
        (&sent["sender"]["username"], &sent["sender"]["firstName"]),
        (&json!("BRAND:7"), &Value::Null)
    );

    let nobody = json!({ "participantId": 404, "participantType": "brand" });
    let (status, refused) = post(&app, "7:brand", "/api/chat/conversations", nobody).await;
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().starts_with("participantId: "), "{refused}");
}
