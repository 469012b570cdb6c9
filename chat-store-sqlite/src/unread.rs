//! What is unread, counted from the cursors.

use parlor_core::{
    model::{ConversationId, MemberState, UserId},
    store::UnreadTotal,
};
use sqlx::{Row, SqliteConnection, query};

use crate::{
    error::Fault,
    rows::{json, signed, state},
};

/// Counts for `[conversation, user, after]` triples (`?1`), each up to `?2`.
pub(crate) const COUNTS: &str = "
    SELECT asked.key, (
        SELECT count(*) FROM (
            SELECT 1 FROM messages m
            WHERE m.conversation = asked.value ->> 0 AND m.seq > asked.value ->> 2
                AND m.deleted_at IS NULL AND m.kind <> 'system'
                AND m.sender_id IS NOT asked.value ->> 1
                AND NOT EXISTS (
                    SELECT 1 FROM deletions d
                    WHERE d.conversation = asked.value ->> 0 AND d.user_id = asked.value ->> 1
                        AND d.message = m.number)
            LIMIT ?2))
    FROM json_each(?1) asked";

/// The conversations of the user `?1` with something unread, each counted up to `?2`.
pub(crate) const TOTAL: &str = "
    WITH counted AS MATERIALIZED (
        SELECT (
            SELECT count(*) FROM (
                SELECT 1 FROM messages m
                WHERE m.conversation = me.conversation
                    AND m.seq > max(min(coalesce(me.unread_from - 1, me.read_seq), me.read_seq), me.cleared_seq)
                    AND m.deleted_at IS NULL AND m.kind <> 'system'
                    AND m.sender_id IS NOT ?1
                    AND NOT EXISTS (
                        SELECT 1 FROM deletions d
                        WHERE d.conversation = me.conversation AND d.user_id = ?1
                            AND d.message = m.number)
                LIMIT ?2)) AS unread
        FROM members me JOIN conversations c ON c.number = me.conversation
        WHERE me.user_id = ?1 AND me.archived = 0
            AND (me.hidden_seq IS NULL OR me.hidden_seq < c.last_seq))
    SELECT count(*), coalesce(sum(unread), 0) FROM counted WHERE unread > 0";

/// A member whose unread messages are to be counted.
pub(crate) struct Asked<'a> {
    pub(crate) conversation: i64,
    pub(crate) user: &'a UserId,
    pub(crate) state: &'a MemberState,
}

/// How much is unread for each, in order.
pub(crate) async fn counts(
    conn: &mut SqliteConnection,
    asked: &[Asked<'_>],
    cap: u32,
) -> Result<Vec<u32>, Fault> {
    let mut counts = vec![0; asked.len()];
    let triples: Vec<_> = asked
        .iter()
        .map(|one| (one.conversation, one.user.as_str(), signed(one.state.unread_after())))
        .collect();
    let rows = query(COUNTS).bind(json(&triples)?).bind(cap).fetch_all(conn).await?;
    for row in rows {
        let place = usize::try_from(row.try_get::<i64, _>(0)?).map_err(Fault::corrupt)?;
        if let Some(count) = counts.get_mut(place) {
            *count = row.try_get(1)?;
        }
    }
    Ok(counts)
}

/// Fills in what is unread in one state.
pub(crate) async fn fill(
    conn: &mut SqliteConnection,
    conversation: i64,
    user: &UserId,
    state: &mut MemberState,
    cap: u32,
) -> Result<(), Fault> {
    let counted = counts(conn, &[Asked { conversation, user, state }], cap).await?;
    state.unread = counted.first().copied().unwrap_or(0);
    Ok(())
}

/// A member's own row, not yet counted.
pub(crate) struct Mine {
    pub(crate) conversation: i64,
    pub(crate) last_seq: u64,
    pub(crate) state: MemberState,
}

/// `None` when the user is not a member.
pub(crate) async fn mine(
    conn: &mut SqliteConnection,
    id: ConversationId,
    user: &UserId,
) -> Result<Option<Mine>, Fault> {
    let row = query(
        "SELECT m.*, c.last_seq FROM conversations c JOIN members m ON m.conversation = c.number
         WHERE c.id = ?1 AND m.user_id = ?2",
    )
    .bind(id.0)
    .bind(user.as_str())
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Mine {
        conversation: row.try_get("conversation")?,
        last_seq: crate::rows::count(&row, "last_seq")?,
        state: state(&row)?,
    }))
}

pub(crate) async fn total(
    conn: &mut SqliteConnection,
    user: UserId,
    cap: u32,
) -> Result<UnreadTotal, Fault> {
    let row = query(TOTAL).bind(user.as_str()).bind(cap).fetch_one(conn).await?;
    Ok(UnreadTotal {
        conversations: row.try_get(0)?,
        messages: u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u32::MAX),
    })
}
