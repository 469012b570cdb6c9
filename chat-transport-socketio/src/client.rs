//! One connected client, as a contract sees it.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use parlor_core::{
    Caller, Chat, Error, Events, Invalid, Outgoing, Session,
    command::{AtSeq, Command, Reply, Send, Typing},
    model::{ClientId, ConversationId, Identity, Message, NewMessage, UserId},
};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use socketioxide::extract::{AckSender, SocketRef};
use tokio::time::timeout;

use crate::{
    connect::{Departure, Mount},
    delivery::Delivery,
    emit::Emit,
    known::{Place, mismatch},
    link::Link,
    numbers::Number,
    presence::Online,
    repeats::Repeats,
};

/// Conversations that one socket may have joined.
const JOINED: usize = 10_000;
/// Keys of messages that one socket sent, remembered until they come back as events.
const SENT: usize = 256;

/// One connected client.
#[derive(Debug)]
pub struct Client {
    pub(crate) mount: Arc<Mount>,
    pub(crate) session: Session,
    pub(crate) socket: SocketRef,
    pub(crate) link: Arc<Link>,
    pub(crate) departure: Arc<Departure>,
    identity: Arc<Identity>,
    caller: Caller,
    joined: Mutex<HashSet<ConversationId>>,
    left: Mutex<HashSet<ConversationId>>,
    pub(crate) repeats: Repeats,
    /// Held by whoever tells the socket what happens: what was taken from the session and is not told yet.
    pub(crate) turn: tokio::sync::Mutex<Vec<Arc<Outgoing>>>,
    /// What waits to be told, once the socket listens.
    pub(crate) events: OnceLock<Events>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) online: Mutex<Online>,
    sent: Mutex<VecDeque<ClientId>>,
    /// Counts the messages that were sent without a key of the client's own.
    sends: AtomicU64,
}

/// While it lives a client is told nothing of what happens. See [`Client::hold_back`].
#[derive(Debug)]
#[must_use = "events are held back until it is dropped"]
pub struct HeldBack<'a> {
    _turn: tokio::sync::MutexGuard<'a, Vec<Arc<Outgoing>>>,
}

/// The connection is broken, or is given up because it takes nothing.
#[derive(Debug)]
pub(crate) struct Broken;

impl Client {
    pub(crate) fn new(
        mount: Arc<Mount>,
        session: Session,
        socket: SocketRef,
        link: Arc<Link>,
        departure: Arc<Departure>,
    ) -> Arc<Self> {
        let (identity, caller) = (session.identity(), session.caller());
        // What counts as delivered has to be noted as it is told.
        let queue = (!mount.contract.marks_delivered()).then(|| mount.writers.queue());
        Arc::new_cyclic(|client| Self {
            mount,
            session,
            socket,
            link,
            departure,
            identity,
            caller,
            joined: Mutex::default(),
            left: Mutex::default(),
            repeats: Repeats::default(),
            turn: tokio::sync::Mutex::default(),
            events: OnceLock::new(),
            delivery: Delivery::new(client.clone(), queue),
            online: Mutex::default(),
            sent: Mutex::default(),
            sends: AtomicU64::new(0),
        })
    }

    /// The socket's id, as `socket.id` of socket.io-client.
    pub fn id(&self) -> String {
        self.socket.id.to_string()
    }

    /// Who is connected.
    pub fn user_id(&self) -> &UserId {
        &self.identity.user_id
    }

    /// The identity that the client proved.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The engine.
    pub fn chat(&self) -> &Chat {
        &self.mount.chat
    }

    /// The user as one who asks, for everything that does not depend on this very connection.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Carries out a command and waits for the answer.
    ///
    /// # Errors
    /// As [`Caller::dispatch`].
    pub async fn dispatch(&self, command: Command) -> Result<Reply, Error> {
        self.session.dispatch(command).await
    }

    /// Sends a message. Without an idempotency key it gets one, so that [`Emit::not_to_its_sender`] knows
    /// which socket it came from.
    ///
    /// # Errors
    /// As [`Caller::send`].
    pub async fn send(
        &self,
        conversation_id: ConversationId,
        mut message: NewMessage,
    ) -> Result<Message, Error> {
        let key = match &message.client_id {
            Some(key) => key.clone(),
            None => {
                let at = self.sends.fetch_add(1, Ordering::Relaxed);
                ClientId::new(format!("{}.{at}", self.session.id()))?
            }
        };
        message.client_id = Some(key.clone());
        {
            let mut sent = self.sent.lock();
            if sent.len() == SENT {
                sent.pop_front();
            }
            sent.push_back(key);
        }
        match self.dispatch(Command::Send(Send { conversation_id, message })).await? {
            Reply::Sent { message, .. } => Ok(*message),
            _ => Err(mismatch()),
        }
    }

    /// The direct conversation with somebody, made when it is not there. It is remembered: whether the two may
    /// write to each other is decided anew with each message, and whether there is such a user is not.
    ///
    /// # Errors
    /// As [`Caller::open_direct`].
    pub async fn open_direct(&self, with: UserId) -> Result<ConversationId, Error> {
        self.mount.known.direct(&self.caller, (self.user_id().clone(), with)).await
    }

    /// Says that the user is typing, or has stopped.
    ///
    /// # Errors
    /// As [`Caller::typing`].
    pub async fn typing(&self, conversation_id: ConversationId, on: bool) -> Result<(), Error> {
        self.dispatch(Command::Typing(Typing { conversation_id, on })).await.map(drop)
    }

