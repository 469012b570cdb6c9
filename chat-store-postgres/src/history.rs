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
    messages::{self, messages, messages_and},
    rows::{Columns, one_more, signed},
};

/// A page of the conversation `$1` for the viewer `$2`, who must be a member: with `NULL` everything is seen. A row
/// without a message where there is none; no row at all where there is nothing to be seen of the conversation.
///
/// Who may read and what there is to read are one statement, so they are of one moment. The limit is hidden from
/// the planner, which would otherwise plan each page anew.
fn page_of(range: &str, order: &str) -> String {
    let messages = messages(
        "$2",
        &format!(
            "FROM parlor.messages m
             WHERE m.conversation = eyes.number AND {range}
                AND NOT EXISTS (
                    SELECT 1 FROM parlor.deletions d
                    WHERE d.conversation = eyes.number AND d.user_id = $2 AND d.message = m.number)
             ORDER BY m.seq {order} LIMIT (SELECT $4::bigint)"
        ),
    );
    format!(
        "SELECT page.* FROM (
            SELECT c.number, coalesce(me.cleared_seq, 0) AS cleared_seq
            FROM parlor.conversations c
            LEFT JOIN parlor.members me ON me.conversation = c.number AND me.user_id = $2
            WHERE c.id = $1 AND ($2::text IS NULL OR me.user_id IS NOT NULL)) AS eyes
         LEFT JOIN LATERAL ({messages}) AS page ON true"
    )
}

/// The newest messages before `$3`, at most `$4`.
pub(crate) static BACKWARDS: LazyLock<String> =
    LazyLock::new(|| page_of("m.seq > eyes.cleared_seq AND m.seq < $3", "DESC"));

/// The oldest messages after `$3`, at most `$4`.
pub(crate) static FORWARDS: LazyLock<String> =
    LazyLock::new(|| page_of("m.seq > greatest(eyes.cleared_seq, $3)", "ASC"));

pub(crate) async fn page(
    conn: &mut Conn<'_>,
    id: ConversationId,
    asked: HistoryQuery,
) -> Result<Option<HistoryPage>, Fault> {
    let (sql, seq): (&'static str, _) = match asked.page {
        Page::Latest => (&BACKWARDS, i64::MAX),
        Page::Before(seq) => (&BACKWARDS, signed(seq)),
        Page::After(seq) => (&FORWARDS, signed(seq)),
    };
    let query = conn
        .query(sql)
        .bind(id.0)
        .bind(asked.viewer.as_ref().map(UserId::as_str))
        .bind(seq)
        .bind(one_more(asked.limit));
    let rows = query.fetch_all(conn.pg()).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let found = rows
        .iter()
        .filter_map(|row| messages::from_columns(&mut Columns::from(row, 0), id).transpose());
    let mut messages = found.collect::<Result<Vec<Message>, Fault>>()?;
    messages.sort_unstable_by_key(|message| message.seq);
    let has_more = messages.len() > asked.limit;
    if has_more {
        let one_too_many = if matches!(asked.page, Page::After(_)) { asked.limit } else { 0 };
        messages.remove(one_too_many);
    }
    Ok(Some(HistoryPage { messages, has_more }))
}

/// Rows of messages as the viewer gets them.
pub(crate) fn seen<'r>(
    eyes: &Eyes,
    rows: impl Iterator<Item = &'r PgRow>,
) -> Result<Vec<Message>, Fault> {
    rows.map(|row| messages::from_row(row, eyes.conversation_id)).collect()
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
    messages_and(", c.id AS conversation_id", "$2", &format!("{FOR_VIEWER}{which}"))
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
    messages::from_row(row, ConversationId(row.try_get("conversation_id")?))
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
        ", c.id AS conversation_id",
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
