//! Reading messages: pages of history, single ones, pinned ones.

use std::sync::LazyLock;

use parlor_core::{
    model::{ConversationId, Message, UserId},
    store::{HistoryPage, HistoryQuery, MessageRef, Page},
};
use sqlx::{Row, postgres::PgRow};

use crate::{
    connection::Conn,
    error::Fault,
    eyes::Eyes,
    reactions::{messages, messages_and},
    rows::{self, one_more, signed},
};

/// The newest messages of `$1` after `$2` (what is cleared) and before `$3`, for the viewer `$4`. The limit `$5` is hidden
/// from the planner, which would otherwise plan each page anew.
pub(crate) static BACKWARDS: LazyLock<String> = LazyLock::new(|| {
    messages(
        "$4",
        "FROM parlor.messages m
         WHERE m.conversation = $1 AND m.seq > $2 AND m.seq < $3
            AND NOT EXISTS (
                SELECT 1 FROM parlor.deletions d
                WHERE d.conversation = $1 AND d.user_id = $4 AND d.message = m.number)
         ORDER BY m.seq DESC LIMIT (SELECT $5::bigint)",
    )
});

/// The oldest messages of `$1` after `$2` and before `$3`, for the viewer `$4`.
pub(crate) static FORWARDS: LazyLock<String> = LazyLock::new(|| {
    messages(
        "$4",
        "FROM parlor.messages m
         WHERE m.conversation = $1 AND m.seq > $2 AND m.seq < $3
            AND NOT EXISTS (
                SELECT 1 FROM parlor.deletions d
                WHERE d.conversation = $1 AND d.user_id = $4 AND d.message = m.number)
         ORDER BY m.seq LIMIT (SELECT $5::bigint)",
    )
});

pub(crate) async fn page(
    conn: &mut Conn<'_>,
    id: ConversationId,
    asked: HistoryQuery,
) -> Result<HistoryPage, Fault> {
    let mut page = HistoryPage { messages: Vec::new(), has_more: false };
    let Some(eyes) = Eyes::open(conn, id, asked.viewer).await? else { return Ok(page) };
    let (sql, after, before): (&'static str, _, _) = match asked.page {
        Page::Latest => (&BACKWARDS, eyes.cleared_seq, i64::MAX),
        Page::Before(seq) => (&BACKWARDS, eyes.cleared_seq, signed(seq)),
        Page::After(seq) => (&FORWARDS, signed(seq).max(eyes.cleared_seq), i64::MAX),
    };
    let query = conn
        .query(sql)
        .bind(eyes.conversation)
        .bind(after)
        .bind(before)
        .bind(eyes.user())
        .bind(one_more(asked.limit));
    let rows = query.fetch_all(conn.pg()).await?;
    page.has_more = rows.len() > asked.limit;
    page.messages = seen(&eyes, rows.iter().take(asked.limit))?;
    if !matches!(asked.page, Page::After(_)) {
        page.messages.reverse();
    }
    Ok(page)
}

/// Rows of messages as the viewer gets them.
pub(crate) fn seen<'r>(
    eyes: &Eyes,
    rows: impl Iterator<Item = &'r PgRow>,
) -> Result<Vec<Message>, Fault> {
    rows.map(|row| rows::message(row, eyes.conversation_id)).collect()
}

/// What a message must be for a viewer to see it: not cleared, and not deleted for them. The viewer is `$2`.
const FOR_VIEWER: &str = "
    FROM parlor.messages m
    JOIN parlor.conversations c ON c.number = m.conversation
    LEFT JOIN parlor.members me ON me.conversation = m.conversation AND me.user_id = $2
    WHERE m.seq > coalesce(me.cleared_seq, 0)
        AND NOT EXISTS (
            SELECT 1 FROM parlor.deletions d
            WHERE d.conversation = m.conversation AND d.user_id = $2 AND d.message = m.number)";

fn one(which: &str) -> String {
    messages_and("c.id AS conversation_id, ", "$2", &format!("{FOR_VIEWER}{which}"))
}

/// The message with the id `$1`, for the viewer `$2`.
pub(crate) static BY_ID: LazyLock<String> = LazyLock::new(|| one(" AND m.id = $1"));

/// The message with the number `$1`, for the viewer `$2`.
pub(crate) static BY_NUMBER: LazyLock<String> = LazyLock::new(|| one(" AND m.number = $1"));

/// The message at the seq `$3` of the conversation `$1`, for the viewer `$2`.
pub(crate) static BY_SEQ: LazyLock<String> = LazyLock::new(|| one(" AND c.id = $1 AND m.seq = $3"));

pub(crate) async fn message(
    conn: &mut Conn<'_>,
    message: MessageRef,
    viewer: Option<&UserId>,
) -> Result<Option<Message>, Fault> {
    let viewer = viewer.map(UserId::as_str);
    let query = match message {
        MessageRef::Id(id) => conn.query(&BY_ID).bind(id.0).bind(viewer),
        MessageRef::Number(number) => conn.query(&BY_NUMBER).bind(signed(number)).bind(viewer),
        MessageRef::Seq(id, seq) => conn.query(&BY_SEQ).bind(id.0).bind(viewer).bind(signed(seq)),
    };
    let row = query.fetch_optional(conn.pg()).await?;
    row.as_ref().map(of_conversation).transpose()
}

fn of_conversation(row: &PgRow) -> Result<Message, Fault> {
    rows::message(row, ConversationId(row.try_get("conversation_id")?))
}

/// The pinned messages of `$1` after `$2` (what is cleared) that the viewer `$3` sees.
pub(crate) static PINNED: LazyLock<String> = LazyLock::new(|| {
    messages(
        "$3",
        "FROM parlor.messages m
         WHERE m.conversation = $1 AND m.pinned_at IS NOT NULL AND m.seq > $2
            AND NOT EXISTS (
                SELECT 1 FROM parlor.deletions d
                WHERE d.conversation = $1 AND d.user_id = $3 AND d.message = m.number)
         ORDER BY m.pinned_at DESC, m.seq DESC",
    )
});

pub(crate) async fn pinned(
    conn: &mut Conn<'_>,
    id: ConversationId,
    viewer: Option<UserId>,
) -> Result<Vec<Message>, Fault> {
    let Some(eyes) = Eyes::open(conn, id, viewer).await? else { return Ok(Vec::new()) };
    let query =
        conn.query(&PINNED).bind(eyes.conversation).bind(eyes.cleared_seq).bind(eyes.user());
    let rows = query.fetch_all(conn.pg()).await?;
    seen(&eyes, rows.iter())
}

/// Messages with the numbers `$1`, whoever looks.
pub(crate) static BY_NUMBERS: LazyLock<String> = LazyLock::new(|| {
    messages_and(
        "c.id AS conversation_id, ",
        "NULL",
        "FROM parlor.messages m
         JOIN parlor.conversations c ON c.number = m.conversation
         WHERE m.number = ANY ($1)",
    )
});

/// Messages by number, in any order, with all their reactions.
pub(crate) async fn by_numbers(
    conn: &mut Conn<'_>,
    numbers: &[i64],
) -> Result<Vec<Message>, Fault> {
    let query = conn.query(&BY_NUMBERS).bind(numbers.to_vec());
    let rows = query.fetch_all(conn.pg()).await?;
    rows.iter().map(of_conversation).collect()
}
