//! Lists of a user's conversations, and who shares one.

use std::{collections::HashMap, sync::LazyLock};

use parlor_core::{
    Timestamp,
    model::{ConversationId, ConversationSummary, MemberState, Message, UserId},
    store::{Arrival, ListQuery, Membership},
};
use sqlx::{Row, postgres::PgRow};

use crate::{
    connection::Conn,
    error::Fault,
    reactions,
    rows::{
        self, CONVERSATION, DIRECT, STATE, count, kind_of, limit, member_count, signed, unsigned,
        user_id,
    },
    unread::{AFTER, capped},
};

/// Entries of the user `$1`, each with what is unread up to `$2`. Each conversation is looked up by its number, which the
/// limit of one makes sure of: who is in many would else have all conversations of the store read and joined.
fn entries(which: &str) -> String {
    format!(
        "WITH page AS MATERIALIZED (
            SELECT {CONVERSATION}, {STATE}, {AFTER} AS after
            FROM parlor.members m CROSS JOIN LATERAL (
                SELECT * FROM parlor.conversations c WHERE c.number = m.conversation LIMIT 1) AS c
            WHERE m.user_id = $1 AND {which})
         SELECT page.*, CASE WHEN page.last_seq <= page.after THEN 0 ELSE (
            SELECT count(*) FROM (
                SELECT 1 FROM parlor.messages u
                WHERE u.conversation = page.number AND u.seq > page.after
                    AND u.deleted_at IS NULL AND u.kind <> 'system'
                    AND u.sender_id IS DISTINCT FROM $1
                    AND NOT EXISTS (
                        SELECT 1 FROM parlor.deletions d
                        WHERE d.conversation = page.number AND d.user_id = $1 AND d.message = u.number)
                LIMIT $2) AS found) END AS unread
         FROM page ORDER BY page.last_activity_at DESC, page.number DESC"
    )
}

/// A page of the user `$1`'s list.
pub(crate) static LIST: LazyLock<String> = LazyLock::new(|| {
    entries(
        "(m.hidden_seq IS NULL OR m.hidden_seq < c.last_seq)
            AND ($3::boolean IS NULL OR m.archived = $3)
            AND ($4::bigint IS NULL OR (c.last_activity_at, c.number) < ($4, $5))
         ORDER BY c.last_activity_at DESC, c.number DESC LIMIT $6",
    )
});

/// The entry of the conversation `$3`.
pub(crate) static SUMMARY: LazyLock<String> = LazyLock::new(|| {
    entries("m.conversation = (SELECT number FROM parlor.conversations WHERE id = $3)")
});

/// The last messages up to the seqs `$3` that the user `$4` sees in the conversations `$1`, cleared up to `$2`.
pub(crate) static LAST: LazyLock<String> = LazyLock::new(|| {
    reactions::messages(
        "$4",
        "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS a (conversation, cleared, last)
         CROSS JOIN LATERAL (
            SELECT v.* FROM parlor.messages v
            WHERE v.conversation = a.conversation AND v.seq > a.cleared AND v.seq <= a.last
                AND NOT EXISTS (
                    SELECT 1 FROM parlor.deletions d
                    WHERE d.conversation = a.conversation AND d.user_id = $4 AND d.message = v.number)
            ORDER BY v.seq DESC LIMIT 1) AS m",
    )
});

pub(crate) async fn list(
    conn: &mut Conn<'_>,
    user: &UserId,
    asked: ListQuery,
) -> Result<Vec<ConversationSummary>, Fault> {
    let query = conn
        .query(&LIST)
        .bind(user.as_str())
        .bind(i64::from(asked.unread_cap))
        .bind(asked.archived)
        .bind(asked.after.map(|after| after.last_activity_at.as_millis()))
        .bind(asked.after.map(|after| signed(after.number)))
        .bind(limit(asked.limit));
    let rows = query.fetch_all(conn.pg()).await?;
    summaries(conn, user, &rows).await
}

