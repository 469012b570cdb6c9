//! Somebody else holds a conversation's lock for long: its messages wait, in order, and nobody else's do.

use std::{sync::Arc, time::Duration};

use parlor::{
    Caller, Chat, Error,
    backends::MemoryStore,
    model::{ConversationId, Identity, Message, NewGroup, NewMessage},
    store::ConversationStore,
};
use tokio::{task::JoinHandle, time::timeout};

use crate::support::*;

const SOON: Duration = Duration::from_secs(20);

/// A store, an engine with one lane, and two conversations of `ann`.
async fn two_conversations() -> (FaultyStore, Caller, [ConversationId; 2]) {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let chat = Chat::builder(Arc::new(store.clone()));
    let chat =
        chat.configure(unlimited).configure(|config| config.lanes = Some(1)).build().await.unwrap();
    let ann = chat.as_user(Identity::new(user("ann")));
    let mut ids = Vec::new();
    for title in ["locked", "free"] {
        ids.push(ann.create_group(NewGroup::new(title, [])).await.unwrap().conversation.id);
    }
    (store, ann, [ids[0], ids[1]])
}

/// Sends, and returns once the message is queued.
async fn queue(ann: &Caller, to: ConversationId, text: &str) -> JoinHandle<Result<Message, Error>> {
    let (ann, message) = (ann.clone(), NewMessage::text(text));
    let mut send = Box::pin(async move { ann.send(to, message).await });
    assert!(futures::poll!(&mut send).is_pending());
    tokio::spawn(send)
}

async fn sent(ann: &Caller, to: ConversationId, text: &str) -> u64 {
    let send = ann.send(to, NewMessage::text(text));
    timeout(SOON, send).await.expect("nobody else waits").unwrap().seq
}

#[tokio::test]
async fn what_comes_later_does_not_overtake_what_waits_for_a_lock() {
    let (store, ann, [locked, free]) = two_conversations().await;
    store.lock(Locked { for_a_moment: [locked].into(), for_long: [locked].into() });
    let first = queue(&ann, locked, "first").await;
    assert_eq!(sent(&ann, free, "meanwhile").await, 1);
    // A short look would now find the lock free, while the first message still waits in its queue.
    store.lock(Locked { for_a_moment: [].into(), for_long: [locked].into() });
    let second = queue(&ann, locked, "second").await;
    assert_eq!(sent(&ann, free, "meanwhile").await, 2);
    assert_eq!(store.conversation(locked).await.unwrap().unwrap().last_seq, 0);
    store.lock(Locked::default());
    assert_eq!(timeout(SOON, first).await.unwrap().unwrap().unwrap().seq, 1);
    assert_eq!(timeout(SOON, second).await.unwrap().unwrap().unwrap().seq, 2);
    assert_eq!(sent(&ann, locked, "third").await, 3);
}
