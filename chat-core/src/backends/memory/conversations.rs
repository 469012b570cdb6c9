use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Data, MemoryStore, next_number, numbered,
    room::{Room, Seat},
};
use crate::{
    BackendError, Timestamp,
    model::{
        Conversation, ConversationId, ConversationSummary, DirectKey, Member, MemberState, Role,
        UserId,
    },
    rules::{self, Denied},
    store::{
        Arrival, ChangeOutcome, ConversationChange, ConversationStore, Created, ListPosition,
        ListQuery, MemberDelta, Membership, NewConversation, PrivateChange, PrivateDelta,
    },
};

#[async_trait]
impl ConversationStore for MemoryStore {
    async fn create(&self, new: NewConversation) -> Result<Created, BackendError> {
        Ok(self.medium.data.lock().create(&new))
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, BackendError> {
        Ok(self.medium.data.lock().rooms.get(&id).map(|room| room.conversation.clone()))
    }

    async fn conversation_by_number(
        &self,
        number: u64,
    ) -> Result<Option<ConversationId>, BackendError> {
        Ok(numbered(&self.medium.data.lock().numbers, number).copied())
    }

    async fn direct(&self, key: &DirectKey) -> Result<Option<Conversation>, BackendError> {
        let data = self.medium.data.lock();
        let room = data.directs.get(key).and_then(|id| data.rooms.get(id));
        Ok(room.map(|room| room.conversation.clone()))
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, BackendError> {
        let data = self.medium.data.lock();
        let seats = data.rooms.get(&id).into_iter().flat_map(|room| &room.seats);
        let later = seats.filter(|(user, _)| after.is_none_or(|after| *user > after));
        Ok(later.take(limit).map(|(user, seat)| seat.member(user)).collect())
    }

    async fn member(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<Member>, BackendError> {
        let data = self.medium.data.lock();
        let seat = data.rooms.get(&id).and_then(|room| room.seats.get(user));
        Ok(seat.map(|seat| seat.member(user)))
    }

    async fn change(
        &self,
        id: ConversationId,
        actor: Option<&UserId>,
        change: ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> Result<ChangeOutcome, BackendError> {
        Ok(self.medium.data.lock().change(id, actor, &change, max_members, now))
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, BackendError> {
        let data = self.medium.data.lock();
        let later = data
            .rooms_of(user)
            .filter(|room| after.is_none_or(|after| room.conversation.id > after));
        let memberships = later.take(limit).filter_map(|room| {
            let seat = room.seats.get(user)?;
            Some(Membership::of(user, &room.conversation, seat.state.member_rev))
        });
        Ok(memberships.collect())
    }

    async fn arrivals(
        &self,
        since: Timestamp,
        after: Option<&Arrival>,
        limit: usize,
    ) -> Result<Vec<Arrival>, BackendError> {
        let data = self.medium.data.lock();
        let mut arrivals = Vec::new();
        for room in data.rooms.values() {
            for (user_id, seat) in &room.seats {
                if seat.joined_at >= since {
                    arrivals.push(Arrival {
                        joined_at: seat.joined_at,
                        conversation_id: room.conversation.id,
                        user_id: user_id.clone(),
                    });
                }
            }
        }
        drop(data);
        let place = |arrival: &Arrival| {
            (arrival.joined_at, arrival.conversation_id, arrival.user_id.clone())
        };
        arrivals.sort_by_cached_key(place);
        let after = after.map(place);
        let later =
            arrivals.into_iter().filter(|one| after.as_ref().is_none_or(|a| place(one) > *a));
        Ok(later.take(limit).collect())
    }

    async fn list(
        &self,
        user: &UserId,
        query: ListQuery,
    ) -> Result<Vec<ConversationSummary>, BackendError> {
        let data = self.medium.data.lock();
        let mut rooms: Vec<(&Room, (Timestamp, u64))> = data
            .rooms_of(user)
            .filter(|room| {
                room.seats.get(user).is_some_and(|seat| {
                    (query.hidden || !seat.state.is_hidden(room.conversation.last_seq))
                        && query.archived.is_none_or(|wanted| wanted == seat.state.archived)
                })
            })
            .map(|room| (room, place(&room.conversation)))
            .filter(|(_, place)| query.after.is_none_or(|after| *place < position(after)))
            .collect();
        rooms.sort_by_key(|(_, place)| std::cmp::Reverse(*place));
        let page = rooms.into_iter().take(query.limit);
        Ok(page.filter_map(|(room, _)| room.summary(user, query.unread_cap)).collect())
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<Option<ConversationSummary>, BackendError> {
        let data = self.medium.data.lock();
        Ok(data.rooms.get(&id).and_then(|room| room.summary(user, unread_cap)))
    }

    async fn change_private(
        &self,
        id: ConversationId,
        user: &UserId,
        change: PrivateChange,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        Ok(self.medium.data.lock().change_private(id, user, &change, unread_cap))
    }

    async fn private_changes(
        &self,
        id: ConversationId,
        user: &UserId,
        since: u64,
        limit: usize,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        let data = self.medium.data.lock();
        let delta = data.rooms.get(&id).and_then(|room| {
            let state = room.state(user, unread_cap)?;
            let rows = room.seats.get(user)?.deleted.iter();
            let mut later: Vec<_> = rows.filter(|(_, at)| **at > since).collect();
            later.sort_by_key(|(seq, at)| (**at, **seq));
            let stored = later.into_iter().take(limit).filter_map(|(seq, _)| room.message(*seq));
            let deleted = stored.map(|stored| stored.message.id).collect();
            Some(PrivateDelta { changed: state.member_rev > since, state, deleted })
        });
        Ok(delta)
    }

    async fn heads(
        &self,
        ids: &[ConversationId],
    ) -> Result<Vec<(ConversationId, u64)>, BackendError> {
        let data = self.medium.data.lock();
        let rooms = ids.iter().filter_map(|id| data.rooms.get(id));
        Ok(rooms.map(|room| (room.conversation.id, room.conversation.rev)).collect())
    }

    async fn sharing(&self, user: &UserId, others: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        let data = self.medium.data.lock();
        let Some(mine) = data.memberships.get(user) else { return Ok(Vec::new()) };
        let others: BTreeSet<&UserId> = others.iter().collect();
        let sharing = others.into_iter().filter(|other| {
            data.memberships.get(*other).is_some_and(|theirs| !theirs.is_disjoint(mine))
        });
        Ok(sharing.cloned().collect())
    }

    async fn epoch(&self) -> Result<Uuid, BackendError> {
        Ok(self.medium.epoch)
    }

    async fn ping(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

/// Where a conversation stands in lists.
fn place(conversation: &Conversation) -> (Timestamp, u64) {
    (conversation.last_activity_at, conversation.number)
}

fn position(position: ListPosition) -> (Timestamp, u64) {
    (position.last_activity_at, position.number)
}

impl Data {
    fn create(&mut self, new: &NewConversation) -> Created {
        let key = new.direct.as_ref().map(|direct| {
            let [one, other] = &direct.users;
            DirectKey::new(one, other, direct.context.as_deref())
        });
        let existing = key.as_ref().and_then(|key| self.directs.get(key)).unwrap_or(&new.id);
        if let Some(room) = self.rooms.get(existing) {
            return Created { conversation: room.conversation.clone(), fresh: false };
        }
        let conversation = new.to_conversation(next_number(&self.numbers));
        self.numbers.push(new.id);
        if let Some(key) = key {
            self.directs.insert(key, new.id);
        }
        let mut room = Room::new(conversation.clone());
        for (user, role) in &new.members {
            self.join(&mut room, user, *role, new.created_at);
        }
        self.rooms.insert(new.id, room);
        Created { conversation, fresh: true }
    }

    fn join(&mut self, room: &mut Room, user: &UserId, role: Role, now: Timestamp) {
        let state = MemberState::joining(role, room.conversation.last_seq);
        let seat = Seat { joined_at: now, state, deleted: BTreeMap::new() };
        room.seats.insert(user.clone(), seat);
        self.memberships.entry(user.clone()).or_default().insert(room.conversation.id);
    }

    fn change(
        &mut self,
        id: ConversationId,
        actor: Option<&UserId>,
        change: &ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> ChangeOutcome {
        // Taken out for the time of the change, so that it can be changed together with the rest.
        let Some(mut room) = self.rooms.remove(&id) else { return ChangeOutcome::NotFound };
        let outcome = self.change_room(&mut room, actor, change, max_members, now);
        self.rooms.insert(id, room);
        outcome
    }

    fn change_room(
        &mut self,
        room: &mut Room,
        actor: Option<&UserId>,
        change: &ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> ChangeOutcome {
        let mut conversation = room.conversation.clone();
        let members = room.members();
        let decision = match rules::change(&mut conversation, &members, actor, change, max_members)
        {
            Ok(decision) => decision,
            Err(Denied::NotMember) => return ChangeOutcome::NotFound,
            Err(denied) => return ChangeOutcome::Denied(denied),
        };
        if decision.is_empty() {
            return ChangeOutcome::Unchanged(Box::new(room.conversation.clone()));
        }
        for user in &decision.remove {
            room.seats.remove(user);
            if let Some(memberships) = self.memberships.get_mut(user) {
                memberships.remove(&conversation.id);
            }
        }
        for user in &decision.add {
            self.join(room, user, Role::Member, now);
        }
        for (user, role) in &decision.roles {
            if let Some(seat) = room.seats.get_mut(user) {
                seat.state.role = *role;
            }
        }
        conversation.rev += 1;
        conversation.changed_rev = conversation.rev;
        conversation.member_count = u32::try_from(room.seats.len()).unwrap_or(u32::MAX);
        room.conversation = conversation.clone();
        let added = decision.add.iter();
        let added = added.filter_map(|user| Some(room.seats.get(user)?.member(user))).collect();
        let delta = MemberDelta { added, removed: decision.remove, roles: decision.roles };
        ChangeOutcome::Changed(Box::new(conversation), delta)
    }

    fn change_private(
        &mut self,
        id: ConversationId,
        user: &UserId,
        change: &PrivateChange,
        unread_cap: u32,
    ) -> Option<PrivateDelta> {
        let room = self.rooms.get_mut(&id)?;
        let last_seq = room.conversation.last_seq;
        let seat = room.seats.get_mut(user)?;
        let next_rev = seat.state.member_rev + 1;
        let mut deleted = Vec::new();
        for message_id in change.deletions() {
            if let Some((at, seq)) = self.messages.get(message_id)
                && *at == id
                && !seat.deleted.contains_key(seq)
            {
                seat.deleted.insert(*seq, next_rev);
                deleted.push(*message_id);
            }
        }
        let changed = change.apply(&mut seat.state, last_seq) || !deleted.is_empty();
        if changed {
            seat.state.member_rev = next_rev;
        }
        let state = room.state(user, unread_cap)?;
        Some(PrivateDelta { state, deleted, changed })
    }
}
