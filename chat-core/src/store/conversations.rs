//! Conversations, members, settings and lists.

use std::{collections::BTreeMap, fmt, fmt::Debug, str::FromStr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    BackendError, Invalid, Timestamp,
    model::{
        Conversation, ConversationId, ConversationKind, ConversationPatch, ConversationSummary,
        Direct, Member, MemberState, MessageId, Metadata, Role, SettingsPatch, UserId,
    },
    rules::Denied,
};

/// A conversation to be made. Everything in it has been checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewConversation {
    /// The id it gets when it is made now.
    pub id: ConversationId,
    /// Two people, or a group.
    pub kind: ConversationKind,
    /// The pair, for a direct conversation; its [`crate::model::DirectKey`] is unique in the store.
    pub direct: Option<Direct>,
    /// A group's title.
    pub title: Option<String>,
    /// A URL of a picture.
    pub picture: Option<String>,
    /// Free attributes.
    pub metadata: Metadata,
    /// Who makes it; `None` for the host.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
    /// The first members with their roles, each user once.
    pub members: BTreeMap<UserId, Role>,
}

impl NewConversation {
    /// A group with these members.
    pub fn group(
        id: ConversationId,
        title: String,
        members: BTreeMap<UserId, Role>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            kind: ConversationKind::Group,
            direct: None,
            title: Some(title),
            picture: None,
            metadata: Metadata::default(),
            created_by: None,
            created_at,
            members,
        }
    }

    /// The direct conversation of a pair.
    pub fn direct(
        id: ConversationId,
        one: &UserId,
        other: &UserId,
        context: Option<String>,
        created_at: Timestamp,
    ) -> Self {
        let mut users = [one.clone(), other.clone()];
        users.sort();
        let members = users.iter().map(|user| (user.clone(), Role::Member)).collect();
        Self {
            id,
            kind: ConversationKind::Direct,
            direct: Some(Direct { users, context }),
            title: None,
            picture: None,
            metadata: Metadata::default(),
            created_by: None,
            created_at,
            members,
        }
    }

    /// The conversation as it stands right after it was made, for stores.
    pub fn to_conversation(&self, number: u64) -> Conversation {
        let mut conversation = Conversation::new(self.id, number, self.kind, self.created_at);
        conversation.direct.clone_from(&self.direct);
        conversation.title.clone_from(&self.title);
        conversation.picture.clone_from(&self.picture);
        conversation.metadata.clone_from(&self.metadata);
        conversation.created_by.clone_from(&self.created_by);
        conversation.member_count = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        conversation
    }
}

/// What [`ConversationStore::create`] did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// The conversation, new or as it stood.
    pub conversation: Conversation,
    /// Whether it was made by this very call.
    pub fresh: bool,
}

/// A change of a conversation that all members see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ConversationChange {
    /// Title, picture, metadata.
    Patch(ConversationPatch),
    /// Adds members with the role [`Role::Member`]; those who are members already stay as they are.
    AddMembers(Vec<UserId>),
    /// Removes a member; one who removes themself leaves.
    RemoveMember(UserId),
    /// Gives a member a role.
    SetRole(UserId, Role),
}

/// What became of the members in one change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberDelta {
    /// Who was added.
    pub added: Vec<Member>,
    /// Who was removed or left.
    pub removed: Vec<UserId>,
    /// Whose role changed, and to what.
    pub roles: Vec<(UserId, Role)>,
}

/// What [`ConversationStore::change`] did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ChangeOutcome {
    /// It took the next rev, which is `conversation.rev`.
    Changed(Box<Conversation>, MemberDelta),
    /// It was so already; no rev was taken.
    Unchanged(Box<Conversation>),
    /// The conversation does not exist, or the actor is not a member.
    NotFound,
    /// The rules forbid it.
    Denied(Denied),
}

/// A user's membership, with the heads that a resume compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Two people, or a group.
    pub kind: ConversationKind,
    /// The conversation's rev.
    pub rev: u64,
    /// The seq of its last message.
    pub last_seq: u64,
    /// The rev of the member's private changes.
    pub member_rev: u64,
    /// How many members it has.
    pub member_count: u32,
    /// When it was last active.
    pub last_activity_at: Timestamp,
    /// The other of the two in a direct conversation; `None` in one with oneself, and in a group.
    pub peer: Option<UserId>,
}

