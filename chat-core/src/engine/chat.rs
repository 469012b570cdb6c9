//! The engine's handle.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Config, access,
    builder::ChatBuilder,
    caller::Caller,
    codec::Delivery,
    dispatch, fanout,
    gate::Who,
    node::Node,
    outbox::CloseReason,
    session::{self, ConnectOptions, Session},
};
use crate::{
    Error, Limits, Timestamp,
    event::{Change, Event, SessionEvent},
    model::{ConversationId, DirectKey, Draft, Identity, Message, MessageId, NewMessage, UserId},
    store::{Append, MessageRef, Store, Stored},
    traits::Credentials,
};

/// The chat engine. Clones share one engine; its background tasks end when the last clone, session
/// and caller is dropped.
///
/// ```
/// # use std::sync::Arc;
/// # use parlor_core::{Chat, backends::MemoryStore, model::*};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let chat = Chat::builder(Arc::new(MemoryStore::new())).build().await?;
/// let ann = chat.as_user(Identity::new(UserId::new("ann")?));
/// let entry = ann.open_direct(UserId::new("bob")?).await?;
/// let sent = ann.send(entry.conversation.id, NewMessage::text("Hello")).await?;
/// assert_eq!(sent.seq, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Chat {
    node: Arc<Node>,
    /// The background tasks end with it.
    _life: Arc<watch::Sender<()>>,
}

impl Chat {
    /// Begins to put an engine together on a store.
    pub fn builder(store: Arc<dyn Store>) -> ChatBuilder {
        ChatBuilder::new(store)
    }

    pub(super) fn new(node: Arc<Node>, life: watch::Sender<()>) -> Self {
        Self { node, _life: Arc::new(life) }
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.node.config
    }

    /// The bounds on content.
    pub fn limits(&self) -> &Limits {
        &self.node.config.limits
    }

    /// The present moment, as the engine's clock has it.
    pub fn now(&self) -> Timestamp {
        self.node.now()
    }

    /// Identifies the store's state: another value after a backup was restored.
    pub fn epoch(&self) -> Uuid {
        *self.node.epoch.read()
    }

    /// How many devices are connected to this node.
    pub fn connections(&self) -> usize {
        self.node.registry.len()
    }

