//! Conversations, their members, and what each member keeps to themself.

use serde::{Deserialize, Serialize};

use super::{ClientId, ConversationId, Message, Metadata, UserId};
use crate::{Invalid, Limits, Timestamp};

/// Two people, or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Between two users (or one with oneself), for ever; at most one per pair and context.
    Direct,
    /// Any number of members with roles.
    Group,
}

/// What a member may do in a group. In a direct conversation both are [`Role::Member`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and writes.
    #[default]
    Member,
    /// Also changes the group, adds and removes members, deletes and pins messages.
    Admin,
    /// Also gives roles. A group that has members has an owner.
    Owner,
}

/// The pair of a direct conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Direct {
    /// The two users in the order of their ids; the same one twice for a conversation with oneself.
    pub users: [UserId; 2],
    /// What the host hangs the conversation on, such as a booking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

impl Direct {
    /// The other of the two, or oneself in a conversation with oneself.
    pub fn peer_of(&self, user: &UserId) -> &UserId {
        if &self.users[0] == user { &self.users[1] } else { &self.users[0] }
    }

    /// The other of the two; `None` in a conversation with oneself.
    pub fn other_than(&self, user: &UserId) -> Option<&UserId> {
        Some(self.peer_of(user)).filter(|peer| *peer != user)
    }
}

/// A conversation as all its members see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// A number, unique in the store, below 2^53.
    pub number: u64,
    /// Two people, or a group.
    pub kind: ConversationKind,
    /// The pair, for a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<Direct>,
    /// A group's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A URL of a group's picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Free attributes.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Who made it; absent when the host did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was made or the last message was sent, whichever is later. Lists go by it.
    pub last_activity_at: Timestamp,
    /// How many members it has.
    pub member_count: u32,
    /// The seq of the last message; 0 when there is none.
    pub last_seq: u64,
    /// The rev of the last shared change.
    pub rev: u64,
    /// The rev at which the conversation itself last changed: its title, picture, metadata, members or roles.
    pub changed_rev: u64,
}

impl Conversation {
    /// A new conversation without members or messages, for stores to fill in. Its creation takes rev 1.
    pub fn new(id: ConversationId, number: u64, kind: ConversationKind, now: Timestamp) -> Self {
        Self {
            id,
            number,
            kind,
            direct: None,
            title: None,
            picture: None,
            metadata: Metadata::default(),
            created_by: None,
            created_at: now,
            last_activity_at: now,
            member_count: 0,
            last_seq: 0,
            rev: 1,
            changed_rev: 1,
        }
    }
}

/// A member as all members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// How far a member has come, as other members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cursor {
    /// The member.
    pub user_id: UserId,
    /// Every message up to this seq has reached one of their devices.
    pub delivered_seq: u64,
    /// They have read up to this seq.
    pub read_seq: u64,
    /// The member keeps it private: other members are not told. Never on a wire.
    #[serde(skip)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub private: bool,
}

/// A member's own state in a conversation, seen by nobody else. Every change takes the next `member_rev`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct MemberState {
    /// What the member may do.
    pub role: Role,
    /// Counts the private changes; not to be compared with a conversation's rev.
    pub member_rev: u64,
    /// Delivered up to this seq.
    pub delivered_seq: u64,
    /// Read up to this seq.
    pub read_seq: u64,
    /// Marked as unread from this seq on, without moving the cursors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_from: Option<u64>,
    /// Messages up to this seq are gone for this member.
    pub cleared_seq: u64,
    /// Hidden from the list up to this seq: shown again once there is a later message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_seq: Option<u64>,
    /// Put away into the archive.
    pub archived: bool,
    /// No notifications until then; [`Timestamp::MAX`] for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Timestamp>,
    /// Whether the member's cursors are kept from the other members.
    pub private_receipts: bool,
    /// Unread messages, counted from the cursor and capped at [`Limits::unread_cap`]: others'
    /// messages that are not deleted, not cleared, not deleted for this member, and not system messages.
    pub unread: u32,
}

impl MemberState {
    /// The state of somebody who joins when the last message has `last_seq`: nothing unread.
    pub fn joining(role: Role, last_seq: u64) -> Self {
        Self {
            role,
            member_rev: 0,
            delivered_seq: last_seq,
            read_seq: last_seq,
            unread_from: None,
            cleared_seq: 0,
            hidden_seq: None,
            archived: false,
            muted_until: None,
            private_receipts: false,
            unread: 0,
        }
    }

