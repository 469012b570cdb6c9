//! Changes of a conversation that all members see.

use std::collections::BTreeMap;

use parlor_core::{
    Timestamp,
    model::{Conversation, ConversationId, Member, MemberState, Role, UserId},
    rules::{self, Decision, Denied},
    store::{ChangeOutcome, ConversationChange, MemberDelta},
};
use sqlx::{SqliteConnection, query};

use crate::{
    conversations::{add_members, by_id, members},
    error::Fault,
    rows::{json, metadata_text, role_code, signed},
};

/// A change and who asks for it.
pub(crate) struct Asked {
    pub(crate) id: ConversationId,
    pub(crate) actor: Option<UserId>,
    pub(crate) change: ConversationChange,
    pub(crate) max_members: usize,
    pub(crate) now: Timestamp,
}

pub(crate) async fn change(
    conn: &mut SqliteConnection,
    asked: Asked,
) -> Result<ChangeOutcome, Fault> {
    let Some(mut conversation) = by_id(conn, asked.id).await? else {
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
    conn: &mut SqliteConnection,
    conversation: &Conversation,
    decision: Decision,
    now: Timestamp,
) -> Result<MemberDelta, Fault> {
    let number = signed(conversation.number);
    if !decision.remove.is_empty() {
        // What they deleted for themselves goes with them, by the foreign key.
        query(
            "DELETE FROM members WHERE conversation = ?1
                AND user_id IN (SELECT value FROM json_each(?2))",
        )
        .bind(number)
        .bind(json(&decision.remove)?)
        .execute(&mut *conn)
        .await?;
    }
    if !decision.add.is_empty() {
        let joining = decision.add.iter().map(|user| (user.clone(), Role::Member)).collect();
        let state = MemberState::joining(Role::Member, conversation.last_seq);
        add_members(conn, conversation.number, &joining, now, &state).await?;
    }
    for (user, role) in &decision.roles {
        query("UPDATE members SET role = ?3 WHERE conversation = ?1 AND user_id = ?2")
            .bind(number)
            .bind(user.as_str())
            .bind(role_code(*role))
            .execute(&mut *conn)
            .await?;
    }
    let added = decision.add.into_iter().map(|user_id| {
        let given = decision.roles.iter().find(|(user, _)| user == &user_id);
        Member { role: given.map_or(Role::Member, |(_, role)| *role), user_id, joined_at: now }
    });
    Ok(MemberDelta { added: added.collect(), removed: decision.remove, roles: decision.roles })
}

async fn write(conn: &mut SqliteConnection, conversation: &Conversation) -> Result<(), Fault> {
    query(
        "UPDATE conversations SET title = ?2, picture = ?3, metadata = ?4, member_count = ?5,
            rev = ?6, changed_rev = ?7
         WHERE number = ?1",
    )
    .bind(signed(conversation.number))
    .bind(&conversation.title)
    .bind(&conversation.picture)
    .bind(metadata_text(&conversation.metadata)?)
    .bind(conversation.member_count)
    .bind(signed(conversation.rev))
    .bind(signed(conversation.changed_rev))
    .execute(conn)
    .await?;
    Ok(())
}