    /// Joins a conversation's room: what [`Emit::to_joined`] says comes to this socket from now on.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that the user may not see.
    pub async fn join(&self, conversation_id: ConversationId) -> Result<(), Error> {
        self.caller.conversation(conversation_id).await?;
        let mut joined = self.joined.lock();
        if joined.len() >= JOINED && !joined.contains(&conversation_id) {
            let reason = format!("at most {JOINED} conversations can be joined at once");
            return Err(Invalid::new("conversationId", reason).into());
        }
        joined.insert(conversation_id);
        self.left.lock().remove(&conversation_id);
        Ok(())
    }

    /// Leaves a conversation's room: what [`Emit::to_joined`] and [`Emit::to_not_left`] say comes no longer.
    /// A socket that has left 10,000 without joining one again goes on to hear of further ones.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that the user may not see.
    pub async fn leave(&self, conversation_id: ConversationId) -> Result<(), Error> {
        if !self.has_joined(conversation_id) {
            // The answer must not tell a stranger that there is such a conversation.
            self.caller.conversation(conversation_id).await?;
        }
        self.joined.lock().remove(&conversation_id);
        let mut left = self.left.lock();
        if left.len() < JOINED {
            left.insert(conversation_id);
        }
        Ok(())
    }

    /// The user is in the conversation no longer. Whoever comes back to it has not left it.
    pub(crate) fn removed_from(&self, conversation_id: ConversationId) {
        self.joined.lock().remove(&conversation_id);
    }

    /// Whether this socket has left the conversation's room and not joined it again.
    pub fn has_left(&self, conversation_id: ConversationId) -> bool {
        self.left.lock().contains(&conversation_id)
    }

    /// Whether this socket has joined the conversation's room.
    pub fn has_joined(&self, conversation_id: ConversationId) -> bool {
        self.joined.lock().contains(&conversation_id)
    }

    /// The conversation with this number, whoever may see it: the commands check that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn numbered(&self, number: Number) -> Result<ConversationId, Error> {
        self.mount.known.numbered(number.0).await
    }

    /// Whether the connection has ended. What is said then is lost.
    pub fn is_closed(&self) -> bool {
        self.link.is_closed() || self.departure.has_left()
    }

    /// Holds back what happens, until the guard is dropped. Nothing is lost meanwhile; a client that is
    /// kept waiting long enough to fall behind is closed.
    pub async fn hold_back(&self) -> HeldBack<'_> {
        HeldBack { _turn: self.turn.lock().await }
    }

    /// Takes the messages of a conversation, up to a seq, that were not delivered to the user yet: those after
    /// the first seq returned, through the second. They count as delivered now, no other device gets them
    /// this way, and they will not come to this socket as events. Call it from
    /// [`Contract::connected`](crate::Contract::connected) or while events are held back
    /// ([`Client::hold_back`]), and tell the client all of them.
    /// For contracts that mark what was delivered ([`Contract::marks_delivered`](crate::Contract::marks_delivered)).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`]; as the policy says.
    pub async fn claim_undelivered(
        &self,
        conversation_id: ConversationId,
        seq: u64,
    ) -> Result<(u64, u64), Error> {
        let command = Command::ClaimUndelivered(AtSeq { conversation_id, seq });
        let Reply::Claimed { after_seq, through_seq } = self.dispatch(command).await? else {
            return Err(mismatch());
        };
        if after_seq < through_seq {
            self.repeats.expect(conversation_id, through_seq);
        }
        Ok((after_seq, through_seq))
    }

    /// A conversation that the user may see, for writing about it. Whether they may has been checked by
    /// the command before.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn place(&self, conversation_id: ConversationId) -> Result<Place, Error> {
        self.mount.known.place(conversation_id, Some(self.user_id())).await
    }

    /// Tells this socket alone. Whom the event is for does not matter here. What is said to a connection
    /// that has broken is lost.
    pub async fn emit(&self, event: Emit) {
        if let Ok(json) = to_raw_value(event.data()) {
            let _ = self.emit_raw(event.event(), &json).await;
        }
    }

    /// Tells this socket an event whose argument is written already.
    pub(crate) async fn emit_json(&self, event: &str, json: &str) -> Result<(), Broken> {
        self.emit_raw(event, serde_json::from_str(json).map_err(|_| Broken)?).await
    }

    async fn emit_raw(&self, event: &str, json: &RawValue) -> Result<(), Broken> {
        self.has_room().await?;
        // Counted before: it may be written before this task goes on, and would count as waiting from then on.
        self.link.handed_over(event.len() + json.get().len());
        self.delivery.begin();
        self.socket.emit(event, json).map_err(|_| {
            self.link.written(1);
            Broken
        })
    }

    /// Answers an acknowledgement. To a connection that has broken there is nothing to answer.
    pub(crate) async fn acknowledge(&self, ack: AckSender, answer: &Value) {
        if let Ok(json) = to_raw_value(answer)
            && self.has_room().await.is_ok()
        {
            self.link.handed_over(json.get().len());
            self.delivery.begin();
            if ack.send(&json).is_err() {
                self.link.written(1);
            }
        }
    }

    /// Whether this socket sent the message with this key.
    pub(crate) fn sent(&self, key: &str) -> bool {
        self.sent.lock().iter().any(|sent| sent.as_str() == key)
    }

    /// Waits until more may be handed over to be written. A client that takes nothing for too long is closed.
    async fn has_room(&self) -> Result<(), Broken> {
        if !self.link.has_room() {
            let room = self.link.until(|link| link.has_room() || link.is_closed());
            if timeout(self.mount.write_deadline, room).await.is_err() {
                metrics::counter!("parlor_slow_connections_total").increment(1);
                self.link.close();
            }
        }
        if self.link.is_closed() { Err(Broken) } else { Ok(()) }
    }
}
