use std::sync::Arc;

use super::{change, entry};
use crate::{
    Error,
    command::{Reply, UpdateConversation},
    engine::{gate::Who, node::Node},
    model::check_patch,
    store::ConversationChange,
    traits::Action,
};

/// Changes a group's title, picture or metadata.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    UpdateConversation { conversation_id, patch }: UpdateConversation,
) -> Result<Reply, Error> {
    check_patch(&patch, &node.config.limits)?;
    let action = Action::Write { conversation_id };
    change::run(node, who, conversation_id, action, ConversationChange::Patch(patch)).await?;
    entry(node, who, conversation_id).await
}
