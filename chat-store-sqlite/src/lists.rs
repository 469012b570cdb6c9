//! Lists of a user's conversations, and who shares one.

use std::collections::HashMap;

use parlor_core::{
    Timestamp,
    model::{ConversationId, ConversationSummary, MemberState, Message, UserId},
    store::{Arrival, ListQuery, Membership},
};
use sqlx::{Row, SqliteConnection, query, query_scalar, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    error::Fault,
    reactions,
    rows::{self, count, hex, json, kind_of, limit, signed, unsigned, user_id},
    unread::{self, Asked},
};

/// A page of the user `?1`'s list.
pub(crate) const LIST: &str = "
    SELECT c.*, m.* FROM members m JOIN conversations c ON c.number = m.conversation
    WHERE m.user_id = ?1
        AND (?6 OR m.hidden_seq IS NULL OR m.hidden_seq < c.last_seq)
        AND (?2 IS NULL OR m.archived = ?2)
        AND (?3 IS NULL OR (c.last_activity_at, c.number) < (?3, ?4))
    ORDER BY c.last_activity_at DESC, c.number DESC LIMIT ?5";

/// The last message that the user `?2` sees in each conversation, for pairs `[conversation, cleared]`.
pub(crate) const LAST: &str = "
    SELECT m.* FROM json_each(?1) asked CROSS JOIN messages m ON m.number = (
        SELECT v.number FROM messages v
        WHERE v.conversation = asked.value ->> 0 AND v.seq > asked.value ->> 1
            AND NOT EXISTS (
                SELECT 1 FROM deletions d
                WHERE d.conversation = asked.value ->> 0 AND d.user_id = ?2
                    AND d.message = v.number)
        ORDER BY v.seq DESC LIMIT 1)";

pub(crate) async fn list(
    conn: &mut SqliteConnection,
    user: UserId,
    asked: ListQuery,
) -> Result<Vec<ConversationSummary>, Fault> {
    let rows = query(LIST)
        .bind(user.as_str())
        .bind(asked.archived)
        .bind(asked.after.map(|after| after.last_activity_at.as_millis()))
        .bind(asked.after.map(|after| signed(after.number)))
        .bind(limit(asked.limit))
        .bind(asked.hidden)
        .fetch_all(&mut *conn)
        .await?;
    summaries(conn, &user, &rows, asked.unread_cap).await
}

pub(crate) async fn summary(
    conn: &mut SqliteConnection,
    id: ConversationId,
    user: UserId,
    unread_cap: u32,
) -> Result<Option<ConversationSummary>, Fault> {
    let rows = query(
        "SELECT c.*, m.* FROM conversations c JOIN members m ON m.conversation = c.number
         WHERE c.id = ?1 AND m.user_id = ?2",
    )
    .bind(id.0)
    .bind(user.as_str())
    .fetch_all(&mut *conn)
    .await?;
    Ok(summaries(conn, &user, &rows, unread_cap).await?.pop())
}

/// Puts entries together: what is unread and the last messages are read for these rows alone.
async fn summaries(
    conn: &mut SqliteConnection,
    user: &UserId,
    rows: &[SqliteRow],
    unread_cap: u32,
) -> Result<Vec<ConversationSummary>, Fault> {
    let mut entries = rows
        .iter()
        .map(|row| Ok((rows::conversation(row)?, rows::state(row)?)))
        .collect::<Result<Vec<_>, Fault>>()?;
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<Asked<'_>> = entries
        .iter()
        .map(|(conversation, state)| Asked {
            conversation: signed(conversation.number),
            user,
            state,
        })
        .collect();
    let counts = unread::counts(conn, &asked, unread_cap).await?;
    for ((_, state), count) in entries.iter_mut().zip(counts) {
        state.unread = count;
    }
    let mut last: HashMap<ConversationId, Message> =
        last_messages(conn, user, entries.iter().map(|(c, me)| (c.number, c.id, me)))
            .await?
            .into_iter()
            .map(|message| (message.conversation_id, message))
            .collect();
    Ok(entries
        .into_iter()
        .map(|(conversation, me)| {
            let message = last.remove(&conversation.id);
            ConversationSummary::new(conversation, me, message)
        })
        .collect())
}

