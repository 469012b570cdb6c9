//! The sequencer: delivers each conversation's changes to the connections of this node in the order of
//! their revs, without a hole.
//!
//! A room is a conversation that has connected members here. It knows the last rev delivered; the next
//! one goes out, later ones wait a moment for what is missing, and a hole that stays is filled from the
//! store (see [`crate::engine::catchup`]). Fan-out happens under the room's lock, which is what keeps the order;
//! nothing in it waits.

mod receiving;

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::engine::{
    codec::Delivery,
    registry::{Connection, Registry},
};
use crate::{
    event::{Change, ChangeBody, Changes, Event, SessionEvent},
    model::{ConversationId, Member, UserId},
};

/// Changes that wait for an earlier one, per room. Beyond it they are left to the store.
const WAITING: usize = 64;
const SHARDS: usize = 16;

/// What became of a change that was offered to the rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Offered {
    /// Delivered, or nobody here needs it.
    Done,
    /// An earlier change is missing.
    Gap,
}

#[derive(Debug, Default)]
struct Room {
    delivered: u64,
    connections: Vec<Arc<Connection>>,
    /// Connected members whose receiving the policy has revoked.
    revoked: Vec<Arc<Connection>>,
    waiting: BTreeMap<u64, Arc<Event>>,
    /// While the store is read for what is missing, live changes wait.
    filling: bool,
}

/// A connection's place in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Entered {
    /// The room was made just now: what was sent since the head was read may have been missed.
    pub(in crate::engine) new_room: bool,
    /// The room has delivered more than the head that was read, or is about to deliver the rest of a
    /// catch-up whose beginning it has told already.
    pub(in crate::engine) ahead: bool,
}

/// All rooms of the node.
#[derive(Debug)]
pub(in crate::engine) struct Rooms {
    shards: Vec<Mutex<HashMap<ConversationId, Room>>>,
}

