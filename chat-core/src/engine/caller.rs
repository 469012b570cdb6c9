//! The typed API for a host's own code: act as a user or as the host, without any socket.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use futures::{Stream, stream};

use super::{
    Chat,
    codec::Outgoing,
    dispatch::{self, Started},
    gate::Who,
    outbox::CloseReason,
    resume::Resume,
    session::{ConnectOptions, Session},
};
use crate::{
    BackendError, BackendErrorKind, Error,
    command::{
        AddMembers, AtSeq, Command, ConversationPage, Delete, DeleteFor, Edit, History,
        InConversation, ListConversations, ListMembers, OpenDirect, React, RemoveMember, Reply,
        Send, Signal, Typing,
    },
    event::Event,
    model::{
        ConversationId, ConversationSummary, Member, MemberState, Message, MessageEdit, MessageId,
        NewGroup, NewMessage, UserId,
    },
    store::HistoryPage,
};

/// Bytes of frames that a subscription takes at once.
const CHUNK: usize = 64 * 1024;

/// Somebody who asks: a user, or the host itself. Made by [`Chat::as_user`] and [`Chat::system`].
///
/// The methods are the everyday commands; [`Caller::dispatch`] takes all of them. Errors are the same for
/// all: [`Error::NotFound`] for what the user may not see, [`Error::Invalid`] with the field,
/// [`Error::Unavailable`] when trying again may help. Dropping a future undoes nothing that was begun.
#[derive(Debug, Clone)]
pub struct Caller {
    chat: Chat,
    who: Who,
}

/// A reply of another kind than the command's: a fault of the engine.
fn mismatch() -> Error {
    Error::Internal(BackendError::new(BackendErrorKind::Other, "reply"))
}

impl Caller {
    pub(super) fn new(chat: Chat, who: Who) -> Self {
        Self { chat, who }
    }

