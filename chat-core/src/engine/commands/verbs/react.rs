use std::sync::Arc;

use super::revise;
use crate::{
    Error,
    command::{React, Reply},
    engine::{gate::Who, node::Node},
    event::ChangeBody,
    model::ReactionKey,
    store::Revision,
};

/// Gives a reaction or takes it back.
pub(in crate::engine) async fn run(
    node: &Arc<Node>,
    who: &Who,
    React { conversation_id, message_id, key, on }: React,
) -> Result<Reply, Error> {
    let key = ReactionKey::new(key)?;
    let user_id = who.require_user()?.clone();
    let max_distinct = node.config.limits.reactions;
    let revision = Revision::React { key: key.clone(), on, max_distinct };
    let message = revise::run(node, who, conversation_id, message_id, revision, move |message| {
        let count = message
            .reactions
            .iter()
            .find(|reaction| reaction.key == key)
            .map_or(0, |reaction| reaction.count);
        ChangeBody::ReactionChanged { message_id, seq: message.seq, user_id, key, on, count }
    });
    Ok(Reply::Message(Box::new(message.await?)))
}
