//! The log of messages: append, revise, history, changes.

use std::{fmt, fmt::Debug, str::FromStr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    BackendError, Error, Invalid, Timestamp,
    model::{
        ContentHash, Conversation, ConversationId, Draft, DraftEdit, Member, Message, MessageId,
        ReactionKey, UserId,
    },
    rules::Denied,
};

/// A message to be appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Append {
    /// Where to.
    pub conversation_id: ConversationId,
    /// The id it gets when it is fresh.
    pub message_id: MessageId,
    /// Who sends it; `None` for the host, who needs not be a member.
    pub sender_id: Option<UserId>,
    /// The content, with the idempotency key.
    pub draft: Draft,
    /// The hash of the content as it came in, before hooks.
    pub content_hash: ContentHash,
    /// When.
    pub created_at: Timestamp,
}

impl Append {
    /// A message to be appended. Only a [`Draft`] gets in, which has been checked.
    pub fn new(
        conversation_id: ConversationId,
        message_id: MessageId,
        sender_id: Option<UserId>,
        draft: Draft,
        content_hash: ContentHash,
        created_at: Timestamp,
    ) -> Self {
        Self { conversation_id, message_id, sender_id, draft, content_hash, created_at }
    }
}

/// What [`MessageStore::append`] did with one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Appended {
    /// Stored now.
    Fresh(Message),
    /// The same key with the same content was stored before: that message as it stands.
    Replayed(Message),
    /// The same key was used for other content.
    Conflict,
    /// The conversation does not exist, or the sender is not a member.
    NotFound,
    /// `reply_to` is not a message of the conversation.
    UnknownReply,
}

impl Appended {
    /// The stored message, or why it was refused.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::NotFound`], or [`Error::Invalid`] for `reply_to`.
    pub fn stored(self) -> Result<Stored, Error> {
        match self {
            Self::Fresh(message) => Ok(Stored { message, replayed: false }),
            Self::Replayed(message) => Ok(Stored { message, replayed: true }),
            Self::Conflict => {
                Err(Error::Conflict("this client_id was used for other content".into()))
            }
            Self::NotFound => Err(Error::NotFound),
            Self::UnknownReply => {
                Err(Invalid::new("reply_to", "is not a message of this conversation").into())
            }
        }
    }
}

/// What [`MessageStore::try_append`] did with one message.
#[derive(Debug, Clone)]
pub enum Tried {
    /// As [`MessageStore::append`] answers.
    Answered(Result<Appended, BackendError>),
    /// Somebody else holds the conversation's lock: the message, as it came.
    Locked(Append),
}

/// A message that is stored. One that was appended within a transaction of the host's own is told to the
/// members by [`Chat::announce`](crate::Chat::announce), after that transaction was committed.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "after the commit, tell the members: chat.announce(stored)"]
pub struct Stored {
    /// The message.
    pub message: Message,
    /// Whether it had been stored before, by the same idempotency key.
    pub replayed: bool,
}

/// A change of a stored message that all members see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Revision {
    /// New content.
    Edit(DraftEdit),
    /// Deleted for everyone: [`Message::entomb`], reactions and pin included.
    Delete,
    /// The actor's reaction is given or taken back.
    React {
        /// Which.
        key: ReactionKey,
        /// Given or taken back.
        on: bool,
        /// Distinct reactions that the message may have.
        max_distinct: usize,
    },
    /// Pinned or unpinned.
    Pin {
        /// Pinned or unpinned.
        on: bool,
        /// Pinned messages that the conversation may have.
        max_pins: usize,
    },
}

/// What [`MessageStore::revise`] did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ReviseOutcome {
    /// It took the next rev, which is `message.changed_rev`. Reactions are filled in, without `mine`.
    Changed(Box<Message>),
    /// It was so already; no rev was taken.
    Unchanged(Box<Message>),
    /// No such message in the conversation, or the actor is not a member.
    NotFound,
    /// The rules forbid it.
    Denied(Denied),
}

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MessageRef {
    /// By id.
    Id(MessageId),
    /// By the store-wide number.
    Number(u64),
    /// By its place in a conversation.
    Seq(ConversationId, u64),
}

/// Which part of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Page {
    /// The newest messages.
    Latest,
    /// The newest messages with a smaller seq.
    Before(u64),
    /// The oldest messages with a larger seq.
    After(u64),
}

/// A question for a page of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Whose eyes: leaves out what is cleared or deleted for this member and fills in `mine`. `None` sees all.
    pub viewer: Option<UserId>,
    /// Which part.
    pub page: Page,
    /// At most this many messages.
    pub limit: usize,
}

/// A page of history, by seq, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryPage {
    /// The messages by seq, tombstones included.
    pub messages: Vec<Message>,
    /// Whether there are more in the direction asked for.
    pub has_more: bool,
}

/// A place in the changes since a rev. Written `HEAD.n.SEQ` or `HEAD.r.REV`, opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesPosition {
    /// The conversation's rev when the first page was read.
    pub head: u64,
    /// New messages up to this seq have been given, when there may be more of them.
    pub new_after_seq: Option<u64>,
    /// Revised messages up to this `changed_rev` have been given.
    pub revised_after_rev: u64,
}

impl fmt::Display for ChangesPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.new_after_seq {
            Some(seq) => write!(f, "{}.n.{seq}", self.head),
            None => write!(f, "{}.r.{}", self.head, self.revised_after_rev),
        }
    }
}