impl Rooms {
    pub(in crate::engine) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, id: ConversationId) -> &Mutex<HashMap<ConversationId, Room>> {
        // The last byte of a UUID is random in every version that is used here.
        &self.shards[usize::from(id.0.as_bytes()[15]) % SHARDS]
    }

    /// Puts a connection into a room that stands at `head`, making the room if need be.
    pub(in crate::engine) fn enter(
        &self,
        id: ConversationId,
        connection: &Arc<Connection>,
        head: u64,
    ) -> Entered {
        let mut shard = self.shard(id).lock();
        let (room, new_room) = match shard.entry(id) {
            Entry::Occupied(entry) => (entry.into_mut(), false),
            Entry::Vacant(entry) => {
                (entry.insert(Room { delivered: head, ..Room::default() }), true)
            }
        };
        let entered = Entered { new_room, ahead: room.filling || room.delivered > head };
        room.add(id, connection);
        if room.is_empty() {
            shard.remove(&id);
        }
        entered
    }

    /// Takes in connections that were not told that they belong here, with a word that says where the
    /// conversation stands. A room that is ahead of that, or is being filled, takes nobody in.
    pub(in crate::engine) fn welcome(
        &self,
        id: ConversationId,
        connections: &[Arc<Connection>],
        head: u64,
        welcome: &mut Delivery,
    ) {
        let mut shard = self.shard(id).lock();
        let room = shard.entry(id).or_insert_with(|| Room { delivered: head, ..Room::default() });
        if !room.filling && room.delivered <= head {
            for connection in connections {
                if room.add(id, connection) {
                    connection.deliver(welcome);
                }
            }
        }
        if room.is_empty() {
            shard.remove(&id);
        }
    }

    /// Takes a connection out of one room.
    pub(in crate::engine) fn leave(&self, id: ConversationId, connection: &Connection) {
        let mut shard = self.shard(id).lock();
        if let Entry::Occupied(mut entry) = shard.entry(id) {
            entry.get_mut().remove(|other| other.id == connection.id);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
        connection.leave(id);
    }

    /// Takes a connection out of all its rooms, for good; returns the rooms that are gone with it.
    pub(in crate::engine) fn leave_all(&self, connection: &Connection) -> Vec<ConversationId> {
        let mut closed = Vec::new();
        for id in connection.leave_for_good() {
            let mut shard = self.shard(id).lock();
            if let Entry::Occupied(mut entry) = shard.entry(id) {
                entry.get_mut().remove(|other| other.id == connection.id);
                if entry.get().is_empty() {
                    entry.remove();
                    closed.push(id);
                }
            }
        }
        closed
    }

    /// Offers a shared change. `event` is the [`Event::Change`] that carries it.
    pub(in crate::engine) fn offer(&self, event: Arc<Event>, registry: &Registry) -> Offered {
        let Event::Change(change) = &*event else { return Offered::Done };
        let (id, rev) = (change.conversation_id, change.rev);
        let mut shard = self.shard(id).lock();
        open_for_newcomers(&mut shard, change, registry);
        let Some(room) = shard.get_mut(&id) else {
            note_removals(change, registry);
            return Offered::Done;
        };
        if rev <= room.delivered {
            return Offered::Done;
        }
        if room.filling || rev > room.delivered + 1 {
            if room.waiting.len() < WAITING {
                room.waiting.insert(rev, event);
            }
            return if room.filling { Offered::Done } else { Offered::Gap };
        }
        room.deliver(event, registry);
        room.deliver_waiting(registry);
        let offered = if room.waiting.is_empty() { Offered::Done } else { Offered::Gap };
        if room.is_empty() {
            shard.remove(&id);
        }
        offered
    }

    /// Whether a room has not delivered up to `head`.
    pub(in crate::engine) fn is_behind(&self, id: ConversationId, head: u64) -> bool {
        self.shard(id).lock().get(&id).is_some_and(|room| room.delivered < head)
    }

    /// Begins to fill a hole; the rev that was delivered last. `None` when there is none (any more),
    /// or somebody is at it.
    pub(in crate::engine) fn begin_fill(&self, id: ConversationId, head: u64) -> Option<u64> {
        let mut shard = self.shard(id).lock();
        let room = shard.get_mut(&id)?;
        if room.filling || room.delivered >= head {
            return None;
        }
        room.filling = true;
        Some(room.delivered)
    }

    /// Whether a change waits for an earlier one, and up to where.
    pub(in crate::engine) fn gap(&self, id: ConversationId) -> Option<u64> {
        let shard = self.shard(id).lock();
        let room = shard.get(&id)?;
        let (last, _) = room.waiting.last_key_value()?;
        (!room.filling).then_some(*last)
    }

    /// Delivers one page of what was missing.
    pub(in crate::engine) fn deliver_page(&self, changes: Changes, registry: &Registry) {
        let id = changes.conversation_id;
        let mut shard = self.shard(id).lock();
        let Some(room) = filling(&mut shard, id) else { return };
        if let Some(members) = &changes.members {
            let is_member = |user: &UserId| members.iter().any(|member| &member.user_id == user);
            let mut farewell = Delivery::new(Event::Session(SessionEvent::ConversationRemoved {
                conversation_id: id,
                through_rev: Some(room.delivered),
            }));
            for gone in room.remove(|connection| !is_member(&connection.user)) {
                gone.outbox.note_removed(id, changes.through_rev);
                gone.deliver(&mut farewell);
                gone.leave(id);
            }
            for member in members {
                for connection in registry.of(&member.user_id) {
                    room.add(id, &connection);
                }
            }
        }
        let mut delivery = Delivery::new(Event::Session(SessionEvent::Changes(Box::new(changes))));
        room.tell(&mut delivery);
    }

    /// Tells all that too much is missing.
    pub(in crate::engine) fn deliver_limited(&self, id: ConversationId, rev: u64, last_seq: u64) {
        if let Some(room) = filling(&mut self.shard(id).lock(), id) {
            let since_rev = room.delivered;
            let event = SessionEvent::Limited { conversation_id: id, since_rev, rev, last_seq };
            room.tell(&mut Delivery::new(Event::Session(event)));
        }
    }

    /// Ends filling: everything up to `through` has been delivered (`None`: it failed, nothing was).
    pub(in crate::engine) fn end_fill(
        &self,
        id: ConversationId,
        through: Option<u64>,
        registry: &Registry,
    ) {
        let mut shard = self.shard(id).lock();
        let Some(room) = filling(&mut shard, id) else { return };
        room.filling = false;
        if let Some(through) = through {
            room.delivered = room.delivered.max(through);
            room.waiting = room.waiting.split_off(&(room.delivered + 1));
            room.deliver_waiting(registry);
        }
        if room.is_empty() {
            shard.remove(&id);
        }
    }

    /// Tells something without a rev to those in the room for whom `to` holds.
    pub(in crate::engine) fn tell(
        &self,
        id: ConversationId,
        delivery: &mut Delivery,
        to: impl Fn(&Connection) -> bool,
    ) {
        if let Some(room) = self.shard(id).lock().get(&id) {
            for connection in room.connections.iter().filter(|connection| to(connection)) {
                connection.deliver(delivery);
            }
        }
    }

    /// Whether a user is a connected member; `false` says nothing about those who are not connected here.
    pub(in crate::engine) fn holds(&self, id: ConversationId, user: &UserId) -> bool {
        self.shard(id)
            .lock()
            .get(&id)
            .is_some_and(|room| room.connections.iter().any(|connection| &connection.user == user))
    }

    /// All rooms with the rev that each has delivered.
    pub(in crate::engine) fn heads(&self) -> Vec<(ConversationId, u64)> {
        let mut heads = Vec::new();
        for shard in &self.shards {
            heads.extend(shard.lock().iter().map(|(id, room)| (*id, room.delivered)));
        }
        heads
    }
}

