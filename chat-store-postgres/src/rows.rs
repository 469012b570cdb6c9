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

/// The columns of a conversation `c`, in the order in which [`conversation`] reads them.
pub(crate) const CONVERSATION: &str = "c.number, c.id, c.kind, c.created_at, c.direct, c.title, c.picture, \
    c.metadata, c.created_by, c.last_activity_at, c.member_count, c.last_seq, c.rev, c.changed_rev";

/// The columns of a member's own state `m`, in the order in which [`state`] reads them.
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

pub(crate) fn count(row: &PgRow, column: &str) -> Result<u64, Fault> {
    Ok(unsigned(row.try_get(column)?))
}

fn parsed<T: DeserializeOwned + Default>(row: &PgRow, column: &str) -> Result<T, Fault> {
    Ok(row.try_get::<Option<Json<T>>, _>(column)?.map_or_else(T::default, |json| json.0))
}

/// Reads the columns of a row one after the other: by its name each would be looked up anew, in every row of a page.
pub(crate) struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    /// From this place on.
    pub(crate) fn from(row: &'r PgRow, first: usize) -> Self {
        Self { row, next: first }
    }

    pub(crate) fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    pub(crate) fn get<T>(&mut self) -> Result<T, Fault>
    where
        T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let column = self.next;
        self.next += 1;
        Ok(self.row.try_get(column)?)
    }

    /// A seq, a rev, a number.
    pub(crate) fn count(&mut self) -> Result<u64, Fault> {
        Ok(unsigned(self.get()?))
    }

    pub(crate) fn optional_count(&mut self) -> Result<Option<u64>, Fault> {
        Ok(self.get::<Option<i64>>()?.map(unsigned))
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, Fault> {
        Ok(Timestamp::from_millis(self.get()?))
    }

    pub(crate) fn optional_time(&mut self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.get::<Option<i64>>()?.map(Timestamp::from_millis))
    }

    pub(crate) fn optional_user(&mut self) -> Result<Option<UserId>, Fault> {
        self.get::<Option<String>>()?.map(user_id).transpose()
    }

    /// JSON that is NULL where there is nothing.
    pub(crate) fn json<T: DeserializeOwned + Default + 'r>(&mut self) -> Result<T, Fault> {
        Ok(self.get::<Option<Json<T>>>()?.map_or_else(T::default, |json| json.0))
    }
}

/// From the columns [`CONVERSATION`].
pub(crate) fn conversation(columns: &mut Columns<'_>) -> Result<Conversation, Fault> {
    let number = columns.count()?;
    let id = ConversationId(columns.get()?);
    let kind = kind_of(columns.get()?)?;
    let mut conversation = Conversation::new(id, number, kind, columns.time()?);
    conversation.direct = columns.json()?;
    conversation.title = columns.get()?;
    conversation.picture = columns.get()?;
    conversation.metadata = columns.json()?;
    conversation.created_by = columns.optional_user()?;
    conversation.last_activity_at = columns.time()?;
    conversation.member_count = u32::try_from(columns.count()?).map_err(Fault::corrupt)?;
    conversation.last_seq = columns.count()?;
    conversation.rev = columns.count()?;
    conversation.changed_rev = columns.count()?;
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

/// From the columns [`STATE`]; what is unread is counted elsewhere.
pub(crate) fn state(columns: &mut Columns<'_>) -> Result<MemberState, Fault> {
    let mut state = MemberState::joining(role_of(columns.get()?)?, 0);
    state.member_rev = columns.count()?;
    state.delivered_seq = columns.count()?;
    state.read_seq = columns.count()?;
    state.unread_from = columns.optional_count()?;
    state.cleared_seq = columns.count()?;
    state.hidden_seq = columns.optional_count()?;
    state.archived = columns.get()?;
    state.muted_until = columns.optional_time()?;
    state.private_receipts = columns.get()?;
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
