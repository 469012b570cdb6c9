//! Conversations and their members.

use std::{collections::BTreeMap, sync::LazyLock};

use parlor_core::{
    Timestamp,
    model::{Conversation, ConversationId, Direct, DirectKey, Member, MemberState, Role, UserId},
    store::{Created, NewConversation},
};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    connection::Conn,
    error::Fault,
    rows::{
        self, CONVERSATION, Columns, kind_code, limit, metadata_text, optional_text, role_code,
        signed, unsigned,
    },
};

pub(crate) async fn create(conn: &mut Conn<'_>, new: NewConversation) -> Result<Created, Fault> {
    let key = new.direct.as_ref().map(key_of);
    if let Some(conversation) = insert(conn, &new, key.as_ref()).await? {
        let state = MemberState::joining(Role::Member, 0);
        add_members(conn, conversation.number, &new.members, new.created_at, &state).await?;
        return Ok(Created { conversation, fresh: true });
    }
    // Somebody made it before us, perhaps just now: the insert has waited for their commit.
    let existing = match &key {
        Some(key) => by_key(conn, key).await?,
        None => None,
    };
    let existing = match existing {
        Some(existing) => Some(existing),
        None => by_id(conn, new.id).await?,
    };
    let conversation =
        existing.ok_or_else(|| Fault::corrupt("a conversation that is there cannot be read"))?;
    Ok(Created { conversation, fresh: false })
}

fn key_of(direct: &Direct) -> DirectKey {
    DirectKey::new(&direct.users[0], &direct.users[1], direct.context.as_deref())
}

/// `None` when one with this key or id is there.
async fn insert(
    conn: &mut Conn<'_>,
    new: &NewConversation,
    key: Option<&DirectKey>,
) -> Result<Option<Conversation>, Fault> {
    let mut conversation = new.to_conversation(0);
    let query = conn
        .query(
            "INSERT INTO parlor.conversations (id, kind, direct_key, direct, title, picture, metadata,
                created_by, created_at, last_activity_at, member_count, last_seq, rev, changed_rev)
             VALUES ($1, $2, $3, $4::json, $5, $6, $7::json, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT DO NOTHING RETURNING number",
        )
        .bind(conversation.id.0)
        .bind(kind_code(conversation.kind))
        .bind(key.map(DirectKey::as_str))
        .bind(optional_text(conversation.direct.as_ref())?)
        .bind(conversation.title.as_deref())
        .bind(conversation.picture.as_deref())
        .bind(metadata_text(&conversation.metadata)?)
        .bind(conversation.created_by.as_ref().map(UserId::as_str))
        .bind(conversation.created_at.as_millis())
        .bind(conversation.last_activity_at.as_millis())
        .bind(i64::from(conversation.member_count))
        .bind(signed(conversation.last_seq))
        .bind(signed(conversation.rev))
        .bind(signed(conversation.changed_rev));
    let Some(row) = query.fetch_optional(conn.pg()).await? else { return Ok(None) };
    conversation.number = unsigned(row.try_get(0)?);
    Ok(Some(conversation))
}

/// Adds members who all join in the same `state`, but for their roles.
pub(crate) async fn add_members(
    conn: &mut Conn<'_>,
    conversation: u64,
    members: &BTreeMap<UserId, Role>,
    now: Timestamp,
    state: &MemberState,
) -> Result<(), Fault> {
    let (users, roles): (Vec<&str>, Vec<i16>) =
        members.iter().map(|(user, role)| (user.as_str(), role_code(*role))).unzip();
    let query = conn
        .query(
            "INSERT INTO parlor.members (conversation, user_id, role, joined_at, member_rev,
                delivered_seq, read_seq, cleared_seq, archived, private_receipts)
             SELECT $1, a.user_id, a.role, $2, $3, $4, $5, $6, $7, $8
             FROM unnest($9::text[], $10::smallint[]) AS a (user_id, role)",
        )
        .bind(signed(conversation))
        .bind(now.as_millis())
        .bind(signed(state.member_rev))
        .bind(signed(state.delivered_seq))
        .bind(signed(state.read_seq))
        .bind(signed(state.cleared_seq))
        .bind(state.archived)
        .bind(state.private_receipts)
        .bind(users)
        .bind(roles);
    query.execute(conn.pg()).await?;
    Ok(())
}

