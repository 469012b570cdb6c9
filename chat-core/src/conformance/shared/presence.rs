//! Presence: leases that run out by themselves.

use std::{sync::Arc, time::Duration};

use super::{Fixture, fresh_user, soon};
use crate::{
    Timestamp,
    model::{NodeId, PresenceInfo, PresenceStatus, UserId},
    traits::{Lease, Presence},
};

/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(600);
/// Waited for.
const SHORT: Duration = Duration::from_millis(500);

/// A node as it sees presence.
#[derive(Clone)]
struct Node {
    id: NodeId,
    presence: Arc<dyn Presence>,
}

impl Node {
    async fn open(fixture: &dyn Fixture) -> Self {
        let presence = fixture.presence().await.expect("the fixture brought presence before");
        Self { id: NodeId::random(), presence }
    }

    async fn renew(&self, user: &UserId, status: PresenceStatus, ttl: Duration) {
        let lease = Lease { user_id: user.clone(), status, ttl };
        self.presence.renew(self.id, vec![lease]).await.expect("renew");
    }

    async fn release(&self, user: &UserId) {
        self.presence.release(self.id, vec![user.clone()]).await.expect("release");
    }

    async fn get(&self, user: &UserId) -> PresenceInfo {
        let mut infos = self.presence.get(std::slice::from_ref(user)).await.expect("get");
        assert_eq!(infos.len(), 1, "one answer for one user");
        infos.remove(0)
    }

    async fn status(&self, user: &UserId) -> PresenceStatus {
        self.get(user).await.status
    }

    /// Waits until a user is offline; returns when they were last seen.
    async fn gone(&self, user: &UserId) -> Timestamp {
        let info = soon("the lease runs out", || async {
            let info = self.get(user).await;
            (info.status == PresenceStatus::Offline).then_some(info)
        });
        info.await.last_seen_at.expect("who was there was seen")
    }

    /// The backend's now.
    async fn now(&self) -> Timestamp {
        let user = fresh_user("clock");
        self.renew(&user, PresenceStatus::Online, LONG).await;
        self.release(&user).await;
        self.get(&user).await.last_seen_at.expect("who was released was seen")
    }
}

async fn pair(fixture: &dyn Fixture) -> (Node, Node) {
    (Node::open(fixture).await, Node::open(fixture).await)
}

fn offline(user: &UserId) -> PresenceInfo {
    PresenceInfo { user_id: user.clone(), status: PresenceStatus::Offline, last_seen_at: None }
}

pub(super) async fn who_was_never_there_is_offline_and_was_not_seen(fixture: &dyn Fixture) {
    let node = Node::open(fixture).await;
    let user = fresh_user("stranger");
    assert_eq!(node.get(&user).await, offline(&user));
}

pub(super) async fn a_lease_is_seen_by_every_node(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    for status in [PresenceStatus::Online, PresenceStatus::Away, PresenceStatus::Busy] {
        let user = fresh_user("user");
        one.renew(&user, status, LONG).await;
        assert_eq!((one.status(&user).await, other.status(&user).await), (status, status));
        one.release(&user).await;
    }
}

pub(super) async fn answers_come_one_each_in_order(fixture: &dyn Fixture) {
    let node = Node::open(fixture).await;
    let (ann, bob, eve) = (fresh_user("ann"), fresh_user("bob"), fresh_user("eve"));
    node.renew(&ann, PresenceStatus::Online, LONG).await;
    node.renew(&eve, PresenceStatus::Busy, LONG).await;
    let asked = [eve.clone(), bob.clone(), ann.clone(), bob.clone(), eve.clone()];
    let infos = node.presence.get(&asked).await.expect("get");
    let answered: Vec<_> = infos.iter().map(|info| info.user_id.clone()).collect();
    assert_eq!(answered, asked);
    let statuses: Vec<_> = infos.iter().map(|info| info.status).collect();
    let (busy, off) = (PresenceStatus::Busy, PresenceStatus::Offline);
    assert_eq!(statuses, [busy, off, PresenceStatus::Online, off, busy]);
    node.presence.release(node.id, vec![ann, eve]).await.expect("release");
}

