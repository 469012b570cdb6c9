use std::sync::Arc;

use crate::{
    Error, Invalid,
    command::{Reply, Users},
    engine::{gate::Who, node::Node, people},
};

/// Who is there, among those whom the caller may see.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    Users { user_ids }: Users,
) -> Result<Reply, Error> {
    let max = node.config.limits.watches;
    if user_ids.len() > max {
        return Err(Invalid::new("user_ids", format!("must be at most {max}")).into());
    }
    let visible = people::visible_to(node, who, &user_ids).await?;
    Ok(Reply::Presence(people::look(node, &visible).await))
}
