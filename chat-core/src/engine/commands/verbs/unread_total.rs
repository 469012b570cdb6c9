use std::sync::Arc;

use crate::{
    Error,
    command::Reply,
    engine::{gate::Who, node::Node},
};

/// How much is unread over all conversations.
pub(in crate::engine) async fn run(node: &Arc<Node>, who: &Who) -> Result<Reply, Error> {
    let user = who.require_user()?;
    let total = node.store().unread_total(user, node.config.limits.unread_cap);
    Ok(Reply::Unread(node.read("unread_total", total).await?))
}