impl Room {
    fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.revoked.is_empty()
    }

    /// Takes a connection in; `false` when it is here already, or has left for good.
    fn add(&mut self, id: ConversationId, connection: &Arc<Connection>) -> bool {
        let new = connection.enter(id);
        if new {
            self.connections.push(Arc::clone(connection));
        }
        new
    }

    fn remove(&mut self, gone: impl Fn(&Connection) -> bool) -> Vec<Arc<Connection>> {
        let all = std::mem::take(&mut self.connections)
            .into_iter()
            .map(|connection| (connection, true))
            .chain(std::mem::take(&mut self.revoked).into_iter().map(|c| (c, false)));
        let mut removed = Vec::new();
        for (connection, receives) in all {
            match (gone(&connection), receives) {
                (true, true) => removed.push(connection),
                (true, false) => {}
                (false, true) => self.connections.push(connection),
                (false, false) => self.revoked.push(connection),
            }
        }
        removed
    }

    fn tell(&mut self, delivery: &mut Delivery) {
        for connection in &self.connections {
            connection.deliver(delivery);
        }
    }

    /// Delivers the next change, to those who were removed by it as well.
    fn deliver(&mut self, event: Arc<Event>, registry: &Registry) {
        let Event::Change(change) = &*event else { return };
        let id = change.conversation_id;
        self.delivered = change.rev;
        // Whoever becomes a member stands in the room from that very change on.
        for member in newcomers(change) {
            for connection in registry.of(&member.user_id) {
                self.add(id, &connection);
            }
        }
        let mut delivery = Delivery::shared(Arc::clone(&event));
        self.tell(&mut delivery);
        if let ChangeBody::MembersChanged { removed, .. } = &change.body
            && !removed.is_empty()
        {
            note_removals(change, registry);
            for gone in self.remove(|connection| removed.contains(&connection.user)) {
                gone.leave(id);
            }
        }
    }

    fn deliver_waiting(&mut self, registry: &Registry) {
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() <= self.delivered + 1
        {
            let event = entry.remove();
            if let Event::Change(change) = &*event
                && change.rev == self.delivered + 1
            {
                self.deliver(event, registry);
            }
        }
    }
}

