//! What a caller can ask for, and what it is answered.
//!
//! Commands are plain data as a client wrote them. The engine checks every field; who asks is never part of one.

use serde::{Deserialize, Serialize};

use crate::{
    event::Changes,
    model::{
        Conversation, ConversationId, ConversationPatch, ConversationSummary, Cursor, Member,
        MemberState, Message, MessageEdit, MessageId, NewGroup, NewMessage, PresenceInfo, Profile,
        Role, SettingsPatch, UserId,
    },
    store::{HistoryPage, ListPosition, UnreadTotal},
};

/// For whom a message is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeleteFor {
    /// For all members: a tombstone stays.
    #[default]
    Everyone,
    /// For the caller alone.
    Me,
}

/// Sends a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Send {
    /// Where to.
    pub conversation_id: ConversationId,
    /// The content.
    #[serde(flatten)]
    pub message: NewMessage,
}

/// Changes a message's content. The sender only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message.
    pub message_id: MessageId,
    /// The new content.
    #[serde(flatten)]
    pub edit: MessageEdit,
}

/// Deletes a message. For everyone: the sender, or an admin of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message.
    pub message_id: MessageId,
    /// For whom. Defaults to everyone.
    #[serde(default, rename = "for")]
    pub scope: DeleteFor,
}

/// Gives a reaction or takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct React {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message.
    pub message_id: MessageId,
    /// An emoji or a short name.
    pub key: String,
    /// Given (`true`, the default) or taken back.
    #[serde(default = "yes")]
    pub on: bool,
}

/// Pins or unpins a message. In a group: an admin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message.
    pub message_id: MessageId,
    /// Pinned (`true`, the default) or unpinned.
    #[serde(default = "yes")]
    pub on: bool,
}

fn yes() -> bool {
    true
}

/// Opens the direct conversation with a user, making it when it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenDirect {
    /// The other user; oneself is allowed.
    pub user_id: UserId,
    /// What the host hangs it on, such as a booking; at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// Changes a group's title, picture or metadata. An admin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateConversation {
    /// The group.
    pub conversation_id: ConversationId,
    /// What changes.
    #[serde(flatten)]
    pub patch: ConversationPatch,
}

/// Adds members to a group. An admin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddMembers {
    /// The group.
    pub conversation_id: ConversationId,
    /// Whom to add; those who are members already stay as they are.
    pub user_ids: Vec<UserId>,
}

/// Removes a member of a group. An admin; oneself is leaving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveMember {
    /// The group.
    pub conversation_id: ConversationId,
    /// Whom to remove.
    pub user_id: UserId,
}

/// Gives a member of a group a role. The owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRole {
    /// The group.
    pub conversation_id: ConversationId,
    /// Who gets it.
    pub user_id: UserId,
    /// The role.
    pub role: Role,
}

/// Changes the caller's own settings in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateSettings {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What changes.
    #[serde(flatten)]
    pub patch: SettingsPatch,
}

/// Names a conversation and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InConversation {
    /// The conversation.
    pub conversation_id: ConversationId,
}

/// Names a place in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtSeq {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The seq of a message; clamped to the last one.
    pub seq: u64,
}

/// Says that the caller is typing, or has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Typing (`true`, the default) or stopped.
    #[serde(default = "yes")]
    pub on: bool,
}

/// Sends a custom ephemeral event to those who are connected, such as a call's signal. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What it is, in the host's own words.
    pub name: String,
    /// Anything, at most 8 KiB of JSON.
    #[serde(default)]
    pub data: serde_json::Value,
    /// Only to these members; to all others when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<UserId>>,
}

/// Asks for a page of the conversation list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListConversations {
    /// Entries of the page: 50 by default, clamped to 1 ..= 100.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Where the last page ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Only archived ones (`true`), only others (`false`), both when absent.
    #[serde(default)]
    pub archived: Option<bool>,
}

impl ListConversations {
    /// Asks for what comes after this conversation in the list.
    pub fn after(conversation: &Conversation) -> Self {
        let position = ListPosition::of(conversation);
        Self { cursor: Some(position.to_string()), ..Self::default() }
    }
}

/// Asks for a page of the member list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListMembers {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Members of the page: 50 by default, clamped to 1 ..= 100.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Start after this user id.
    #[serde(default)]
    pub after: Option<UserId>,
}

/// Asks for a page of history: the newest messages, those before a seq, or those after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The newest messages with a smaller seq.
    #[serde(default)]
    pub before: Option<u64>,
    /// The oldest messages with a larger seq. Not together with `before`.
    #[serde(default)]
    pub after: Option<u64>,
    /// Messages of the page: 50 by default, clamped to 1 ..= 100.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Names a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InMessage {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message.
    pub message_id: MessageId,
}

/// Asks what changed since a rev.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetChanges {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The rev that the caller has.
    pub since_rev: u64,
    /// The next page of an answer that was begun, from its `next`.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Messages of the page: 50 by default, clamped to 1 ..= 100.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Names users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// The users, at most 200.
    pub user_ids: Vec<UserId>,
}

