use std::sync::Arc;

use crate::{
    Error,
    command::{ListMembers, MemberPage, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
};

/// A page of the member list.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    ListMembers { conversation_id, limit, after }: ListMembers,
) -> Result<Reply, Error> {
    gate::admit_reader(node, who, conversation_id).await?;
    let limit = node.config.limits.page_size(limit);
    let members = node.store().members(conversation_id, after.as_ref(), limit + 1);
    let mut members = node.read("members", members).await?;
    gate::require_reader(node, who, conversation_id).await?;
    let has_more = members.len() > limit;
    members.truncate(limit);
    Ok(Reply::Members(MemberPage { members, has_more }))
}
