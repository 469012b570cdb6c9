//! Which topics of the bus this node listens to: its users, and the larger conversations they belong to.

use std::sync::Arc;

use crate::engine::node::Node;
use crate::{
    model::{ConversationId, UserId},
    store::Membership,
    traits::Topic,
};

/// Listens for a user. What is published after this returns comes in.
pub(in crate::engine) async fn join_user(node: &Node, user: &UserId) {
    join(node, vec![Topic::User(user.clone())]).await;
}

/// Listens to the larger of these conversations.
pub(in crate::engine) async fn join_large(node: &Node, memberships: &[Membership]) {
    let large = |membership: &&Membership| membership.member_count > node.config.small_conversation;
    let topics = memberships
        .iter()
        .filter(large)
        .map(|membership| Topic::Conversation(membership.conversation_id))
        .collect();
    join(node, topics).await;
}

async fn join(node: &Node, topics: Vec<Topic>) {
    if topics.is_empty() || !node.backends.bus.has_peers() {
        return;
    }
    // Until the bus can, and tells a gap, the sweep finds what they carry.
    let _ = node.tolerate(&node.outages.listen, node.backends.bus.join(topics)).await;
}

/// A conversation may have outgrown its members' own topics.
pub(in crate::engine) fn join_if_large(node: &Arc<Node>, id: ConversationId) {
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let conversation = node.read("conversation", node.store().conversation(id)).await;
        if let Ok(Some(conversation)) = conversation
            && conversation.member_count > node.config.small_conversation
            && !node.rooms.connected(id).is_empty()
        {
            join(&node, vec![Topic::Conversation(id)]).await;
            node.gaps.compare([id]);
        }
    });
}

/// Stops listening to what nobody here needs any more.
pub(in crate::engine) fn part(node: &Arc<Node>, user: Option<&UserId>, rooms: Vec<ConversationId>) {
    if !node.backends.bus.has_peers() {
        return;
    }
    let topics: Vec<Topic> = user
        .cloned()
        .map(Topic::User)
        .into_iter()
        .chain(rooms.into_iter().map(Topic::Conversation))
        .collect();
    if topics.is_empty() {
        return;
    }
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let needed = |topic: &Topic| match topic {
            Topic::User(user) => !node.registry.of(user).is_empty(),
            Topic::Conversation(id) => !node.rooms.connected(*id).is_empty(),
            _ => true,
        };
        // Somebody may have come back meanwhile: what is needed again stays.
        let gone: Vec<Topic> = topics.into_iter().filter(|topic| !needed(topic)).collect();
        if gone.is_empty() {
            return;
        }
        let _ = node.tolerate(&node.outages.listen, node.backends.bus.part(gone.clone())).await;
        // Or just now, and their join came before our part.
        let (back, _): (Vec<_>, Vec<_>) = gone.into_iter().partition(needed);
        join(&node, back).await;
    });
}
