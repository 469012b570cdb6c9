//! What is selected of messages, and their rows.

use parlor_core::{
    Timestamp,
    model::{ClientId, ConversationId, Message, MessageId, REACTION_USERS, UserId},
};
use serde::de::DeserializeOwned;
use sqlx::{Row, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::{
    error::Fault,
    rows::{invalid, unsigned},
};

/// The columns of a message `m` in the order in which [`from_row`] reads them, before its reactions.
const MESSAGE: &str = "m.seq, m.id, m.created_at, m.number, m.rev, m.changed_rev, m.sender_id, m.client_id, m.kind, \
    m.body, m.reply_to, m.mentions, m.attachments, m.metadata, m.edited_at, m.deleted_at, m.pinned_at";

/// A query for messages `m` with their reactions: their keys in the order of their first use, the first users of each, and
/// whether `viewer` (a parameter, or NULL) is among all of its users.
pub(crate) fn messages(viewer: &str, from: &str) -> String {
    messages_and("", viewer, from)
}

/// The same with columns besides, each after a comma.
///
/// A reaction changes its message: of one that never changed none are looked for.
pub(crate) fn messages_and(besides: &str, viewer: &str, from: &str) -> String {
    format!(
        "SELECT {MESSAGE}, CASE WHEN m.changed_rev > m.rev THEN (
            SELECT json_agg(json_build_object('key', k.key, 'count', k.given, 'users', k.users, 'mine', k.mine)
                ORDER BY k.first)
            FROM (
                SELECT r.key, count(*) AS given, min(r.position) AS first, bool_or(r.user_id = {viewer}) AS mine,
                    (array_agg(r.user_id ORDER BY r.position))[1:{REACTION_USERS}] AS users
                FROM parlor.reactions r WHERE r.message = m.number GROUP BY r.key) k) END AS reactions{besides}
        {from}"
    )
}

/// From a row of [`messages`]; `None` where there is no message in it.
pub(crate) fn from_row_if_any(
    row: &PgRow,
    conversation_id: ConversationId,
) -> Result<Option<Message>, Fault> {
    match row.try_get::<Option<i64>, _>(0)? {
        Some(_) => from_row(row, conversation_id).map(Some),
        None => Ok(None),
    }
}

/// From a row of [`messages`].
pub(crate) fn from_row(row: &PgRow, conversation_id: ConversationId) -> Result<Message, Fault> {
    let mut columns = Columns { row, next: 0 };
    let seq = columns.number()?;
    let id = MessageId(columns.get()?);
    let mut message = Message::blank(id, conversation_id, Timestamp::from_millis(columns.get()?));
    message.seq = seq;
    message.number = columns.number()?;
    message.rev = columns.number()?;
    message.changed_rev = columns.number()?;
    message.sender_id =
        columns.get::<Option<String>>()?.map(UserId::new).transpose().map_err(invalid)?;
    message.client_id =
        columns.get::<Option<String>>()?.map(ClientId::new).transpose().map_err(invalid)?;
    message.kind = columns.get::<&str>()?.parse().map_err(invalid)?;
    message.body = columns.get()?;
    message.reply_to = columns.get::<Option<Uuid>>()?.map(MessageId);
    message.mentions = columns.json()?;
    message.attachments = columns.json()?;
    message.metadata = columns.json()?;
    message.edited_at = columns.time()?;
    message.deleted_at = columns.time()?;
    message.pinned_at = columns.time()?;
    message.reactions = columns.json()?;
    Ok(message)
}

/// Reads one column after the other: by its name each would be looked up anew in every row of a page.
struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    fn get<T>(&mut self) -> Result<T, Fault>
    where
        T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let column = self.next;
        self.next += 1;
        Ok(self.row.try_get(column)?)
    }

    fn number(&mut self) -> Result<u64, Fault> {
        Ok(unsigned(self.get()?))
    }

    fn time(&mut self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.get::<Option<i64>>()?.map(Timestamp::from_millis))
    }

    /// JSON that is NULL where there is nothing.
    fn json<T: DeserializeOwned + Default + 'r>(&mut self) -> Result<T, Fault> {
        Ok(self.get::<Option<Json<T>>>()?.map_or_else(T::default, |json| json.0))
    }
}
