//! What happens, as it is told to connected devices.
//!
//! [`Change`]s are shared, durable and numbered by `rev`; everything else says less. The JSON of an
//! [`Event`] is what the native protocol sends.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Timestamp,
    model::{
        Conversation, ConversationId, ConversationSummary, Member, MemberState, Message, MessageId,
        PresenceInfo, ReactionKey, Role, UserId,
    },
};

/// One thing that is told to a connected device.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Event {
    /// A shared durable change: the next rev of its conversation.
    Change(Change),
    /// A private change of the user's own, told to all their devices.
    Private(Private),
    /// Told to those who are connected and never stored.
    Ephemeral(Ephemeral),
    /// About this connection: catching up, going away.
    Session(SessionEvent),
}

impl Event {
    /// The event's stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Change(change) => change.body.name(),
            Self::Private(_) => "member.changed",
            Self::Ephemeral(ephemeral) => ephemeral.name(),
            Self::Session(session) => session.name(),
        }
    }

    /// The conversation it belongs to, if it belongs to one.
    pub fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::Change(change) => Some(change.conversation_id),
            Self::Private(private) => Some(private.conversation_id),
            Self::Ephemeral(ephemeral) => ephemeral.conversation_id(),
            Self::Session(session) => session.conversation_id(),
        }
    }

    /// Whether it may be dropped under pressure: somebody who misses it asks again or sees the next one.
    pub fn is_ephemeral(&self) -> bool {
        matches!(self, Self::Ephemeral(_))
    }
}

/// A shared durable change of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What changed.
    #[serde(flatten)]
    pub body: ChangeBody,
    /// Where.
    pub conversation_id: ConversationId,
    /// The conversation's rev at this change: one more than at the change before.
    pub rev: u64,
}

impl Change {
    /// That a message was sent.
    pub(crate) fn sent(message: Message) -> Self {
        Self {
            conversation_id: message.conversation_id,
            rev: message.rev,
            body: ChangeBody::MessageSent { message: Box::new(message) },
        }
    }
}

/// A role that a member got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleChange {
    /// Who got it.
    pub user_id: UserId,
    /// The role.
    pub role: Role,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum ChangeBody {
    /// A message was sent.
    #[serde(rename = "message.sent")]
    MessageSent {
        /// The message.
        message: Box<Message>,
    },
    /// A message was edited.
    #[serde(rename = "message.edited")]
    MessageEdited {
        /// The message as it stands now.
        message: Box<Message>,
    },
    /// A message was deleted for everyone.
    #[serde(rename = "message.deleted")]
    MessageDeleted {
        /// What is left of it.
        message: Box<Message>,
    },
    /// A message was pinned or unpinned.
    #[serde(rename = "message.pinned")]
    MessagePinned {
        /// The message.
        message_id: MessageId,
        /// Its seq.
        seq: u64,
        /// Since when it is pinned; `null` when it was unpinned.
        pinned_at: Option<Timestamp>,
    },
    /// Somebody reacted to a message, or took it back.
    #[serde(rename = "reaction.changed")]
    ReactionChanged {
        /// The message.
        message_id: MessageId,
        /// Its seq.
        seq: u64,
        /// Who.
        user_id: UserId,
        /// The reaction.
        key: ReactionKey,
        /// Given or taken back.
        on: bool,
        /// How many users give it now.
        count: u32,
    },
    /// A conversation was made: always rev 1.
    #[serde(rename = "conversation.created")]
    ConversationCreated {
        /// The conversation.
        conversation: Box<Conversation>,
        /// Its members.
        members: Vec<Member>,
    },
    /// A conversation's title, picture or metadata changed.
    #[serde(rename = "conversation.updated")]
    ConversationUpdated {
        /// The conversation as it stands now.
        conversation: Box<Conversation>,
    },
    /// Members were added, removed, or got other roles. Who was removed hears this and nothing after it.
    #[serde(rename = "members.changed")]
    MembersChanged {
        /// The conversation as it stands now.
        conversation: Box<Conversation>,
        /// Who did it; absent when the host did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
        /// Who was added.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<Member>,
        /// Who was removed or left.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<UserId>,
        /// Who got another role.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<RoleChange>,
    },
}

impl ChangeBody {
    /// The stable name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MessageSent { .. } => "message.sent",
            Self::MessageEdited { .. } => "message.edited",
            Self::MessageDeleted { .. } => "message.deleted",
            Self::MessagePinned { .. } => "message.pinned",
            Self::ReactionChanged { .. } => "reaction.changed",
            Self::ConversationCreated { .. } => "conversation.created",
            Self::ConversationUpdated { .. } => "conversation.updated",
            Self::MembersChanged { .. } => "members.changed",
        }
    }
}

/// A change of the user's own state in a conversation, made on one of their devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "member.changed")]
pub struct Private {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Whose state it is. Nobody else is told.
    pub user_id: UserId,
    /// The state now, with its `member_rev`.
    pub state: MemberState,
    /// Messages that the user deleted for themself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<MessageId>,
}

