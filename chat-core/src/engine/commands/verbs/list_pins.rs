use std::sync::Arc;

use crate::{
    Error,
    command::{InConversation, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
};

/// The pinned messages.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    InConversation { conversation_id }: InConversation,
) -> Result<Reply, Error> {
    let admitted = gate::admit_reader(node, who, conversation_id).await?;
    let pinned = node.store().pinned(conversation_id, admitted.user());
    let pinned = node.read("pinned", pinned).await?;
    gate::require_reader(node, who, conversation_id).await?;
    Ok(Reply::Messages(pinned))
}