impl Membership {
    /// A user's membership of a conversation, with the rev of their private changes.
    pub fn of(user: &UserId, conversation: &Conversation, member_rev: u64) -> Self {
        let peer = conversation.direct.as_ref().and_then(|direct| direct.other_than(user));
        Self {
            conversation_id: conversation.id,
            kind: conversation.kind,
            rev: conversation.rev,
            last_seq: conversation.last_seq,
            member_rev,
            member_count: conversation.member_count,
            last_activity_at: conversation.last_activity_at,
            peer: peer.cloned(),
        }
    }
}

/// Somebody who became a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When.
    pub joined_at: Timestamp,
    /// Of which conversation.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
}

/// A place in a conversation list: strictly after the entry with this activity and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPosition {
    /// The entry's last activity.
    pub last_activity_at: Timestamp,
    /// The entry's conversation number.
    pub number: u64,
}

impl ListPosition {
    /// The place of a conversation in its lists.
    pub fn of(conversation: &Conversation) -> Self {
        Self { last_activity_at: conversation.last_activity_at, number: conversation.number }
    }
}

/// Written `MILLIS.NUMBER`, opaque to clients.
impl fmt::Display for ListPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.last_activity_at.as_millis(), self.number)
    }
}

impl FromStr for ListPosition {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parse = || {
            let (millis, number) = text.split_once('.')?;
            let number = number.parse().ok().filter(|number| i64::try_from(*number).is_ok())?;
            let last_activity_at = Timestamp::from_millis(millis.parse().ok()?);
            Some(Self { last_activity_at, number })
        };
        parse().ok_or_else(|| Invalid::new("cursor", "is not one that was given out"))
    }
}

/// Which part of a user's conversation list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// Start after this entry; from the newest when absent.
    pub after: Option<ListPosition>,
    /// At most this many entries.
    pub limit: usize,
    /// Only archived ones, only others, or both.
    pub archived: Option<bool>,
    /// Those too that the user has hidden.
    pub hidden: bool,
    /// Count unread messages up to here.
    pub unread_cap: u32,
}

/// A change of one member's own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PrivateChange {
    /// Mute, archive, keep receipts private.
    Settings(SettingsPatch),
    /// Hides the conversation and its history (`hidden_seq` and `cleared_seq` become the last seq)
    /// until there is a new message.
    Hide,
    /// Clears the history (`cleared_seq` becomes the last seq); the conversation stays in the list.
    Clear,
    /// Marks as unread from this seq on, clamped to 1 ..= last seq; nothing where there is no message.
    MarkUnread(u64),
    /// Deletes messages for this member alone. Unknown ids and ones of other conversations are left out.
    DeleteMessages(Vec<MessageId>),
}

impl PrivateChange {
    /// Applies the change to a member's row, but for `member_rev` and the deletions; says whether
    /// anything changed. `last_seq` is the conversation's. For stores.
    pub fn apply(&self, state: &mut MemberState, last_seq: u64) -> bool {
        let before = (state.cleared_seq, state.hidden_seq, state.unread_from);
        let mut changed = false;
        match self {
            Self::Settings(patch) => changed = patch.apply(state),
            Self::Hide => {
                state.cleared_seq = last_seq;
                state.hidden_seq = Some(last_seq);
            }
            Self::Clear => state.cleared_seq = last_seq,
            Self::MarkUnread(seq) if last_seq > 0 => {
                state.unread_from = Some((*seq).clamp(1, last_seq));
            }
            Self::MarkUnread(_) | Self::DeleteMessages(_) => {}
        }
        changed || before != (state.cleared_seq, state.hidden_seq, state.unread_from)
    }

    /// The messages to be deleted for the member.
    pub fn deletions(&self) -> &[MessageId] {
        match self {
            Self::DeleteMessages(ids) => ids,
            _ => &[],
        }
    }
}

/// A member's own state, and what changed in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateDelta {
    /// The state now.
    pub state: MemberState,
    /// Messages deleted for this member by the change, or since the `member_rev` asked about.
    pub deleted: Vec<MessageId>,
    /// Whether anything changed; only then a `member_rev` was taken.
    pub changed: bool,
}

