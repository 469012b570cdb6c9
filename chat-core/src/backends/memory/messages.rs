use async_trait::async_trait;

use super::{Data, MemoryStore, next_number, numbered, room::Stored};
use crate::{
    BackendError, Timestamp,
    model::{ConversationId, Message, MessageId, UserId},
    rules::{self, Denied},
    store::{
        Append, Appended, ChangesPage, ChangesQuery, HistoryPage, HistoryQuery, MessageRef,
        MessageStore, ReviseOutcome, Revision,
    },
};

#[async_trait]
impl MessageStore for MemoryStore {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, BackendError>> {
        let mut data = self.medium.data.lock();
        batch.iter().map(|append| Ok(data.append(append))).collect()
    }

    async fn revise(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
        actor: Option<&UserId>,
        revision: Revision,
        now: Timestamp,
    ) -> Result<ReviseOutcome, BackendError> {
        let mut data = self.medium.data.lock();
        let outcome = data.revise(conversation_id, message_id, actor, &revision, now);
        Ok(outcome.unwrap_or(ReviseOutcome::NotFound))
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        query: HistoryQuery,
    ) -> Result<Option<HistoryPage>, BackendError> {
        let data = self.medium.data.lock();
        Ok(data.rooms.get(&conversation_id).and_then(|room| room.history(&query)))
    }

    async fn changes(
        &self,
        conversation_id: ConversationId,
        query: ChangesQuery,
    ) -> Result<Option<ChangesPage>, BackendError> {
        let data = self.medium.data.lock();
        Ok(data.rooms.get(&conversation_id).map(|room| room.changes(&query)))
    }

    async fn message(
        &self,
        message: MessageRef,
        viewer: Option<&UserId>,
    ) -> Result<Option<Message>, BackendError> {
        let data = self.medium.data.lock();
        let place = match message {
            MessageRef::Id(id) => data.messages.get(&id).copied(),
            MessageRef::Number(number) => numbered(&data.message_numbers, number).copied(),
            MessageRef::Seq(id, seq) => Some((id, seq)),
        };
        Ok(place.and_then(|(id, seq)| {
            let room = data.rooms.get(&id)?;
            let stored = room.message(seq)?;
            room.sees(viewer, seq).then(|| stored.seen_by(viewer))
        }))
    }

    async fn pinned(
        &self,
        conversation_id: ConversationId,
        viewer: Option<&UserId>,
    ) -> Result<Vec<Message>, BackendError> {
        let data = self.medium.data.lock();
        let room = data.rooms.get(&conversation_id);
        Ok(room.map(|room| room.pinned(viewer)).unwrap_or_default())
    }
}

impl Data {
    fn append(&mut self, append: &Append) -> Appended {
        let Some(room) = self.rooms.get_mut(&append.conversation_id) else {
            return Appended::NotFound;
        };
        if append.sender_id.as_ref().is_some_and(|sender| !room.seats.contains_key(sender)) {
            return Appended::NotFound;
        }
        let content = append.draft.message();
        let key = content.client_id.as_ref().map(|key| (append.sender_id.clone(), key.clone()));
        if let Some((seq, hash)) = key.as_ref().and_then(|key| room.keys.get(key))
            && let Some(stored) = room.message(*seq)
        {
            return if *hash == append.content_hash {
                Appended::Replayed(stored.seen_by(None))
            } else {
                Appended::Conflict
            };
        }
        if let Some(target) = content.reply_to
            && self.messages.get(&target).is_none_or(|(id, _)| *id != append.conversation_id)
        {
            return Appended::UnknownReply;
        }
        let conversation = &mut room.conversation;
        conversation.last_seq += 1;
        conversation.rev += 1;
        conversation.last_activity_at = conversation.last_activity_at.max(append.created_at);
        let seq = conversation.last_seq;
        let number = next_number(&self.message_numbers);
        let message = Message::new(append, number, seq, conversation.rev);
        if let Some(key) = key {
            room.keys.insert(key, (seq, append.content_hash));
        }
        self.message_numbers.push((append.conversation_id, seq));
        self.messages.insert(message.id, (append.conversation_id, seq));
        room.messages.push(Stored { message: message.clone(), given: Vec::new() });
        Appended::Fresh(message)
    }

    /// `None` where there is no such message in the conversation.
    fn revise(
        &mut self,
        conversation_id: ConversationId,
        message_id: MessageId,
        actor: Option<&UserId>,
        revision: &Revision,
        now: Timestamp,
    ) -> Option<ReviseOutcome> {
        let (_, seq) = *self.messages.get(&message_id).filter(|(id, _)| *id == conversation_id)?;
        let room = self.rooms.get_mut(&conversation_id)?;
        let role = actor.and_then(|actor| room.seats.get(actor)).map(|seat| seat.state.role);
        let current = room.message(seq)?.seen_by(None);
        let kind = room.conversation.kind;
        match rules::revise(kind, &current, actor, role, revision, room.pins.len()) {
            Ok(()) => {}
            Err(Denied::NotMember) => return None,
            Err(denied) => return Some(ReviseOutcome::Denied(denied)),
        }
        let stored = room.messages.get_mut(usize::try_from(seq - 1).ok()?)?;
        if !apply(stored, actor, revision, now) {
            return Some(ReviseOutcome::Unchanged(Box::new(current)));
        }
        room.conversation.rev += 1;
        let before = std::mem::replace(&mut stored.message.changed_rev, room.conversation.rev);
        room.revised.remove(&before);
        room.revised.insert(room.conversation.rev, seq);
        if stored.message.pinned_at.is_some() {
            room.pins.insert(seq);
        } else {
            room.pins.remove(&seq);
        }
        Some(ReviseOutcome::Changed(Box::new(stored.seen_by(None))))
    }
}

/// Applies a revision that is allowed; says whether anything changed.
fn apply(stored: &mut Stored, actor: Option<&UserId>, revision: &Revision, now: Timestamp) -> bool {
    let message = &mut stored.message;
    match revision {
        Revision::Edit(edit) => edit.apply(message, now),
        Revision::Delete => {
            let fresh = !message.is_deleted();
            if fresh {
                message.entomb(now);
                stored.given.clear();
            }
            fresh
        }
        Revision::React { key, on, .. } => {
            // The host is nobody who could react.
            let Some(actor) = actor else { return false };
            let at = stored.given.iter().position(|(given, user)| given == key && user == actor);
            match (on, at) {
                (true, None) => stored.given.push((key.clone(), actor.clone())),
                (false, Some(at)) => drop(stored.given.remove(at)),
                _ => return false,
            }
            true
        }
        Revision::Pin { on, .. } => {
            let changed = message.pinned_at.is_some() != *on;
            if changed {
                message.pinned_at = on.then_some(now);
            }
            changed
        }
    }
}