impl FromStr for ChangesPosition {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("cursor", "is not one that was given out");
        let number = |text: &str| {
            text.parse::<u64>()
                .ok()
                .filter(|number| i64::try_from(*number).is_ok())
                .ok_or_else(wrong)
        };
        let parts: Vec<&str> = text.split('.').collect();
        let [head, phase, at] = parts[..] else { return Err(wrong()) };
        let (head, at) = (number(head)?, number(at)?);
        match phase {
            "n" => Ok(Self { head, new_after_seq: Some(at), revised_after_rev: 0 }),
            "r" => Ok(Self { head, new_after_seq: None, revised_after_rev: at }),
            _ => Err(wrong()),
        }
    }
}

/// A question for what changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesQuery {
    /// Whose eyes, as in [`HistoryQuery::viewer`].
    pub viewer: Option<UserId>,
    /// The rev that the asker has.
    pub since: u64,
    /// The next page of an answer that was begun.
    pub position: Option<ChangesPosition>,
    /// At most this many messages.
    pub limit: usize,
}

/// The *state* of what changed after a rev, in pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangesPage {
    /// Messages sent after `since`, by seq, as they stand now.
    pub messages: Vec<Message>,
    /// Messages sent at or before `since` and changed after it, by `changed_rev`, as they stand now.
    pub revised: Vec<Message>,
    /// The conversation with its members, on the first page only, when it changed after `since`.
    pub conversation: Option<(Conversation, Vec<Member>)>,
    /// After the last page the asker has everything up to this rev.
    pub through_rev: u64,
    /// Where the next page starts; absent on the last.
    pub next: Option<ChangesPosition>,
}

/// The log of messages. See the [module](crate::store) for what holds for all methods.
#[async_trait]
pub trait MessageStore: Debug + Send + Sync + 'static {
    /// Appends a batch. The answers come in the order of the batch, one each.
    ///
    /// - One durable transaction for the batch where the medium can; each message answers for itself,
    ///   and one that is refused or fails takes no number and does not fail the others.
    /// - `seq` and `rev` grow by one per fresh message, in the order of the batch within a conversation.
    /// - Unique by (conversation, sender, client_id) for the message's life, also within the batch and
    ///   after the message was deleted: the same content hash answers [`Appended::Replayed`], another one
    ///   [`Appended::Conflict`]. Duplicates are looked for after the lock is held. Without a key
    ///   every message is fresh.
    /// - A sender who is not a member *under the lock* gets [`Appended::NotFound`].
    /// - A message number grows within a conversation.
    /// - Sending does not move the sender's read cursor. `last_activity_at` becomes `created_at`, and never goes back.
    /// - When the outcome of the commit is unknown every message answers a retryable error.
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, BackendError>>;

    /// Appends as [`MessageStore::append`] does, but waits no longer than a moment (some 100 ms) for
    /// conversations that somebody else has locked, such as a transaction of the host's own.
    ///
    /// - The messages of such a conversation come back, from the first that was locked on: nothing of those is
    ///   stored, and whoever asks hands them to [`MessageStore::append`] apart from others.
    ///
    /// The default waits for everything, which is right where nobody else holds locks.
    async fn try_append(&self, batch: Vec<Append>) -> Vec<Tried> {
        self.append(batch).await.into_iter().map(Tried::Answered).collect()
    }

    /// How many batches it takes at once, each of its own conversations. Defaults to 1, which suits a medium
    /// with one writer.
    fn lanes(&self) -> usize {
        1
    }

    /// Changes a message for all members. `actor` is `None` for the host.
    ///
    /// - Allowed by [`crate::rules::revise`], called under the conversation's lock.
    /// - A change takes exactly one rev, which becomes the message's `changed_rev`; nothing to do takes none.
    async fn revise(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
        actor: Option<&UserId>,
        revision: Revision,
        now: Timestamp,
    ) -> Result<ReviseOutcome, BackendError>;

    /// A page of history; `None` for an unknown conversation, and for a viewer who is not a member. Both are of one
    /// moment: who is removed is not shown what was sent afterwards.
    ///
    /// Costs the same however long the conversation is.
    async fn history(
        &self,
        conversation_id: ConversationId,
        query: HistoryQuery,
    ) -> Result<Option<HistoryPage>, BackendError>;

    /// What changed after a rev; `None` for an unknown conversation.
    ///
    /// - First all new messages by seq, then the revised ones by `changed_rev`, over as many pages as it takes.
    /// - Applying all pages to the state at `since` gives the state at `through_rev` or later.
    /// - `since` at or beyond the head gives an empty page with `through_rev` = the head.
    /// - An index scan: costs by what changed, not by what is there.
    async fn changes(
        &self,
        conversation_id: ConversationId,
        query: ChangesQuery,
    ) -> Result<Option<ChangesPage>, BackendError>;

    /// One message, for `viewer`'s eyes as in [`HistoryQuery::viewer`]. Membership is the caller's to check.
    async fn message(
        &self,
        message: MessageRef,
        viewer: Option<&UserId>,
    ) -> Result<Option<Message>, BackendError>;

    /// The pinned messages, latest pin first.
    async fn pinned(
        &self,
        conversation_id: ConversationId,
        viewer: Option<&UserId>,
    ) -> Result<Vec<Message>, BackendError>;
}
