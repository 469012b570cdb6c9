use std::sync::Arc;

use crate::{
    Error,
    command::{AtSeq, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
    traits::Action,
};

/// Marks as read, and so as delivered, up to a message.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    AtSeq { conversation_id, seq }: AtSeq,
) -> Result<Reply, Error> {
    let user = who.require_user()?;
    gate::admit(node, who, Action::Signal { conversation_id }).await?;
    let advanced = node.cursors.advance(node, conversation_id, user, None, Some(seq)).await?;
    advanced.map(|advanced| Reply::State(Box::new(advanced.state))).ok_or(Error::NotFound)
}
