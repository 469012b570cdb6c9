use std::sync::Arc;

use crate::{
    Error,
    command::{InMessage, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
    store::MessageRef,
};

/// One message.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    InMessage { conversation_id, message_id }: InMessage,
) -> Result<Reply, Error> {
    let admitted = gate::admit_reader(node, who, conversation_id).await?;
    let message = node.store().message(MessageRef::Id(message_id), admitted.user());
    let message = node.read("message", message).await?;
    gate::require_reader(node, who, conversation_id).await?;
    match message {
        Some(message) if message.conversation_id == conversation_id => {
            Ok(Reply::Message(Box::new(message)))
        }
        _ => Err(Error::NotFound),
    }
}
