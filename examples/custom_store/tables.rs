//! The rows, the indexes that follow from them, and what is read from both.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parlor::{
    Timestamp,
    model::{
        ClientId, ContentHash, Conversation, ConversationId, ConversationSummary, Direct,
        DirectKey, Member, MemberState, Message, MessageId, REACTION_USERS, Reaction, ReactionKey,
        Role, UserId,
    },
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a line of the file holds: a row as it stands after the change. The model's own types are rows already.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Row {
    Epoch(Uuid),
    Conversation(Box<Conversation>),
    Seat(ConversationId, UserId, Seat),
    Left(ConversationId, UserId),
    Message(Box<Entry>),
}

/// A member's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) joined_at: Timestamp,
    /// Without the unread count, which is counted and never kept.
    pub(crate) state: MemberState,
    /// The messages deleted for this member by seq, with the `member_rev` at which they were.
    pub(crate) deleted: BTreeMap<u64, u64>,
}

impl Seat {
    pub(crate) fn joining(role: Role, last_seq: u64, now: Timestamp) -> Self {
        let state = MemberState::joining(role, last_seq);
        Self { joined_at: now, state, deleted: BTreeMap::new() }
    }

    pub(crate) fn member(&self, user: &UserId) -> Member {
        Member { user_id: user.clone(), role: self.state.role, joined_at: self.joined_at }
    }
}

/// A message's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Without reactions.
    pub(crate) message: Message,
    hash: [u8; 32],
    /// Every reaction, in the order they came: a [`Reaction`] counts them and names only the first.
    pub(crate) given: Vec<(ReactionKey, UserId)>,
}

impl Entry {
    pub(crate) fn new(message: Message, hash: ContentHash) -> Self {
        Self { message, hash: hash.0, given: Vec::new() }
    }

    pub(crate) fn hash(&self) -> ContentHash {
        ContentHash(self.hash)
    }

    /// The message with its reactions, as `viewer` gets it.
    pub(crate) fn seen_by(&self, viewer: Option<&UserId>) -> Message {
        let mut message = self.message.clone();
        for (key, user) in &self.given {
            let known = message.reactions.iter().position(|reaction| &reaction.key == key);
            let at = known.unwrap_or(message.reactions.len());
            if known.is_none() {
                let (key, mine) = (key.clone(), viewer.map(|_| false));
                message.reactions.push(Reaction { key, count: 0, users: Vec::new(), mine });
            }
            let reaction = &mut message.reactions[at];
            reaction.count += 1;
            if reaction.users.len() < REACTION_USERS {
                reaction.users.push(user.clone());
            }
            if viewer == Some(user) {
                reaction.mine = Some(true);
            }
        }
        message
    }
}

/// A message's key.
pub(crate) type Place = (ConversationId, u64);

/// Three tables, and indexes on them so that no answer costs more than what it gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tables {
    pub(crate) epoch: Uuid,
    pub(crate) conversations: BTreeMap<ConversationId, Conversation>,
    seats: BTreeMap<ConversationId, BTreeMap<UserId, Seat>>,
    pub(crate) messages: BTreeMap<Place, Entry>,

    pub(crate) conversation_numbers: BTreeMap<u64, ConversationId>,
    pub(crate) directs: HashMap<DirectKey, ConversationId>,
    memberships: BTreeSet<(UserId, ConversationId)>,
    pub(crate) message_ids: HashMap<MessageId, Place>,
    pub(crate) message_numbers: BTreeMap<u64, Place>,
    /// Idempotency keys by sender; the host is one.
    pub(crate) keys: HashMap<(ConversationId, Option<UserId>, ClientId), Place>,
    /// The seq of the message that was sent at a rev, or last changed at it.
    pub(crate) revs: BTreeMap<(ConversationId, u64), u64>,
    pub(crate) pins: BTreeSet<Place>,
}

