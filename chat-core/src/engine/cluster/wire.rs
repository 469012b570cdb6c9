//! What nodes say to each other over the bus: JSON with a version. What a node does not understand it
//! skips; the next change or the sweep shows the hole, and the store fills it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    event::{Change, Ephemeral, Private},
    model::{ConversationId, NodeId, UserId},
};

/// The version written. Unknown kinds of a known version are skipped one by one, other versions whole.
const VERSION: u8 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Envelope<T> {
    v: u8,
    from: NodeId,
    #[serde(flatten)]
    say: T,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::engine) enum NodeMessage {
    /// A shared change.
    Change(Change),
    /// A private change, for the user's devices.
    Private(Private),
    /// Something ephemeral in a conversation.
    Ephemeral(Aside),
    /// A user's presence may have changed.
    Presence(UserId),
    /// Ask the policy again who may receive.
    Recheck(ConversationId),
    /// End a user's connections.
    Disconnect(UserId),
}

/// An ephemeral event with those it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) struct Aside {
    pub(in crate::engine) event: Ephemeral,
    /// Not for this user's own devices.
    pub(in crate::engine) except: Option<UserId>,
    /// Only for these users.
    pub(in crate::engine) only: Option<Vec<UserId>>,
}

pub(in crate::engine) fn encode(from: NodeId, say: &NodeMessage) -> Bytes {
    // Structs of strings, numbers and maps with text keys always serialise.
    serde_json::to_vec(&Envelope { v: VERSION, from, say }).unwrap_or_default().into()
}

/// What another node said; `None` for one's own words and what is not understood.
pub(in crate::engine) fn decode(own: NodeId, payload: &[u8]) -> Option<NodeMessage> {
    match serde_json::from_slice::<Envelope<NodeMessage>>(payload) {
        Ok(envelope) if envelope.v == VERSION => (envelope.from != own).then_some(envelope.say),
        Ok(_) | Err(_) => {
            metrics::counter!("parlor_bus_skipped_total").increment(1);
            tracing::debug!("skipped a message of another version on the bus");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Timestamp,
        event::ChangeBody,
        model::{Message, MessageId},
    };

    #[test]
    fn words_come_back_and_unknown_ones_are_skipped() {
        let (own, other) = (NodeId::random(), NodeId::random());
        let conversation_id = ConversationId::new(Timestamp::from_millis(1));
        let id = MessageId::new(Timestamp::from_millis(1));
        let message = Message::blank(id, conversation_id, Timestamp::from_millis(1));
        let body = ChangeBody::MessageSent { message: Box::new(message) };
        let say = NodeMessage::Change(Change { body, conversation_id, rev: 7 });
        let payload = encode(other, &say);
        assert_eq!(decode(own, &payload), Some(say));
        assert_eq!(decode(other, &payload), None, "one's own words come back from some buses");
        let newer = format!(r#"{{"v":2,"from":"{other}","change":{{}}}}"#);
        assert_eq!(decode(own, newer.as_bytes()), None);
        let unknown = format!(r#"{{"v":1,"from":"{other}","dance":{{}}}}"#);
        assert_eq!(decode(own, unknown.as_bytes()), None);
        assert_eq!(decode(own, b"\xff"), None);
    }
}