/// Told to those who are connected, and gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum Ephemeral {
    /// Somebody types, or stopped.
    #[serde(rename = "typing")]
    Typing {
        /// Where.
        conversation_id: ConversationId,
        /// Who.
        user_id: UserId,
        /// Typing or stopped.
        on: bool,
    },
    /// A member's cursors moved.
    #[serde(rename = "receipt")]
    Receipt {
        /// Where.
        conversation_id: ConversationId,
        /// Whose.
        user_id: UserId,
        /// Delivered up to this seq.
        delivered_seq: u64,
        /// Read up to this seq.
        read_seq: u64,
    },
    /// A custom event of the host's clients.
    #[serde(rename = "signal")]
    Signal {
        /// Where.
        conversation_id: ConversationId,
        /// Who sent it; absent when the host did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        /// What it is.
        name: String,
        /// Anything.
        data: serde_json::Value,
    },
    /// Users came, went, or are away.
    #[serde(rename = "presence")]
    Presence {
        /// Their presence now.
        users: Vec<PresenceInfo>,
    },
}

impl Ephemeral {
    /// The stable name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Typing { .. } => "typing",
            Self::Receipt { .. } => "receipt",
            Self::Signal { .. } => "signal",
            Self::Presence { .. } => "presence",
        }
    }

    /// The conversation it belongs to; presence belongs to none.
    pub fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::Typing { conversation_id, .. }
            | Self::Receipt { conversation_id, .. }
            | Self::Signal { conversation_id, .. } => Some(*conversation_id),
            Self::Presence { .. } => None,
        }
    }
}

/// What changed in a conversation after a rev, as state: one page. Apply it when `since_rev` is at
/// or below the rev you have, then take `through_rev` as yours once `next` is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Changes {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The rev that this starts from.
    pub since_rev: u64,
    /// Messages sent after it, by seq.
    pub messages: Vec<Message>,
    /// Older messages that changed after it, as they stand now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revised: Vec<Message>,
    /// The conversation, when it changed after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
    /// Its members, when it changed after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    /// The rev that the last page brings you to.
    pub through_rev: u64,
    /// There is another page; over REST it is asked for with this cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// About this connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum SessionEvent {
    /// What changed while this device was away, or where live events had a gap.
    #[serde(rename = "changes")]
    Changes(Box<Changes>),
    /// Too much changed to be replayed: reload the conversation by paging its history backwards.
    /// Live events continue after `rev`.
    #[serde(rename = "limited")]
    Limited {
        /// The conversation.
        conversation_id: ConversationId,
        /// The rev that the device had; 0 for none.
        since_rev: u64,
        /// The rev after which live events continue.
        rev: u64,
        /// The last message's seq: page from here backwards.
        last_seq: u64,
    },
    /// More conversations are unknown to this device than are sent: page the list.
    #[serde(rename = "list_limited")]
    ListLimited {
        /// How many were left out.
        omitted: u64,
    },
    /// A conversation that this device did not know. Its messages are paged on demand.
    #[serde(rename = "conversation.added")]
    ConversationAdded {
        /// Its entry in the list.
        summary: Box<ConversationSummary>,
    },
    /// A conversation that this device knew is not the user's any more, or receiving from it was revoked.
    #[serde(rename = "conversation.removed")]
    ConversationRemoved {
        /// The conversation.
        conversation_id: ConversationId,
        /// Up to this rev the device was told everything, where that is known. Not on the wire: for transports whose
        /// clients keep no revs.
        #[serde(skip)]
        through_rev: Option<u64>,
    },
    /// The server's state is not the one that this device knew: drop everything and load anew.
    #[serde(rename = "resync")]
    Resync {
        /// The state's identity now.
        epoch: Uuid,
    },
    /// The end of catching up: from here on everything is live.
    #[serde(rename = "resumed")]
    Resumed {
        /// The state's identity.
        epoch: Uuid,
        /// How many conversations the user has.
        conversations: u64,
    },
    /// The server is going away: connect again after this time, elsewhere if there is an elsewhere.
    #[serde(rename = "reconnect")]
    Reconnect {
        /// Wait this long, in milliseconds. Each device is told another time.
        after_ms: u64,
    },
}

impl SessionEvent {
    /// The stable name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Changes(_) => "changes",
            Self::Limited { .. } => "limited",
            Self::ListLimited { .. } => "list_limited",
            Self::ConversationAdded { .. } => "conversation.added",
            Self::ConversationRemoved { .. } => "conversation.removed",
            Self::Resync { .. } => "resync",
            Self::Resumed { .. } => "resumed",
            Self::Reconnect { .. } => "reconnect",
        }
    }

    /// The conversation it belongs to, if it belongs to one.
    pub fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::Changes(changes) => Some(changes.conversation_id),
            Self::Limited { conversation_id, .. }
            | Self::ConversationRemoved { conversation_id, .. } => Some(*conversation_id),
            Self::ConversationAdded { summary } => Some(summary.conversation.id),
            Self::ListLimited { .. }
            | Self::Resync { .. }
            | Self::Resumed { .. }
            | Self::Reconnect { .. } => None,
        }
    }
}
