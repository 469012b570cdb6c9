//! The log: append, revise, and what is read of it.

use async_trait::async_trait;
use parlor::{
    BackendError, BackendErrorKind, Timestamp,
    model::{ConversationId, Message, MessageId, UserId},
    rules::{self, Denied},
    store::{
        Append, Appended, ChangesPage, ChangesPosition, ChangesQuery, HistoryPage, HistoryQuery,
        MessageRef, MessageStore, Page, ReviseOutcome, Revision,
    },
};

use crate::{
    journal::{JournalStore, Transaction},
    tables::{Entry, Row, Tables},
};

#[async_trait]
impl MessageStore for JournalStore {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, BackendError>> {
        let count = batch.len();
        // One line for the batch, so one wait for the disk.
        let all = move |transaction: &mut Transaction<'_>| {
            batch.iter().map(|one| append(transaction, one)).collect::<Vec<_>>()
        };
        match self.write("append", all).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); count],
        }
    }

    async fn revise(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
        actor: Option<&UserId>,
        revision: Revision,
        now: Timestamp,
    ) -> Result<ReviseOutcome, BackendError> {
        let actor = actor.cloned();
        self.write("revise", move |transaction| {
            let place = transaction.tables().message_ids.get(&message_id).copied();
            match place {
                Some((id, seq)) if id == conversation_id => {
                    revise(transaction, (id, seq), actor.as_ref(), &revision, now)
                }
                _ => Ok(ReviseOutcome::NotFound),
            }
        })
        .await?
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        query: HistoryQuery,
    ) -> Result<Option<HistoryPage>, BackendError> {
        let tables = self.read("history").await?;
        let viewer = query.viewer.as_ref();
        let is_there = tables.conversations.contains_key(&conversation_id);
        if !is_there || viewer.is_some_and(|user| tables.seat(conversation_id, user).is_none()) {
            return Ok(None);
        }
        // One more than asked for says whether there are more.
        let limit = query.limit.saturating_add(1);
        let log = |after, before| tables.log(conversation_id, viewer, after, before);
        let mut found: Vec<&Entry> = match query.page {
            Page::Latest => log(0, u64::MAX).rev().take(limit).collect(),
            Page::Before(seq) => log(0, seq).rev().take(limit).collect(),
            Page::After(seq) => log(seq, u64::MAX).take(limit).collect(),
        };
        let has_more = found.len() > query.limit;
        found.truncate(query.limit);
        if !matches!(query.page, Page::After(_)) {
            found.reverse();
        }
        let messages = found.into_iter().map(|entry| entry.seen_by(viewer)).collect();
        Ok(Some(HistoryPage { messages, has_more }))
    }

    async fn changes(
        &self,
        conversation_id: ConversationId,
        query: ChangesQuery,
    ) -> Result<Option<ChangesPage>, BackendError> {
        Ok(self.read("changes").await?.changes(conversation_id, &query))
    }

    async fn message(
        &self,
        message: MessageRef,
        viewer: Option<&UserId>,
    ) -> Result<Option<Message>, BackendError> {
        let tables = self.read("message").await?;
        let place = match message {
            MessageRef::Id(id) => tables.message_ids.get(&id).copied(),
            MessageRef::Number(number) => tables.message_numbers.get(&number).copied(),
            MessageRef::Seq(id, seq) => Some((id, seq)),
        };
        let place = place.filter(|place| tables.sees(viewer, *place));
        let entry = place.and_then(|place| tables.messages.get(&place));
        Ok(entry.map(|entry| entry.seen_by(viewer)))
    }

    async fn pinned(
        &self,
        conversation_id: ConversationId,
        viewer: Option<&UserId>,
    ) -> Result<Vec<Message>, BackendError> {
        let tables = self.read("pinned").await?;
        let pins = tables.pins.range((conversation_id, 0)..=(conversation_id, u64::MAX));
        let seen = pins.filter(|place| tables.sees(viewer, **place));
        let seen = seen.filter_map(|place| tables.messages.get(place));
        let mut pinned: Vec<Message> = seen.map(|entry| entry.seen_by(viewer)).collect();
        pinned.sort_by_key(|message| std::cmp::Reverse((message.pinned_at, message.seq)));
        Ok(pinned)
    }
}

