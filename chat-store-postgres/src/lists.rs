//! Lists of a user's conversations.

use std::sync::LazyLock;

use parlor_core::{
    model::{ConversationId, ConversationSummary, UserId},
    store::{ListPosition, ListQuery},
};
use sqlx::postgres::PgRow;

use crate::{
    connection::Conn,
    error::Fault,
    gather::answers,
    messages::{self, messages},
    rows::{self, CONVERSATION, Columns, STATE, limit, signed},
    unread::{AFTER, capped},
};

/// Entries of the users `a.viewer`, each with what is unread up to `a.cap` and the last message. Each conversation is looked
/// up by its number, which the limit of one makes sure of: who is in many would else have all conversations of the store
/// read and joined.
fn entries(asked: &str, which: &str) -> String {
    let last = messages(
        "page.viewer",
        "FROM (
            SELECT v.* FROM parlor.messages v
            WHERE v.conversation = page.number AND v.seq > page.cleared_seq
                AND NOT EXISTS (
                    SELECT 1 FROM parlor.deletions d
                    WHERE d.conversation = page.number AND d.user_id = page.viewer AND d.message = v.number)
            ORDER BY v.seq DESC LIMIT 1) AS m",
    );
    format!(
        "WITH page AS MATERIALIZED (
            SELECT p.*, a.place, a.viewer, a.cap
            FROM {asked}
            CROSS JOIN LATERAL (
                SELECT {CONVERSATION}, {STATE}, {AFTER} AS after
                FROM parlor.members m CROSS JOIN LATERAL (
                    SELECT * FROM parlor.conversations c WHERE c.number = m.conversation LIMIT 1) AS c
                WHERE m.user_id = a.viewer AND {which}) AS p)
         SELECT page.*, CASE WHEN page.last_seq <= page.after THEN 0 ELSE (
            SELECT count(*) FROM (
                SELECT 1 FROM parlor.messages u
                WHERE u.conversation = page.number AND u.seq > page.after
                    AND u.deleted_at IS NULL AND u.kind <> 'system'
                    AND u.sender_id IS DISTINCT FROM page.viewer
                    AND NOT EXISTS (
                        SELECT 1 FROM parlor.deletions d
                        WHERE d.conversation = page.number AND d.user_id = page.viewer AND d.message = u.number)
                ORDER BY u.seq LIMIT page.cap) AS found) END AS unread, last.*
         FROM page LEFT JOIN LATERAL ({last}) AS last ON page.last_seq > page.cleared_seq
         ORDER BY page.place, page.last_activity_at DESC, page.number DESC"
    )
}

/// A page of the list of each of the users `$1`, after the position in `$4` and `$5`.
pub(crate) static LIST: LazyLock<String> = LazyLock::new(|| {
    entries(
        "(SELECT $1::text[] AS viewers, $2::bigint[] AS caps, $3::boolean[] AS archived, $4::bigint[] AS after_at,
                $5::bigint[] AS after_numbers, $6::bigint[] AS most, $7::boolean[] AS hidden OFFSET 0) AS q
            CROSS JOIN LATERAL unnest(q.viewers, q.caps, q.archived, q.after_at, q.after_numbers, q.most, q.hidden)
            WITH ORDINALITY AS a (viewer, cap, archived, after_at, after_number, most, hidden, place)",
        "(a.hidden OR m.hidden_seq IS NULL OR m.hidden_seq < c.last_seq)
            AND (a.archived IS NULL OR m.archived = a.archived)
            AND (a.after_at IS NULL OR (c.last_activity_at, c.number) < (a.after_at, a.after_number))
         ORDER BY c.last_activity_at DESC, c.number DESC LIMIT a.most",
    )
});

/// The entry of the user `$1` for the conversation `$3`.
pub(crate) static SUMMARY: LazyLock<String> = LazyLock::new(|| {
    entries(
        "(SELECT $1::text, $2::bigint, 1::bigint) AS a (viewer, cap, place)",
        "m.conversation = (SELECT number FROM parlor.conversations WHERE id = $3)",
    )
});

/// What is asked for: a page of a user's list.
pub(crate) type ListAsked = (UserId, ListQuery);

pub(crate) async fn lists(
    conn: &mut Conn<'_>,
    asked: &[ListAsked],
) -> Result<Vec<Vec<ConversationSummary>>, Fault> {
    let users: Vec<&str> = asked.iter().map(|(user, _)| user.as_str()).collect();
    let queries = || asked.iter().map(|(_, query)| query);
    let query = conn
        .query(&LIST)
        .bind(users)
        .bind(queries().map(|asked| i64::from(asked.unread_cap)).collect::<Vec<_>>())
        .bind(queries().map(|asked| asked.archived).collect::<Vec<_>>())
        .bind(queries().map(|asked| asked.after.map(at)).collect::<Vec<_>>())
        .bind(
            queries()
                .map(|asked| asked.after.map(|after| signed(after.number)))
                .collect::<Vec<_>>(),
        )
        .bind(queries().map(|asked| limit(asked.limit)).collect::<Vec<_>>())
        .bind(queries().map(|asked| asked.hidden).collect::<Vec<_>>());
    let rows = query.fetch_all(conn.pg()).await?;
    answers(asked.len(), &rows, |_, row| entry(row))
}

fn at(after: ListPosition) -> i64 {
    after.last_activity_at.as_millis()
}

pub(crate) async fn summary(
    conn: &mut Conn<'_>,
    id: ConversationId,
    user: &UserId,
    unread_cap: u32,
) -> Result<Option<ConversationSummary>, Fault> {
    let query = conn.query(&SUMMARY).bind(user.as_str()).bind(i64::from(unread_cap)).bind(id.0);
    let row = query.fetch_optional(conn.pg()).await?;
    row.as_ref().map(entry).transpose()
}

/// From a row of [`entries`].
fn entry(row: &PgRow) -> Result<ConversationSummary, Fault> {
    let mut columns = Columns::from(row, 0);
    let conversation = rows::conversation(&mut columns)?;
    let mut me = rows::state(&mut columns)?;
    // What the statement itself needs: after, place, viewer, cap.
    columns.skip(4);
    me.unread = capped(columns.get()?);
    let message = messages::from_columns(&mut columns, conversation.id)?;
    Ok(ConversationSummary::new(conversation, me, message))
}
