use std::sync::Arc;

use super::{list_position, parse_cursor};
use crate::{
    Error, Timestamp,
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
    let after = cursor.as_deref().map(|text| parse_cursor(text, parse_position)).transpose()?;
    let query = ListQuery { after, limit, archived, unread_cap: limits.unread_cap };
    let conversations = node.read("list", node.store().list(user, query)).await?;
    let next = match conversations.last() {
        Some(last) if conversations.len() == limit => {
            Some(write_position(list_position(&last.conversation)))
        }
        _ => None,
    };
    Ok(Reply::Conversations(ConversationPage { conversations, next }))
}

fn write_position(position: ListPosition) -> String {
    format!("{}.{}", position.last_activity_at.as_millis(), position.number)
}

fn parse_position(text: &str) -> Option<ListPosition> {
    let (millis, number) = text.split_once('.')?;
    let number = number.parse().ok().filter(|number| i64::try_from(*number).is_ok())?;
    Some(ListPosition { last_activity_at: Timestamp::from_millis(millis.parse().ok()?), number })
}
