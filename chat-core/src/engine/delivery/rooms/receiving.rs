//! Who in a room receives: the policy can revoke it and give it back while people are connected.

use std::sync::Arc;

use super::{Room, Rooms};
use crate::{
    engine::{codec::Delivery, registry::Connection},
    event::{Event, SessionEvent},
    model::{ConversationId, UserId},
};

impl Rooms {
    /// The connected members, revoked ones included.
    pub(in crate::engine) fn connected(&self, id: ConversationId) -> Vec<UserId> {
        let shard = self.shard(id).lock();
        let Some(room) = shard.get(&id) else { return Vec::new() };
        let mut users: Vec<UserId> = room
            .connections
            .iter()
            .chain(&room.revoked)
            .map(|connection| connection.user.clone())
            .collect();
        users.sort();
        users.dedup();
        users
    }

    /// Stops a user's receiving; they are told that the conversation is gone.
    pub(in crate::engine) fn revoke(&self, id: ConversationId, user: &UserId) {
        let mut shard = self.shard(id).lock();
        let Some(room) = shard.get_mut(&id) else { return };
        let mut farewell = Delivery::new(Event::Session(SessionEvent::ConversationRemoved {
            conversation_id: id,
            through_rev: Some(room.delivered),
        }));
        let (stopped, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut room.connections).into_iter().partition(|c| &c.user == user);
        room.connections = rest;
        for connection in &stopped {
            connection.outbox.note_removed(id, room.delivered);
            connection.deliver(&mut farewell);
        }
        room.revoked.extend(stopped);
    }

    /// Whether a user is connected here and their receiving is revoked.
    pub(in crate::engine) fn is_revoked(&self, id: ConversationId, user: &UserId) -> bool {
        let shard = self.shard(id).lock();
        shard.get(&id).is_some_and(|room| room.revoked.iter().any(|c| &c.user == user))
    }

    /// Lets a user receive again, beginning with `welcome`, which says where they start from.
    pub(in crate::engine) fn restore(
        &self,
        id: ConversationId,
        user: &UserId,
        welcome: &mut Delivery,
    ) {
        let mut shard = self.shard(id).lock();
        let Some(room) = shard.get_mut(&id) else { return };
        let (back, revoked): (Vec<_>, Vec<_>) =
            std::mem::take(&mut room.revoked).into_iter().partition(|c| &c.user == user);
        room.revoked = revoked;
        for connection in back {
            connection.deliver(welcome);
            room.connections.push(connection);
        }
    }

    /// Puts a connection into a room as one who does not receive.
    pub(in crate::engine) fn enter_revoked(
        &self,
        id: ConversationId,
        connection: &Arc<Connection>,
        head: u64,
    ) {
        let mut shard = self.shard(id).lock();
        let room = shard.entry(id).or_insert_with(|| Room { delivered: head, ..Room::default() });
        if connection.enter(id) {
            room.revoked.push(Arc::clone(connection));
        }
        if room.is_empty() {
            shard.remove(&id);
        }
    }
}
