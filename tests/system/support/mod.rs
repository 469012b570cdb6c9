//! What the tests share: engines, devices, and a client that follows the rules of the protocol.

mod client;
mod device;
mod faulty;
mod follower;
mod process;
mod server;

use std::sync::Arc;

pub(crate) use client::{Client, id_in, text_frame};
pub(crate) use device::Device;
pub(crate) use faulty::{FaultyStore, Health, Locked};
pub(crate) use follower::Follower;
use parlor::{
    Chat, ChatBuilder, Config,
    backends::MemoryStore,
    model::{ClientId, ConversationId, Identity, NewGroup, NewMessage, UserId},
    traits::Quota,
};
pub(crate) use process::{Quickstart, lounge};
pub(crate) use server::{Answer, Rest, Server, sqlite, token, token_for};

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn identity(name: &str) -> Identity {
    Identity::new(user(name))
}

pub(crate) fn text(body: impl Into<String>) -> NewMessage {
    NewMessage::text(body)
}

pub(crate) fn keyed(body: &str, key: &str) -> NewMessage {
    NewMessage::text(body).with_client_id(ClientId::new(key).unwrap())
}

/// No quotas: what is tested is something else.
pub(crate) fn unlimited(config: &mut Config) {
    config.sends = Quota::new(1_000_000, 1_000_000);
    config.commands = Quota::new(1_000_000, 1_000_000);
    config.connects = Quota::new(1_000_000, 1_000_000);
}

pub(crate) fn builder() -> ChatBuilder {
    Chat::builder(Arc::new(MemoryStore::new())).configure(unlimited)
}

pub(crate) async fn chat() -> Chat {
    builder().build().await.unwrap()
}

/// A group of these members, made by the first.
pub(crate) async fn group(chat: &Chat, members: &[&str]) -> ConversationId {
    let others = members[1..].iter().map(|name| user(name));
    let group = NewGroup::new("Group", others);
    chat.as_user(identity(members[0])).create_group(group).await.unwrap().conversation.id
}