async fn last_messages(
    conn: &mut SqliteConnection,
    user: &UserId,
    of: impl Iterator<Item = (u64, ConversationId, &MemberState)>,
) -> Result<Vec<Message>, Fault> {
    let mut ids = HashMap::new();
    let mut pairs = Vec::new();
    for (number, id, me) in of {
        ids.insert(number, id);
        pairs.push((number, me.cleared_seq));
    }
    let rows = query(LAST).bind(json(&pairs)?).bind(user.as_str()).fetch_all(&mut *conn).await?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(id) = ids.get(&count(row, "conversation")?) {
            messages.push(rows::message(row, *id)?);
        }
    }
    reactions::fill(conn, &mut messages, Some(user)).await?;
    Ok(messages)
}

pub(crate) async fn memberships(
    conn: &mut SqliteConnection,
    user: UserId,
    after: Option<ConversationId>,
    most: usize,
) -> Result<Vec<Membership>, Fault> {
    let rows = query(
        "SELECT c.id, c.kind, c.rev, c.last_seq, c.member_count, c.last_activity_at, c.direct, m.member_rev
         FROM members m JOIN conversations c ON c.number = m.conversation
         WHERE m.user_id = ?1 AND (?2 IS NULL OR c.id > ?2) ORDER BY c.id LIMIT ?3",
    )
    .bind(user.as_str())
    .bind(after.map(|id| id.0))
    .bind(limit(most))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Membership {
                conversation_id: ConversationId(row.try_get("id")?),
                kind: kind_of(row.try_get("kind")?)?,
                rev: count(row, "rev")?,
                last_seq: count(row, "last_seq")?,
                member_rev: count(row, "member_rev")?,
                member_count: row.try_get("member_count")?,
                last_activity_at: Timestamp::from_millis(row.try_get("last_activity_at")?),
                peer: rows::peer(row, &user)?,
            })
        })
        .collect()
}

/// Memberships since `?1`, after the user `?4` in the conversation `?3` at `?2`.
pub(crate) const ARRIVALS: &str = "
    SELECT m.joined_at, c.id, m.user_id
    FROM members m CROSS JOIN conversations c ON c.number = m.conversation
    WHERE m.joined_at >= ?1 AND (?2 IS NULL OR (m.joined_at, m.conversation, m.user_id)
        > (?2, (SELECT number FROM conversations WHERE id = ?3), ?4))
    ORDER BY m.joined_at, m.conversation, m.user_id LIMIT ?5";

pub(crate) async fn arrivals(
    conn: &mut SqliteConnection,
    since: Timestamp,
    after: Option<Arrival>,
    most: usize,
) -> Result<Vec<Arrival>, Fault> {
    let from = after.as_ref().map_or(since, |after| after.joined_at.max(since));
    let rows = query(ARRIVALS)
        .bind(from.as_millis())
        .bind(after.as_ref().map(|after| after.joined_at.as_millis()))
        .bind(after.as_ref().map(|after| after.conversation_id.0))
        .bind(after.as_ref().map(|after| after.user_id.as_str()))
        .bind(limit(most))
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Arrival {
                joined_at: Timestamp::from_millis(row.try_get(0)?),
                conversation_id: ConversationId(row.try_get(1)?),
                user_id: user_id(row.try_get(2)?)?,
            })
        })
        .collect()
}

/// The revs of conversations.
pub(crate) const HEADS: &str = "
    SELECT DISTINCT c.id, c.rev FROM json_each(?1) asked
    CROSS JOIN conversations c ON c.id = unhex(asked.value)";

pub(crate) async fn heads(
    conn: &mut SqliteConnection,
    ids: Vec<ConversationId>,
) -> Result<Vec<(ConversationId, u64)>, Fault> {
    let asked: Vec<String> = ids.iter().map(|id| hex(id.0)).collect();
    let rows = query(HEADS).bind(json(&asked)?).fetch_all(conn).await?;
    rows.iter()
        .map(|row| Ok((ConversationId(row.try_get::<Uuid, _>(0)?), unsigned(row.try_get(1)?))))
        .collect()
}

/// Those of the users `?2` who are in a conversation with `?1`.
pub(crate) const SHARING: &str = "
    SELECT DISTINCT asked.value FROM json_each(?2) asked
    WHERE EXISTS (
        SELECT 1 FROM members theirs CROSS JOIN members mine
            ON mine.conversation = theirs.conversation AND mine.user_id = ?1
        WHERE theirs.user_id = asked.value)";

pub(crate) async fn sharing(
    conn: &mut SqliteConnection,
    user: UserId,
    others: Vec<UserId>,
) -> Result<Vec<UserId>, Fault> {
    let sharing: Vec<String> =
        query_scalar(SHARING).bind(user.as_str()).bind(json(&others)?).fetch_all(conn).await?;
    sharing.into_iter().map(user_id).collect()
}
