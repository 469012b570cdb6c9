use std::sync::Arc;

use crate::{
    Error, Invalid,
    command::{History, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
    store::{HistoryQuery, Page},
    traits::Action,
};

/// A page of history.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    History { conversation_id, before, after, limit }: History,
) -> Result<Reply, Error> {
    let page = match (before, after) {
        (None, None) => Page::Latest,
        (Some(seq), None) => Page::Before(seq),
        (None, Some(seq)) => Page::After(seq),
        (Some(_), Some(_)) => {
            return Err(Invalid::new("after", "cannot be given together with before").into());
        }
    };
    let admitted = gate::admit(node, who, Action::Read { conversation_id }).await?;
    let limit = node.config.limits.page_size(limit);
    let query = HistoryQuery { viewer: admitted.into_user(), page, limit };
    // The store asks for the membership in the moment in which it reads.
    let page = node.read("history", node.store().history(conversation_id, query)).await?;
    page.map(Reply::History).ok_or(Error::NotFound)
}