impl Tables {
    /// Writes a row and moves the indexes along: the one way in, live and at replay.
    pub(crate) fn put(&mut self, row: Row) {
        match row {
            Row::Epoch(epoch) => self.epoch = epoch,
            Row::Conversation(row) => {
                if let Some(direct) = &row.direct {
                    self.directs.insert(direct_key(direct), row.id);
                }
                self.conversation_numbers.insert(row.number, row.id);
                self.conversations.insert(row.id, *row);
            }
            Row::Seat(id, user, seat) => {
                self.memberships.insert((user.clone(), id));
                self.seats.entry(id).or_default().insert(user, seat);
            }
            Row::Left(id, user) => {
                self.seats.entry(id).or_default().remove(&user);
                self.memberships.remove(&(user, id));
            }
            Row::Message(row) => self.put_message(*row),
        }
    }

    fn put_message(&mut self, row: Entry) {
        let message = &row.message;
        let (id, place) = (message.conversation_id, (message.conversation_id, message.seq));
        self.message_ids.insert(message.id, place);
        self.message_numbers.insert(message.number, place);
        if let Some(key) = &message.client_id {
            self.keys.insert((id, message.sender_id.clone(), key.clone()), place);
        }
        if message.pinned_at.is_some() {
            self.pins.insert(place);
        } else {
            self.pins.remove(&place);
        }
        self.revs.insert((id, message.changed_rev), message.seq);
        let sent_at = message.rev;
        if let Some(before) = self.messages.insert(place, row)
            && before.message.changed_rev != sent_at
        {
            self.revs.remove(&(id, before.message.changed_rev));
        }
    }

    pub(crate) fn seat(&self, id: ConversationId, user: &UserId) -> Option<&Seat> {
        self.seats.get(&id)?.get(user)
    }

    /// The members by user id.
    pub(crate) fn seats(&self, id: ConversationId) -> impl Iterator<Item = (&UserId, &Seat)> {
        self.seats.get(&id).into_iter().flatten()
    }

    /// A user's conversations after an id, by id.
    pub(crate) fn conversations_of(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
    ) -> impl Iterator<Item = &Conversation> {
        let start = (user.clone(), after.unwrap_or(ConversationId(Uuid::nil())));
        let mine = self.memberships.range(start..);
        let mine = mine.take_while(move |(member, _)| member == user);
        mine.filter(move |(_, id)| Some(*id) != after)
            .filter_map(|(_, id)| self.conversations.get(id))
    }

    /// Whether `viewer` sees the message: neither cleared nor deleted for them.
    pub(crate) fn sees(&self, viewer: Option<&UserId>, (id, seq): Place) -> bool {
        viewer
            .and_then(|user| self.seat(id, user))
            .is_none_or(|seat| seq > seat.state.cleared_seq && !seat.deleted.contains_key(&seq))
    }

    /// The messages that `viewer` sees after a seq and before another, oldest first.
    pub(crate) fn log(
        &self,
        id: ConversationId,
        viewer: Option<&UserId>,
        after: u64,
        before: u64,
    ) -> impl DoubleEndedIterator<Item = &Entry> {
        let start = after.saturating_add(1);
        let between = self.messages.range((id, start)..(id, before.max(start)));
        between.filter(move |(place, _)| self.sees(viewer, **place)).map(|(_, entry)| entry)
    }

    /// A member's own state, with what is unread counted up to `cap`.
    pub(crate) fn state(&self, id: ConversationId, user: &UserId, cap: u32) -> Option<MemberState> {
        let mut state = self.seat(id, user)?.state.clone();
        let unread = self
            .log(id, Some(user), state.unread_after(), u64::MAX)
            .filter(|entry| entry.message.counts_as_unread_for(user))
            .take(cap as usize);
        state.unread = u32::try_from(unread.count()).unwrap_or(cap);
        Some(state)
    }

    /// An entry of a user's list.
    pub(crate) fn summary(
        &self,
        id: ConversationId,
        user: &UserId,
        cap: u32,
    ) -> Option<ConversationSummary> {
        let state = self.state(id, user, cap)?;
        let last = self.log(id, Some(user), state.cleared_seq, u64::MAX).next_back();
        let last = last.map(|entry| entry.seen_by(Some(user)));
        Some(ConversationSummary::new(self.conversations.get(&id)?.clone(), state, last))
    }
}

pub(crate) fn direct_key(direct: &Direct) -> DirectKey {
    let [one, other] = &direct.users;
    DirectKey::new(one, other, direct.context.as_deref())
}
