//! Changes of a conversation that all members see.

use std::collections::BTreeMap;

use parlor_core::{
    Timestamp,
    model::{Conversation, ConversationId, Member, MemberState, Role, UserId},
    rules::{self, Decision, Denied},
    store::{ChangeOutcome, ConversationChange, MemberDelta},
};

use crate::{
    connection::Conn,
    conversations::{add_members, locked, members},
    error::Fault,
    rows::{metadata_text, role_code, signed},
};

/// A change and who asks for it.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) id: ConversationId,
    pub(crate) actor: Option<UserId>,
    pub(crate) change: ConversationChange,
    pub(crate) max_members: usize,
    pub(crate) now: Timestamp,
}

pub(crate) async fn change(conn: &mut Conn<'_>, asked: Asked) -> Result<ChangeOutcome, Fault> {
    let Some(mut conversation) = locked(conn, asked.id).await? else {
        return Ok(ChangeOutcome::NotFound);
    };
    let members: BTreeMap<UserId, Member> = members(conn, asked.id, None, usize::MAX)
        .await?
        .into_iter()
        .map(|member| (member.user_id.clone(), member))
        .collect();
    let decided = rules::change(
        &mut conversation,
        &members,
        asked.actor.as_ref(),
        &asked.change,
        asked.max_members,
    );
    let decision = match decided {
        Ok(decision) if decision.is_empty() => {
            return Ok(ChangeOutcome::Unchanged(Box::new(conversation)));
        }
        Ok(decision) => decision,
        Err(Denied::NotMember) => return Ok(ChangeOutcome::NotFound),
        Err(denied) => return Ok(ChangeOutcome::Denied(denied)),
    };
    let count = members.len() + decision.add.len() - decision.remove.len();
    conversation.member_count = u32::try_from(count).unwrap_or(u32::MAX);
    conversation.rev += 1;
    conversation.changed_rev = conversation.rev;
    let delta = write_members(conn, &conversation, decision, asked.now).await?;
    write(conn, &conversation).await?;
    Ok(ChangeOutcome::Changed(Box::new(conversation), delta))
}

async fn write_members(
    conn: &mut Conn<'_>,
    conversation: &Conversation,
    decision: Decision,
    now: Timestamp,
) -> Result<MemberDelta, Fault> {
    let number = signed(conversation.number);
    lock(conn, number, &decision).await?;
    if !decision.remove.is_empty() {
        let users: Vec<&str> = decision.remove.iter().map(UserId::as_str).collect();
        // What they deleted for themselves goes with them, by the foreign key.
        let query = conn
            .query("DELETE FROM parlor.members WHERE conversation = $1 AND user_id = ANY ($2)")
            .bind(number)
            .bind(users);
        query.execute(conn.pg()).await?;
    }
    if !decision.add.is_empty() {
        let joining = decision.add.iter().map(|user| (user.clone(), Role::Member)).collect();
        let state = MemberState::joining(Role::Member, conversation.last_seq);
        add_members(conn, conversation.number, &joining, now, &state).await?;
    }
    for (user, role) in &decision.roles {
        let query = conn
            .query("UPDATE parlor.members SET role = $3 WHERE conversation = $1 AND user_id = $2")
            .bind(number)
            .bind(user.as_str())
            .bind(role_code(*role));
        query.execute(conn.pg()).await?;
    }
    let added = decision.add.into_iter().map(|user_id| {
        let given = decision.roles.iter().find(|(user, _)| user == &user_id);
        Member { role: given.map_or(Role::Member, |(_, role)| *role), user_id, joined_at: now }
    });
    Ok(MemberDelta { added: added.collect(), removed: decision.remove, roles: decision.roles })
}

/// Locks the members' rows in the order in which cursors lock them, so that the two never wait for each other.
async fn lock(conn: &mut Conn<'_>, number: i64, decision: &Decision) -> Result<(), Fault> {
    let roles = decision.roles.iter().map(|(user, _)| user);
    let users: Vec<&str> = decision.remove.iter().chain(roles).map(UserId::as_str).collect();
    if users.len() > 1 {
        let query = conn
            .query(
                "SELECT 1 FROM parlor.members WHERE conversation = $1 AND user_id = ANY ($2)
                 ORDER BY user_id FOR UPDATE",
            )
            .bind(number)
            .bind(users);
        query.execute(conn.pg()).await?;
    }
    Ok(())
}

async fn write(conn: &mut Conn<'_>, conversation: &Conversation) -> Result<(), Fault> {
    let query = conn
        .query(
            "UPDATE parlor.conversations SET title = $2, picture = $3, metadata = $4::json,
                member_count = $5, rev = $6, changed_rev = $7
             WHERE number = $1",
        )
        .bind(signed(conversation.number))
        .bind(conversation.title.as_deref())
        .bind(conversation.picture.as_deref())
        .bind(metadata_text(&conversation.metadata)?)
        .bind(i64::from(conversation.member_count))
        .bind(signed(conversation.rev))
        .bind(signed(conversation.changed_rev));
    query.execute(conn.pg()).await?;
    Ok(())
}
