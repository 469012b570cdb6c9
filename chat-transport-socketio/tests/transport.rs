//! Clients that misbehave, deadlines, several nodes: what a well-behaved client cannot show.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod contracts;
mod order;
mod support;

use std::time::Duration;

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use parlor_core::{
    Error,
    model::{Identity, NewMessage},
};
use parlor_transport_socketio::{
    Client, Contract, Emit, Incoming, Told, Transport,
    contracts::{Connections, DirectMessages, Gateway, TutorBookings},
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt;

use support::{Medium, Raw, chat, eventually, pair, serve, serve_contract, serve_router, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_the_sockets_of_other_nodes_without_an_adapter() {
    let medium = Medium::new();
    let [near, far] = [medium.node().await, medium.node().await];
    let id = pair(&near, "ann", "bob").await;
    let [at, elsewhere] = [serve(&near, |it| it).await, serve(&far, |it| it).await];
    let mut ann = Raw::connect(at, "ann").await;
    // This node has never seen the conversation: it is looked up to be written about.
    let mut bob = Raw::connect(elsewhere, "bob").await;
    assert_eq!(ann.event("userOnline").await, json!({ "userId": "bob" }));
    for content in ["one", "two"] {
        ann.emit("sendMessage", json!({ "conversationId": id, "content": content })).await;
    }
    let one = bob.event("message").await;
    assert_eq!((&one["content"], &one["senderId"]), (&json!("one"), &json!("ann")));
    let two = bob.event("message").await;
    assert_eq!(two["content"], "two");
    bob.emit("markAsRead", json!({ "messageId": two["id"] })).await;
    assert_eq!(ann.event("messageRead").await, json!({ "messageId": two["id"] }));
    drop(bob);
    assert_eq!(ann.event("userOffline").await, json!({ "userId": "bob" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_told_of_a_message_that_this_node_never_saw() {
    let medium = Medium::new();
    let [near, far] = [medium.node().await, medium.node().await];
    let id = pair(&near, "ann", "bob").await;
    let sent = near.as_user(Identity::new(user("ann")));
    let message = sent.send(id, NewMessage::text("before anybody was here")).await.unwrap();
    let mut ann = Raw::connect(serve(&far, |it| it).await, "ann").await;
    near.as_user(Identity::new(user("bob"))).mark_read(id, 1).await.unwrap();
    assert_eq!(ann.event("messageRead").await, json!({ "messageId": message.id }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_is_closed_and_the_others_go_on() {
    let chat = chat().await;
    let id = pair(&chat, "ann", "bob").await;
    let at = serve(&chat, |it| it.write_deadline(Duration::from_millis(300))).await;
    let mut stuck = Raw::connect(at, "bob").await;
    let mut ann = Raw::connect(at, "ann").await;
    assert_eq!(chat.connections(), 2);
    let content = "x".repeat(16 * 1024);
    let mut sent = 0;
    while chat.connections() == 2 {
        ann.emit("sendMessage", json!({ "conversationId": id, "content": content })).await;
        ann.event("message").await;
        sent += 1;
        assert!(sent < 5000, "the stuck client is still there");
    }
    // Its buffers were full long before: nothing was kept for it without bound.
    ann.emit("sendMessage", json!({ "conversationId": id, "content": "still here" })).await;
    assert_eq!(ann.event("message").await["content"], "still here");
    // The connection itself has ended as well, not only its session.
    stuck.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_names_no_namespace_is_closed_at_the_deadline() {
    let chat = chat().await;
    let at = serve(&chat, |it| it.auth_deadline(Duration::from_millis(200))).await;
    let mut silent = Raw::open(at).await;
    assert_eq!(silent.rest().await, ["1"]);
    let mut known = Raw::connect(at, "ann").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    known.emit("noSuchEvent", json!(1)).await;
    known.event("error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_connections_are_counted_and_known_ones_make_room() {
    let chat = chat().await;
    let at = serve(&chat, |it| it.max_unauthenticated(1)).await;
    let poll = async || {
        let app = Transport::new(chat.clone()).contract(Connections).max_unauthenticated(0);
        let request = Request::get("/socket.io/?EIO=4&transport=polling");
        let request = request.body(Body::empty()).unwrap();
        app.router::<()>().oneshot(request).await.unwrap().status()
    };
    assert_eq!(poll().await, 503);
    let mut unknown = Raw::open(at).await;
    let refused = tokio::net::TcpStream::connect(at).await.unwrap();
    let url = format!("ws://{at}/socket.io/?EIO=4&transport=websocket");
    let refused = tokio_tungstenite::client_async(&url, refused).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    unknown.send("40{\"token\":\"ann\"}").await;
    assert!(unknown.packet().await.unwrap().starts_with("40"));
    let _other = Raw::connect(at, "bob").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_host_sends_away_stays_away_and_a_drain_asks_to_come_back() {
    let chat = chat().await;
    let at = serve(&chat, |it| it).await;
    let (mut ann, mut bob) = (Raw::connect(at, "ann").await, Raw::connect(at, "bob").await);
    chat.disconnect(&user("ann"));
    // Socket.IO's own disconnect: the client does not connect again by itself.
    assert_eq!(ann.packet().await.as_deref(), Some("41"));
    chat.drain(Duration::ZERO, Duration::from_secs(5)).await;
    assert_eq!(bob.rest().await, Vec::<String>::new());
    assert_eq!(chat.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_takes_their_session_along() {
    let chat = chat().await;
    let at = serve(&chat, |it| it).await;
    let mut leaving = Raw::connect(at, "ann").await;
    leaving.send("41").await;
    eventually(|| chat.connections() == 0).await;
    drop(Raw::connect(at, "ann").await);
    eventually(|| chat.connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_does_not_stay_connected() {
    let chat = chat().await;
    let mut nobody = Raw::open(serve_contract(&chat, DirectMessages).await).await;
    nobody.enter("", "nobody").await;
    let said = nobody.rest().await;
    assert_eq!(said, [r#"42["error",{"message":"authentication required"}]"#, "41"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespaces_of_a_connection_come_and_go_by_themselves() {
    let chat = chat().await;
    let at = serve(&chat, |it| it.contract(Gateway::new())).await;
    let mut ann = Raw::connect(at, "ann").await;
    ann.enter("/chat,", "ann").await;
    assert_eq!(chat.connections(), 2);
    ann.send("41/chat,").await;
    eventually(|| chat.connections() == 1).await;
    ann.emit("noSuchEvent", json!(1)).await;
    ann.event("error").await;
    ann.enter("/chat,", "ann").await;
    ann.send("41").await;
    ann.send("41/chat,").await;
    assert_eq!(ann.rest().await, Vec::<String>::new());
    assert_eq!(chat.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_of_the_protocol_ends_that_connection_alone() {
    let chat = chat().await;
    let at = serve(&chat, |it| it).await;
    let mut bystander = Raw::connect(at, "bob").await;
    for garbage in [
        "4",
        "49",
        "42",
        "42{}",
        "42[]",
        "42[1]",
        "451-[\"x\"]",
        "43",
        "44",
        "6",
        "x",
        "4299999999999999999999[\"x\"]",
    ] {
        let mut broken = Raw::connect(at, "ann").await;
        broken.send(garbage).await;
        broken.emit("noSuchEvent", json!(1)).await;
        // Closed, or answered: never stuck.
        let _ = broken.packet().await;
    }
    bystander.emit("noSuchEvent", json!(1)).await;
    bystander.event("error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_that_share_a_namespace_and_routes_are_nested_under_paths_of_their_own() {
    let chat = chat().await;
    let id = pair(&chat, "ann", "bob").await;
    let connections = Transport::new(chat.clone()).contract(Connections);
    let bookings = Transport::new(chat.clone()).contract(TutorBookings);
    let app = Router::new()
        .nest("/connections", connections.router())
        .nest("/tutor_bookings", bookings.router());
    let at = serve_router(app.clone()).await;
    let mut ann = Raw::connect_at(at, "/connections/socket.io", "ann").await;
    let mut bob = Raw::connect_at(at, "/tutor_bookings/socket.io", "bob").await;
    // What is sent before that waits in it.
    bob.event("connected").await;
    ann.emit("sendMessage", json!({ "conversationId": id, "content": "Hello!" })).await;
    let message = bob.event("new-message").await;
    assert_eq!(
        (&message["conversationId"], &message["message"]),
        (&json!("ann_bob"), &json!("Hello!"))
    );
    assert_eq!(ann.event("message").await["id"], message["id"]);
    let list = async |path: &str| {
        let request = Request::get(path).header("authorization", "Bearer bob");
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let body = to_bytes(answer.into_body(), 4096).await.unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()[0]["id"].clone()
    };
    assert_eq!(list("/connections/chat/conversations").await, json!(id));
    assert_eq!(list("/tutor_bookings/chat/conversations/bob").await, "ann_bob");
}

/// Answers every event by more than is handed over at once, and a word after it.
#[derive(Debug)]
struct Talker;

#[async_trait]
impl Contract for Talker {
    fn name(&self) -> &'static str {
        "talker"
    }

    async fn received(&self, client: &Client, _: Incoming) -> Result<Value, Error> {
        client.emit(Emit::new("much", "x".repeat(64 * 1024).into())).await;
        client.emit(Emit::new("more", Value::Null)).await;
        Ok(Value::Null)
    }

    fn outgoing(&self, _: &Told<'_>) -> Vec<Emit> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_written_at_once_does_not_count_as_waiting() {
    let chat = chat().await;
    let at = serve_contract(&chat, Talker).await;
    let talk = async |user: &str| {
        let mut raw = Raw::connect_roomy(at, user).await;
        for _ in 0..500 {
            raw.emit("talk", Value::Null).await;
            raw.event("much").await;
            raw.event("more").await;
        }
    };
    let talks = async { tokio::join!(talk("ann"), talk("bob"), talk("cem"), talk("dora")) };
    // Whoever is taken for slow waits for 10 s, and is closed.
    timeout(Duration::from_secs(10), talks).await.expect("nobody is taken for slow");
}
