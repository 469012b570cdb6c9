use std::sync::Arc;

use super::remove_member;
use crate::{
    Error,
    command::{InConversation, RemoveMember, Reply},
    engine::{gate::Who, node::Node},
};

/// Leaves a group. When the last owner goes, the highest and oldest of the others becomes one.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    InConversation { conversation_id }: InConversation,
) -> Result<Reply, Error> {
    let user_id = who.require_user()?.clone();
    remove_member::run(node, who, RemoveMember { conversation_id, user_id }).await
}
