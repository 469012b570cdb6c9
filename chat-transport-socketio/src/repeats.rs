//! No message is told twice: what a socket has claimed, or was told as it caught up, is left out of the events that follow.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use parlor_core::{
    event::{Change, ChangeBody, Changes, Event, SessionEvent},
    model::{ConversationId, Message},
};

use crate::missed;

/// Conversations of which it is remembered how far they were told.
const REMEMBERED: usize = 10_000;

/// How far a socket was told past the events that it has had. Used by whoever holds its turn.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    any: AtomicBool,
    through: Mutex<HashMap<ConversationId, u64>>,
}

impl Repeats {
    /// Everything of a conversation was told, up to this seq.
    pub(crate) fn expect(&self, conversation_id: ConversationId, through_seq: u64) {
        let mut through = self.through.lock();
        if through.len() < REMEMBERED || through.contains_key(&conversation_id) {
            let told = through.entry(conversation_id).or_default();
            *told = through_seq.max(*told);
            self.any.store(true, Ordering::Release);
        }
    }

    /// The event without what was told; `None` where nothing of it is left out.
    pub(crate) fn without(&self, event: &Event) -> Option<Event> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let messages = sent(event);
        let mut left = messages.iter().filter(|message| !self.is_told(message)).peekable();
        let is_left = left.peek().is_some();
        let left: Vec<Message> = left.cloned().collect();
        if left.len() == messages.len() {
            return None;
        }
        Some(match event {
            Event::Session(SessionEvent::Changes(changes)) if is_left => {
                let left = Changes { messages: left, ..Changes::clone(changes) };
                Event::Session(SessionEvent::Changes(Box::new(left)))
            }
            _ => missed::told(event.conversation_id()?, left),
        })
    }

    /// Messages of a conversation come in order: with one that was not told, what there was to remember ends.
    fn is_told(&self, message: &Message) -> bool {
        let mut through = self.through.lock();
        let Some(told) = through.get(&message.conversation_id) else { return false };
        if message.seq <= *told {
            return true;
        }
        through.remove(&message.conversation_id);
        self.any.store(!through.is_empty(), Ordering::Release);
        false
    }
}

/// The messages that an event says were sent.
pub(crate) fn sent(event: &Event) -> &[Message] {
    match event {
        Event::Change(Change { body: ChangeBody::MessageSent { message }, .. }) => {
            std::slice::from_ref(message)
        }
        Event::Session(SessionEvent::Changes(changes)) => &changes.messages,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use parlor_core::{Timestamp, model::MessageId};

    use super::*;

    fn message(id: ConversationId, seq: u64) -> Message {
        let at = Timestamp::from_millis(1);
        let mut message = Message::blank(MessageId::new(at), id, at);
        message.seq = seq;
        message
    }

    fn live(id: ConversationId, seq: u64) -> Event {
        Event::Change(Change {
            conversation_id: id,
            rev: seq + 1,
            body: ChangeBody::MessageSent { message: Box::new(message(id, seq)) },
        })
    }

    #[test]
    fn what_was_told_is_left_out_until_something_newer_comes() {
        let repeats = Repeats::default();
        let [one, other] = [1, 2].map(|at| ConversationId::new(Timestamp::from_millis(at)));
        assert!(repeats.without(&live(one, 1)).is_none());
        repeats.expect(one, 2);
        repeats.expect(one, 1);
        for seq in 1..=2 {
            let left = repeats.without(&live(one, seq)).unwrap();
            assert!(sent(&left).is_empty());
        }
        assert!(repeats.without(&live(other, 1)).is_none(), "another conversation");
        let several = missed::told(one, (1..=4).map(|seq| message(one, seq)).collect());
        let left = repeats.without(&several).unwrap();
        assert_eq!(sent(&left).iter().map(|it| it.seq).collect::<Vec<_>>(), [3, 4]);
        assert!(!repeats.any.load(Ordering::Acquire), "nothing is remembered any more");
    }
}