fn append(transaction: &mut Transaction<'_>, append: &Append) -> Appended {
    let (tables, id) = (transaction.tables(), append.conversation_id);
    let Some(mut conversation) = tables.conversations.get(&id).cloned() else {
        return Appended::NotFound;
    };
    if append.sender_id.as_ref().is_some_and(|sender| tables.seat(id, sender).is_none()) {
        return Appended::NotFound;
    }
    // Looked for under the lock: a retry that raced its first try finds it, and takes no number.
    let content = append.draft.message();
    if let Some(key) = &content.client_id
        && let Some(place) = tables.keys.get(&(id, append.sender_id.clone(), key.clone()))
        && let Some(entry) = tables.messages.get(place)
    {
        let same = entry.hash() == append.content_hash;
        return if same { Appended::Replayed(entry.seen_by(None)) } else { Appended::Conflict };
    }
    if let Some(target) = &content.reply_to
        && tables.message_ids.get(target).is_none_or(|(other, _)| *other != id)
    {
        return Appended::UnknownReply;
    }
    conversation.last_seq += 1;
    conversation.rev += 1;
    conversation.last_activity_at = conversation.last_activity_at.max(append.created_at);
    let number = tables.message_numbers.last_key_value().map_or(1, |(last, _)| last + 1);
    let message = Message::new(append, number, conversation.last_seq, conversation.rev);
    transaction.put(Row::Conversation(Box::new(conversation)));
    transaction.put(Row::Message(Box::new(Entry::new(message.clone(), append.content_hash))));
    Appended::Fresh(message)
}

fn revise(
    transaction: &mut Transaction<'_>,
    (id, seq): (ConversationId, u64),
    actor: Option<&UserId>,
    revision: &Revision,
    now: Timestamp,
) -> Result<ReviseOutcome, BackendError> {
    let tables = transaction.tables();
    let row = tables.conversations.get(&id).zip(tables.messages.get(&(id, seq)));
    let Some((conversation, entry)) = row else { return Ok(ReviseOutcome::NotFound) };
    let role = actor.and_then(|actor| tables.seat(id, actor)).map(|seat| seat.state.role);
    let pins = tables.pins.range((id, 0)..=(id, u64::MAX)).count();
    let current = entry.seen_by(None);
    match rules::revise(conversation.kind, &current, actor, role, revision, pins) {
        Ok(()) => {}
        // Answered as if the conversation did not exist.
        Err(Denied::NotMember) => return Ok(ReviseOutcome::NotFound),
        Err(denied) => return Ok(ReviseOutcome::Denied(denied)),
    }
    let (mut conversation, mut entry) = (conversation.clone(), entry.clone());
    if !apply(&mut entry, actor, revision, now)? {
        return Ok(ReviseOutcome::Unchanged(Box::new(current)));
    }
    conversation.rev += 1;
    entry.message.changed_rev = conversation.rev;
    let message = Box::new(entry.seen_by(None));
    transaction.put(Row::Conversation(Box::new(conversation)));
    transaction.put(Row::Message(Box::new(entry)));
    Ok(ReviseOutcome::Changed(message))
}

