use std::sync::Arc;

use super::private;
use crate::{
    Error,
    command::{InConversation, Reply},
    engine::{gate::Who, node::Node},
    store::PrivateChange,
};

/// Clears the history for the caller.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    InConversation { conversation_id }: InConversation,
) -> Result<Reply, Error> {
    private::run(node, who, conversation_id, PrivateChange::Clear).await
}
