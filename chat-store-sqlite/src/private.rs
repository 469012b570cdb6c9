//! A member's own state: settings, hidden, cleared, marked, deleted for them alone.

use parlor_core::{
    Timestamp,
    model::{ConversationId, MessageId, UserId},
    store::{PrivateChange, PrivateDelta},
};
use sqlx::{Row, SqliteConnection, query, query_scalar};
use uuid::Uuid;

use crate::{
    error::Fault,
    rows::{hex, json, limit, signed},
    unread::{self, Mine, mine},
};

pub(crate) async fn change(
    conn: &mut SqliteConnection,
    id: ConversationId,
    user: UserId,
    change: PrivateChange,
    unread_cap: u32,
) -> Result<Option<PrivateDelta>, Fault> {
    let Some(Mine { conversation, last_seq, mut state }) = mine(conn, id, &user).await? else {
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
    conn: &mut SqliteConnection,
    conversation: i64,
    user: &UserId,
    ids: &[MessageId],
    member_rev: u64,
) -> Result<Vec<MessageId>, Fault> {
    let mut deleted = Vec::new();
    if ids.is_empty() {
        return Ok(deleted);
    }
    let asked: Vec<String> = ids.iter().map(|id| hex(id.0)).collect();
    let rows = query(
        "SELECT m.id, m.number FROM json_each(?1) asked
         CROSS JOIN messages m ON m.id = unhex(asked.value)
         WHERE m.conversation = ?2 ORDER BY asked.key",
    )
    .bind(json(&asked)?)
    .bind(conversation)
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let done = query(
            "INSERT INTO deletions (conversation, user_id, message, member_rev)
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )
        .bind(conversation)
        .bind(user.as_str())
        .bind(row.try_get::<i64, _>(1)?)
        .bind(signed(member_rev))
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() > 0 {
            deleted.push(MessageId(row.try_get(0)?));
        }
    }
    Ok(deleted)
}

async fn write(
    conn: &mut SqliteConnection,
    conversation: i64,
    user: &UserId,
    state: &parlor_core::model::MemberState,
) -> Result<(), Fault> {
    query(
        "UPDATE members SET member_rev = ?3, unread_from = ?4, cleared_seq = ?5, hidden_seq = ?6,
            archived = ?7, muted_until = ?8, private_receipts = ?9
         WHERE conversation = ?1 AND user_id = ?2",
    )
    .bind(conversation)
    .bind(user.as_str())
    .bind(signed(state.member_rev))
    .bind(state.unread_from.map(signed))
    .bind(signed(state.cleared_seq))
    .bind(state.hidden_seq.map(signed))
    .bind(state.archived)
    .bind(state.muted_until.map(Timestamp::as_millis))
    .bind(state.private_receipts)
    .execute(conn)
    .await?;
    Ok(())
}

/// Messages deleted for a member after a `member_rev`.
pub(crate) const DELETED: &str = "
    SELECT m.id FROM deletions d JOIN messages m ON m.number = d.message
    WHERE d.conversation = ?1 AND d.user_id = ?2 AND d.member_rev > ?3
    ORDER BY d.member_rev, d.message LIMIT ?4";

pub(crate) async fn changes(
    conn: &mut SqliteConnection,
    id: ConversationId,
    user: UserId,
    since: u64,
    most: usize,
    unread_cap: u32,
) -> Result<Option<PrivateDelta>, Fault> {
    let Some(Mine { conversation, mut state, .. }) = mine(conn, id, &user).await? else {
        return Ok(None);
    };
    let deleted: Vec<Uuid> = query_scalar(DELETED)
        .bind(conversation)
        .bind(user.as_str())
        .bind(signed(since))
        .bind(limit(most))
        .fetch_all(&mut *conn)
        .await?;
    unread::fill(conn, conversation, &user, &mut state, unread_cap).await?;
    let changed = state.member_rev > since;
    let deleted = deleted.into_iter().map(MessageId).collect();
    Ok(Some(PrivateDelta { state, deleted, changed }))
}