pub(crate) async fn summary(
    conn: &mut Conn<'_>,
    id: ConversationId,
    user: &UserId,
    unread_cap: u32,
) -> Result<Option<ConversationSummary>, Fault> {
    let query = conn.query(&SUMMARY).bind(user.as_str()).bind(i64::from(unread_cap)).bind(id.0);
    let rows = query.fetch_all(conn.pg()).await?;
    Ok(summaries(conn, user, &rows).await?.pop())
}

/// Puts entries together: the last messages are read for these rows alone, and none that is younger than they.
async fn summaries(
    conn: &mut Conn<'_>,
    user: &UserId,
    rows: &[PgRow],
) -> Result<Vec<ConversationSummary>, Fault> {
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let (conversation, mut me) = (rows::conversation(row)?, rows::state(row)?);
        me.unread = capped(row.try_get("unread")?);
        entries.push((conversation, me));
    }
    let places =
        entries.iter().map(|(c, me)| Place { number: c.number, id: c.id, last: c.last_seq, me });
    let mut last = last_messages(conn, user, places).await?;
    Ok(entries
        .into_iter()
        .map(|(conversation, me)| {
            let message = last.remove(&conversation.id);
            ConversationSummary::new(conversation, me, message)
        })
        .collect())
}

/// Where a last message is looked for.
struct Place<'a> {
    number: u64,
    id: ConversationId,
    last: u64,
    me: &'a MemberState,
}