fn of_row(row: &PgRow) -> Result<Conversation, Fault> {
    rows::conversation(&mut Columns::from(row, 0))
}

/// The conversation with the id `$1`.
pub(crate) static BY_ID: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {CONVERSATION} FROM parlor.conversations c WHERE c.id = $1"));

pub(crate) async fn by_id(
    conn: &mut Conn<'_>,
    id: ConversationId,
) -> Result<Option<Conversation>, Fault> {
    let row = conn.query(&BY_ID).bind(id.0).fetch_optional(conn.pg()).await?;
    row.as_ref().map(of_row).transpose()
}

static LOCKED: LazyLock<String> = LazyLock::new(|| BY_ID.clone() + " FOR NO KEY UPDATE");

/// The conversation as it stands now, locked until the end of the transaction against every other shared change.
pub(crate) async fn locked(
    conn: &mut Conn<'_>,
    id: ConversationId,
) -> Result<Option<Conversation>, Fault> {
    let query = conn.query(&LOCKED).bind(id.0);
    let row = query.fetch_optional(conn.pg()).await?;
    row.as_ref().map(of_row).transpose()
}

/// The direct conversation with the key `$1`.
pub(crate) static BY_KEY: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {CONVERSATION} FROM parlor.conversations c WHERE c.direct_key = $1")
});

pub(crate) async fn by_key(
    conn: &mut Conn<'_>,
    key: &DirectKey,
) -> Result<Option<Conversation>, Fault> {
    let row = conn.query(&BY_KEY).bind(key.as_str()).fetch_optional(conn.pg()).await?;
    row.as_ref().map(of_row).transpose()
}

pub(crate) async fn by_number(
    conn: &mut Conn<'_>,
    number: u64,
) -> Result<Option<ConversationId>, Fault> {
    let query =
        conn.query("SELECT id FROM parlor.conversations WHERE number = $1").bind(signed(number));
    let row = query.fetch_optional(conn.pg()).await?;
    row.map(|row| Ok(ConversationId(row.try_get(0)?))).transpose()
}

/// A page of the members of `$1` by user id, after `$2`.
pub(crate) const MEMBERS: &str = "
    SELECT m.user_id, m.role, m.joined_at, m.delivered_seq, m.read_seq, m.private_receipts
    FROM parlor.conversations c JOIN parlor.members m ON m.conversation = c.number
    WHERE c.id = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3";

pub(crate) async fn members(
    conn: &mut Conn<'_>,
    id: ConversationId,
    after: Option<&UserId>,
    most: usize,
) -> Result<Vec<Member>, Fault> {
    // No user id is empty: after the empty text come all.
    let after = after.map_or("", UserId::as_str);
    let query = conn.query(MEMBERS).bind(id.0).bind(after).bind(limit(most));
    let rows = query.fetch_all(conn.pg()).await?;
    rows.iter().map(rows::member).collect()
}

/// The member `$2` of the conversation `$1`.
pub(crate) const MEMBER: &str = "
    SELECT m.user_id, m.role, m.joined_at
    FROM parlor.conversations c JOIN parlor.members m ON m.conversation = c.number
    WHERE c.id = $1 AND m.user_id = $2";

pub(crate) async fn member(
    conn: &mut Conn<'_>,
    id: ConversationId,
    user: &UserId,
) -> Result<Option<Member>, Fault> {
    let query = conn.query(MEMBER).bind(id.0).bind(user.as_str());
    let row = query.fetch_optional(conn.pg()).await?;
    row.as_ref().map(rows::member).transpose()
}

pub(crate) async fn epoch(conn: &mut Conn<'_>) -> Result<Uuid, Fault> {
    let row = conn.query("SELECT epoch FROM parlor.state").fetch_one(conn.pg()).await?;
    Ok(row.try_get(0)?)
}

pub(crate) async fn renew_epoch(conn: &mut Conn<'_>) -> Result<Uuid, Fault> {
    let query = conn.query("UPDATE parlor.state SET epoch = gen_random_uuid() RETURNING epoch");
    Ok(query.fetch_one(conn.pg()).await?.try_get(0)?)
}

pub(crate) async fn ping(conn: &mut Conn<'_>) -> Result<(), Fault> {
    conn.query("SELECT 1").execute(conn.pg()).await?;
    Ok(())
}
