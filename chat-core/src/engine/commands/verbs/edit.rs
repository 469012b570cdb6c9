use std::sync::Arc;

use super::revise;
use crate::{
    Error,
    command::{Edit, Reply},
    engine::{gate::Who, node::Node},
    event::ChangeBody,
    model::DraftEdit,
    store::Revision,
};

/// Changes a message's content.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    Edit { conversation_id, message_id, edit }: Edit,
) -> Result<Reply, Error> {
    let revision = Revision::Edit(DraftEdit::check(edit, &node.config.limits)?);
    let message = revise::run(node, who, conversation_id, message_id, revision, |message| {
        ChangeBody::MessageEdited { message: Box::new(message.clone()) }
    });
    Ok(Reply::Message(Box::new(message.await?)))
}
