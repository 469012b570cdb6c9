use std::sync::Arc;

use super::private;
use crate::{
    Error,
    command::{InConversation, Reply},
    engine::{gate::Who, node::Node},
    store::PrivateChange,
};

/// Hides a conversation and its history until there is a new message.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    InConversation { conversation_id }: InConversation,
) -> Result<Reply, Error> {
    private::run(node, who, conversation_id, PrivateChange::Hide).await
}
