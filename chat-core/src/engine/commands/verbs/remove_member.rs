use std::sync::Arc;

use super::change;
use crate::{
    Error,
    command::{RemoveMember, Reply},
    engine::{gate::Who, node::Node},
    store::ConversationChange,
    traits::Action,
};

/// Removes a member of a group.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    RemoveMember { conversation_id, user_id }: RemoveMember,
) -> Result<Reply, Error> {
    let action = Action::Write { conversation_id };
    let change = ConversationChange::RemoveMember(user_id);
    change::run(node, who, conversation_id, action, change).await?;
    Ok(Reply::Done)
}
