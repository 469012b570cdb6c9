//! Whose eyes look at messages, and what those do not see.

use std::sync::LazyLock;

use parlor_core::model::{Conversation, ConversationId, UserId};
use sqlx::Row;

use crate::{
    connection::Conn,
    error::Fault,
    rows::{self, CONVERSATION, Columns, signed},
};

/// A conversation as one viewer sees it.
#[derive(Debug)]
pub(crate) struct Eyes {
    /// The conversation.
    pub(crate) conversation_id: ConversationId,
    /// Its number.
    pub(crate) conversation: i64,
    /// The viewer; `None` sees everything.
    pub(crate) user: Option<UserId>,
    /// Messages up to here are gone for the viewer.
    pub(crate) cleared_seq: i64,
}

/// The conversation `$1`, and what is cleared for the user `$2`.
pub(crate) const EYES: &str = "
    SELECT c.number, m.cleared_seq
    FROM parlor.conversations c
    LEFT JOIN parlor.members m ON m.conversation = c.number AND m.user_id = $2
    WHERE c.id = $1";

/// The same, and the conversation as it stands.
pub(crate) static SEEN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {CONVERSATION}, m.cleared_seq
         FROM parlor.conversations c
         LEFT JOIN parlor.members m ON m.conversation = c.number AND m.user_id = $2
         WHERE c.id = $1"
    )
});

impl Eyes {
    /// The conversation as it stands, and what the viewer sees of it. `None` for an unknown conversation.
    pub(crate) async fn on(
        conn: &mut Conn<'_>,
        conversation_id: ConversationId,
        user: Option<UserId>,
    ) -> Result<Option<(Conversation, Self)>, Fault> {
        let query =
            conn.query(&SEEN).bind(conversation_id.0).bind(user.as_ref().map(UserId::as_str));
        let Some(row) = query.fetch_optional(conn.pg()).await? else { return Ok(None) };
        let conversation = rows::conversation(&mut Columns::from(&row, 0))?;
        let cleared_seq = row.try_get::<Option<i64>, _>("cleared_seq")?.unwrap_or(0);
        let number = signed(conversation.number);
        Ok(Some((conversation, Self { conversation_id, conversation: number, user, cleared_seq })))
    }

    /// `None` for an unknown conversation.
    pub(crate) async fn open(
        conn: &mut Conn<'_>,
        conversation_id: ConversationId,
        user: Option<UserId>,
    ) -> Result<Option<Self>, Fault> {
        let query =
            conn.query(EYES).bind(conversation_id.0).bind(user.as_ref().map(UserId::as_str));
        let Some(row) = query.fetch_optional(conn.pg()).await? else { return Ok(None) };
        let cleared_seq = row.try_get::<Option<i64>, _>(1)?.unwrap_or(0);
        Ok(Some(Self { conversation_id, conversation: row.try_get(0)?, user, cleared_seq }))
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_ref().map(UserId::as_str)
    }
}
