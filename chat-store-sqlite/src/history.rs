//! Reading messages: pages of history, single ones, pinned ones.

use parlor_core::{
    model::{ConversationId, Message, UserId},
    store::{HistoryPage, HistoryQuery, MessageRef, Page},
};
use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};

use crate::{
    error::Fault,
    eyes::Eyes,
    reactions,
    rows::{self, json, one_more, signed},
};

/// The newest messages of `?1` after `?2` (what is cleared) and before `?3`, for the viewer `?4`.
pub(crate) const BACKWARDS: &str = "
    SELECT m.* FROM messages m
    WHERE m.conversation = ?1 AND m.seq > ?2 AND m.seq < ?3
        AND NOT EXISTS (
            SELECT 1 FROM deletions d
            WHERE d.conversation = ?1 AND d.user_id = ?4 AND d.message = m.number)
    ORDER BY m.seq DESC LIMIT ?5";

/// The oldest messages of `?1` after `?2`, for the viewer `?3`.
pub(crate) const FORWARDS: &str = "
    SELECT m.* FROM messages m
    WHERE m.conversation = ?1 AND m.seq > ?2
        AND NOT EXISTS (
            SELECT 1 FROM deletions d
            WHERE d.conversation = ?1 AND d.user_id = ?3 AND d.message = m.number)
    ORDER BY m.seq LIMIT ?4";

pub(crate) async fn page(
    conn: &mut SqliteConnection,
    id: ConversationId,
    asked: HistoryQuery,
) -> Result<Option<HistoryPage>, Fault> {
    let Some(eyes) = Eyes::open(conn, id, asked.viewer).await?.filter(Eyes::may_look) else {
        return Ok(None);
    };
    let backwards =
        |before: i64| query(BACKWARDS).bind(eyes.conversation).bind(eyes.cleared_seq).bind(before);
    let found = match asked.page {
        Page::Latest => backwards(i64::MAX),
        Page::Before(seq) => backwards(signed(seq)),
        Page::After(seq) => {
            query(FORWARDS).bind(eyes.conversation).bind(signed(seq).max(eyes.cleared_seq))
        }
    };
    let rows = found.bind(eyes.user()).bind(one_more(asked.limit)).fetch_all(&mut *conn).await?;
    let has_more = rows.len() > asked.limit;
    let mut messages = seen(conn, &eyes, rows.iter().take(asked.limit)).await?;
    if !matches!(asked.page, Page::After(_)) {
        messages.reverse();
    }
    Ok(Some(HistoryPage { messages, has_more }))
}

/// Rows of `messages` as the viewer gets them.
pub(crate) async fn seen<'r>(
    conn: &mut SqliteConnection,
    eyes: &Eyes,
    rows: impl Iterator<Item = &'r SqliteRow>,
) -> Result<Vec<Message>, Fault> {
    let mut messages = rows
        .map(|row| rows::message(row, eyes.conversation_id))
        .collect::<Result<Vec<_>, Fault>>()?;
    reactions::fill(conn, &mut messages, eyes.user.as_ref()).await?;
    Ok(messages)
}

/// The message `?2` of the conversation `?1`, where neither cleared (`?3`) nor deleted for the viewer `?4`.
const VISIBLE: &str = "
    SELECT m.* FROM messages m
    WHERE m.number = ?2 AND m.seq > ?3
        AND NOT EXISTS (
            SELECT 1 FROM deletions d
            WHERE d.conversation = ?1 AND d.user_id = ?4 AND d.message = ?2)";

pub(crate) async fn message(
    conn: &mut SqliteConnection,
    message: MessageRef,
    viewer: Option<UserId>,
) -> Result<Option<Message>, Fault> {
    let place = match message {
        MessageRef::Id(id) => query(
            "SELECT c.id, m.number FROM messages m JOIN conversations c ON c.number = m.conversation
             WHERE m.id = ?1",
        )
        .bind(id.0),
        MessageRef::Number(number) => query(
            "SELECT c.id, m.number FROM messages m JOIN conversations c ON c.number = m.conversation
             WHERE m.number = ?1",
        )
        .bind(signed(number)),
        MessageRef::Seq(id, seq) => query(
            "SELECT c.id, m.number FROM conversations c JOIN messages m ON m.conversation = c.number
             WHERE c.id = ?1 AND m.seq = ?2",
        )
        .bind(id.0)
        .bind(signed(seq)),
    };
    let Some(place) = place.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let id = ConversationId(place.try_get(0)?);
    let Some(eyes) = Eyes::open(conn, id, viewer).await? else { return Ok(None) };
    let row = query(VISIBLE)
        .bind(eyes.conversation)
        .bind(place.try_get::<i64, _>(1)?)
        .bind(eyes.cleared_seq)
        .bind(eyes.user())
        .fetch_optional(&mut *conn)
        .await?;
    Ok(seen(conn, &eyes, row.iter()).await?.pop())
}

/// The pinned messages of `?1` that the viewer `?3` sees. The plus keeps SQLite from going by the seq.
pub(crate) const PINNED: &str = "
    SELECT m.* FROM messages m
    WHERE m.conversation = ?1 AND m.pinned_at IS NOT NULL AND +m.seq > ?2
        AND NOT EXISTS (
            SELECT 1 FROM deletions d
            WHERE d.conversation = ?1 AND d.user_id = ?3 AND d.message = m.number)
    ORDER BY m.pinned_at DESC, m.seq DESC";

pub(crate) async fn pinned(
    conn: &mut SqliteConnection,
    id: ConversationId,
    viewer: Option<UserId>,
) -> Result<Vec<Message>, Fault> {
    let Some(eyes) = Eyes::open(conn, id, viewer).await? else { return Ok(Vec::new()) };
    let rows = query(PINNED)
        .bind(eyes.conversation)
        .bind(eyes.cleared_seq)
        .bind(eyes.user())
        .fetch_all(&mut *conn)
        .await?;
    seen(conn, &eyes, rows.iter()).await
}

/// Messages by number, in any order, with all their reactions.
pub(crate) async fn by_numbers(
    conn: &mut SqliteConnection,
    numbers: &[i64],
) -> Result<Vec<Message>, Fault> {
    let rows = query(
        "SELECT m.*, c.id AS conversation_id FROM json_each(?1) asked
         CROSS JOIN messages m ON m.number = asked.value
         CROSS JOIN conversations c ON c.number = m.conversation",
    )
    .bind(json(&numbers)?)
    .fetch_all(&mut *conn)
    .await?;
    let mut messages = rows
        .iter()
        .map(|row| rows::message(row, ConversationId(row.try_get("conversation_id")?)))
        .collect::<Result<Vec<_>, Fault>>()?;
    reactions::fill(conn, &mut messages, None).await?;
    Ok(messages)
}