async fn last_messages(
    conn: &mut Conn<'_>,
    user: &UserId,
    places: impl Iterator<Item = Place<'_>>,
) -> Result<HashMap<ConversationId, Message>, Fault> {
    let mut ids = HashMap::new();
    let (mut conversations, mut cleared, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for place in places {
        ids.insert(signed(place.number), place.id);
        conversations.push(signed(place.number));
        cleared.push(signed(place.me.cleared_seq));
        last.push(signed(place.last));
    }
    let mut messages = HashMap::new();
    if conversations.is_empty() {
        return Ok(messages);
    }
    let query = conn.query(&LAST).bind(conversations).bind(cleared).bind(last).bind(user.as_str());
    for row in &query.fetch_all(conn.pg()).await? {
        if let Some(id) = ids.get(&row.try_get("conversation")?) {
            messages.insert(*id, rows::message(row, *id)?);
        }
    }
    Ok(messages)
}

/// The memberships of the user `$1` after the conversation `$2`.
pub(crate) const MEMBERSHIPS: &str = "
    SELECT c.id, c.kind, c.rev, c.last_seq, c.member_count, c.last_activity_at, m.member_rev
    FROM parlor.members m CROSS JOIN LATERAL (
        SELECT * FROM parlor.conversations c WHERE c.number = m.conversation LIMIT 1) AS c
    WHERE m.user_id = $1 AND ($2::uuid IS NULL OR c.id > $2) ORDER BY c.id LIMIT $3";

pub(crate) async fn memberships(
    conn: &mut Conn<'_>,
    user: &UserId,
    after: Option<ConversationId>,
    most: usize,
) -> Result<Vec<Membership>, Fault> {
    let query =
        conn.query(MEMBERSHIPS).bind(user.as_str()).bind(after.map(|id| id.0)).bind(limit(most));
    let rows = query.fetch_all(conn.pg()).await?;
    rows.iter()
        .map(|row| {
            Ok(Membership {
                conversation_id: ConversationId(row.try_get("id")?),
                kind: kind_of(row.try_get("kind")?)?,
                rev: count(row, "rev")?,
                last_seq: count(row, "last_seq")?,
                member_rev: count(row, "member_rev")?,
                member_count: member_count(row)?,
                last_activity_at: Timestamp::from_millis(row.try_get("last_activity_at")?),
            })
        })
        .collect()
}

/// Memberships since `$1`, after the user `$4` in the conversation `$3` at `$2`.
pub(crate) const ARRIVALS: &str = "
    SELECT m.joined_at, c.id, m.user_id
    FROM parlor.members m JOIN parlor.conversations c ON c.number = m.conversation
    WHERE m.joined_at >= $1 AND ($2::bigint IS NULL OR (m.joined_at, m.conversation, m.user_id)
        > ($2, (SELECT number FROM parlor.conversations WHERE id = $3), $4))
    ORDER BY m.joined_at, m.conversation, m.user_id LIMIT $5";

pub(crate) async fn arrivals(
    conn: &mut Conn<'_>,
    since: Timestamp,
    after: Option<Arrival>,
    most: usize,
) -> Result<Vec<Arrival>, Fault> {
    let from = after.as_ref().map_or(since, |after| after.joined_at.max(since));
    let query = conn
        .query(ARRIVALS)
        .bind(from.as_millis())
        .bind(after.as_ref().map(|after| after.joined_at.as_millis()))
        .bind(after.as_ref().map(|after| after.conversation_id.0))
        .bind(after.as_ref().map(|after| after.user_id.as_str()))
        .bind(limit(most));
    let rows = query.fetch_all(conn.pg()).await?;
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

/// The revs of the conversations `$1`.
pub(crate) const HEADS: &str = "SELECT id, rev FROM parlor.conversations WHERE id = ANY ($1)";

pub(crate) async fn heads(
    conn: &mut Conn<'_>,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, u64)>, Fault> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = conn.query(HEADS).bind(ids).fetch_all(conn.pg()).await?;
    rows.iter()
        .map(|row| Ok((ConversationId(row.try_get(0)?), unsigned(row.try_get(1)?))))
        .collect()
}

/// Whom the user `$1` has direct conversations (`$2`) with.
pub(crate) const DIRECT_PEERS: &str = "
    SELECT user_id FROM (
        SELECT DISTINCT ON (p.user_id) p.user_id, c.last_activity_at, c.number
        FROM parlor.members m
        CROSS JOIN LATERAL (
            SELECT * FROM parlor.conversations c WHERE c.number = m.conversation LIMIT 1) AS c
        CROSS JOIN LATERAL (
            SELECT p.user_id FROM parlor.members p
            WHERE p.conversation = m.conversation AND p.user_id <> $1 AND c.kind = $2 LIMIT 1) AS p
        WHERE m.user_id = $1
        ORDER BY p.user_id, c.last_activity_at DESC, c.number DESC) AS peers
    ORDER BY last_activity_at DESC, number DESC LIMIT $3";

pub(crate) async fn direct_peers(
    conn: &mut Conn<'_>,
    user: &UserId,
    most: usize,
) -> Result<Vec<UserId>, Fault> {
    let query = conn.query(DIRECT_PEERS).bind(user.as_str()).bind(DIRECT).bind(limit(most));
    let rows = query.fetch_all(conn.pg()).await?;
    rows.iter().map(|row| user_id(row.try_get(0)?)).collect()
}

/// Those of the users `$2` who are in a conversation with `$1`: the first that is found is enough. The offset keeps the
/// members of all of one's conversations from being gone through.
pub(crate) const SHARING: &str = "
    SELECT DISTINCT a.user_id FROM unnest($2::text[]) AS a (user_id)
    WHERE EXISTS (
        SELECT 1 FROM parlor.members theirs
        WHERE theirs.user_id = a.user_id AND EXISTS (
            SELECT 1 FROM parlor.members mine
            WHERE mine.conversation = theirs.conversation AND mine.user_id = $1 OFFSET 0)
        OFFSET 0)";

pub(crate) async fn sharing(
    conn: &mut Conn<'_>,
    user: &UserId,
    others: &[UserId],
) -> Result<Vec<UserId>, Fault> {
    let others: Vec<&str> = others.iter().map(UserId::as_str).collect();
    let query = conn.query(SHARING).bind(user.as_str()).bind(others);
    let rows = query.fetch_all(conn.pg()).await?;
    rows.iter().map(|row| user_id(row.try_get(0)?)).collect()
}
