//! What the verbs that change the caller's own state share.

use std::sync::Arc;

use crate::{
    Error,
    command::Reply,
    engine::{
        fanout,
        gate::{self, Who},
        node::Node,
    },
    event::Private,
    model::ConversationId,
    store::PrivateChange,
    traits::Action,
};

/// Changes the caller's own state and tells their devices. Runs to its end whatever becomes of the caller.
pub(super) async fn run(
    node: &Arc<Node>,
    who: &Who,
    id: ConversationId,
    change: PrivateChange,
) -> Result<Reply, Error> {
    let user = who.require_user()?.clone();
    gate::admit(node, who, Action::Read { conversation_id: id }).await?;
    let worker = Arc::clone(node);
    node.detached("change_private", async move {
        let cap = worker.config.limits.unread_cap;
        let delta = worker.store().change_private(id, &user, change, cap).await?;
        let delta = delta.ok_or(Error::NotFound)?;
        if delta.changed {
            let state = delta.state.clone();
            let deleted = delta.deleted;
            fanout::private(
                &worker,
                Private { conversation_id: id, user_id: user, state, deleted },
            );
        }
        Ok(Reply::State(Box::new(delta.state)))
    })
    .await
}
