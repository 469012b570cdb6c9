//! A client's copy of its conversations, kept by the rules of docs/protocol.md ("Keeping in step").

use std::collections::BTreeMap;

use parlor::{Known, model::ConversationId};
use serde_json::Value;

#[derive(Debug, Default, Clone)]
pub(crate) struct Copy {
    pub(crate) rev: u64,
    pub(crate) member_rev: u64,
    /// By seq.
    pub(crate) messages: BTreeMap<u64, Value>,
    pub(crate) limited: bool,
}

/// What a client has. Panics where an event breaks the promises of order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Follower {
    pub(crate) conversations: BTreeMap<ConversationId, Copy>,
    /// Conversations in which a live event left a hole: a client would ask for the changes.
    pub(crate) holes: u64,
    /// Live events that were known already and dropped.
    pub(crate) repeated: u64,
    pub(crate) resyncs: u64,
}

fn id_of(event: &Value) -> Option<ConversationId> {
    event["conversation_id"].as_str().map(|id| id.parse().unwrap())
}

impl Follower {
    pub(crate) fn known(&self) -> Vec<Known> {
        self.conversations
            .iter()
            .map(|(id, copy)| Known {
                conversation_id: *id,
                rev: copy.rev,
                member_rev: copy.member_rev,
            })
            .collect()
    }

    pub(crate) fn copy(&self, id: ConversationId) -> &Copy {
        self.conversations.get(&id).expect("a conversation that the client has")
    }

    /// The texts that the client shows, in order.
    pub(crate) fn bodies(&self, id: ConversationId) -> Vec<String> {
        self.conversations
            .get(&id)
            .map(|copy| {
                copy.messages
                    .values()
                    .map(|message| message["body"].as_str().unwrap_or_default().to_owned())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Asserts that the messages are 1, 2, 3 … without a hole.
    pub(crate) fn assert_dense(&self, id: ConversationId) {
        let seqs: Vec<u64> = self.copy(id).messages.keys().copied().collect();
        let wanted: Vec<u64> = (1..=seqs.len() as u64).collect();
        assert_eq!(seqs, wanted, "seqs without a hole");
    }

    pub(crate) fn apply(&mut self, event: &Value) {
        match event["type"].as_str().unwrap() {
            "changes" => self.changes(event),
            "limited" => {
                let copy = self.conversations.entry(id_of(event).unwrap()).or_default();
                copy.rev = event["rev"].as_u64().unwrap();
                copy.messages.clear();
                copy.limited = true;
            }
            "conversation.added" => {
                let summary = &event["summary"];
                let id = summary["conversation"]["id"].as_str().unwrap().parse().unwrap();
                let copy = self.conversations.entry(id).or_default();
                copy.rev = summary["conversation"]["rev"].as_u64().unwrap();
                copy.member_rev = summary["me"]["member_rev"].as_u64().unwrap();
            }
            "conversation.removed" => {
                self.conversations.remove(&id_of(event).unwrap());
            }
            "resync" => {
                self.conversations.clear();
                self.resyncs += 1;
            }
            "member.changed" => {
                let rev = event["state"]["member_rev"].as_u64().unwrap();
                let copy = self.conversations.entry(id_of(event).unwrap()).or_default();
                copy.member_rev = copy.member_rev.max(rev);
            }
            _ if event.get("rev").is_some() => self.live(event),
            _ => {}
        }
    }

    fn live(&mut self, event: &Value) {
        let id = id_of(event).unwrap();
        let rev = event["rev"].as_u64().unwrap();
        let kind = event["type"].as_str().unwrap();
        let copy = self.conversations.entry(id).or_insert_with(|| {
            // First heard of by its creation or by being added: it starts here.
            assert!(
                matches!(kind, "conversation.created" | "members.changed"),
                "a live {kind} of a conversation that the client was never told of"
            );
            Copy { rev: rev - 1, ..Copy::default() }
        });
        if rev <= copy.rev {
            self.repeated += 1;
            return;
        }
        if rev > copy.rev + 1 {
            self.holes += 1;
            return;
        }
        copy.rev = rev;
        match kind {
            "message.sent" => {
                let seq = event["message"]["seq"].as_u64().unwrap();
                assert!(!copy.messages.contains_key(&seq), "seq {seq} came twice");
                copy.messages.insert(seq, event["message"].clone());
            }
            "message.edited" | "message.deleted" => {
                let seq = event["message"]["seq"].as_u64().unwrap();
                if copy.messages.contains_key(&seq) {
                    copy.messages.insert(seq, event["message"].clone());
                }
            }
            _ => {}
        }
    }

    fn changes(&mut self, event: &Value) {
        let copy = self.conversations.entry(id_of(event).unwrap()).or_default();
        let since = event["since_rev"].as_u64().unwrap();
        assert!(since <= copy.rev, "changes since {since} for a client that has {}", copy.rev);
        if event["through_rev"].as_u64().unwrap() < copy.rev {
            // Read before what is here.
            return;
        }
        let mut last = 0;
        for message in event["messages"].as_array().unwrap() {
            let seq = message["seq"].as_u64().unwrap();
            assert!(seq > last, "new messages come by seq");
            last = seq;
            copy.messages.insert(seq, message.clone());
        }
        for message in event["revised"].as_array().into_iter().flatten() {
            let seq = message["seq"].as_u64().unwrap();
            if copy.messages.contains_key(&seq) {
                copy.messages.insert(seq, message.clone());
            }
        }
        if event.get("next").is_none() {
            copy.rev = copy.rev.max(event["through_rev"].as_u64().unwrap());
        }
    }
}
