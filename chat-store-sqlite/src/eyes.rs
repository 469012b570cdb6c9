//! Whose eyes look at messages, and what those do not see.

use parlor_core::model::{ConversationId, UserId};
use sqlx::{Row, SqliteConnection, query};

use crate::error::Fault;

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
    is_member: bool,
}

const EYES: &str = "
    SELECT c.number, m.cleared_seq
    FROM conversations c LEFT JOIN members m ON m.conversation = c.number AND m.user_id = ?2
    WHERE c.id = ?1";

impl Eyes {
    /// `None` for an unknown conversation.
    pub(crate) async fn open(
        conn: &mut SqliteConnection,
        conversation_id: ConversationId,
        user: Option<UserId>,
    ) -> Result<Option<Self>, Fault> {
        let row = query(EYES)
            .bind(conversation_id.0)
            .bind(user.as_ref().map(UserId::as_str))
            .fetch_optional(conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let cleared: Option<i64> = row.try_get(1)?;
        Ok(Some(Self {
            conversation_id,
            conversation: row.try_get(0)?,
            user,
            cleared_seq: cleared.unwrap_or(0),
            is_member: cleared.is_some(),
        }))
    }

    /// Whether it is a member who looks, or the host.
    pub(crate) fn may_look(&self) -> bool {
        self.is_member || self.user.is_none()
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_ref().map(UserId::as_str)
    }
}