/// Applies a revision that is allowed; says whether anything changed.
fn apply(
    entry: &mut Entry,
    actor: Option<&UserId>,
    revision: &Revision,
    now: Timestamp,
) -> Result<bool, BackendError> {
    let before = entry.clone();
    let message = &mut entry.message;
    match revision {
        Revision::Edit(edit) => return Ok(edit.apply(message, now)),
        Revision::Delete if !message.is_deleted() => {
            message.entomb(now);
            entry.given.clear();
        }
        Revision::Delete => {}
        Revision::React { key, on, .. } => {
            // The host is nobody who could react.
            let Some(actor) = actor else { return Ok(false) };
            let mine = (key.clone(), actor.clone());
            match (on, entry.given.contains(&mine)) {
                (true, false) => entry.given.push(mine),
                (false, true) => entry.given.retain(|given| given != &mine),
                _ => {}
            }
        }
        Revision::Pin { on, .. } if message.pinned_at.is_some() != *on => {
            message.pinned_at = on.then_some(now);
        }
        Revision::Pin { .. } => {}
        // A revision that a later parlor knows and this store does not.
        _ => return Err(BackendError::new(BackendErrorKind::Other, "revise")),
    }
    Ok(*entry != before)
}

impl Tables {
    /// New messages first, then revised ones, as far as the page reaches.
    fn changes(&self, id: ConversationId, query: &ChangesQuery) -> Option<ChangesPage> {
        let conversation = self.conversations.get(&id)?;
        let (since, viewer) = (query.since, query.viewer.as_ref());
        let mut page = ChangesPage {
            messages: Vec::new(),
            revised: Vec::new(),
            conversation: None,
            through_rev: conversation.rev,
            next: None,
        };
        if since >= conversation.rev {
            return Some(page);
        }
        if query.position.is_none() && conversation.changed_rev > since {
            let members = self.seats(id).map(|(user, seat)| seat.member(user)).collect();
            page.conversation = Some((conversation.clone(), members));
        }
        let first = ChangesPosition {
            head: conversation.rev,
            new_after_seq: Some(0),
            revised_after_rev: 0,
        };
        let position = query.position.unwrap_or(first);
        // All pages of an answer go through the head of the first: what is sent later comes live.
        let head = position.head.min(conversation.rev);
        page.through_rev = head;
        if let Some(after) = position.new_after_seq {
            let last = self.messages.get(&(id, after)).map_or(0, |entry| entry.message.rev);
            let mut new = self
                .at_revs(id, viewer, since.max(last), head)
                .filter(|(rev, entry)| entry.message.rev == *rev);
            let given = new.by_ref().take(query.limit);
            page.messages = given.map(|(_, entry)| entry.seen_by(viewer)).collect();
            if new.next().is_some() {
                let last = page.messages.last().map_or(after, |message| message.seq);
                page.next = Some(ChangesPosition { head, new_after_seq: Some(last), ..position });
                return Some(page);
            }
        }
        // Beyond the head as well: a message not given yet may have been revised again meanwhile.
        let after = position.revised_after_rev.max(since);
        let mut revised = self
            .at_revs(id, viewer, after, u64::MAX)
            .filter(|(_, entry)| entry.message.rev <= since);
        let space = query.limit - page.messages.len();
        let given = revised.by_ref().take(space);
        page.revised = given.map(|(_, entry)| entry.seen_by(viewer)).collect();
        if revised.next().is_some() {
            let last = page.revised.last().map_or(after, |message| message.changed_rev);
            page.next =
                Some(ChangesPosition { head, new_after_seq: None, revised_after_rev: last });
        }
        Some(page)
    }

    /// The messages that `viewer` sees, by the revs after one and through another that they took:
    /// once where they were sent, once where they last changed.
    fn at_revs(
        &self,
        id: ConversationId,
        viewer: Option<&UserId>,
        after: u64,
        through: u64,
    ) -> impl Iterator<Item = (u64, &Entry)> {
        let revs = (after < through).then(|| self.revs.range((id, after + 1)..=(id, through)));
        revs.into_iter()
            .flatten()
            .filter(move |(_, seq)| self.sees(viewer, (id, **seq)))
            .filter_map(move |((_, rev), seq)| Some((*rev, self.messages.get(&(id, *seq))?)))
    }
}
