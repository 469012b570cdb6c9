use std::sync::Arc;

use super::revise;
use crate::{
    Error,
    command::{Pin, Reply},
    engine::{gate::Who, node::Node},
    event::ChangeBody,
    store::Revision,
};

/// Pins or unpins a message.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    Pin { conversation_id, message_id, on }: Pin,
) -> Result<Reply, Error> {
    let revision = Revision::Pin { on, max_pins: node.config.limits.pins };
    let message = revise::run(node, who, conversation_id, message_id, revision, move |message| {
        ChangeBody::MessagePinned { message_id, seq: message.seq, pinned_at: message.pinned_at }
    });
    Ok(Reply::Message(Box::new(message.await?)))
}
