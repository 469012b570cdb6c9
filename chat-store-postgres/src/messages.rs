//! What is selected of messages, and their rows.

use parlor_core::model::{ClientId, ConversationId, Message, MessageId, REACTION_USERS};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::{
    error::Fault,
    rows::{Columns, invalid},
};

/// The columns of a message `m` in the order in which [`from_columns`] reads them, before its reactions.
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

/// From a row of [`messages`].
pub(crate) fn from_row(row: &PgRow, conversation_id: ConversationId) -> Result<Message, Fault> {
    let message = from_columns(&mut Columns::from(row, 0), conversation_id)?;
    message.ok_or_else(|| Fault::corrupt("a row without a message"))
}

/// From the columns of [`messages`]; `None` where there is no message in them.
pub(crate) fn from_columns(
    columns: &mut Columns<'_>,
    conversation_id: ConversationId,
) -> Result<Option<Message>, Fault> {
    let Some(seq) = columns.optional_count()? else { return Ok(None) };
    let id = MessageId(columns.get()?);
    let mut message = Message::blank(id, conversation_id, columns.time()?);
    message.seq = seq;
    message.number = columns.count()?;
    message.rev = columns.count()?;
    message.changed_rev = columns.count()?;
    message.sender_id = columns.optional_user()?;
    message.client_id =
        columns.get::<Option<String>>()?.map(ClientId::new).transpose().map_err(invalid)?;
    message.kind = columns.get::<&str>()?.parse().map_err(invalid)?;
    message.body = columns.get()?;
    message.reply_to = columns.get::<Option<Uuid>>()?.map(MessageId);
    message.mentions = columns.json()?;
    message.attachments = columns.json()?;
    message.metadata = columns.json()?;
    message.edited_at = columns.optional_time()?;
    message.deleted_at = columns.optional_time()?;
    message.pinned_at = columns.optional_time()?;
    message.reactions = columns.json()?;
    Ok(Some(message))
}
