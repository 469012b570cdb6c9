//! What the tests say in one line.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;

use parlor_core::{
    Limits, Timestamp,
    model::{
        ClientId, ContentHash, ConversationId, Draft, Message, MessageId, NewMessage, Role, UserId,
    },
    store::{Append, Appended, ConversationStore, MessageStore, NewConversation},
};
use parlor_store_sqlite::SqliteStore;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A group of `ann` and `bob`.
pub(crate) async fn group(store: &SqliteStore) -> ConversationId {
    let members = [(user("ann"), Role::Owner), (user("bob"), Role::Member)].into();
    let id = ConversationId::new(now());
    let group = NewConversation::group(id, "Lunch".to_owned(), members, now());
    store.create(group).await.unwrap().conversation.id
}

/// A message of `ann` under a key.
pub(crate) fn message(to: ConversationId, key: &str, body: &str) -> Append {
    let new = NewMessage::text(body).with_client_id(ClientId::new(key).unwrap());
    let hash: ContentHash = new.content_hash();
    let draft = Draft::check(new, false, &Limits::default()).unwrap();
    Append::new(to, MessageId::new(now()), Some(user("ann")), draft, hash, now())
}

pub(crate) async fn append(store: &SqliteStore, append: Append) -> Appended {
    store.append(vec![append]).await.pop().unwrap().unwrap()
}

pub(crate) fn fresh(appended: Appended) -> Message {
    match appended {
        Appended::Fresh(message) => message,
        other => panic!("expected a fresh message, got {other:?}"),
    }
}
