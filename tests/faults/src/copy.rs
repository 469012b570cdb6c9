//! A client's copy of its conversations, kept by the rules of docs/protocol.md ("Keeping in step"), and
//! what went against the promises on the way.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::wire::{Frame, Held, Message};

/// What a client has.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    epoch: Option<Uuid>,
    pub(crate) conversations: HashMap<Uuid, Copy>,
    /// By user, as it was told last.
    pub(crate) presence: HashMap<String, String>,
    pub(crate) broken: Broken,
}

/// One conversation.
#[derive(Debug, Default)]
pub(crate) struct Copy {
    pub(crate) rev: u64,
    member_rev: u64,
    /// By seq.
    pub(crate) messages: BTreeMap<u64, Held>,
}

/// Promises that were broken, counted.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Broken {
    /// A change came before the one that it follows.
    pub(crate) rev_holes: u64,
    /// A message came before the one that it follows.
    pub(crate) seq_holes: u64,
    /// A message came after one that it precedes, or in the place of another one.
    pub(crate) inversions: u64,
    /// A message that the client had came as a new one.
    pub(crate) twice: u64,
    /// The client was told to load a conversation, or everything, anew: nobody was away for so long.
    pub(crate) reloads: u64,
}

impl Copies {
    /// The frame by which a device says what it has. It wants everything of what it does not have.
    pub(crate) fn resume(&self) -> Value {
        let known = self.conversations.iter().map(|(id, copy)| {
            json!({"conversation_id": id, "rev": copy.rev, "member_rev": copy.member_rev})
        });
        let known: Vec<Value> = known.collect();
        json!({"type": "resume", "epoch": self.epoch, "known": known, "unknown": "replay"})
    }

    /// Takes an event. `false` when the copy has a hole now: the client must resume.
    pub(crate) fn apply(&mut self, frame: Frame<'_>) -> bool {
        match &*frame.kind {
            "resumed" => self.epoch = frame.epoch,
            "resync" => {
                self.conversations.clear();
                self.broken.reloads += 1;
            }
            "conversation.added" => {
                if let Some(entry) = frame.summary {
                    // The rev stays 0 until the replay of the whole log has come.
                    let copy = self.conversations.entry(entry.conversation.id).or_default();
                    copy.member_rev = copy.member_rev.max(entry.me.member_rev);
                }
            }
            "presence" => {
                let users = frame.users.into_iter();
                self.presence.extend(users.map(|presence| (presence.user_id, presence.status)));
            }
            _ => return self.apply_to_one(frame),
        }
        true
    }

    fn apply_to_one(&mut self, frame: Frame<'_>) -> bool {
        let Some(id) = frame.conversation_id else { return true };
        match &*frame.kind {
            "conversation.removed" => {
                self.conversations.remove(&id);
            }
            "limited" => self.broken.reloads += 1,
            "member.changed" => {
                if let Some(state) = frame.state {
                    let copy = self.conversations.entry(id).or_default();
                    copy.member_rev = copy.member_rev.max(state.member_rev);
                }
            }
            "changes" => {
                let copy = self.conversations.entry(id).or_default();
                return copy.catch_up(frame, &mut self.broken);
            }
            _ => {
                if let Some(rev) = frame.rev {
                    let copy = self.conversations.entry(id).or_default();
                    return copy.live(rev, frame, &mut self.broken);
                }
            }
        }
        true
    }
}

impl Copy {
    fn live(&mut self, rev: u64, frame: Frame<'_>, broken: &mut Broken) -> bool {
        if rev <= self.rev {
            // At least once on the wire.
            return true;
        }
        if rev > self.rev + 1 {
            broken.rev_holes += 1;
            return false;
        }
        self.rev = rev;
        match (&*frame.kind, frame.message) {
            ("message.sent", Some(message)) => {
                if self.messages.contains_key(&message.seq) {
                    broken.twice += 1;
                }
                self.take_new(message, broken);
            }
            ("message.edited" | "message.deleted", Some(message)) => self.revise(message),
            ("reaction.changed", _) => {
                let held = frame.seq.and_then(|seq| self.messages.get_mut(&seq));
                if let (Some(held), Some(key), Some(count)) = (held, frame.key, frame.count) {
                    match count {
                        0 => held.reactions.remove(&key),
                        _ => held.reactions.insert(key, count),
                    };
                }
            }
            _ => {}
        }
        true
    }

    fn catch_up(&mut self, frame: Frame<'_>, broken: &mut Broken) -> bool {
        if frame.since_rev.is_none_or(|since| since > self.rev) {
            broken.rev_holes += 1;
            return false;
        }
        if frame.through_rev.is_some_and(|through| through < self.rev) {
            // Read before what is here.
            return true;
        }
        for message in frame.messages {
            self.take_new(message, broken);
        }
        for message in frame.revised {
            self.revise(message);
        }
        if frame.next.is_none() {
            self.rev = self.rev.max(frame.through_rev.unwrap_or(0));
        }
        true
    }

