//! Rows and the model.

use parlor_core::{
    Invalid, Timestamp,
    model::{
        ClientId, Conversation, ConversationId, ConversationKind, Cursor, Direct, Member,
        MemberState, Message, MessageId, Metadata, Role, UserId,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

use crate::error::Fault;

/// A seq, rev or number as SQLite keeps it. What lies beyond is beyond every message anyway.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A page's limit plus one, which tells whether there is more.
pub(crate) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).map_or(i64::MAX, |limit| limit.saturating_add(1))
}

pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Parameters of a query for many things at once, for `json_each`.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(Fault::corrupt)
}

/// An id as `unhex` reads it.
pub(crate) fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

fn parsed<T: DeserializeOwned + Default>(text: Option<String>) -> Result<T, Fault> {
    text.map_or_else(
        || Ok(T::default()),
        |text| serde_json::from_str(&text).map_err(Fault::corrupt),
    )
}

/// JSON text of a list, `NULL` when it is empty.
pub(crate) fn list_text<T: Serialize>(list: &[T]) -> Result<Option<String>, Fault> {
    if list.is_empty() { Ok(None) } else { json(&list).map(Some) }
}

/// JSON text of free attributes, `NULL` when there are none.
pub(crate) fn metadata_text(metadata: &Metadata) -> Result<Option<String>, Fault> {
    if metadata.is_empty() { Ok(None) } else { json(metadata).map(Some) }
}

pub(crate) fn kind_code(kind: ConversationKind) -> i64 {
    match kind {
        ConversationKind::Direct => DIRECT,
        ConversationKind::Group => 1,
    }
}

/// The code of [`ConversationKind::Direct`].
pub(crate) const DIRECT: i64 = 0;

pub(crate) fn kind_of(code: i64) -> Result<ConversationKind, Fault> {
    match code {
        DIRECT => Ok(ConversationKind::Direct),
        1 => Ok(ConversationKind::Group),
        _ => Err(Fault::corrupt(format!("{code} is no kind of conversation"))),
    }
}

pub(crate) fn role_code(role: Role) -> i64 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}

fn role_of(code: i64) -> Result<Role, Fault> {
    match code {
        0 => Ok(Role::Member),
        1 => Ok(Role::Admin),
        2 => Ok(Role::Owner),
        _ => Err(Fault::corrupt(format!("{code} is no role"))),
    }
}

fn invalid(invalid: Invalid) -> Fault {
    Fault::corrupt(invalid)
}

pub(crate) fn user_id(text: String) -> Result<UserId, Fault> {
    UserId::new(text).map_err(invalid)
}

fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, Fault> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

fn optional_time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, Fault> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
}

pub(crate) fn count(row: &SqliteRow, column: &str) -> Result<u64, Fault> {
    Ok(unsigned(row.try_get(column)?))
}

fn optional_count(row: &SqliteRow, column: &str) -> Result<Option<u64>, Fault> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(unsigned))
}

/// From a row with the columns of `conversations`.
pub(crate) fn conversation(row: &SqliteRow) -> Result<Conversation, Fault> {
    let kind = kind_of(row.try_get("kind")?)?;
    let id = ConversationId(row.try_get("id")?);
    let mut conversation =
        Conversation::new(id, count(row, "number")?, kind, time(row, "created_at")?);
    conversation.direct = parsed(row.try_get("direct")?)?;
    conversation.title = row.try_get("title")?;
    conversation.picture = row.try_get("picture")?;
    conversation.metadata = parsed(row.try_get("metadata")?)?;
    conversation.created_by =
        row.try_get::<Option<String>, _>("created_by")?.map(user_id).transpose()?;
    conversation.last_activity_at = time(row, "last_activity_at")?;
    conversation.member_count = row.try_get("member_count")?;
    conversation.last_seq = count(row, "last_seq")?;
    conversation.rev = count(row, "rev")?;
    conversation.changed_rev = count(row, "changed_rev")?;
    Ok(conversation)
}

/// The other of the two in a direct conversation, from a row with its column `direct`.
pub(crate) fn peer(row: &SqliteRow, user: &UserId) -> Result<Option<UserId>, Fault> {
    let direct: Option<Direct> = parsed(row.try_get("direct")?)?;
    Ok(direct.and_then(|direct| direct.other_than(user).cloned()))
}

/// From a row with the columns of `members`.
pub(crate) fn member(row: &SqliteRow) -> Result<Member, Fault> {
    Ok(Member {
        user_id: user_id(row.try_get("user_id")?)?,
        role: role_of(row.try_get("role")?)?,
        joined_at: time(row, "joined_at")?,
    })
}

/// From a row with the columns of `members`; what is unread is counted elsewhere.
pub(crate) fn state(row: &SqliteRow) -> Result<MemberState, Fault> {
    let mut state = MemberState::joining(role_of(row.try_get("role")?)?, 0);
    state.member_rev = count(row, "member_rev")?;
    state.delivered_seq = count(row, "delivered_seq")?;
    state.read_seq = count(row, "read_seq")?;
    state.unread_from = optional_count(row, "unread_from")?;
    state.cleared_seq = count(row, "cleared_seq")?;
    state.hidden_seq = optional_count(row, "hidden_seq")?;
    state.archived = row.try_get("archived")?;
    state.muted_until = optional_time(row, "muted_until")?;
    state.private_receipts = row.try_get("private_receipts")?;
    Ok(state)
}

/// From a row with the columns of `members`.
pub(crate) fn cursor(row: &SqliteRow) -> Result<Cursor, Fault> {
    Ok(Cursor {
        user_id: user_id(row.try_get("user_id")?)?,
        delivered_seq: count(row, "delivered_seq")?,
        read_seq: count(row, "read_seq")?,
        private: row.try_get("private_receipts")?,
    })
}

/// From a row with the columns of `messages`; reactions are read elsewhere.
pub(crate) fn message(row: &SqliteRow, conversation_id: ConversationId) -> Result<Message, Fault> {
    let id = MessageId(row.try_get("id")?);
    let mut message = Message::blank(id, conversation_id, time(row, "created_at")?);
    message.number = count(row, "number")?;
    message.seq = count(row, "seq")?;
    message.rev = count(row, "rev")?;
    message.changed_rev = count(row, "changed_rev")?;
    message.sender_id = row.try_get::<Option<String>, _>("sender_id")?.map(user_id).transpose()?;
    message.client_id = row
        .try_get::<Option<String>, _>("client_id")?
        .map(|text| ClientId::new(text).map_err(invalid))
        .transpose()?;
    message.kind = row.try_get::<&str, _>("kind")?.parse().map_err(invalid)?;
    message.body = row.try_get("body")?;
    message.reply_to = row.try_get::<Option<Uuid>, _>("reply_to")?.map(MessageId);
    message.mentions = parsed(row.try_get("mentions")?)?;
    message.attachments = parsed(row.try_get("attachments")?)?;
    message.metadata = parsed(row.try_get("metadata")?)?;
    message.edited_at = optional_time(row, "edited_at")?;
    message.deleted_at = optional_time(row, "deleted_at")?;
    message.pinned_at = optional_time(row, "pinned_at")?;
    Ok(message)
}