    /// The seq after which messages count as unread: the read cursor, or before it where a mark as
    /// unread stands. A mark beyond the cursor takes nothing away.
    pub fn unread_after(&self) -> u64 {
        let marked = self.unread_from.map_or(self.read_seq, |from| from.saturating_sub(1));
        marked.min(self.read_seq).max(self.cleared_seq)
    }

    /// Whether the conversation is hidden from the member's list.
    pub fn is_hidden(&self, last_seq: u64) -> bool {
        self.hidden_seq.is_some_and(|hidden| hidden >= last_seq)
    }
}

/// One entry of a user's conversation list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation: Conversation,
    /// The caller's own state in it, with the unread count.
    pub me: MemberState,
    /// The last message that the caller can see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<Message>,
}

impl ConversationSummary {
    /// Puts an entry together, for stores.
    pub fn new(conversation: Conversation, me: MemberState, last_message: Option<Message>) -> Self {
        Self { conversation, me, last_message }
    }
}

/// What a client sends to make a group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewGroup {
    /// Idempotency key: the same key of the same creator is the same group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The title, not blank.
    pub title: String,
    /// Members besides the creator, who becomes the owner. Duplicates count once.
    #[serde(default)]
    pub members: Vec<UserId>,
    /// A URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Free attributes.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl NewGroup {
    /// A group with a title and members besides the creator.
    pub fn new(title: impl Into<String>, members: impl IntoIterator<Item = UserId>) -> Self {
        Self { title: title.into(), members: members.into_iter().collect(), ..Self::default() }
    }
}

/// A change of a group's own attributes. What is absent stays; `null` takes away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConversationPatch {
    /// The new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The new picture, or `null` for none.
    #[serde(default, with = "double", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub picture: Option<Option<String>>,
    /// The new metadata, which replaces the old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// A change of a member's own settings. What is absent stays; `null` takes away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsPatch {
    /// Mute until then, or `null` to hear again. `9999-12-31T23:59:59.999Z` mutes for ever.
    #[serde(default, with = "double", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Timestamp>))]
    pub muted_until: Option<Option<Timestamp>>,
    /// Put into the archive, or take out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// Keep one's cursors from the other members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_receipts: Option<bool>,
}

impl SettingsPatch {
    /// Applies the patch; says whether anything changed.
    pub fn apply(&self, state: &mut MemberState) -> bool {
        let before = (state.muted_until, state.archived, state.private_receipts);
        if let Some(muted_until) = self.muted_until {
            state.muted_until = muted_until;
        }
        if let Some(archived) = self.archived {
            state.archived = archived;
        }
        if let Some(private) = self.private_receipts {
            state.private_receipts = private;
        }
        before != (state.muted_until, state.archived, state.private_receipts)
    }
}

/// Tells an absent field from `null`.
mod double {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<Option<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::<T>::deserialize(deserializer).map(Some)
    }
}

/// Checks a group's title.
pub(crate) fn check_title(title: &str, limits: &Limits) -> Result<(), Invalid> {
    super::check_name("title", title, limits.title_bytes)
}

/// Checks a patch against the limits.
pub(crate) fn check_patch(patch: &ConversationPatch, limits: &Limits) -> Result<(), Invalid> {
    if let Some(title) = &patch.title {
        check_title(title, limits)?;
    }
    if let Some(Some(picture)) = &patch.picture {
        super::check_name("picture", picture, limits.url_bytes)?;
    }
    if let Some(metadata) = &patch.metadata {
        metadata.check("metadata", limits.metadata_bytes)?;
    }
    Ok(())
}

impl ConversationPatch {
    /// Applies the patch; says whether anything changed.
    pub fn apply(&self, conversation: &mut Conversation) -> bool {
        let mut changed = false;
        if let Some(title) = &self.title {
            changed |= conversation.title.as_ref() != Some(title);
            conversation.title = Some(title.clone());
        }
        if let Some(picture) = &self.picture {
            changed |= &conversation.picture != picture;
            conversation.picture.clone_from(picture);
        }
        if let Some(metadata) = &self.metadata {
            changed |= &conversation.metadata != metadata;
            conversation.metadata.clone_from(metadata);
        }
        changed
    }
}
