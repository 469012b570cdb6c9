//! A member's own state: settings, hidden, cleared, marked, deleted for them alone.

use parlor_core::{
    Timestamp,
    model::{ConversationId, MemberState, MessageId, UserId},
    store::{PrivateChange, PrivateDelta},
};
use sqlx::Row;

use crate::{
    connection::Conn,
    error::Fault,
    rows::{limit, signed},
    unread::{self, Mine, mine},
};

pub(crate) async fn change(
    conn: &mut Conn<'_>,
    id: ConversationId,
    user: UserId,
    change: PrivateChange,
    unread_cap: u32,
) -> Result<Option<PrivateDelta>, Fault> {
    let Some(Mine { conversation, last_seq, mut state }) = mine(conn, id, &user, true).await?
    else {
        return Ok(None);
    };
    let next_rev = state.member_rev + 1;
    let deleted = delete(conn, conversation, &user, change.deletions(), next_rev).await?;
    let changed = change.apply(&mut state, last_seq) || !deleted.is_empty();
    if changed {
        state.member_rev = next_rev;
        write(conn, conversation, &user, &state).await?;
    }
    unread::fill(conn, conversation, &user, &mut state, unread_cap).await?;
    Ok(Some(PrivateDelta { state, deleted, changed }))
}

/// Those of the messages that were not deleted before, in the order given.
async fn delete(
    conn: &mut Conn<'_>,
    conversation: i64,
    user: &UserId,
    ids: &[MessageId],
    member_rev: u64,
) -> Result<Vec<MessageId>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<_> = ids.iter().map(|id| id.0).collect();
    let query = conn
        .query(
            "WITH found AS (
                SELECT m.id, m.number, min(a.place) AS place
                FROM unnest($1::uuid[]) WITH ORDINALITY AS a (id, place)
                JOIN parlor.messages m ON m.id = a.id AND m.conversation = $2
                GROUP BY m.id, m.number
             ), deleted AS (
                INSERT INTO parlor.deletions (conversation, user_id, message, member_rev)
                SELECT $2, $3, number, $4 FROM found ON CONFLICT DO NOTHING RETURNING message)
             SELECT f.id FROM found f JOIN deleted d ON d.message = f.number ORDER BY f.place",
        )
        .bind(asked)
        .bind(conversation)
        .bind(user.as_str())
        .bind(signed(member_rev));
    let rows = query.fetch_all(conn.pg()).await?;
    rows.iter().map(|row| Ok(MessageId(row.try_get(0)?))).collect()
}

async fn write(
    conn: &mut Conn<'_>,
    conversation: i64,
    user: &UserId,
    state: &MemberState,
) -> Result<(), Fault> {
    let query = conn
        .query(
            "UPDATE parlor.members SET member_rev = $3, unread_from = $4, cleared_seq = $5, hidden_seq = $6,
                archived = $7, muted_until = $8, private_receipts = $9
             WHERE conversation = $1 AND user_id = $2",
        )
        .bind(conversation)
        .bind(user.as_str())
        .bind(signed(state.member_rev))
        .bind(state.unread_from.map(signed))
        .bind(signed(state.cleared_seq))
        .bind(state.hidden_seq.map(signed))
        .bind(state.archived)
        .bind(state.muted_until.map(Timestamp::as_millis))
        .bind(state.private_receipts);
    query.execute(conn.pg()).await?;
    Ok(())
}

/// Messages of `$1` deleted for the member `$2` after the `member_rev` `$3`.
pub(crate) const DELETED: &str = "
    SELECT m.id FROM parlor.deletions d JOIN parlor.messages m ON m.number = d.message
    WHERE d.conversation = $1 AND d.user_id = $2 AND d.member_rev > $3
    ORDER BY d.member_rev, d.message LIMIT $4";

pub(crate) async fn changes(
    conn: &mut Conn<'_>,
    id: ConversationId,
    user: &UserId,
    since: u64,
    most: usize,
    unread_cap: u32,
) -> Result<Option<PrivateDelta>, Fault> {
    let Some(Mine { conversation, mut state, .. }) = mine(conn, id, user, false).await? else {
        return Ok(None);
    };
    let query = conn
        .query(DELETED)
        .bind(conversation)
        .bind(user.as_str())
        .bind(signed(since))
        .bind(limit(most));
    let rows = query.fetch_all(conn.pg()).await?;
    let deleted =
        rows.iter().map(|row| Ok(MessageId(row.try_get(0)?))).collect::<Result<_, Fault>>()?;
    unread::fill(conn, conversation, user, &mut state, unread_cap).await?;
    let changed = state.member_rev > since;
    Ok(Some(PrivateDelta { state, deleted, changed }))
}
