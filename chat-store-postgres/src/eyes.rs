//! Whose eyes look at messages, and what those do not see.

use parlor_core::model::{ConversationId, UserId};
use sqlx::Row;

use crate::{connection::Conn, error::Fault};

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

impl Eyes {
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
