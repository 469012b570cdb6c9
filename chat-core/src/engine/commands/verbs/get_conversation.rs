use std::sync::Arc;

use super::entry;
use crate::{
    Error,
    command::{InConversation, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
    traits::Action,
};

/// One entry of the conversation list.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    InConversation { conversation_id }: InConversation,
) -> Result<Reply, Error> {
    gate::admit(node, who, Action::Read { conversation_id }).await?;
    entry(node, who, conversation_id).await
}