    /// Takes a message at the end, or once more what is there already.
    fn take_new(&mut self, message: Message, broken: &mut Broken) {
        let seq = message.seq;
        let held = Held::from(message);
        let last = self.messages.last_key_value().map_or(0, |(seq, _)| *seq);
        match self.messages.get(&seq) {
            Some(other) if other.id != held.id => broken.inversions += 1,
            None if seq < last => broken.inversions += 1,
            None if seq > last + 1 => broken.seq_holes += 1,
            _ => {}
        }
        self.messages.insert(seq, held);
    }

    fn revise(&mut self, message: Message) {
        if let Some(held) = self.messages.get_mut(&message.seq) {
            *held = message.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0193a1b2-7c00-7000-8000-00000000c0de";

    fn sent(seq: u64, rev: u64) -> Value {
        let id = Uuid::from_u128(seq.into());
        let message = json!({"id": id, "seq": seq, "client_id": format!("7-{seq}"), "body": "hi"});
        json!({"type": "message.sent", "conversation_id": ID, "rev": rev, "message": message})
    }

    fn apply(copies: &mut Copies, frame: &Value) -> bool {
        copies.apply(serde_json::from_str(&frame.to_string()).unwrap())
    }

    fn copy(copies: &Copies) -> &Copy {
        &copies.conversations[&ID.parse().unwrap()]
    }

    #[test]
    fn what_comes_in_turn_is_kept_and_what_comes_again_is_dropped() {
        let mut copies = Copies::default();
        for frame in [sent(1, 1), sent(2, 2), sent(2, 2), sent(1, 1)] {
            assert!(apply(&mut copies, &frame));
        }
        let reaction = json!({"type": "reaction.changed", "conversation_id": ID, "rev": 3, "seq": 1,
            "key": "x", "count": 2});
        assert!(apply(&mut copies, &reaction));
        let mut deleted = sent(2, 4);
        deleted["type"] = "message.deleted".into();
        deleted["message"]["deleted_at"] = "2026-11-20T12:00:05.000Z".into();
        assert!(apply(&mut copies, &deleted));
        let copy = copy(&copies);
        assert_eq!((copy.rev, copy.messages.len()), (4, 2));
        assert_eq!(copy.messages[&1].reactions, BTreeMap::from([("x".to_owned(), 2)]));
        assert_eq!(copy.messages[&2].text, crate::wire::Text::Deleted);
        let Broken { rev_holes, seq_holes, inversions, twice, reloads } = copies.broken;
        assert_eq!((rev_holes, seq_holes, inversions, twice, reloads), (0, 0, 0, 0, 0));
    }

    #[test]
    fn changes_that_were_read_before_what_is_here_are_dropped() {
        let mut copies = Copies::default();
        for frame in [sent(1, 1), sent(2, 2), sent(3, 3)] {
            assert!(apply(&mut copies, &frame));
        }
        let mut before = sent(1, 1)["message"].clone();
        before["body"] = "before".into();
        let changes = json!({"type": "changes", "conversation_id": ID, "since_rev": 1,
            "through_rev": 2, "messages": [], "revised": [before]});
        assert!(apply(&mut copies, &changes));
        assert_eq!(copy(&copies).rev, 3);
        assert_eq!(copy(&copies).messages[&1].text, crate::wire::Text::of("hi"));
    }

    #[test]
    fn each_broken_promise_is_counted() {
        let mut copies = Copies::default();
        apply(&mut copies, &sent(1, 1));
        assert!(!apply(&mut copies, &sent(3, 3)), "a hole in the revs: the client must resume");
        assert_eq!((copies.broken.rev_holes, copy(&copies).rev), (1, 1));
        apply(&mut copies, &sent(3, 2));
        assert_eq!(copies.broken.seq_holes, 1);
        apply(&mut copies, &sent(2, 3));
        assert_eq!(copies.broken.inversions, 1);
        apply(&mut copies, &sent(2, 4));
        assert_eq!(copies.broken.twice, 1);
        apply(&mut copies, &json!({"type": "resync"}));
        assert_eq!((copies.broken.reloads, copies.conversations.len()), (1, 0));
    }

    #[test]
    fn a_replay_counts_only_when_its_last_page_is_there() {
        let mut copies = Copies::default();
        let entry = json!({
            "conversation": {"id": ID, "rev": 2, "last_seq": 2},
            "me": {"member_rev": 5, "read_seq": 0, "unread": 2},
        });
        apply(&mut copies, &json!({"type": "conversation.added", "summary": entry}));
        let page = |seq: u64, next: Option<&str>| {
            json!({"type": "changes", "conversation_id": ID, "since_rev": 0, "through_rev": 2,
                "messages": [sent(seq, seq)["message"]], "next": next})
        };
        apply(&mut copies, &page(1, Some("more")));
        assert_eq!(copies.resume()["known"][0]["rev"], 0, "the connection may break here");
        // The replay begins again.
        for frame in [page(1, Some("more")), page(2, None)] {
            assert!(apply(&mut copies, &frame));
        }
        let known = &copies.resume()["known"][0];
        assert_eq!((&known["rev"], &known["member_rev"]), (&json!(2), &json!(5)));
        assert_eq!((copies.broken.inversions, copies.broken.seq_holes), (0, 0));
    }
}
