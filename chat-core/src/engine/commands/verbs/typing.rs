use std::sync::Arc;

use crate::{
    Error,
    command::{Reply, Typing},
    engine::{
        gate::{self, Who},
        node::Node,
        typing,
    },
    traits::Action,
};

/// Says that the caller is typing, or has stopped.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    Typing { conversation_id, on }: Typing,
) -> Result<Reply, Error> {
    let user = who.require_user()?;
    let action = Action::Signal { conversation_id };
    gate::admit_member(node, who, conversation_id, action).await?;
    let session = who.connection.as_ref().map(|connection| connection.id);
    let tell = match on {
        true => node.typing.start(node, conversation_id, user, session),
        false => node.typing.stop(conversation_id, user),
    };
    if tell {
        typing::tell(node, conversation_id, user, on);
    }
    Ok(Reply::Done)
}
