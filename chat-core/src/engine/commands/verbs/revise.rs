//! What the verbs that change a message share.

use std::sync::Arc;

use crate::{
    Error,
    engine::{
        fanout,
        gate::{self, Who},
        node::Node,
    },
    event::{Change, ChangeBody},
    model::{ConversationId, Message, MessageId},
    store::{ReviseOutcome, Revision},
    traits::Action,
};

/// Changes a message and tells the members `body` of it. Runs to its end whatever becomes of the caller.
pub(super) async fn run(
    node: &Arc<Node>,
    who: &Who,
    conversation_id: ConversationId,
    message_id: MessageId,
    revision: Revision,
    body: impl FnOnce(&Message) -> ChangeBody + Send + 'static,
) -> Result<Message, Error> {
    let admitted = gate::admit(node, who, Action::Write { conversation_id }).await?;
    let worker = Arc::clone(node);
    node.detached("revise", async move {
        let (store, now) = (worker.store(), worker.now());
        let outcome =
            store.revise(conversation_id, message_id, admitted.user(), revision, now).await?;
        match outcome {
            ReviseOutcome::Changed(message) => {
                let (rev, body) = (message.changed_rev, body(&message));
                fanout::change(&worker, Change { body, conversation_id, rev });
                Ok(*message)
            }
            ReviseOutcome::Unchanged(message) => Ok(*message),
            ReviseOutcome::NotFound => Err(Error::NotFound),
            ReviseOutcome::Denied(denied) => Err(super::denied(denied)),
        }
    })
    .await
}
