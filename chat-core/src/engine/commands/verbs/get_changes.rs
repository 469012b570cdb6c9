use std::sync::Arc;

use crate::{
    Error,
    command::{GetChanges, Reply},
    engine::{
        catchup,
        gate::{self, Who},
        node::Node,
    },
    store::ChangesQuery,
};

/// What changed since a rev.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    GetChanges { conversation_id, since_rev, cursor, limit }: GetChanges,
) -> Result<Reply, Error> {
    let position = cursor.as_deref().map(str::parse).transpose()?;
    let admitted = gate::admit_reader(node, who, conversation_id).await?;
    let limit = node.config.limits.page_size(limit);
    let query = ChangesQuery { viewer: admitted.into_user(), since: since_rev, position, limit };
    let page = node.read("changes", node.store().changes(conversation_id, query)).await?;
    let page = page.ok_or(Error::NotFound)?;
    gate::require_reader(node, who, conversation_id).await?;
    let changes = catchup::to_event(conversation_id, since_rev, page);
    Ok(Reply::Changes(Box::new(changes)))
}
