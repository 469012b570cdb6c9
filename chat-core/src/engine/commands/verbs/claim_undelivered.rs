use std::sync::Arc;

use crate::{
    Error,
    command::{AtSeq, Reply},
    engine::{
        gate::{self, Who},
        node::Node,
    },
    traits::Action,
};

/// Takes what was not delivered yet, up to a message, as the only one who hands it over.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    AtSeq { conversation_id, seq }: AtSeq,
) -> Result<Reply, Error> {
    let user = who.require_user()?;
    gate::admit(node, who, Action::Signal { conversation_id }).await?;
    // To hand over is to receive: whom the policy keeps from that gets nothing, for as long as it does.
    let asked = [conversation_id];
    let may = node.backends.policy.may_receive(user, &asked);
    if node.read("policy", may).await?.first() != Some(&true) {
        return Ok(Reply::Claimed { after_seq: 0, through_seq: 0 });
    }
    let advanced = node.cursors.advance(node, conversation_id, user, Some(seq), None).await?;
    let advanced = advanced.ok_or(Error::NotFound)?;
    let through_seq = advanced.state.delivered_seq;
    Ok(Reply::Claimed { after_seq: advanced.delivered_before, through_seq })
}
