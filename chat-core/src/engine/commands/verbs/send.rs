use std::sync::Arc;

use futures::FutureExt;

use crate::{
    Error,
    command::{Reply, Send},
    engine::{
        dispatch::Started,
        gate::{self, Who},
        node::Node,
        typing,
    },
    model::{ContentHash, Draft},
    store::Stored,
    traits::Action,
};

/// Checks and queues a message; the commit is awaited by the caller.
pub(in crate::engine) async fn start(
    node: &Arc<Node>,
    who: &Who,
    Send { conversation_id, message }: Send,
    hash: Option<ContentHash>,
) -> Result<Started, Error> {
    let hash = hash.unwrap_or_else(|| message.content_hash());
    let draft = Draft::check(message, who.user().is_none(), &node.config.limits)?;
    let kind = draft.message().kind.clone();
    let admitted = gate::admit(node, who, Action::Send { conversation_id, kind }).await?;
    let user = admitted.user().cloned();
    let committing = node.committer.append(node, admitted, conversation_id, draft, hash)?;
    let node = Arc::clone(node);
    let inflight = node.inflight.begin();
    let rest = async move {
        let _inflight = inflight;
        let Stored { message, replayed } = committing.outcome(&node).await?.stored()?;
        if let Some(user) = user
            && node.typing.end(conversation_id, &user)
        {
            typing::tell(&node, conversation_id, &user, false);
        }
        Ok(Reply::Sent { message: Box::new(message), replayed })
    };
    Ok(Started::Pending(rest.boxed()))
}
