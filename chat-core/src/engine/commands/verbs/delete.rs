use std::sync::Arc;

use super::{private, revise};
use crate::{
    Error,
    command::{Delete, DeleteFor, Reply},
    engine::{gate::Who, node::Node},
    event::ChangeBody,
    store::{PrivateChange, Revision},
};

/// Deletes a message, for everyone or for the caller.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    Delete { conversation_id, message_id, scope }: Delete,
) -> Result<Reply, Error> {
    if scope == DeleteFor::Me {
        let change = PrivateChange::DeleteMessages(vec![message_id]);
        return private::run(node, who, conversation_id, change).await;
    }
    let revision = Revision::Delete;
    let message = revise::run(node, who, conversation_id, message_id, revision, |message| {
        ChangeBody::MessageDeleted { message: Box::new(message.clone()) }
    });
    Ok(Reply::Message(Box::new(message.await?)))
}
