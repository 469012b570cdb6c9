use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::recent::Recent;
use crate::{
    BackendError, Clock, SystemClock, Timestamp,
    model::{NodeId, PresenceInfo, PresenceStatus, UserId},
    traits::{Lease, Presence},
};

/// Users whose `last_seen_at` is remembered unless told otherwise.
const LAST_SEEN: usize = 100_000;

/// Presence leases in memory, for one process. Clones share them, as nodes share a medium.
///
/// Leases expire by the clock without a task: every call first settles what has run out. When
/// somebody was last seen is remembered for 100,000 users by default; who went first is forgotten first.
#[derive(Debug, Clone)]
pub struct MemoryPresence {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

impl MemoryPresence {
    /// Nobody is there yet; time is the given clock's.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, LAST_SEEN)
    }

    /// Like [`MemoryPresence::new`], remembering for at most `users` users when they were last seen.
    pub fn with_capacity(clock: Arc<dyn Clock>, users: usize) -> Self {
        Self { clock, state: Arc::new(Mutex::new(State::new(users))) }
    }
}

impl Default for MemoryPresence {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

#[async_trait]
impl Presence for MemoryPresence {
    async fn renew(&self, node: NodeId, leases: Vec<Lease>) -> Result<(), BackendError> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.settle(now);
        for lease in leases {
            match lease.status {
                PresenceStatus::Online | PresenceStatus::Away | PresenceStatus::Busy => {
                    state.hold(node, lease, now);
                }
                // The word that somebody is not there is no lease.
                PresenceStatus::Offline | PresenceStatus::Unknown => {
                    state.end(node, &lease.user_id, now);
                }
            }
        }
        Ok(())
    }

    async fn release(&self, node: NodeId, users: Vec<UserId>) -> Result<(), BackendError> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.settle(now);
        for user in users {
            state.end(node, &user, now);
        }
        Ok(())
    }

    async fn get(&self, users: &[UserId]) -> Result<Vec<PresenceInfo>, BackendError> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.settle(now);
        Ok(users.iter().map(|user| state.info(user)).collect())
    }
}

/// One node's word for one user.
#[derive(Debug)]
struct Held {
    node: NodeId,
    status: PresenceStatus,
    expires_at: Timestamp,
}

#[derive(Debug)]
struct State {
    /// Who is there; never with an empty list.
    held: HashMap<UserId, Vec<Held>>,
    /// Every lease by the moment it runs out.
    expiries: BTreeSet<(Timestamp, UserId, NodeId)>,
    /// When those who are not there went.
    last_seen: Recent<Timestamp>,
}

impl State {
    fn new(last_seen: usize) -> Self {
        let last_seen = Recent::new(last_seen);
        Self { held: HashMap::new(), expiries: BTreeSet::new(), last_seen }
    }

    /// Ends what has run out, each lease at its own moment.
    fn settle(&mut self, now: Timestamp) {
        while let Some((expires_at, _, _)) = self.expiries.first()
            && *expires_at <= now
            && let Some((expires_at, user, node)) = self.expiries.pop_first()
        {
            self.end(node, &user, expires_at);
        }
    }

    fn hold(&mut self, node: NodeId, lease: Lease, now: Timestamp) {
        let Lease { user_id, status, ttl } = lease;
        let expires_at = now.plus(ttl);
        let held = self.held.entry(user_id.clone()).or_default();
        if let Some(at) = held.iter().position(|held| held.node == node) {
            let former = held.swap_remove(at);
            self.expiries.remove(&(former.expires_at, user_id.clone(), node));
        }
        held.push(Held { node, status, expires_at });
        self.last_seen.remove(&user_id);
        self.expiries.insert((expires_at, user_id, node));
    }

    /// Ends one node's word; who has no other was last seen at `moment`.
    fn end(&mut self, node: NodeId, user: &UserId, moment: Timestamp) {
        let Some(held) = self.held.get_mut(user) else { return };
        let Some(at) = held.iter().position(|held| held.node == node) else { return };
        let former = held.swap_remove(at);
        self.expiries.remove(&(former.expires_at, user.clone(), node));
        if held.is_empty() {
            self.held.remove(user);
            self.last_seen.insert(user.clone(), moment);
        }
    }

