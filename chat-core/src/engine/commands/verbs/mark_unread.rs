use std::sync::Arc;

use super::private;
use crate::{
    Error,
    command::{AtSeq, Reply},
    engine::{gate::Who, node::Node},
    store::PrivateChange,
};

/// Marks as unread from a message on, without moving the cursors.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    AtSeq { conversation_id, seq }: AtSeq,
) -> Result<Reply, Error> {
    private::run(node, who, conversation_id, PrivateChange::MarkUnread(seq)).await
}
