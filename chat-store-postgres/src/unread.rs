//! What is unread, counted from the cursors.

use std::sync::LazyLock;

use parlor_core::{
    model::{ConversationId, MemberState, UserId},
    store::UnreadTotal,
};
use sqlx::Row;

use crate::{
    connection::Conn,
    error::Fault,
    rows::{self, Columns, STATE, count, signed},
};

/// A member whose unread messages are to be counted.
pub(crate) struct Asked<'a> {
    pub(crate) conversation: i64,
    pub(crate) user: &'a UserId,
    pub(crate) state: &'a MemberState,
}

/// Counts for the users `$2` in the conversations `$1` after the seqs `$3`, each up to `$4`. Asked for the order, the planner
/// takes the index; it would else read the whole table where it believes that one in ten messages is to be counted.
pub(crate) const COUNTS: &str = "
    SELECT a.place, (
        SELECT count(*) FROM (
            SELECT 1 FROM parlor.messages m
            WHERE m.conversation = a.conversation AND m.seq > a.after
                AND m.deleted_at IS NULL AND m.kind <> 'system'
                AND m.sender_id IS DISTINCT FROM a.user_id
                AND NOT EXISTS (
                    SELECT 1 FROM parlor.deletions d
                    WHERE d.conversation = a.conversation AND d.user_id = a.user_id AND d.message = m.number)
            ORDER BY m.seq LIMIT $4) AS unread)
    FROM unnest($1::bigint[], $2::text[], $3::bigint[]) WITH ORDINALITY
        AS a (conversation, user_id, after, place)";

/// How much is unread for each, in order.
pub(crate) async fn counts(
    conn: &mut Conn<'_>,
    asked: &[Asked<'_>],
    cap: u32,
) -> Result<Vec<u32>, Fault> {
    let mut counts = vec![0; asked.len()];
    if asked.is_empty() {
        return Ok(counts);
    }
    let conversations: Vec<i64> = asked.iter().map(|one| one.conversation).collect();
    let users: Vec<&str> = asked.iter().map(|one| one.user.as_str()).collect();
    let after: Vec<i64> = asked.iter().map(|one| signed(one.state.unread_after())).collect();
    let query = conn.query(COUNTS).bind(conversations).bind(users).bind(after).bind(i64::from(cap));
    for row in query.fetch_all(conn.pg()).await? {
        let place = usize::try_from(row.try_get::<i64, _>(0)?).map_err(Fault::corrupt)?;
        if let Some(count) = counts.get_mut(place.wrapping_sub(1)) {
            *count = capped(row.try_get(1)?);
        }
    }
    Ok(counts)
}

pub(crate) fn capped(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Fills in what is unread in one state.
pub(crate) async fn fill(
    conn: &mut Conn<'_>,
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

/// The row of the member `$2` of the conversation `$1`.
pub(crate) static MINE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {STATE}, m.conversation, c.last_seq
         FROM parlor.conversations c JOIN parlor.members m ON m.conversation = c.number
         WHERE c.id = $1 AND m.user_id = $2"
    )
});

/// The same, locked until the end of the transaction.
static MINE_LOCKED: LazyLock<String> = LazyLock::new(|| MINE.clone() + " FOR NO KEY UPDATE OF m");

/// `None` when the user is not a member.
pub(crate) async fn mine(
    conn: &mut Conn<'_>,
    id: ConversationId,
    user: &UserId,
    to_change: bool,
) -> Result<Option<Mine>, Fault> {
    let sql: &'static str = if to_change { &MINE_LOCKED } else { &MINE };
    let query = conn.query(sql).bind(id.0).bind(user.as_str());
    let Some(row) = query.fetch_optional(conn.pg()).await? else { return Ok(None) };
    Ok(Some(Mine {
        conversation: row.try_get("conversation")?,
        last_seq: count(&row, "last_seq")?,
        state: rows::state(&mut Columns::from(&row, 0))?,
    }))
}

/// The seq after which messages count for the member `m`, as [`MemberState::unread_after`] has it.
pub(crate) const AFTER: &str =
    "greatest(least(coalesce(m.unread_from - 1, m.read_seq), m.read_seq), m.cleared_seq)";

/// The conversations of the user `$1` with something unread, each counted up to `$2`.
pub(crate) static TOTAL: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT count(*), coalesce(sum(u.unread), 0)::bigint
         FROM parlor.members m
         CROSS JOIN LATERAL (
            SELECT c.last_seq FROM parlor.conversations c WHERE c.number = m.conversation LIMIT 1) AS c
         CROSS JOIN LATERAL (
            SELECT count(*) AS unread FROM (
                SELECT 1 FROM parlor.messages u
                WHERE u.conversation = m.conversation AND u.seq > {AFTER}
                    AND u.deleted_at IS NULL AND u.kind <> 'system'
                    AND u.sender_id IS DISTINCT FROM $1
                    AND NOT EXISTS (
                        SELECT 1 FROM parlor.deletions d
                        WHERE d.conversation = m.conversation AND d.user_id = $1 AND d.message = u.number)
                ORDER BY u.seq LIMIT $2) AS found) AS u
         WHERE m.user_id = $1 AND NOT m.archived AND (m.hidden_seq IS NULL OR m.hidden_seq < c.last_seq)
            AND c.last_seq > {AFTER} AND u.unread > 0"
    )
});

pub(crate) async fn total(
    conn: &mut Conn<'_>,
    user: &UserId,
    cap: u32,
) -> Result<UnreadTotal, Fault> {
    let query = conn.query(&TOTAL).bind(user.as_str()).bind(i64::from(cap));
    let row = query.fetch_one(conn.pg()).await?;
    Ok(UnreadTotal { conversations: capped(row.try_get(0)?), messages: capped(row.try_get(1)?) })
}
