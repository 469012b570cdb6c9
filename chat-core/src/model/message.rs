//! Messages as they are stored.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ClientId, ConversationId, MessageId, Metadata, UserId, check_name};
use crate::{Invalid, Timestamp};

/// Longest reaction, in bytes: room for the longest emoji sequences.
pub const REACTION_BYTES: usize = 64;
/// As many users are named with a reaction; the count goes on.
pub const REACTION_USERS: usize = 50;

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum MessageKind {
    /// Text.
    #[default]
    Text,
    /// A picture, as an attachment.
    Image,
    /// A file, as an attachment.
    File,
    /// An announcement of the host; only the host sends it, and it never counts as unread.
    System,
    /// A kind of the host's own, written `custom:NAME`.
    Custom(String),
}

impl MessageKind {
    /// The kind as it is stored and sent: `text`, `image`, `file`, `system` or `custom:NAME`.
    pub fn as_text(&self) -> std::borrow::Cow<'static, str> {
        match self {
            Self::Text => "text".into(),
            Self::Image => "image".into(),
            Self::File => "file".into(),
            Self::System => "system".into(),
            Self::Custom(name) => format!("custom:{name}").into(),
        }
    }

    /// Whether messages of this kind count as unread.
    pub fn counts_as_unread(&self) -> bool {
        !matches!(self, Self::System)
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

impl std::str::FromStr for MessageKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "text" => Ok(Self::Text),
            "image" => Ok(Self::Image),
            "file" => Ok(Self::File),
            "system" => Ok(Self::System),
            _ => match text.strip_prefix("custom:") {
                Some(name) if !name.is_empty() => Ok(Self::Custom(name.to_owned())),
                _ => Err(Invalid::new("kind", "must be text, image, file, system or custom:NAME")),
            },
        }
    }
}

impl Serialize for MessageKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.as_text())
    }
}

impl<'de> Deserialize<'de> for MessageKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|invalid: Invalid| serde::de::Error::custom(invalid.reason))
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for MessageKind {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("text, image, file, system or custom:NAME"))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for MessageKind {}

/// A file that belongs to a message. Only the reference is kept here; the bytes are the host's business.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attachment {
    /// Where the bytes are.
    pub url: String,
    /// The file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its media type, such as `image/png`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A reaction's key: an emoji or a short name, at most 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String")]
pub struct ReactionKey(String);

impl ReactionKey {
    /// Checks the key: not blank, bounded, no control characters.
    ///
    /// # Errors
    /// [`Invalid`] for the field `key`.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        check_name("key", &text, REACTION_BYTES)?;
        Ok(Self(text))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ReactionKey {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

/// How often a message got one reaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reaction {
    /// The emoji or name.
    pub key: ReactionKey,
    /// How many users gave it.
    pub count: u32,
    /// The first of them, at most 50, in the order they came.
    pub users: Vec<UserId>,
    /// Whether the caller is among them; absent where there is no one caller, as in events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// A number, unique in the store and growing within a conversation, below 2^53.
    pub number: u64,
    /// Where it was sent.
    pub conversation_id: ConversationId,
    /// Its place in the conversation: 1, 2, 3 … without holes.
    pub seq: u64,
    /// The conversation's rev at which it was sent.
    pub rev: u64,
    /// The rev of its last change; equal to `rev` until there is one.
    pub changed_rev: u64,
    /// Who sent it; absent when the host did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<UserId>,
    /// The sender's idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// What it is.
    pub kind: MessageKind,
    /// The text; empty once deleted.
    #[serde(default)]
    pub body: String,
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Users mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
    /// Files, as references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Free attributes.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Reactions, in the order of their first use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it was last edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// When it was deleted for everyone. What is left is a tombstone without content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Since when it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_at: Option<Timestamp>,
}

impl Message {
    /// Puts a fresh message together from a checked draft, for stores.
    pub fn new(append: &crate::store::Append, number: u64, seq: u64, rev: u64) -> Self {
        let content = append.draft.message();
        Self {
            id: append.message_id,
            number,
            conversation_id: append.conversation_id,
            seq,
            rev,
            changed_rev: rev,
            sender_id: append.sender_id.clone(),
            client_id: content.client_id.clone(),
            kind: content.kind.clone(),
            body: content.body.clone(),
            reply_to: content.reply_to,
            mentions: content.mentions.clone(),
            attachments: content.attachments.clone(),
            metadata: content.metadata.clone(),
            reactions: Vec::new(),
            created_at: append.created_at,
            edited_at: None,
            deleted_at: None,
            pinned_at: None,
        }
    }

    /// A message without content, for stores that fill in what they read.
    pub fn blank(id: MessageId, conversation_id: ConversationId, created_at: Timestamp) -> Self {
        Self {
            id,
            number: 0,
            conversation_id,
            seq: 0,
            rev: 0,
            changed_rev: 0,
            sender_id: None,
            client_id: None,
            kind: MessageKind::Text,
            body: String::new(),
            reply_to: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
            metadata: Metadata::default(),
            reactions: Vec::new(),
            created_at,
            edited_at: None,
            deleted_at: None,
            pinned_at: None,
        }
    }

    /// Whether it was deleted for everyone.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// Whether it counts as unread for `user`.
    pub fn counts_as_unread_for(&self, user: &UserId) -> bool {
        self.kind.counts_as_unread() && !self.is_deleted() && self.sender_id.as_ref() != Some(user)
    }

    /// Makes a tombstone of it: ids, seq, sender and times stay, the content goes.
    pub fn entomb(&mut self, now: Timestamp) {
        *self = Self {
            number: self.number,
            seq: self.seq,
            rev: self.rev,
            changed_rev: self.changed_rev,
            sender_id: self.sender_id.take(),
            client_id: self.client_id.take(),
            kind: self.kind.clone(),
            deleted_at: Some(now),
            ..Self::blank(self.id, self.conversation_id, self.created_at)
        };
    }
}
