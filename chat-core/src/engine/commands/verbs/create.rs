//! What the verbs that make a conversation share.

use std::sync::Arc;

use crate::{
    Error,
    engine::{fanout, node::Node},
    event::{Change, ChangeBody},
    model::{Conversation, Member},
    store::NewConversation,
};

/// Makes a conversation, or finds the one that is there, and tells its members when it is new.
pub(super) async fn run(node: &Arc<Node>, new: NewConversation) -> Result<Conversation, Error> {
    let worker = Arc::clone(node);
    node.detached("create", async move {
        let joined_at = new.created_at;
        let members = new.members.clone();
        let created = worker.store().create(new).await?;
        let conversation = created.conversation;
        if created.fresh {
            let members = members
                .into_iter()
                .map(|(user_id, role)| Member { user_id, role, joined_at })
                .collect();
            let body = ChangeBody::ConversationCreated {
                conversation: Box::new(conversation.clone()),
                members,
            };
            let (conversation_id, rev) = (conversation.id, conversation.rev);
            fanout::change(&worker, Change { body, conversation_id, rev });
        }
        Ok(conversation)
    })
    .await
}