pub(super) async fn busy_wins_over_online_and_online_over_away(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let third = Node::open(fixture).await;
    let user = fresh_user("user");
    one.renew(&user, PresenceStatus::Away, LONG).await;
    other.renew(&user, PresenceStatus::Online, LONG).await;
    assert_eq!(one.status(&user).await, PresenceStatus::Online);
    third.renew(&user, PresenceStatus::Busy, LONG).await;
    assert_eq!(other.status(&user).await, PresenceStatus::Busy);
    other.release(&user).await;
    assert_eq!(one.status(&user).await, PresenceStatus::Busy);
    third.release(&user).await;
    assert_eq!(one.status(&user).await, PresenceStatus::Away);
    one.release(&user).await;
    assert_eq!(one.status(&user).await, PresenceStatus::Offline);
}

pub(super) async fn a_nodes_word_replaces_its_former_one(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let user = fresh_user("user");
    for status in [PresenceStatus::Busy, PresenceStatus::Away, PresenceStatus::Online] {
        one.renew(&user, status, LONG).await;
        assert_eq!(other.status(&user).await, status);
    }
    one.release(&user).await;
    assert_eq!(other.status(&user).await, PresenceStatus::Offline, "one release ends them all");
}

pub(super) async fn a_lease_that_is_not_renewed_runs_out(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let user = fresh_user("user");
    let before = one.now().await;
    one.renew(&user, PresenceStatus::Online, SHORT).await;
    let after = one.now().await;
    let seen = other.gone(&user).await;
    assert!(seen >= before.plus(SHORT), "it ran out too early");
    assert!(seen <= after.plus(SHORT).plus(Duration::from_millis(1)), "seen when they were gone");
    assert_eq!(one.get(&user).await.last_seen_at, Some(seen), "every node says the same");
}

pub(super) async fn a_lease_that_is_renewed_holds_on(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let user = fresh_user("user");
    let lease = Duration::from_secs(3);
    let end = tokio::time::Instant::now() + 2 * lease;
    while tokio::time::Instant::now() < end {
        one.renew(&user, PresenceStatus::Online, lease).await;
        assert_eq!(other.status(&user).await, PresenceStatus::Online);
        tokio::time::sleep(lease / 10).await;
    }
    one.release(&user).await;
}

pub(super) async fn a_shorter_lease_replaces_a_longer_one(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let user = fresh_user("user");
    one.renew(&user, PresenceStatus::Online, LONG).await;
    one.renew(&user, PresenceStatus::Online, SHORT).await;
    other.gone(&user).await;
}

pub(super) async fn a_word_that_runs_out_leaves_those_of_others(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let user = fresh_user("user");
    one.renew(&user, PresenceStatus::Busy, SHORT).await;
    other.renew(&user, PresenceStatus::Away, LONG).await;
    soon("the busy word runs out", || async {
        let status = other.status(&user).await;
        assert_ne!(status, PresenceStatus::Offline);
        (status == PresenceStatus::Away).then_some(())
    })
    .await;
    let before = one.now().await;
    other.release(&user).await;
    let seen = one.gone(&user).await;
    assert!(seen >= before, "they were seen until the last lease ended");
}

pub(super) async fn a_release_ends_a_lease_at_once_and_is_when_they_were_last_seen(
    fixture: &dyn Fixture,
) {
    let (one, other) = pair(fixture).await;
    let user = fresh_user("user");
    one.renew(&user, PresenceStatus::Online, LONG).await;
    let before = one.now().await;
    one.release(&user).await;
    let after = one.now().await;
    let info = other.get(&user).await;
    assert_eq!(info.status, PresenceStatus::Offline);
    let seen = info.last_seen_at.expect("who was there was seen");
    assert!(before <= seen && seen <= after, "{before:?} <= {seen:?} <= {after:?}");
}

