//! What the verbs that change a conversation share.

use std::sync::Arc;

use crate::{
    Error,
    engine::{
        access, fanout,
        gate::{self, Who},
        node::Node,
    },
    model::ConversationId,
    store::{ChangeOutcome, ConversationChange},
    traits::Action,
};

/// Changes a conversation and tells its members. Runs to its end whatever becomes of the caller.
pub(super) async fn run(
    node: &Arc<Node>,
    who: &Who,
    id: ConversationId,
    action: Action,
    change: ConversationChange,
) -> Result<(), Error> {
    let admitted = gate::admit(node, who, action).await?;
    if !matches!(change, ConversationChange::Patch(_)) {
        refuse_if_host_decides(node, who, id).await?;
    }
    let worker = Arc::clone(node);
    node.detached("change", async move {
        let (max, now) = (worker.config.limits.group_members, worker.now());
        let actor = admitted.user();
        match worker.store().change(id, actor, change, max, now).await? {
            ChangeOutcome::Changed(conversation, delta) => {
                fanout::change(&worker, access::told(&conversation, actor, delta));
                Ok(())
            }
            ChangeOutcome::Unchanged(_) => Ok(()),
            ChangeOutcome::NotFound => Err(Error::NotFound),
            ChangeOutcome::Denied(denied) => Err(super::denied(denied)),
        }
    })
    .await
}

/// Where the host's own tables say who belongs, its users cannot.
async fn refuse_if_host_decides(node: &Node, who: &Who, id: ConversationId) -> Result<(), Error> {
    let (Some(source), Some(_)) = (&node.backends.membership, who.user()) else { return Ok(()) };
    let Some(conversation) = node.read("conversation", node.store().conversation(id)).await? else {
        return Err(Error::NotFound);
    };
    match node.read("membership", source.members(&conversation)).await? {
        Some(_) => {
            gate::require_reader(node, who, id).await?;
            Err(Error::Forbidden("the application decides who is a member here".into()))
        }
        None => Ok(()),
    }
}
