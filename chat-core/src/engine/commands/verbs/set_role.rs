use std::sync::Arc;

use super::{change, entry};
use crate::{
    Error,
    command::{Reply, SetRole},
    engine::{gate::Who, node::Node},
    store::ConversationChange,
    traits::Action,
};

/// Gives a member of a group a role.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    SetRole { conversation_id, user_id, role }: SetRole,
) -> Result<Reply, Error> {
    let action = Action::Write { conversation_id };
    let change = ConversationChange::SetRole(user_id, role);
    change::run(node, who, conversation_id, action, change).await?;
    entry(node, who, conversation_id).await
}