/// The room that is being filled. One that was made anew meanwhile is another room: what is read for
/// its predecessor says nothing about it.
fn filling(shard: &mut HashMap<ConversationId, Room>, id: ConversationId) -> Option<&mut Room> {
    shard.get_mut(&id).filter(|room| room.filling)
}

fn newcomers(change: &Change) -> &[Member] {
    match &change.body {
        ChangeBody::ConversationCreated { members, .. } => members,
        ChangeBody::MembersChanged { added, .. } => added,
        _ => &[],
    }
}

/// A change that makes connected users members needs a room, if there is none yet.
fn open_for_newcomers(
    shard: &mut HashMap<ConversationId, Room>,
    change: &Change,
    registry: &Registry,
) {
    let wanted = |member: &Member| !registry.of(&member.user_id).is_empty();
    if newcomers(change).iter().any(wanted) {
        shard
            .entry(change.conversation_id)
            .or_insert_with(|| Room { delivered: change.rev.saturating_sub(1), ..Room::default() });
    }
}

/// A connection that is catching up may have read its membership just before it ended.
fn note_removals(change: &Change, registry: &Registry) {
    if let ChangeBody::MembersChanged { removed, .. } = &change.body {
        for user in removed {
            for connection in registry.of(user) {
                connection.outbox.note_removed(change.conversation_id, change.rev);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Timestamp,
        engine::{
            budget::{Bounds, Budget},
            outbox::Outbox,
            registry::Caps,
        },
        model::{Conversation, ConversationKind, Identity, Role},
    };

    fn connection(user: &str) -> Arc<Connection> {
        let bounds = Bounds { events: 256, bytes: 1 << 20 };
        let outbox = Outbox::new(bounds, Arc::new(Budget::new(1 << 30)));
        let identity = Identity::new(UserId::new(user).unwrap());
        Arc::new(Connection::new(Arc::new(identity), None, None, outbox))
    }

    fn added(id: ConversationId, rev: u64, user: &UserId) -> Arc<Event> {
        let now = Timestamp::from_millis(1);
        let conversation = Conversation::new(id, 1, ConversationKind::Group, now);
        let member = Member { user_id: user.clone(), role: Role::Member, joined_at: now };
        let body = ChangeBody::MembersChanged {
            conversation: Box::new(conversation),
            by: None,
            added: vec![member],
            removed: Vec::new(),
            roles: Vec::new(),
        };
        Arc::new(Event::Change(Change { conversation_id: id, rev, body }))
    }

    #[test]
    fn who_has_left_for_good_is_taken_into_no_room() {
        let (rooms, id) = (Rooms::new(), ConversationId::new(Timestamp::from_millis(1)));
        let registry = Registry::new(Caps { per_user: 9, per_address: 9, total: 9 });
        let ann = connection("ann");
        registry.insert(&ann).unwrap();
        // The connection ends while the registry still names it, and a change adds its user.
        rooms.leave_all(&ann);
        rooms.offer(added(id, 1, &ann.user), &registry);
        rooms.enter(id, &ann, 1);
        rooms.enter_revoked(id, &ann, 1);
        assert_eq!(rooms.heads(), [], "nothing is left behind");
    }

    #[test]
    fn what_is_read_for_a_room_says_nothing_about_its_successor() {
        let (rooms, id) = (Rooms::new(), ConversationId::new(Timestamp::from_millis(1)));
        let registry = Registry::new(Caps { per_user: 9, per_address: 9, total: 9 });
        let (ann, bob) = (connection("ann"), connection("bob"));
        rooms.enter(id, &ann, 5);
        assert_eq!(rooms.begin_fill(id, 12), Some(5));
        assert!(rooms.enter(id, &bob, 5).ahead, "the first page may be out already");
        rooms.leave_all(&ann);
        rooms.leave(id, &bob);
        rooms.enter(id, &bob, 10);
        rooms.end_fill(id, Some(12), &registry);
        assert!(rooms.is_behind(id, 12), "the new room has not delivered what the old one read");
    }
}