/// Everything that can be asked of the engine without a session.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant's content says what it does")]
pub enum Command {
    Send(Send),
    Edit(Edit),
    Delete(Delete),
    React(React),
    Pin(Pin),
    OpenDirect(OpenDirect),
    CreateGroup(NewGroup),
    UpdateConversation(UpdateConversation),
    AddMembers(AddMembers),
    RemoveMember(RemoveMember),
    /// Leaves a group.
    Leave(InConversation),
    SetRole(SetRole),
    UpdateSettings(UpdateSettings),
    /// Hides a conversation and its history from the caller until there is a new message.
    Hide(InConversation),
    /// Clears a conversation's history for the caller.
    Clear(InConversation),
    /// Marks as read up to a seq.
    MarkRead(AtSeq),
    /// Marks as delivered up to a seq.
    MarkDelivered(AtSeq),
    /// Takes what was not delivered yet, up to a seq, to hand it to the caller's device.
    ClaimUndelivered(AtSeq),
    /// Marks as unread from a seq on.
    MarkUnread(AtSeq),
    Typing(Typing),
    Signal(Signal),
    /// Asks for one entry of the conversation list.
    GetConversation(InConversation),
    ListConversations(ListConversations),
    ListMembers(ListMembers),
    History(History),
    /// Asks for one message.
    GetMessage(InMessage),
    /// Asks for the pinned messages.
    ListPins(InConversation),
    GetChanges(GetChanges),
    /// Asks how far the members have read.
    ListCursors(InConversation),
    /// Asks who is there, among those who share a conversation with the caller.
    GetPresence(Users),
    /// Asks for profiles.
    GetProfiles(Users),
    /// Asks how much is unread over all conversations.
    UnreadTotal,
}

impl Command {
    /// The command's stable name, as the native protocol, spans and metrics write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Edit(_) => "edit",
            Self::Delete(_) => "delete",
            Self::React(_) => "react",
            Self::Pin(_) => "pin",
            Self::OpenDirect(_) => "open_direct",
            Self::CreateGroup(_) => "create_group",
            Self::UpdateConversation(_) => "update_conversation",
            Self::AddMembers(_) => "add_members",
            Self::RemoveMember(_) => "remove_member",
            Self::Leave(_) => "leave",
            Self::SetRole(_) => "set_role",
            Self::UpdateSettings(_) => "update_settings",
            Self::Hide(_) => "hide",
            Self::Clear(_) => "clear",
            Self::MarkRead(_) => "mark_read",
            Self::MarkDelivered(_) => "mark_delivered",
            Self::ClaimUndelivered(_) => "claim_undelivered",
            Self::MarkUnread(_) => "mark_unread",
            Self::Typing(_) => "typing",
            Self::Signal(_) => "signal",
            Self::GetConversation(_) => "get_conversation",
            Self::ListConversations(_) => "list_conversations",
            Self::ListMembers(_) => "list_members",
            Self::History(_) => "history",
            Self::GetMessage(_) => "get_message",
            Self::ListPins(_) => "list_pins",
            Self::GetChanges(_) => "get_changes",
            Self::ListCursors(_) => "list_cursors",
            Self::GetPresence(_) => "get_presence",
            Self::GetProfiles(_) => "get_profiles",
            Self::UnreadTotal => "unread_total",
        }
    }
}

/// A page of the conversation list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConversationPage {
    /// The entries, latest activity first.
    pub conversations: Vec<ConversationSummary>,
    /// Where the next page starts; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A page of the member list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberPage {
    /// The members by user id.
    pub members: Vec<Member>,
    /// Whether there are more after the last.
    pub has_more: bool,
}

/// What the engine answers to a [`Command`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// A message was sent, or had been sent before by the same idempotency key.
    Sent {
        /// The message as it stands.
        message: Box<Message>,
        /// Whether it had been sent before.
        replayed: bool,
    },
    /// A message as it stands now.
    Message(Box<Message>),
    /// A conversation, with the caller's own state.
    Conversation(Box<ConversationSummary>),
    /// The caller's own state.
    State(Box<MemberState>),
    /// A page of the conversation list.
    Conversations(ConversationPage),
    /// A page of the member list.
    Members(MemberPage),
    /// A page of history.
    History(HistoryPage),
    /// Messages: the pinned ones.
    Messages(Vec<Message>),
    /// What changed.
    Changes(Box<Changes>),
    /// How far the members have read.
    Cursors(Vec<Cursor>),
    /// Who is there.
    Presence(Vec<PresenceInfo>),
    /// Profiles.
    Profiles(Vec<Profile>),
    /// Messages that count as delivered now. Of all who claim at once, each is given to one alone.
    Claimed {
        /// They begin after this seq.
        after_seq: u64,
        /// They end with this seq; there are none where the two are equal.
        through_seq: u64,
    },
    /// How much is unread.
    Unread(UnreadTotal),
    /// Done; there is nothing to say.
    Done,
}
