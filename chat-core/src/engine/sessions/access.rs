//! Permissions that change while people are connected: revocation, ended sessions, the host's own members.

use std::sync::Arc;

use crate::engine::{codec::Delivery, fanout, node::Node, outbox::CloseReason, wire::NodeMessage};
use crate::{
    Error,
    event::{Change, ChangeBody, Event, RoleChange, SessionEvent},
    model::{Conversation, ConversationId, UserId},
    rules::Denied,
    store::{ChangeOutcome, ConversationChange, MemberDelta},
};

/// Members of a conversation changed: those who came are subject to the policy like everybody.
pub(in crate::engine) fn regrouped(node: &Arc<Node>, id: ConversationId) {
    recheck_here(node, id);
    if node.backends.bus.has_peers() {
        crate::engine::topics::join_if_large(node, id);
    }
}

/// Asks the policy again, on all nodes.
pub(in crate::engine) fn recheck(node: &Arc<Node>, id: ConversationId) {
    node.publisher.nodes(NodeMessage::Recheck(id));
    recheck_here(node, id);
}

/// Asks the policy again for those who are connected here.
pub(in crate::engine) fn recheck_here(node: &Arc<Node>, id: ConversationId) {
    let users = node.rooms.connected(id);
    if users.is_empty() {
        return;
    }
    let node = Arc::clone(node);
    tokio::spawn(async move {
        for user in users {
            recheck_user(&node, id, &user).await;
        }
    });
}

/// Asks the policy again about everybody who is connected here, when a revocation may have been missed.
pub(in crate::engine) fn recheck_all(node: &Arc<Node>) {
    let node = Arc::clone(node);
    tokio::spawn(async move {
        for user in node.registry.users() {
            let mut ids: Vec<ConversationId> =
                node.registry.of(&user).iter().flat_map(|connection| connection.rooms()).collect();
            ids.sort();
            ids.dedup();
            let answer = node.backends.policy.may_receive(&user, &ids);
            let Ok(answer) = node.read("policy", answer).await else { continue };
            for (id, may) in ids.into_iter().zip(answer) {
                if may == node.rooms.is_revoked(id, &user) {
                    recheck_user(&node, id, &user).await;
                }
            }
        }
    });
}

async fn recheck_user(node: &Arc<Node>, id: ConversationId, user: &UserId) {
    let question = [id];
    let answer = node.backends.policy.may_receive(user, &question);
    let Ok(answer) = node.read("policy", answer).await else { return };
    let may = answer.first().copied().unwrap_or(false);
    let revoked = node.rooms.is_revoked(id, user);
    if !may && !revoked {
        metrics::counter!("parlor_revocations_total").increment(1);
        node.rooms.revoke(id, user);
    } else if may && revoked {
        let cap = node.config.limits.unread_cap;
        let summary = node.read("summary", node.store().summary(id, user, cap)).await;
        if let Ok(Some(summary)) = summary {
            let event = SessionEvent::ConversationAdded { summary: Box::new(summary) };
            node.rooms.restore(id, user, &mut Delivery::new(Event::Session(event)));
        }
    }
}

/// Ends a user's connections, on all nodes.
pub(in crate::engine) fn disconnect(node: &Arc<Node>, user: &UserId) {
    node.publisher.nodes(NodeMessage::Disconnect(user.clone()));
    disconnect_here(node, user);
}

pub(in crate::engine) fn disconnect_here(node: &Arc<Node>, user: &UserId) {
    for connection in node.registry.of(user) {
        connection.outbox.close(CloseReason::Ended);
    }
}

/// What a stored change of a conversation tells its members.
pub(in crate::engine) fn told(
    conversation: &Conversation,
    by: Option<&UserId>,
    delta: MemberDelta,
) -> Change {
    let boxed = Box::new(conversation.clone());
    let body = if delta == MemberDelta::default() {
        ChangeBody::ConversationUpdated { conversation: boxed }
    } else {
        let roles =
            delta.roles.into_iter().map(|(user_id, role)| RoleChange { user_id, role }).collect();
        ChangeBody::MembersChanged {
            conversation: boxed,
            by: by.cloned(),
            added: delta.added,
            removed: delta.removed,
            roles,
        }
    };
    Change { conversation_id: conversation.id, rev: conversation.rev, body }
}

/// Makes the member rows of a conversation equal to what the host's tables say; says whether the host
/// has a say in it.
pub(in crate::engine) async fn sync_members(
    node: &Arc<Node>,
    id: ConversationId,
) -> Result<bool, Error> {
    let Some(source) = &node.backends.membership else { return Ok(false) };
    let Some(conversation) = node.read("conversation", node.store().conversation(id)).await? else {
        return Err(Error::NotFound);
    };
    let Some(wanted) = node.read("membership", source.members(&conversation)).await? else {
        return Ok(false);
    };
    let mut present = Vec::new();
    while present.len() % crate::engine::PAGE == 0 {
        let after = present.last().map(|member: &crate::model::Member| member.user_id.clone());
        let page = node.store().members(id, after.as_ref(), crate::engine::PAGE);
        let page = node.read("members", page).await?;
        if page.is_empty() {
            break;
        }
        present.extend(page);
    }
    let missing: Vec<UserId> = wanted
        .keys()
        .filter(|user| !present.iter().any(|member| &member.user_id == *user))
        .cloned()
        .collect();
    let mut changes = Vec::new();
    if !missing.is_empty() {
        changes.push(ConversationChange::AddMembers(missing));
    }
    // Owners first and removals last, so that an owner remains at every step.
    let mut roles: Vec<_> = wanted.iter().collect();
    roles.sort_by_key(|(_, role)| std::cmp::Reverse(**role));
    for (user, role) in roles {
        let stands = present.iter().any(|member| &member.user_id == user && member.role == *role);
        if !stands {
            changes.push(ConversationChange::SetRole(user.clone(), *role));
        }
    }
    for member in &present {
        if !wanted.contains_key(&member.user_id) {
            changes.push(ConversationChange::RemoveMember(member.user_id.clone()));
        }
    }
    for change in changes {
        apply(node, id, change).await?;
    }
    Ok(true)
}

async fn apply(
    node: &Arc<Node>,
    id: ConversationId,
    change: ConversationChange,
) -> Result<(), Error> {
    let worker = Arc::clone(node);
    node.detached("sync_members", async move {
        let max = worker.config.limits.group_members;
        let outcome = worker.store().change(id, None, change, max, worker.now()).await?;
        match outcome {
            ChangeOutcome::Changed(conversation, delta) => {
                fanout::change(&worker, told(&conversation, None, delta));
                Ok(())
            }
            // Tables that name no owner leave the one there is.
            ChangeOutcome::Unchanged(_) | ChangeOutcome::Denied(Denied::LastOwner) => Ok(()),
            ChangeOutcome::NotFound => Err(Error::NotFound),
            ChangeOutcome::Denied(denied) => Err(crate::engine::verbs::denied(denied)),
        }
    })
    .await
}