pub(super) async fn a_release_ends_the_words_of_that_node_alone(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let (ann, bob) = (fresh_user("ann"), fresh_user("bob"));
    one.renew(&ann, PresenceStatus::Busy, LONG).await;
    one.renew(&bob, PresenceStatus::Online, LONG).await;
    other.renew(&ann, PresenceStatus::Online, LONG).await;
    one.release(&ann).await;
    assert_eq!(other.status(&ann).await, PresenceStatus::Online, "the other node still says so");
    assert_eq!(other.status(&bob).await, PresenceStatus::Online, "another user");
    other.release(&bob).await;
    assert_eq!(other.status(&bob).await, PresenceStatus::Online, "another node's lease");
    one.release(&bob).await;
    other.release(&ann).await;
}

pub(super) async fn a_release_of_nothing_changes_nothing(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let stranger = fresh_user("stranger");
    one.release(&stranger).await;
    assert_eq!(one.get(&stranger).await, offline(&stranger), "nobody saw them");
    let user = fresh_user("user");
    one.renew(&user, PresenceStatus::Online, SHORT).await;
    let seen = one.gone(&user).await;
    one.release(&user).await;
    other.release(&user).await;
    assert_eq!(one.get(&user).await.last_seen_at, Some(seen), "it ended before");
}

pub(super) async fn who_comes_back_is_there_again(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let user = fresh_user("user");
    one.renew(&user, PresenceStatus::Online, LONG).await;
    one.release(&user).await;
    let first = one.gone(&user).await;
    other.renew(&user, PresenceStatus::Away, LONG).await;
    let info = one.get(&user).await;
    assert_eq!((info.status, info.last_seen_at), (PresenceStatus::Away, None));
    other.release(&user).await;
    assert!(one.gone(&user).await >= first);
}

pub(super) async fn users_of_any_name_are_told_apart(fixture: &dyn Fixture) {
    let node = Node::open(fixture).await;
    let users = super::bus::odd_users();
    for user in &users {
        node.renew(user, PresenceStatus::Online, LONG).await;
        let infos = node.presence.get(&users).await.expect("get");
        for info in infos {
            let there = info.status == PresenceStatus::Online;
            assert_eq!(there, info.user_id == *user, "{:?} while {user:?} is there", info.user_id);
        }
        node.release(user).await;
    }
}

pub(super) async fn many_users_are_looked_after_at_once(fixture: &dyn Fixture) {
    let (one, other) = pair(fixture).await;
    let users: Vec<UserId> = (0..2_500).map(|_| fresh_user("user")).collect();
    let statuses = [PresenceStatus::Online, PresenceStatus::Away, PresenceStatus::Busy];
    let leases = users.iter().zip(statuses.iter().cycle()).map(|(user_id, &status)| Lease {
        user_id: user_id.clone(),
        status,
        ttl: LONG,
    });
    one.presence.renew(one.id, leases.collect()).await.expect("renew");
    let infos = other.presence.get(&users).await.expect("get");
    assert_eq!(infos.len(), users.len());
    for ((user, status), info) in users.iter().zip(statuses.iter().cycle()).zip(&infos) {
        assert_eq!((&info.user_id, info.status), (user, *status));
    }
    one.presence.release(one.id, users.clone()).await.expect("release");
    let infos = other.presence.get(&users).await.expect("get");
    assert!(infos.iter().all(|info| info.status == PresenceStatus::Offline));
    assert!(infos.iter().all(|info| info.last_seen_at.is_some()));
}

pub(super) async fn calls_about_nobody_are_accepted(fixture: &dyn Fixture) {
    let node = Node::open(fixture).await;
    node.presence.renew(node.id, Vec::new()).await.expect("renew nobody");
    node.presence.release(node.id, Vec::new()).await.expect("release nobody");
    assert_eq!(node.presence.get(&[]).await.expect("get nobody"), []);
}
