use std::sync::Arc;

use crate::{
    Error, Invalid,
    command::{Reply, Users},
    engine::{gate::Who, node::Node},
};

/// Names and pictures.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    _: &Who,
    Users { user_ids }: Users,
) -> Result<Reply, Error> {
    let max = node.config.limits.watches;
    if user_ids.len() > max {
        return Err(Invalid::new("user_ids", format!("must be at most {max}")).into());
    }
    let profiles = node.backends.directory.profiles(&user_ids);
    Ok(Reply::Profiles(node.read("profiles", profiles).await?))
}
