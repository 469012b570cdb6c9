use std::sync::Arc;

use crate::{
    Error,
    command::{InConversation, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
};

/// How far the members have read, but for those who keep it private.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    InConversation { conversation_id }: InConversation,
) -> Result<Reply, Error> {
    let admitted = gate::admit_reader(node, who, conversation_id).await?;
    let limit = node.config.limits.group_members;
    let cursors = node.store().cursors(conversation_id, limit);
    let mut cursors = node.read("cursors", cursors).await?;
    gate::require_reader(node, who, conversation_id).await?;
    let receipts = node.config.receipts;
    cursors
        .retain(|cursor| (receipts && !cursor.private) || admitted.user() == Some(&cursor.user_id));
    Ok(Reply::Cursors(cursors))
}
