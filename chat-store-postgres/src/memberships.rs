//! Who is where: a user's memberships, and who shares a conversation.

use parlor_core::{
    Timestamp,
    model::{ConversationId, UserId},
    store::{Arrival, Membership},
};
use sqlx::{Row, postgres::PgRow};

use crate::{
    connection::Conn,
    error::Fault,
    gather::answers,
    rows::{count, kind_of, limit, member_count, peer, unsigned, user_id},
};

/// What is asked for: memberships of a user, after a conversation, and how many at most.
pub(crate) type MembershipsAsked = (UserId, Option<ConversationId>, usize);

/// The memberships of each of the users `$1`, after the conversation in `$2`, as many as in `$3` at most.
pub(crate) const MEMBERSHIPS: &str = "
    SELECT a.place, p.id, p.kind, p.rev, p.last_seq, p.member_count, p.last_activity_at, p.direct, p.member_rev
    FROM (SELECT $1::text[] AS users, $2::uuid[] AS after, $3::bigint[] AS most OFFSET 0) AS q
    CROSS JOIN LATERAL unnest(q.users, q.after, q.most) WITH ORDINALITY AS a (user_id, after, most, place)
    CROSS JOIN LATERAL (
        SELECT c.id, c.kind, c.rev, c.last_seq, c.member_count, c.last_activity_at, c.direct, m.member_rev
        FROM parlor.members m CROSS JOIN LATERAL (
            SELECT * FROM parlor.conversations c WHERE c.number = m.conversation LIMIT 1) AS c
        WHERE m.user_id = a.user_id AND (a.after IS NULL OR c.id > a.after) ORDER BY c.id LIMIT a.most) AS p
    ORDER BY a.place, p.id";

pub(crate) async fn memberships(
    conn: &mut Conn<'_>,
    asked: &[MembershipsAsked],
) -> Result<Vec<Vec<Membership>>, Fault> {
    let users: Vec<&str> = asked.iter().map(|(user, ..)| user.as_str()).collect();
    let after: Vec<_> = asked.iter().map(|(_, after, _)| after.map(|id| id.0)).collect();
    let most: Vec<i64> = asked.iter().map(|(.., most)| limit(*most)).collect();
    let query = conn.query(MEMBERSHIPS).bind(users).bind(after).bind(most);
    let rows = query.fetch_all(conn.pg()).await?;
    answers(asked.len(), &rows, |place, row| membership(row, &asked[place].0))
}

fn membership(row: &PgRow, user: &UserId) -> Result<Membership, Fault> {
    Ok(Membership {
        conversation_id: ConversationId(row.try_get("id")?),
        kind: kind_of(row.try_get("kind")?)?,
        rev: count(row, "rev")?,
        last_seq: count(row, "last_seq")?,
        member_rev: count(row, "member_rev")?,
        member_count: member_count(row)?,
        last_activity_at: Timestamp::from_millis(row.try_get("last_activity_at")?),
        peer: peer(row, user)?,
    })
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
