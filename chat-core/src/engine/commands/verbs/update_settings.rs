use std::sync::Arc;

use super::private;
use crate::{
    Error,
    command::{Reply, UpdateSettings},
    engine::{gate::Who, node::Node},
    store::PrivateChange,
};

/// Mutes, archives, keeps receipts private.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    UpdateSettings { conversation_id, patch }: UpdateSettings,
) -> Result<Reply, Error> {
    private::run(node, who, conversation_id, PrivateChange::Settings(patch)).await
}
