//! What the tests say in one line.

use std::time::Duration;

use parlor_core::{
    Limits, Timestamp,
    model::{
        ClientId, ContentHash, ConversationId, Draft, Message, MessageId, NewMessage, Role, UserId,
    },
    store::{Append, Appended, ConversationStore, MessageStore, NewConversation},
};
use parlor_store_postgres::PostgresStore;
use sqlx::PgPool;

/// What must come, comes within this time.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// A fresh database of the shared server.
pub(crate) fn database() -> String {
    parlor_test_services::postgres().database()
}

/// A store in a fresh database.
pub(crate) async fn opened() -> PostgresStore {
    PostgresStore::connect(database()).await.unwrap()
}

/// A pool of the host's own, beside the store's.
pub(crate) async fn host(url: &str) -> PgPool {
    PgPool::connect(url).await.unwrap()
}

/// A group of `ann` and `bob`.
pub(crate) async fn group(store: &PostgresStore) -> ConversationId {
    let members = [(user("ann"), Role::Owner), (user("bob"), Role::Member)].into();
    let id = ConversationId::new(now());
    let group = NewConversation::group(id, "Lunch".to_owned(), members, now());
    store.create(group).await.unwrap().conversation.id
}

/// A message of `ann`.
pub(crate) fn new_message(to: ConversationId, new: NewMessage) -> Append {
    appended_by(&user("ann"), to, new)
}

/// A message of somebody.
pub(crate) fn message_of(sender: &UserId, to: ConversationId, body: &str) -> Append {
    appended_by(sender, to, NewMessage::text(body))
}

fn appended_by(sender: &UserId, to: ConversationId, new: NewMessage) -> Append {
    let hash: ContentHash = new.content_hash();
    let draft = Draft::check(new, false, &Limits::default()).unwrap();
    Append::new(to, MessageId::new(now()), Some(sender.clone()), draft, hash, now())
}

/// A message of `ann` under a key.
pub(crate) fn message(to: ConversationId, key: &str, body: &str) -> Append {
    new_message(to, NewMessage::text(body).with_client_id(ClientId::new(key).unwrap()))
}

pub(crate) async fn append(store: &PostgresStore, append: Append) -> Appended {
    store.append(vec![append]).await.pop().unwrap().unwrap()
}

pub(crate) fn fresh(appended: Appended) -> Message {
    match appended {
        Appended::Fresh(message) => message,
        other => panic!("expected a fresh message, got {other:?}"),
    }
}

/// The bodies of a conversation's messages, by seq.
pub(crate) async fn bodies(store: &PostgresStore, id: ConversationId) -> Vec<String> {
    let query = parlor_core::store::HistoryQuery {
        viewer: None,
        page: parlor_core::store::Page::After(0),
        limit: 10_000,
    };
    let page = store.history(id, query).await.unwrap().unwrap();
    page.messages.into_iter().map(|message| message.body).collect()
}