    fn info(&self, user: &UserId) -> PresenceInfo {
        let held = self.held.get(user).map(Vec::as_slice).unwrap_or_default();
        let says = |status| held.iter().any(|held| held.status == status);
        let status = [PresenceStatus::Busy, PresenceStatus::Online, PresenceStatus::Away]
            .into_iter()
            .find(|status| says(*status))
            .unwrap_or(PresenceStatus::Offline);
        let last_seen_at = self.last_seen.get(user).copied();
        PresenceInfo { user_id: user.clone(), status, last_seen_at }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::TestClock;

    const TTL: Duration = Duration::from_secs(15);

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn lease(name: &str, status: PresenceStatus) -> Lease {
        Lease { user_id: user(name), status, ttl: TTL }
    }

    async fn ann(presence: &MemoryPresence) -> (PresenceStatus, Option<Timestamp>) {
        let info = presence.get(&[user("ann")]).await.unwrap().remove(0);
        (info.status, info.last_seen_at)
    }

    #[tokio::test]
    async fn busy_wins_over_online_and_online_over_away_among_nodes() {
        let presence = MemoryPresence::default();
        let other = presence.clone();
        let nodes = [NodeId::random(), NodeId::random(), NodeId::random()];
        other.renew(nodes[0], vec![lease("ann", PresenceStatus::Away)]).await.unwrap();
        assert_eq!(ann(&presence).await, (PresenceStatus::Away, None));
        other.renew(nodes[1], vec![lease("ann", PresenceStatus::Online)]).await.unwrap();
        assert_eq!(ann(&presence).await, (PresenceStatus::Online, None));
        other.renew(nodes[2], vec![lease("ann", PresenceStatus::Busy)]).await.unwrap();
        assert_eq!(ann(&presence).await, (PresenceStatus::Busy, None));
        other.renew(nodes[2], vec![lease("ann", PresenceStatus::Away)]).await.unwrap();
        assert_eq!(ann(&presence).await, (PresenceStatus::Online, None));
    }

    #[tokio::test]
    async fn a_lease_that_is_not_renewed_ends_at_its_own_moment() {
        let clock = TestClock::new();
        let presence = MemoryPresence::new(Arc::new(clock.clone()));
        let (one, other) = (NodeId::random(), NodeId::random());
        presence.renew(one, vec![lease("ann", PresenceStatus::Busy)]).await.unwrap();
        clock.advance(Duration::from_secs(5));
        presence.renew(other, vec![lease("ann", PresenceStatus::Online)]).await.unwrap();
        let end = clock.now().plus(TTL);
        clock.advance(Duration::from_secs(10));
        assert_eq!(ann(&presence).await, (PresenceStatus::Online, None), "the busy node is dead");
        clock.advance(Duration::from_secs(600));
        assert_eq!(ann(&presence).await, (PresenceStatus::Offline, Some(end)));
        presence.renew(one, vec![lease("ann", PresenceStatus::Away)]).await.unwrap();
        assert_eq!(ann(&presence).await, (PresenceStatus::Away, None));
    }

    #[tokio::test]
    async fn a_renewed_lease_holds_on() {
        let clock = TestClock::new();
        let presence = MemoryPresence::new(Arc::new(clock.clone()));
        let node = NodeId::random();
        for _ in 0..10 {
            presence.renew(node, vec![lease("ann", PresenceStatus::Online)]).await.unwrap();
            clock.advance(Duration::from_secs(14));
            assert_eq!(ann(&presence).await, (PresenceStatus::Online, None));
        }
        clock.advance(Duration::from_secs(1));
        assert_eq!(ann(&presence).await, (PresenceStatus::Offline, Some(clock.now())));
    }

    #[tokio::test]
    async fn a_release_ends_only_the_words_of_that_node() {
        let clock = TestClock::new();
        let presence = MemoryPresence::new(Arc::new(clock.clone()));
        let (one, other) = (NodeId::random(), NodeId::random());
        for node in [one, other] {
            presence.renew(node, vec![lease("ann", PresenceStatus::Online)]).await.unwrap();
        }
        presence.release(one, vec![user("ann"), user("bob")]).await.unwrap();
        assert_eq!(ann(&presence).await, (PresenceStatus::Online, None));
        clock.advance(Duration::from_secs(1));
        presence.release(other, vec![user("ann")]).await.unwrap();
        let gone = (PresenceStatus::Offline, Some(clock.now()));
        assert_eq!(ann(&presence).await, gone);
        clock.advance(Duration::from_secs(1));
        presence.release(other, vec![user("ann")]).await.unwrap();
        assert_eq!(ann(&presence).await, gone, "a second release changes nothing");
    }

    #[tokio::test]
    async fn answers_come_one_each_in_order_and_strangers_were_never_seen() {
        let presence = MemoryPresence::default();
        presence.renew(NodeId::random(), vec![lease("ann", PresenceStatus::Online)]).await.unwrap();
        let infos = presence.get(&[user("bob"), user("ann"), user("bob")]).await.unwrap();
        let statuses: Vec<_> =
            infos.iter().map(|info| (info.user_id.as_str(), info.status)).collect();
        let bob = ("bob", PresenceStatus::Offline);
        assert_eq!(statuses, [bob, ("ann", PresenceStatus::Online), bob]);
        assert_eq!(infos[0].last_seen_at, None);
    }

    #[tokio::test]
    async fn who_went_first_is_forgotten_first() {
        let clock = TestClock::new();
        let presence = MemoryPresence::with_capacity(Arc::new(clock.clone()), 2);
        let users = ["ann", "bob", "eve"];
        for name in users {
            let lease = lease(name, PresenceStatus::Online);
            presence.renew(NodeId::random(), vec![lease]).await.unwrap();
            clock.advance(Duration::from_secs(1));
        }
        clock.advance(TTL);
        let infos = presence.get(&users.map(user)).await.unwrap();
        let seen: Vec<_> = infos.iter().map(|info| info.last_seen_at.is_some()).collect();
        assert_eq!(seen, [false, true, true]);
        let state = presence.state.lock();
        assert!(state.held.is_empty() && state.expiries.is_empty());
    }
}
