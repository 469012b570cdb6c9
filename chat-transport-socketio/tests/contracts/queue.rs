//! What waits for a user of `tutor_bookings`.

use std::sync::Arc;

use parlor_core::{
    Chat,
    backends::MemoryStore,
    model::{Identity, NewMessage},
    traits::Quota,
};
use parlor_transport_socketio::contracts::TutorBookings;
use serde_json::Value;

use crate::support::{Raw, Tokens, serve_contract, user};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_more_conversations_than_a_quota_of_questions_gets_all_that_waits() {
    let builder = Chat::builder(Arc::new(MemoryStore::new()))
        .authenticator(Arc::new(Tokens))
        .configure(|config| config.commands = Quota::new(500, 40));
    let chat = builder.build().await.unwrap();
    let senders: Vec<String> = (0..150).map(|at| format!("ann-{at:03}")).collect();
    for sender in &senders {
        let ann = chat.as_user(Identity::new(user(sender)));
        let id = ann.open_direct(user("bob")).await.unwrap().conversation.id;
        for text in ["one", "two"] {
            ann.send(id, NewMessage::text(text)).await.unwrap();
        }
    }
    let at = serve_contract(&chat, TutorBookings).await;
    let waited = async || {
        let connected = Raw::connect(at, "bob").await.event("connected").await;
        let queued: Vec<Value> = connected["queuedMessages"].as_array().unwrap().clone();
        let text = |message: &Value, field| message[field].as_str().unwrap().to_owned();
        let mut told: Vec<_> =
            queued.iter().map(|it| (text(it, "senderId"), text(it, "message"))).collect();
        // Many were sent in one millisecond; those of a conversation stay in order.
        told.sort_by(|(one, _), (other, _)| one.cmp(other));
        told
    };
    let expected: Vec<_> = senders
        .iter()
        .flat_map(|sender| ["one", "two"].map(|text| (sender.clone(), text.to_owned())))
        .collect();
    assert!(waited().await == expected, "something was lost");
    assert_eq!(waited().await, []);
}
