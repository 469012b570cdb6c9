//! Rows and the model.

use parlor_core::{
    Invalid, Timestamp,
    model::{
        Conversation, ConversationId, ConversationKind, Cursor, Direct, Member, MemberState,
        Metadata, Role, UserId,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, postgres::PgRow, types::Json};

use crate::error::Fault;

// Columns are always named: one that a later release adds must not change what a prepared statement of this
// release returns, which PostgreSQL refuses, and nodes of both releases work side by side while they are replaced.

/// The columns of a conversation `c`.
pub(crate) const CONVERSATION: &str = "c.number, c.id, c.kind, c.direct, c.title, c.picture, c.metadata, \
    c.created_by, c.created_at, c.last_activity_at, c.member_count, c.last_seq, c.rev, c.changed_rev";

/// The columns of a member's own state `m`.
pub(crate) const STATE: &str = "m.role, m.member_rev, m.delivered_seq, m.read_seq, m.unread_from, \
    m.cleared_seq, m.hidden_seq, m.archived, m.muted_until, m.private_receipts";

/// A seq, rev or number as PostgreSQL keeps it. What lies beyond is beyond every message anyway.
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

fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(Fault::corrupt)
}

/// JSON text of what may be absent.
pub(crate) fn optional_text<T: Serialize>(value: Option<&T>) -> Result<Option<String>, Fault> {
    value.map(json).transpose()
}

/// JSON text of a list, `NULL` when it is empty.
pub(crate) fn list_text<T: Serialize>(list: &[T]) -> Result<Option<String>, Fault> {
    if list.is_empty() { Ok(None) } else { json(&list).map(Some) }
}

/// JSON text of free attributes, `NULL` when there are none.
pub(crate) fn metadata_text(metadata: &Metadata) -> Result<Option<String>, Fault> {
    if metadata.is_empty() { Ok(None) } else { json(metadata).map(Some) }
}

pub(crate) fn kind_code(kind: ConversationKind) -> i16 {
    match kind {
        ConversationKind::Direct => DIRECT,
        ConversationKind::Group => 1,
    }
}

/// The code of [`ConversationKind::Direct`].
pub(crate) const DIRECT: i16 = 0;

pub(crate) fn kind_of(code: i16) -> Result<ConversationKind, Fault> {
    match code {
        DIRECT => Ok(ConversationKind::Direct),
        1 => Ok(ConversationKind::Group),
        _ => Err(Fault::corrupt(format!("{code} is no kind of conversation"))),
    }
}

pub(crate) fn role_code(role: Role) -> i16 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}

pub(crate) fn role_of(code: i16) -> Result<Role, Fault> {
    match code {
        0 => Ok(Role::Member),
        1 => Ok(Role::Admin),
        2 => Ok(Role::Owner),
        _ => Err(Fault::corrupt(format!("{code} is no role"))),
    }
}

pub(crate) fn invalid(invalid: Invalid) -> Fault {
    Fault::corrupt(invalid)
}

pub(crate) fn user_id(text: String) -> Result<UserId, Fault> {
    UserId::new(text).map_err(invalid)
}

fn time(row: &PgRow, column: &str) -> Result<Timestamp, Fault> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

fn optional_time(row: &PgRow, column: &str) -> Result<Option<Timestamp>, Fault> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
}

pub(crate) fn count(row: &PgRow, column: &str) -> Result<u64, Fault> {
    Ok(unsigned(row.try_get(column)?))
}

fn optional_count(row: &PgRow, column: &str) -> Result<Option<u64>, Fault> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(unsigned))
}

fn parsed<T: DeserializeOwned + Default>(row: &PgRow, column: &str) -> Result<T, Fault> {
    Ok(row.try_get::<Option<Json<T>>, _>(column)?.map_or_else(T::default, |json| json.0))
}

/// From a row with the columns [`CONVERSATION`].
pub(crate) fn conversation(row: &PgRow) -> Result<Conversation, Fault> {
    let kind = kind_of(row.try_get("kind")?)?;
    let id = ConversationId(row.try_get("id")?);
    let mut conversation =
        Conversation::new(id, count(row, "number")?, kind, time(row, "created_at")?);
    conversation.direct = parsed(row, "direct")?;
    conversation.title = row.try_get("title")?;
    conversation.picture = row.try_get("picture")?;
    conversation.metadata = parsed(row, "metadata")?;
    conversation.created_by =
        row.try_get::<Option<String>, _>("created_by")?.map(user_id).transpose()?;
    conversation.last_activity_at = time(row, "last_activity_at")?;
    conversation.member_count = member_count(row)?;
    conversation.last_seq = count(row, "last_seq")?;
    conversation.rev = count(row, "rev")?;
    conversation.changed_rev = count(row, "changed_rev")?;
    Ok(conversation)
}

/// The other of the two in a direct conversation, from a row with its column `direct`.
pub(crate) fn peer(row: &PgRow, user: &UserId) -> Result<Option<UserId>, Fault> {
    let direct: Option<Direct> = parsed(row, "direct")?;
    Ok(direct.and_then(|direct| direct.other_than(user).cloned()))
}

pub(crate) fn member_count(row: &PgRow) -> Result<u32, Fault> {
    u32::try_from(row.try_get::<i64, _>("member_count")?).map_err(Fault::corrupt)
}

/// From a row with the columns of `members`.
pub(crate) fn member(row: &PgRow) -> Result<Member, Fault> {
    Ok(Member {
        user_id: user_id(row.try_get("user_id")?)?,
        role: role_of(row.try_get("role")?)?,
        joined_at: time(row, "joined_at")?,
    })
}

/// From a row with the columns [`STATE`]; what is unread is counted elsewhere.
pub(crate) fn state(row: &PgRow) -> Result<MemberState, Fault> {
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
pub(crate) fn cursor(row: &PgRow) -> Result<Cursor, Fault> {
    Ok(Cursor {
        user_id: user_id(row.try_get("user_id")?)?,
        delivered_seq: count(row, "delivered_seq")?,
        read_seq: count(row, "read_seq")?,
        private: row.try_get("private_receipts")?,
    })
}