/// Conversations, members, settings and lists. See the [module](crate::store) for what holds for all methods.
#[async_trait]
pub trait ConversationStore: Debug + Send + Sync + 'static {
    /// Makes a conversation, or returns the one that is there.
    ///
    /// - A direct conversation whose pair and context exist is returned as it stands (`fresh: false`),
    ///   whichever of the two asks, also when both ask at once on different nodes.
    /// - A conversation whose `id` exists is returned as it stands (`fresh: false`).
    /// - A new one has rev 1, `changed_rev` 1, no message, and its members join at `created_at`
    ///   with [`MemberState::joining`].
    async fn create(&self, new: NewConversation) -> Result<Created, BackendError>;

    /// The conversation, whoever asks.
    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, BackendError>;

    /// The id of the conversation with this number.
    async fn conversation_by_number(
        &self,
        number: u64,
    ) -> Result<Option<ConversationId>, BackendError>;

    /// The direct conversation of a pair and context.
    async fn direct(
        &self,
        key: &crate::model::DirectKey,
    ) -> Result<Option<Conversation>, BackendError>;

    /// The members in the order of their ids, after `after`, at most `limit`.
    async fn members(
        &self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, BackendError>;

    /// One member; `None` for an unknown conversation and for somebody who is not a member.
    async fn member(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<Member>, BackendError>;

    /// Changes what all members see. `actor` is `None` for the host, who needs not be a member.
    ///
    /// - Allowed by [`crate::rules::change`], called under the conversation's lock with all members.
    /// - A change takes exactly one rev, which also becomes `changed_rev`; nothing to do takes none.
    /// - Added members join at `now` with [`MemberState::joining`]; one who was removed before starts anew.
    /// - A removed member's row, settings and deletions-for-me go.
    async fn change(
        &self,
        id: ConversationId,
        actor: Option<&UserId>,
        change: ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> Result<ChangeOutcome, BackendError>;

    /// All memberships of a user by conversation id, after `after`, at most `limit`. Hidden ones too.
    async fn memberships(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, BackendError>;

    /// Memberships that began at or after `since` and still stand, the earliest first; after the last one
    /// of an earlier page, at most `limit`. Those of one moment come in an order of the store's own.
    async fn arrivals(
        &self,
        since: Timestamp,
        after: Option<&Arrival>,
        limit: usize,
    ) -> Result<Vec<Arrival>, BackendError>;

    /// A user's conversations, latest activity first (then larger number first), without the hidden ones unless
    /// they are asked for, each with the last message that the user can see and the unread count.
    async fn list(
        &self,
        user: &UserId,
        query: ListQuery,
    ) -> Result<Vec<ConversationSummary>, BackendError>;

    /// One entry of that list, hidden or not; `None` when the user is not a member.
    async fn summary(
        &self,
        id: ConversationId,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<Option<ConversationSummary>, BackendError>;

    /// Changes a member's own state; `None` when the user is not a member.
    ///
    /// - A change takes one `member_rev`; what was so already takes none.
    /// - Never takes a shared rev.
    async fn change_private(
        &self,
        id: ConversationId,
        user: &UserId,
        change: PrivateChange,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError>;

    /// A member's own state with the messages deleted for them after `since` (a `member_rev`), at most
    /// `limit`; `None` when the user is not a member. `changed` says whether `member_rev > since`.
    async fn private_changes(
        &self,
        id: ConversationId,
        user: &UserId,
        since: u64,
        limit: usize,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError>;

    /// The revs of these conversations, in any order; unknown ones are left out.
    async fn heads(
        &self,
        ids: &[ConversationId],
    ) -> Result<Vec<(ConversationId, u64)>, BackendError>;

    /// Those of `others` who share a conversation with `user`, in any order.
    async fn sharing(&self, user: &UserId, others: &[UserId]) -> Result<Vec<UserId>, BackendError>;

    /// Identifies the state of the store: another value after a backup was restored.
    async fn epoch(&self) -> Result<Uuid, BackendError>;

    /// Answers when the database does.
    async fn ping(&self) -> Result<(), BackendError>;
}
