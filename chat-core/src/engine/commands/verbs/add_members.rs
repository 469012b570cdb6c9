use std::sync::Arc;

use super::{change, check_known, entry};
use crate::{
    Error, Invalid,
    command::{AddMembers, Reply},
    engine::{gate::Who, node::Node},
    store::ConversationChange,
    traits::Action,
};

/// Adds members to a group.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    AddMembers { conversation_id, user_ids }: AddMembers,
) -> Result<Reply, Error> {
    if user_ids.is_empty() {
        return Err(Invalid::new("user_ids", "must not be empty").into());
    }
    let max = node.config.limits.group_members;
    if user_ids.len() > max {
        return Err(Invalid::new("user_ids", format!("must be at most {max}")).into());
    }
    check_known(node, "user_ids", &user_ids).await?;
    let action = Action::AddMembers { conversation_id, members: user_ids.clone() };
    let change = ConversationChange::AddMembers(user_ids);
    change::run(node, who, conversation_id, action, change).await?;
    entry(node, who, conversation_id).await
}
