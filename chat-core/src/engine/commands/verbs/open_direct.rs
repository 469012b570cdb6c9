use std::sync::Arc;

use super::{check_known, create, entry};
use crate::{
    Error,
    command::{OpenDirect, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
    model::{ConversationId, DirectKey, check_context},
    store::NewConversation,
    traits::Action,
};

/// Finds the direct conversation with a user, or makes it.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    OpenDirect { user_id, context }: OpenDirect,
) -> Result<Reply, Error> {
    if let Some(context) = &context {
        check_context(context)?;
    }
    let user = who.require_user()?;
    let key = DirectKey::new(user, &user_id, context.as_deref());
    // What is there already needs no permission to be started.
    if let Some(found) = node.read("direct", node.store().direct(&key)).await? {
        return entry(node, who, found.id).await;
    }
    check_known(node, "user_id", std::slice::from_ref(&user_id)).await?;
    let action = Action::OpenDirect { with: user_id.clone(), context: context.clone() };
    let admitted = gate::admit(node, who, action).await?;
    let now = node.now();
    let mut new = NewConversation::direct(ConversationId::new(now), user, &user_id, context, now);
    new.created_by = admitted.into_user();
    let conversation = create::run(node, new).await?;
    entry(node, who, conversation.id).await
}
