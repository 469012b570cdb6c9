use std::sync::Arc;

use crate::{
    Error,
    command::{ConversationPage, ListConversations, Reply},
    engine::{gate::Who, node::Node},
    store::{ListPosition, ListQuery},
};

/// A page of the conversation list.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    ListConversations { limit, cursor, archived }: ListConversations,
) -> Result<Reply, Error> {
    let user = who.require_user()?;
    let limits = &node.config.limits;
    let limit = limits.page_size(limit);
    let after = cursor.as_deref().map(str::parse).transpose()?;
    let query = ListQuery { after, limit, archived, hidden: false, unread_cap: limits.unread_cap };
    let conversations = node.read("list", node.store().list(user, query)).await?;
    let next = match conversations.last() {
        Some(last) if conversations.len() == limit => {
            Some(ListPosition::of(&last.conversation).to_string())
        }
        _ => None,
    };
    Ok(Reply::Conversations(ConversationPage { conversations, next }))
}