    /// Tells who shows these credentials.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], always with the same text; also when no authenticator was configured.
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        match &self.node.backends.authenticator {
            Some(authenticator) => authenticator.authenticate(credentials).await,
            None => Err(Error::Unauthenticated),
        }
    }

    /// Connects a device. No events come before [`Session::resume`].
    ///
    /// # Errors
    /// The reason to refuse it with.
    pub async fn connect(
        &self,
        identity: Identity,
        options: ConnectOptions,
    ) -> Result<Session, CloseReason> {
        session::connect(self, identity, options).await
    }

    /// Acts as a user, without any connection: for the host's own code and for bots. Everything that
    /// binds the user binds the caller: membership, policy, quotas.
    pub fn as_user(&self, identity: Identity) -> Caller {
        let who = Who { identity: Some(Arc::new(identity)), connection: None };
        Caller::new(self.clone(), who)
    }

    /// Acts as the host: sends system messages, changes any conversation, without quotas.
    pub fn system(&self) -> Caller {
        Caller::new(self.clone(), Who::host())
    }

    /// Asks the access policy again who may receive from a conversation, on all nodes: call it when the
    /// answer changed for somebody who may be connected. Takes effect within a second while the bus is up.
    pub fn recheck_access(&self, conversation: ConversationId) {
        access::recheck(&self.node, conversation);
    }

    /// Ends all connections of a user, on all nodes. They may connect again if the policy lets them.
    pub fn disconnect(&self, user: &UserId) {
        access::disconnect(&self.node, user);
    }

    /// Makes the members of a conversation equal to what the host's [`crate::traits::MembershipSource`] says.
    /// Returns whether the source has a say in it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown conversation, [`Error::Unavailable`] when a backend is down.
    pub async fn sync_members(&self, conversation: ConversationId) -> Result<bool, Error> {
        access::sync_members(&self.node, conversation).await
    }

    /// Finds the conversation of a message, whoever may see it; for contracts that name messages alone.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn locate(
        &self,
        message: MessageRef,
    ) -> Result<(ConversationId, MessageId, u64), Error> {
        let found = self.node.store().message(message, None);
        let found = self.node.read("message", found).await?.ok_or(Error::NotFound)?;
        Ok((found.conversation_id, found.id, found.seq))
    }

    /// Finds the conversation with this number, whoever may see it; for contracts whose clients know numbers.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn locate_conversation(&self, number: u64) -> Result<ConversationId, Error> {
        let found = self.node.store().conversation_by_number(number);
        self.node.read("conversation_by_number", found).await?.ok_or(Error::NotFound)
    }

    /// Finds the direct conversation of two users without making it, whoever may see it; for contracts whose
    /// clients know people alone. `context` is as in [`crate::command::OpenDirect`].
    ///
    /// # Errors
    /// [`Error::NotFound`] while there is none, [`Error::Unavailable`].
    pub async fn locate_direct(
        &self,
        one: &UserId,
        other: &UserId,
        context: Option<&str>,
    ) -> Result<ConversationId, Error> {
        let key = DirectKey::new(one, other, context);
        let found = self.node.store().direct(&key);
        let found = self.node.read("direct", found).await?.ok_or(Error::NotFound)?;
        Ok(found.id)
    }

    /// Makes a message ready to be appended within a transaction of the host's own, by a store that can
    /// do that (`PostgresStore::append_in`): a booking confirmed and its message, both or neither.
    /// Without a `sender` it comes from the host and may be a system message. Content is checked as always;
    /// the sender's membership is checked as it is appended. Quotas, policy and hooks have no say here.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field that breaks a limit.
    pub fn compose(
        &self,
        sender: Option<UserId>,
        conversation: ConversationId,
        message: NewMessage,
    ) -> Result<Append, Error> {
        let hash = message.content_hash();
        let draft = Draft::check(message, sender.is_none(), self.limits())?;
        let now = self.now();
        Ok(Append::new(conversation, MessageId::new(now), sender, draft, hash, now))
    }

    /// Tells the members of a message that was appended in the host's own transaction, after its commit.
    /// Never before: a message that is rolled back would have been seen. One that nobody announces is
    /// found by the next change of its conversation or by the sweep
    /// ([`Config::sweep_interval`]), without [`Hook::after`](crate::traits::Hook::after).
    pub fn announce(&self, stored: Stored) -> Message {
        if !stored.replayed {
            metrics::counter!("parlor_messages_total").increment(1);
            fanout::change(&self.node, Change::sent(stored.message.clone()));
        }
        stored.message
    }

    /// Whether the node takes connections: the store answers, and no drain has begun.
    ///
    /// # Errors
    /// [`Error::Unavailable`] says why not.
    pub async fn ready(&self) -> Result<(), Error> {
        if self.node.is_draining() {
            return Err(dispatch::draining());
        }
        self.node.read("ping", self.node.store().ping()).await
    }

    /// Whether a drain has begun.
    pub fn is_draining(&self) -> bool {
        self.node.is_draining()
    }

    /// Lets the node go: takes no new connections, finishes what is in flight, tells clients to
    /// connect again at times spread over `spread`, closes them, and releases the leases; all within
    /// `deadline`. Call it before or beside the host's own graceful shutdown. Idempotent.
    pub async fn drain(&self, spread: Duration, deadline: Duration) {
        let node = &self.node;
        node.draining.store(true, Ordering::Release);
        node.inflight.wait(deadline / 2).await;
        let mut users = node.registry.users();
        for connection in node.registry.all() {
            let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).max(1);
            let after_ms = fastrand::u64(0..millis);
            let event = Event::Session(SessionEvent::Reconnect { after_ms });
            match Delivery::new(event).for_codec(connection.codec.as_deref()) {
                Some(last) => connection.outbox.close_with(last, CloseReason::Restart),
                None => connection.outbox.close(CloseReason::Restart),
            }
        }
        let gone = async {
            while node.registry.len() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(deadline / 2, gone).await;
        // Nobody is kept for the grace either: they come back elsewhere, or they are gone.
        users.extend(node.people.depart_all());
        let released = node.backends.presence.release(node.id, users);
        let _ = node.read("presence", released).await;
    }
}