    /// Carries out a command and waits for the answer.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn dispatch(&self, command: Command) -> Result<Reply, Error> {
        let node = Arc::clone(self.chat.node());
        match dispatch::start(node, self.who.clone(), command).await {
            Started::Done(result) => result,
            Started::Pending(rest) => rest.await,
        }
    }

    async fn entry(&self, command: Command) -> Result<ConversationSummary, Error> {
        match self.dispatch(command).await? {
            Reply::Conversation(entry) => Ok(*entry),
            _ => Err(mismatch()),
        }
    }

    async fn message(&self, command: Command) -> Result<Message, Error> {
        match self.dispatch(command).await? {
            Reply::Message(message) => Ok(*message),
            Reply::Sent { message, .. } => Ok(*message),
            _ => Err(mismatch()),
        }
    }

    async fn state(&self, command: Command) -> Result<MemberState, Error> {
        match self.dispatch(command).await? {
            Reply::State(state) => Ok(*state),
            _ => Err(mismatch()),
        }
    }

    /// Sends a message. Set [`NewMessage::client_id`] where you may have to try again.
    ///
    /// # Errors
    /// See [`Caller`]; [`Error::Conflict`] for an idempotency key that was used for other content.
    pub async fn send(
        &self,
        conversation_id: ConversationId,
        message: NewMessage,
    ) -> Result<Message, Error> {
        self.message(Command::Send(Send { conversation_id, message })).await
    }

    /// Changes a message's content.
    ///
    /// # Errors
    /// See [`Caller`]; [`Error::Forbidden`] for somebody else's message.
    pub async fn edit(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
        edit: MessageEdit,
    ) -> Result<Message, Error> {
        self.message(Command::Edit(Edit { conversation_id, message_id, edit })).await
    }

    /// Deletes a message for everyone.
    ///
    /// # Errors
    /// See [`Caller`]; [`Error::Forbidden`] without the right.
    pub async fn delete(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
    ) -> Result<Message, Error> {
        let scope = DeleteFor::Everyone;
        self.message(Command::Delete(Delete { conversation_id, message_id, scope })).await
    }

    /// Deletes a message for the caller alone.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn delete_for_me(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
    ) -> Result<MemberState, Error> {
        let scope = DeleteFor::Me;
        self.state(Command::Delete(Delete { conversation_id, message_id, scope })).await
    }

    /// Gives a reaction or takes it back.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn react(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
        key: impl Into<String>,
        on: bool,
    ) -> Result<Message, Error> {
        let key = key.into();
        self.message(Command::React(React { conversation_id, message_id, key, on })).await
    }

    /// Finds the direct conversation with a user, or makes it.
    ///
    /// # Errors
    /// See [`Caller`]; [`Error::Forbidden`] when the policy does not allow it.
    pub async fn open_direct(&self, user_id: UserId) -> Result<ConversationSummary, Error> {
        self.entry(Command::OpenDirect(OpenDirect { user_id, context: None })).await
    }

    /// The same with a context of the host's own, such as a booking.
    ///
    /// # Errors
    /// As [`Caller::open_direct`].
    pub async fn open_direct_about(
        &self,
        user_id: UserId,
        context: impl Into<String>,
    ) -> Result<ConversationSummary, Error> {
        let context = Some(context.into());
        self.entry(Command::OpenDirect(OpenDirect { user_id, context })).await
    }

    /// Makes a group. A user becomes its owner; for the host the first member does.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn create_group(&self, group: NewGroup) -> Result<ConversationSummary, Error> {
        self.entry(Command::CreateGroup(group)).await
    }

    /// Adds members to a group.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn add_members(
        &self,
        conversation_id: ConversationId,
        user_ids: Vec<UserId>,
    ) -> Result<ConversationSummary, Error> {
        self.entry(Command::AddMembers(AddMembers { conversation_id, user_ids })).await
    }

    /// Removes a member of a group.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn remove_member(
        &self,
        conversation_id: ConversationId,
        user_id: UserId,
    ) -> Result<(), Error> {
        let remove = RemoveMember { conversation_id, user_id };
        self.dispatch(Command::RemoveMember(remove)).await.map(drop)
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn leave(&self, conversation_id: ConversationId) -> Result<(), Error> {
        self.dispatch(Command::Leave(InConversation { conversation_id })).await.map(drop)
    }

    /// One entry of the conversation list.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn conversation(
        &self,
        conversation_id: ConversationId,
    ) -> Result<ConversationSummary, Error> {
        self.entry(Command::GetConversation(InConversation { conversation_id })).await
    }

    /// A page of the conversation list.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn conversations(&self, list: ListConversations) -> Result<ConversationPage, Error> {
        match self.dispatch(Command::ListConversations(list)).await? {
            Reply::Conversations(page) => Ok(page),
            _ => Err(mismatch()),
        }
    }

    /// A page of history, oldest first: the newest messages, or those before a seq.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn history(
        &self,
        conversation_id: ConversationId,
        before: Option<u64>,
    ) -> Result<HistoryPage, Error> {
        let history = History { conversation_id, before, after: None, limit: None };
        match self.dispatch(Command::History(history)).await? {
            Reply::History(page) => Ok(page),
            _ => Err(mismatch()),
        }
    }

    /// All members of a conversation by user id, however many pages that takes.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn members(&self, conversation_id: ConversationId) -> Result<Vec<Member>, Error> {
        let mut members: Vec<Member> = Vec::new();
        loop {
            let after = members.last().map(|member| member.user_id.clone());
            let list = ListMembers { conversation_id, limit: Some(u64::MAX), after };
            let Reply::Members(page) = self.dispatch(Command::ListMembers(list)).await? else {
                return Err(mismatch());
            };
            members.extend(page.members);
            if !page.has_more {
                return Ok(members);
            }
        }
    }

    /// Marks as read up to a seq.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn mark_read(
        &self,
        conversation_id: ConversationId,
        seq: u64,
    ) -> Result<MemberState, Error> {
        self.state(Command::MarkRead(AtSeq { conversation_id, seq })).await
    }

    /// Says that the caller is typing, or has stopped.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn typing(&self, conversation_id: ConversationId, on: bool) -> Result<(), Error> {
        self.dispatch(Command::Typing(Typing { conversation_id, on })).await.map(drop)
    }

    /// Sends a custom ephemeral event to the members who are connected.
    ///
    /// # Errors
    /// See [`Caller`].
    pub async fn signal(
        &self,
        conversation_id: ConversationId,
        name: impl Into<String>,
        data: serde_json::Value,
    ) -> Result<(), Error> {
        let signal = Signal { conversation_id, name: name.into(), data, to: None };
        self.dispatch(Command::Signal(signal)).await.map(drop)
    }

    /// Listens as a device does, in process: everything the user is told, from what `resume` says they
    /// have. The user counts as online as long as the subscription lives.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the host, who is no member of anything; [`Error::Unavailable`] when no
    /// connection can be had.
    pub async fn subscribe(&self, resume: Resume) -> Result<Subscription, Error> {
        self.who.require_user()?;
        let Some(identity) = &self.who.identity else { return Err(mismatch()) };
        let session = self
            .chat
            .connect(Clone::clone(&**identity), ConnectOptions::default())
            .await
            .map_err(refused)?;
        session.resume(resume)?;
        Ok(Subscription { session, waiting: VecDeque::new() })
    }
}

fn refused(reason: CloseReason) -> Error {
    match reason {
        CloseReason::Expired => Error::Unauthenticated,
        CloseReason::Ended => Error::Forbidden("the policy does not let this user connect".into()),
        _ => Error::Unavailable(BackendError::new(BackendErrorKind::Unavailable, "connect")),
    }
}

/// Events of one user, in process. Dropping it disconnects.
#[derive(Debug)]
pub struct Subscription {
    session: Session,
    waiting: VecDeque<Arc<Outgoing>>,
}

impl Subscription {
    /// The next event. Cancel safe.
    ///
    /// # Errors
    /// Why there are no more; with [`CloseReason::Slow`] and [`CloseReason::Restart`] subscribe again
    /// with the revs you have.
    pub async fn next(&mut self) -> Result<Arc<Event>, CloseReason> {
        loop {
            if let Some(outgoing) = self.waiting.pop_front() {
                return Ok(Arc::clone(&outgoing.event));
            }
            let mut taken = Vec::new();
            self.session.next(&mut taken, CHUNK).await?;
            self.waiting.extend(taken);
        }
    }

    /// The device behind it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The events as a stream that ends when the subscription does.
    pub fn into_stream(self) -> Pin<Box<dyn Stream<Item = Arc<Event>> + std::marker::Send>> {
        Box::pin(stream::unfold(self, |mut subscription| async move {
            let event = subscription.next().await.ok()?;
            Some((event, subscription))
        }))
    }
}
