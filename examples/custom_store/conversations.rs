//! Conversations, members, and what each member keeps to themself.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use async_trait::async_trait;
use parlor::{
    BackendError, Timestamp,
    model::{Conversation, ConversationId, ConversationSummary, DirectKey, Member, Role, UserId},
    rules::{self, Denied},
    store::{
        Arrival, ChangeOutcome, ConversationChange, ConversationStore, Created, ListQuery,
        MemberDelta, Membership, NewConversation, PrivateChange, PrivateDelta,
    },
};
use uuid::Uuid;

use crate::{
    journal::{JournalStore, Transaction},
    tables::{Row, Seat, direct_key},
};

#[async_trait]
impl ConversationStore for JournalStore {
    async fn create(&self, new: NewConversation) -> Result<Created, BackendError> {
        self.write("create", move |transaction| create(transaction, &new)).await
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, BackendError> {
        Ok(self.read("conversation").await?.conversations.get(&id).cloned())
    }

    async fn conversation_by_number(
        &self,
        number: u64,
    ) -> Result<Option<ConversationId>, BackendError> {
        let tables = self.read("conversation_by_number").await?;
        Ok(tables.conversation_numbers.get(&number).copied())
    }

    async fn direct(&self, key: &DirectKey) -> Result<Option<Conversation>, BackendError> {
        let tables = self.read("direct").await?;
        Ok(tables.directs.get(key).and_then(|id| tables.conversations.get(id)).cloned())
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, BackendError> {
        let tables = self.read("members").await?;
        let later = tables.seats(id).filter(|(user, _)| after.is_none_or(|after| *user > after));
        Ok(later.take(limit).map(|(user, seat)| seat.member(user)).collect())
    }

    async fn member(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<Member>, BackendError> {
        Ok(self.read("member").await?.seat(id, user).map(|seat| seat.member(user)))
    }

    async fn change(
        &self,
        id: ConversationId,
        actor: Option<&UserId>,
        change: ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> Result<ChangeOutcome, BackendError> {
        let actor = actor.cloned();
        self.write("change", move |transaction| {
            change_shared(transaction, id, actor.as_ref(), &change, max_members, now)
        })
        .await
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, BackendError> {
        let tables = self.read("memberships").await?;
        let mine = tables.conversations_of(user, after).take(limit);
        let mine = mine.filter_map(|conversation| {
            let seat = tables.seat(conversation.id, user)?;
            Some(Membership::of(user, conversation, seat.state.member_rev))
        });
        Ok(mine.collect())
    }

    async fn arrivals(
        &self,
        since: Timestamp,
        after: Option<&Arrival>,
        limit: usize,
    ) -> Result<Vec<Arrival>, BackendError> {
        let tables = self.read("arrivals").await?;
        let mut arrivals: Vec<Arrival> = Vec::new();
        for conversation_id in tables.conversations.keys().copied() {
            for (user, seat) in tables.seats(conversation_id) {
                let (joined_at, user_id) = (seat.joined_at, user.clone());
                arrivals.push(Arrival { joined_at, conversation_id, user_id });
            }
        }
        arrivals.retain(|arrival| {
            let later = |last| arrival_place(arrival) > arrival_place(last);
            arrival.joined_at >= since && after.is_none_or(later)
        });
        arrivals.sort_by(|one, other| arrival_place(one).cmp(&arrival_place(other)));
        arrivals.truncate(limit);
        Ok(arrivals)
    }

    async fn list(
        &self,
        user: &UserId,
        query: ListQuery,
    ) -> Result<Vec<ConversationSummary>, BackendError> {
        let tables = self.read("list").await?;
        let after = query.after.map(|after| (after.last_activity_at, after.number));
        let mut listed: Vec<&Conversation> = tables
            .conversations_of(user, None)
            .filter(|conversation| after.is_none_or(|after| place(conversation) < after))
            .filter(|conversation| {
                tables.seat(conversation.id, user).is_some_and(|seat| {
                    (query.hidden || !seat.state.is_hidden(conversation.last_seq))
                        && query.archived.is_none_or(|archived| archived == seat.state.archived)
                })
            })
            .collect();
        listed.sort_by_key(|conversation| Reverse(place(conversation)));
        let page = listed.into_iter().take(query.limit);
        let page = page.filter_map(|entry| tables.summary(entry.id, user, query.unread_cap));
        Ok(page.collect())
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<Option<ConversationSummary>, BackendError> {
        Ok(self.read("summary").await?.summary(id, user, unread_cap))
    }

    async fn change_private(
        &self,
        id: ConversationId,
        user: &UserId,
        change: PrivateChange,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        let user = user.clone();
        self.write("change_private", move |transaction| {
            change_private(transaction, id, &user, &change, unread_cap)
        })
        .await?
    }

    async fn private_changes(
        &self,
        id: ConversationId,
        user: &UserId,
        since: u64,
        limit: usize,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        let tables = self.read("private_changes").await?;
        let state = tables.state(id, user, unread_cap);
        let Some((seat, state)) = tables.seat(id, user).zip(state) else { return Ok(None) };
        let mut deleted: Vec<(u64, u64)> = seat
            .deleted
            .iter()
            .map(|(seq, rev)| (*rev, *seq))
            .filter(|(r, _)| *r > since)
            .collect();
        deleted.sort_unstable();
        let deleted = deleted.into_iter().take(limit);
        let deleted = deleted.filter_map(|(_, seq)| tables.messages.get(&(id, seq)));
        let deleted = deleted.map(|entry| entry.message.id).collect();
        Ok(Some(PrivateDelta { changed: state.member_rev > since, state, deleted }))
    }

    async fn heads(
        &self,
        ids: &[ConversationId],
    ) -> Result<Vec<(ConversationId, u64)>, BackendError> {
        let tables = self.read("heads").await?;
        let known = ids.iter().filter_map(|id| tables.conversations.get(id));
        Ok(known.map(|conversation| (conversation.id, conversation.rev)).collect())
    }

    async fn sharing(&self, user: &UserId, others: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        let tables = self.read("sharing").await?;
        let mut sharing: BTreeSet<&UserId> = BTreeSet::new();
        for conversation in tables.conversations_of(user, None) {
            let here = others.iter().filter(|other| tables.seat(conversation.id, other).is_some());
            sharing.extend(here);
        }
        Ok(sharing.into_iter().cloned().collect())
    }

    async fn epoch(&self) -> Result<Uuid, BackendError> {
        Ok(self.read("epoch").await?.epoch)
    }

    async fn ping(&self) -> Result<(), BackendError> {
        // A transaction of nothing: it also recovers from a write that failed.
        self.write("ping", |_| ()).await
    }
}

/// Where a conversation stands in lists.
fn place(conversation: &Conversation) -> (Timestamp, u64) {
    (conversation.last_activity_at, conversation.number)
}

/// Where an arrival stands among all.
fn arrival_place(arrival: &Arrival) -> (Timestamp, ConversationId, &UserId) {
    (arrival.joined_at, arrival.conversation_id, &arrival.user_id)
}

fn create(transaction: &mut Transaction<'_>, new: &NewConversation) -> Created {
    let tables = transaction.tables();
    let pair = new.direct.as_ref().and_then(|direct| tables.directs.get(&direct_key(direct)));
    if let Some(there) = tables.conversations.get(pair.unwrap_or(&new.id)) {
        return Created { conversation: there.clone(), fresh: false };
    }
    let number = tables.conversation_numbers.last_key_value().map_or(1, |(last, _)| last + 1);
    let conversation = new.to_conversation(number);
    transaction.put(Row::Conversation(Box::new(conversation.clone())));
    for (user, role) in &new.members {
        let seat = Seat::joining(*role, 0, new.created_at);
        transaction.put(Row::Seat(new.id, user.clone(), seat));
    }
    Created { conversation, fresh: true }
}

fn change_shared(
    transaction: &mut Transaction<'_>,
    id: ConversationId,
    actor: Option<&UserId>,
    change: &ConversationChange,
    max_members: usize,
    now: Timestamp,
) -> ChangeOutcome {
    let tables = transaction.tables();
    let Some(current) = tables.conversations.get(&id) else { return ChangeOutcome::NotFound };
    let members: BTreeMap<UserId, Member> =
        tables.seats(id).map(|(user, seat)| (user.clone(), seat.member(user))).collect();
    let mut conversation = current.clone();
    let decision = match rules::change(&mut conversation, &members, actor, change, max_members) {
        Ok(decision) if decision.is_empty() => {
            return ChangeOutcome::Unchanged(Box::new(conversation));
        }
        Ok(decision) => decision,
        // Answered as if the conversation did not exist.
        Err(Denied::NotMember) => return ChangeOutcome::NotFound,
        Err(denied) => return ChangeOutcome::Denied(denied),
    };
    for user in &decision.remove {
        transaction.put(Row::Left(id, user.clone()));
    }
    for user in &decision.add {
        let seat = Seat::joining(Role::Member, conversation.last_seq, now);
        transaction.put(Row::Seat(id, user.clone(), seat));
    }
    // After the others: somebody who was just added may be the one who owns it now.
    for (user, role) in &decision.roles {
        if let Some(mut seat) = transaction.tables().seat(id, user).cloned() {
            seat.state.role = *role;
            transaction.put(Row::Seat(id, user.clone(), seat));
        }
    }
    let tables = transaction.tables();
    let added = decision.add.iter().filter_map(|user| Some(tables.seat(id, user)?.member(user)));
    let added = added.collect();
    conversation.rev += 1;
    conversation.changed_rev = conversation.rev;
    conversation.member_count = u32::try_from(tables.seats(id).count()).unwrap_or(u32::MAX);
    transaction.put(Row::Conversation(Box::new(conversation.clone())));
    let delta = MemberDelta { added, removed: decision.remove, roles: decision.roles };
    ChangeOutcome::Changed(Box::new(conversation), delta)
}

fn change_private(
    transaction: &mut Transaction<'_>,
    id: ConversationId,
    user: &UserId,
    change: &PrivateChange,
    unread_cap: u32,
) -> Result<Option<PrivateDelta>, BackendError> {
    let tables = transaction.tables();
    let row = tables.conversations.get(&id).zip(tables.seat(id, user));
    let Some((conversation, before)) = row else { return Ok(None) };
    let last_seq = conversation.last_seq;
    let (mut seat, mut deleted) = (before.clone(), Vec::new());
    for message_id in change.deletions() {
        if let Some((place, seq)) = tables.message_ids.get(message_id)
            && *place == id
            && !seat.deleted.contains_key(seq)
        {
            seat.deleted.insert(*seq, before.state.member_rev + 1);
            deleted.push(*message_id);
        }
    }
    let changed = change.apply(&mut seat.state, last_seq) || !deleted.is_empty();
    if changed {
        seat.state.member_rev += 1;
        transaction.put(Row::Seat(id, user.clone(), seat));
    }
    let state = transaction.tables().state(id, user, unread_cap);
    Ok(state.map(|state| PrivateDelta { state, deleted, changed }))
}
