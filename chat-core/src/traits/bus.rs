use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{
    BackendError,
    model::{ConversationId, UserId},
};

/// What a node listens to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Topic {
    /// Everything for one user: their own changes, and those of conversations of up to 16 members.
    User(UserId),
    /// A larger conversation.
    Conversation(ConversationId),
    /// Hints that a user's presence changed.
    Presence(UserId),
    /// All nodes: revocations.
    Nodes,
}

/// A payload for topics.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Where to. A node that joined several of them gets it once or several times.
    pub topics: Vec<Topic>,
    /// What, as the engine encoded it.
    pub payload: Bytes,
}

/// What comes in from the bus.
#[derive(Debug, Clone)]
pub enum BusItem {
    /// A payload that was published to a topic that this node joined.
    Message(Bytes),
    /// Something may have been missed: the engine catches up from the store.
    Gap,
}

/// Carries events between nodes. A hint: what it loses the engine finds in the store.
///
/// Order is kept per publisher where that is easy; nothing relies on it. A node may or may not get
/// back what it published itself.
#[async_trait]
pub trait Bus: Debug + Send + Sync + 'static {
    /// Whether there may be other nodes at all. The engine saves itself the encoding when not.
    fn has_peers(&self) -> bool {
        true
    }

    /// Publishes. Returns once handed over; an error means that peers will catch up by the sweep.
    async fn publish(&self, publications: Vec<Publication>) -> Result<(), BackendError>;

    /// Starts to listen to topics. Idempotent. When it returns, what is published later comes in.
    ///
    /// An error means not yet: the bus keeps the topics in mind, listens to them as soon as it can, and
    /// tells a [`BusItem::Gap`] then.
    async fn join(&self, topics: Vec<Topic>) -> Result<(), BackendError>;

    /// Stops listening to topics. Idempotent. What is on its way may still come in for a moment.
    async fn part(&self, topics: Vec<Topic>) -> Result<(), BackendError>;

    /// What comes in. Called once by the engine, which always reads on. What waits to be read is bounded: what
    /// does not fit becomes a [`BusItem::Gap`]. The stream ends with the bus.
    fn incoming(&self) -> BoxStream<'static, BusItem>;
}
