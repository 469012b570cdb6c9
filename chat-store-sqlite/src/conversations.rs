//! Conversations and their members.

use std::collections::BTreeMap;

use parlor_core::{
    Timestamp,
    model::{Conversation, ConversationId, Direct, DirectKey, Member, MemberState, Role, UserId},
    store::{Created, NewConversation},
};
use sqlx::{Row, SqliteConnection, query, query_scalar};
use uuid::Uuid;

use crate::{
    error::Fault,
    rows::{self, json, kind_code, limit, metadata_text, role_code, signed, unsigned},
};

pub(crate) async fn create(
    conn: &mut SqliteConnection,
    new: NewConversation,
) -> Result<Created, Fault> {
    let key = new.direct.as_ref().map(key_of);
    let existing = match &key {
        Some(key) => by_key(conn, key).await?,
        None => None,
    };
    let existing = match existing {
        Some(existing) => Some(existing),
        None => by_id(conn, new.id).await?,
    };
    if let Some(conversation) = existing {
        return Ok(Created { conversation, fresh: false });
    }
    let conversation = insert(conn, &new, key).await?;
    let state = MemberState::joining(Role::Member, 0);
    add_members(conn, conversation.number, &new.members, new.created_at, &state).await?;
    Ok(Created { conversation, fresh: true })
}

fn key_of(direct: &Direct) -> DirectKey {
    DirectKey::new(&direct.users[0], &direct.users[1], direct.context.as_deref())
}

async fn insert(
    conn: &mut SqliteConnection,
    new: &NewConversation,
    key: Option<DirectKey>,
) -> Result<Conversation, Fault> {
    let mut conversation = new.to_conversation(0);
    let done = query(
        "INSERT INTO conversations (id, kind, direct_key, direct, title, picture, metadata,
            created_by, created_at, last_activity_at, member_count, last_seq, rev, changed_rev)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .bind(conversation.id.0)
    .bind(kind_code(conversation.kind))
    .bind(key.as_ref().map(DirectKey::as_str))
    .bind(conversation.direct.as_ref().map(json).transpose()?)
    .bind(&conversation.title)
    .bind(&conversation.picture)
    .bind(metadata_text(&conversation.metadata)?)
    .bind(conversation.created_by.as_ref().map(UserId::as_str))
    .bind(conversation.created_at.as_millis())
    .bind(conversation.last_activity_at.as_millis())
    .bind(conversation.member_count)
    .bind(signed(conversation.last_seq))
    .bind(signed(conversation.rev))
    .bind(signed(conversation.changed_rev))
    .execute(conn)
    .await?;
    conversation.number = unsigned(done.last_insert_rowid());
    Ok(conversation)
}

/// Adds members who all join in the same `state`, but for their roles.
pub(crate) async fn add_members(
    conn: &mut SqliteConnection,
    conversation: u64,
    members: &BTreeMap<UserId, Role>,
    now: Timestamp,
    state: &MemberState,
) -> Result<(), Fault> {
    let members: Vec<_> =
        members.iter().map(|(user, role)| (user.as_str(), role_code(*role))).collect();
    query(
        "INSERT INTO members (conversation, user_id, role, joined_at, member_rev, delivered_seq,
            read_seq, cleared_seq, archived, private_receipts)
         SELECT ?1, value ->> 0, value ->> 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM json_each(?9)",
    )
    .bind(signed(conversation))
    .bind(now.as_millis())
    .bind(signed(state.member_rev))
    .bind(signed(state.delivered_seq))
    .bind(signed(state.read_seq))
    .bind(signed(state.cleared_seq))
    .bind(state.archived)
    .bind(state.private_receipts)
    .bind(json(&members)?)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn by_id(
    conn: &mut SqliteConnection,
    id: ConversationId,
) -> Result<Option<Conversation>, Fault> {
    let row =
        query("SELECT * FROM conversations WHERE id = ?1").bind(id.0).fetch_optional(conn).await?;
    row.as_ref().map(rows::conversation).transpose()
}

pub(crate) async fn by_key(
    conn: &mut SqliteConnection,
    key: &DirectKey,
) -> Result<Option<Conversation>, Fault> {
    let row = query("SELECT * FROM conversations WHERE direct_key = ?1")
        .bind(key.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(rows::conversation).transpose()
}

pub(crate) async fn by_number(
    conn: &mut SqliteConnection,
    number: u64,
) -> Result<Option<ConversationId>, Fault> {
    let id: Option<Uuid> = query_scalar("SELECT id FROM conversations WHERE number = ?1")
        .bind(signed(number))
        .fetch_optional(conn)
        .await?;
    Ok(id.map(ConversationId))
}

/// A page of members by user id.
pub(crate) const MEMBERS: &str = "
    SELECT m.* FROM conversations c JOIN members m ON m.conversation = c.number
    WHERE c.id = ?1 AND m.user_id > ?2 ORDER BY m.user_id LIMIT ?3";

pub(crate) async fn members(
    conn: &mut SqliteConnection,
    id: ConversationId,
    after: Option<UserId>,
    most: usize,
) -> Result<Vec<Member>, Fault> {
    // No user id is empty: after the empty text come all.
    let after = after.as_ref().map_or("", UserId::as_str);
    let rows = query(MEMBERS).bind(id.0).bind(after).bind(limit(most)).fetch_all(conn).await?;
    rows.iter().map(rows::member).collect()
}

pub(crate) async fn member(
    conn: &mut SqliteConnection,
    id: ConversationId,
    user: UserId,
) -> Result<Option<Member>, Fault> {
    let row = query(
        "SELECT m.* FROM conversations c JOIN members m ON m.conversation = c.number
         WHERE c.id = ?1 AND m.user_id = ?2",
    )
    .bind(id.0)
    .bind(user.as_str())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(rows::member).transpose()
}

pub(crate) async fn epoch(conn: &mut SqliteConnection) -> Result<Uuid, Fault> {
    Ok(query_scalar("SELECT epoch FROM parlor_state").fetch_one(conn).await?)
}

pub(crate) async fn renew_epoch(conn: &mut SqliteConnection) -> Result<Uuid, Fault> {
    let row = query("UPDATE parlor_state SET epoch = randomblob(16) RETURNING epoch")
        .fetch_one(conn)
        .await?;
    Ok(row.try_get(0)?)
}
