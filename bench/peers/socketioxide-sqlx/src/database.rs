//! What is read. sqlx prepares each statement once a connection.

use serde::Serialize;
use sqlx::{PgPool, postgres::PgPoolOptions};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const MEMBERSHIPS: &str = "
    SELECT m.conversation_id, c.is_group
    FROM members m JOIN conversations c ON c.id = m.conversation_id WHERE m.user_id = $1";

const HISTORY: &str = "
    SELECT id, conversation_id, sender_id, content, (extract(epoch FROM created_at) * 1000)::bigint
    FROM messages WHERE conversation_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";

/// The newest first; unread messages are counted for those alone that are shown.
const CONVERSATIONS: &str = r#"
    SELECT newest.conversation_id, newest.id, newest.sender_id, newest.content, newest.at, unread.count
    FROM (
        SELECT m.conversation_id, m.user_id, m.last_read_id, last.*
        FROM members m CROSS JOIN LATERAL (
            SELECT id, sender_id, content, (extract(epoch FROM created_at) * 1000)::bigint AS at
            FROM messages WHERE conversation_id = m.conversation_id ORDER BY id DESC LIMIT 1
        ) last
        WHERE m.user_id = $1 ORDER BY last.id DESC LIMIT $2
    ) newest CROSS JOIN LATERAL (
        SELECT count(*) FROM (
            SELECT FROM messages WHERE conversation_id = newest.conversation_id
                AND id > newest.last_read_id AND sender_id <> newest.user_id LIMIT 100
        ) capped
    ) unread
    ORDER BY newest.id DESC"#;

/// A stored message, as it goes out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) conversation_id: i64,
    pub(crate) sender_id: String,
    pub(crate) content: String,
    pub(crate) created_at: String,
}

/// An entry of the conversation list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    conversation_id: i64,
    last_message: Message,
    unread_count: i64,
}

/// A pool of connections for reading.
pub(crate) struct Database(PgPool);

impl Database {
    pub(crate) async fn open(url: &str, connections: u32) -> sqlx::Result<Self> {
        Ok(Self(PgPoolOptions::new().max_connections(connections).connect(url).await?))
    }

    /// The conversations that a user belongs to, and whether each is a group.
    pub(crate) async fn memberships(&self, user: &str) -> sqlx::Result<Vec<(i64, bool)>> {
        sqlx::query_as(MEMBERSHIPS).bind(user).fetch_all(&self.0).await
    }

    pub(crate) async fn history(
        &self,
        conversation: i64,
        before: Option<i64>,
        limit: i64,
    ) -> sqlx::Result<Vec<Message>> {
        let query = sqlx::query_as(HISTORY).bind(conversation);
        let rows: Vec<(i64, i64, String, String, i64)> =
            query.bind(before.unwrap_or(i64::MAX)).bind(limit).fetch_all(&self.0).await?;
        let message = |(id, conversation_id, sender_id, content, at)| Message {
            id,
            conversation_id,
            sender_id,
            content,
            created_at: written(at),
        };
        Ok(rows.into_iter().rev().map(message).collect())
    }

    pub(crate) async fn conversations(&self, user: &str, limit: i64) -> sqlx::Result<Vec<Entry>> {
        let query = sqlx::query_as(CONVERSATIONS).bind(user).bind(limit);
        let rows: Vec<(i64, i64, String, String, i64, i64)> = query.fetch_all(&self.0).await?;
        let entry = |(conversation_id, id, sender_id, content, at, unread_count)| Entry {
            conversation_id,
            last_message: Message {
                id,
                conversation_id,
                sender_id,
                content,
                created_at: written(at),
            },
            unread_count,
        };
        Ok(rows.into_iter().map(entry).collect())
    }
}

/// Milliseconds since 1970 as RFC 3339.
pub(crate) fn written(millis: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}
