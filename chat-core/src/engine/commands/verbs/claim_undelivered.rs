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

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::{
        Chat,
        backends::MemoryStore,
        command::Command,
        model::{Identity, NewMessage, UserId},
    };

    #[tokio::test]
    async fn of_all_who_claim_at_once_each_message_is_given_to_one() {
        let chat = Chat::builder(Arc::new(MemoryStore::new())).build().await.unwrap();
        let user = |id: &str| chat.as_user(Identity::new(UserId::new(id).unwrap()));
        let (ann, bob) = (user("ann"), user("bob"));
        let id = ann.open_direct(UserId::new("bob").unwrap()).await.unwrap().conversation.id;
        let mut delivered = Vec::new();
        for round in 1..=3_u64 {
            for text in ["one", "two", "three"] {
                ann.send(id, NewMessage::text(text)).await.unwrap();
            }
            // Asked at once they share one write, and must not share what it moved over.
            let claim = AtSeq { conversation_id: id, seq: round * 3 };
            let claims = (0..4).map(|_| bob.dispatch(Command::ClaimUndelivered(claim)));
            for claimed in join_all(claims).await {
                let Ok(Reply::Claimed { after_seq, through_seq }) = claimed else {
                    panic!("{claimed:?}");
                };
                delivered.extend(after_seq + 1..=through_seq);
            }
        }
        assert_eq!(delivered, (1..=9).collect::<Vec<_>>());
    }
}
