use std::sync::Arc;

use crate::{
    Error, Invalid,
    command::{Reply, Signal},
    engine::{
        fanout,
        gate::{self, Who},
        node::Node,
        wire::Aside,
    },
    event::Ephemeral,
    model::{check_json, check_name},
    traits::Action,
};

/// Sends a custom ephemeral event to those who are connected.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    Signal { conversation_id, name, data, to }: Signal,
) -> Result<Reply, Error> {
    let limits = &node.config.limits;
    check_name("name", &name, limits.name_bytes)?;
    check_json("data", &data, limits.signal_bytes)?;
    if to.as_ref().is_some_and(|to| to.len() > limits.group_members) {
        let reason = format!("must be at most {}", limits.group_members);
        return Err(Invalid::new("to", reason).into());
    }
    let action = Action::Signal { conversation_id };
    let admitted = gate::admit_member(node, who, conversation_id, action).await?;
    let user_id = admitted.into_user();
    let event = Ephemeral::Signal { conversation_id, user_id: user_id.clone(), name, data };
    fanout::aside(node, conversation_id, Aside { event, except: user_id, only: to });
    Ok(Reply::Done)
}
