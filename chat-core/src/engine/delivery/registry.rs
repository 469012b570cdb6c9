//! Who is connected to this node.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};

use crate::engine::{
    codec::{Codec, Delivery},
    outbox::{CloseReason, Outbox},
};
use crate::{
    Timestamp, counted_address,
    model::{ConversationId, Identity, PresenceStatus, SessionId, UserId},
};

/// What the node knows of one connection.
#[derive(Debug)]
pub(in crate::engine) struct Connection {
    pub(in crate::engine) id: SessionId,
    pub(in crate::engine) user: UserId,
    pub(in crate::engine) codec: Option<Arc<dyn Codec>>,
    pub(in crate::engine) outbox: Outbox,
    pub(in crate::engine) address: Option<IpAddr>,
    identity: RwLock<Arc<Identity>>,
    /// Milliseconds since the epoch; `i64::MAX` for never.
    expires_at: AtomicI64,
    /// The conversations in whose rooms it stands; `None` once it has left for good.
    rooms: Mutex<Option<Vec<ConversationId>>>,
    status: Mutex<PresenceStatus>,
}

impl Connection {
    pub(in crate::engine) fn new(
        identity: Arc<Identity>,
        codec: Option<Arc<dyn Codec>>,
        address: Option<IpAddr>,
        outbox: Outbox,
    ) -> Self {
        Self {
            id: SessionId::random(),
            user: identity.user_id.clone(),
            codec,
            outbox,
            address,
            expires_at: AtomicI64::new(expiry(&identity)),
            identity: RwLock::new(identity),
            rooms: Mutex::new(Some(Vec::new())),
            status: Mutex::new(PresenceStatus::Online),
        }
    }

    pub(in crate::engine) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.read())
    }

    pub(in crate::engine) fn set_identity(&self, identity: Identity) {
        self.expires_at.store(expiry(&identity), Ordering::Relaxed);
        *self.identity.write() = Arc::new(identity);
    }

    pub(in crate::engine) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.load(Ordering::Relaxed) <= now.as_millis()
    }

    pub(in crate::engine) fn status(&self) -> PresenceStatus {
        *self.status.lock()
    }

    pub(in crate::engine) fn set_status(&self, status: PresenceStatus) {
        *self.status.lock() = status;
    }

    /// Offers an event in this connection's encoding.
    pub(in crate::engine) fn deliver(&self, delivery: &mut Delivery) {
        if let Some(outgoing) = delivery.for_codec(self.codec.as_deref()) {
            self.outbox.offer(outgoing);
        }
    }

    /// Remembers a room; `false` when it is known already, or the connection has left for good.
    pub(in crate::engine) fn enter(&self, conversation: ConversationId) -> bool {
        match self.rooms.lock().as_mut() {
            Some(rooms) if !rooms.contains(&conversation) => {
                rooms.push(conversation);
                true
            }
            _ => false,
        }
    }

    pub(in crate::engine) fn leave(&self, conversation: ConversationId) {
        if let Some(rooms) = self.rooms.lock().as_mut() {
            rooms.retain(|room| *room != conversation);
        }
    }

    /// Whether it stands in a room, or has left for good and stands in none any more.
    pub(in crate::engine) fn stands_in(&self, conversation: ConversationId) -> bool {
        self.rooms.lock().as_ref().is_none_or(|rooms| rooms.contains(&conversation))
    }

    /// The conversations in whose rooms it stands.
    pub(in crate::engine) fn rooms(&self) -> Vec<ConversationId> {
        self.rooms.lock().clone().unwrap_or_default()
    }

    /// Leaves for good: from here on no room takes it in. Returns where it stood.
    pub(in crate::engine) fn leave_for_good(&self) -> Vec<ConversationId> {
        self.rooms.lock().take().unwrap_or_default()
    }
}

fn expiry(identity: &Identity) -> i64 {
    identity.expires_at.map_or(i64::MAX, Timestamp::as_millis)
}

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Caps {
    pub(in crate::engine) per_user: usize,
    pub(in crate::engine) per_address: usize,
    pub(in crate::engine) total: usize,
}

/// All connections of the node by user.
#[derive(Debug)]
pub(in crate::engine) struct Registry {
    users: RwLock<HashMap<UserId, Vec<Arc<Connection>>>>,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    count: AtomicUsize,
    caps: Caps,
}

impl Registry {
    pub(in crate::engine) fn new(caps: Caps) -> Self {
        Self {
            users: RwLock::default(),
            addresses: Mutex::default(),
            count: AtomicUsize::new(0),
            caps,
        }
    }

    /// Adds a connection; says whether it is the user's first.
    pub(in crate::engine) fn insert(
        &self,
        connection: &Arc<Connection>,
    ) -> Result<bool, CloseReason> {
        let mut users = self.users.write();
        if self.count.load(Ordering::Relaxed) >= self.caps.total {
            return Err(CloseReason::TooManyConnections);
        }
        let of_user = users.get(&connection.user).map_or(0, Vec::len);
        if of_user >= self.caps.per_user || !self.count_address(connection.address) {
            return Err(CloseReason::TooManyConnections);
        }
        let connections = users.entry(connection.user.clone()).or_default();
        connections.push(Arc::clone(connection));
        let first = connections.len() == 1;
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        metrics::gauge!("parlor_connections").set(count as f64);
        Ok(first)
    }

    /// Takes a connection away; says whether it was the user's last.
    pub(in crate::engine) fn remove(&self, connection: &Connection) -> bool {
        let mut users = self.users.write();
        let Some(connections) = users.get_mut(&connection.user) else { return false };
        let before = connections.len();
        connections.retain(|other| other.id != connection.id);
        if connections.len() < before {
            self.release_address(connection.address);
            let count = self.count.fetch_sub(1, Ordering::Relaxed) - 1;
            metrics::gauge!("parlor_connections").set(count as f64);
        }
        let last = connections.is_empty();
        if last {
            users.remove(&connection.user);
        }
        last
    }

    /// Counts a connection of an address; `false` when it has too many.
    fn count_address(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address else { return true };
        let mut addresses = self.addresses.lock();
        let count = addresses.entry(counted_address(address)).or_default();
        let admitted = *count < self.caps.per_address;
        *count += usize::from(admitted);
        admitted
    }

    fn release_address(&self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        let mut addresses = self.addresses.lock();
        if let Entry::Occupied(mut count) = addresses.entry(counted_address(address)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    pub(in crate::engine) fn of(&self, user: &UserId) -> Vec<Arc<Connection>> {
        self.users.read().get(user).cloned().unwrap_or_default()
    }

    pub(in crate::engine) fn all(&self) -> Vec<Arc<Connection>> {
        self.users.read().values().flatten().cloned().collect()
    }

    pub(in crate::engine) fn users(&self) -> Vec<UserId> {
        self.users.read().keys().cloned().collect()
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
