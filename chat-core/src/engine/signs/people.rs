//! Presence: leases for the users of this node, and news of those whom its connections watch.
//!
//! Driven by levels, not edges: what is dirty is compared with the lease store, and whatever differs from
//! what the watchers were told last is told. A lost hint is made good at the next renewal.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::engine::{
    codec::Delivery,
    gate::Who,
    node::{Life, Node},
    registry::Connection,
};
use crate::{
    Error,
    event::{Ephemeral, Event},
    model::{Identity, PresenceInfo, PresenceStatus, SessionId, UserId},
    traits::{Action, Lease, Topic, Verdict},
};

#[derive(Debug)]
struct Watched {
    watchers: Vec<Arc<Connection>>,
    told: Option<PresenceInfo>,
}

#[derive(Debug, Default)]
struct State {
    /// Users who came, went or changed their status.
    dirty: HashSet<UserId>,
    /// Users without a connection who are still shown, until then.
    leaving: HashMap<UserId, Instant>,
    /// Whom connections watch.
    watched: HashMap<UserId, Watched>,
    /// The same from the other side.
    by_watcher: HashMap<SessionId, Vec<UserId>>,
    /// Watched users to be looked at.
    look: HashSet<UserId>,
    /// Leases are to be renewed, and all that are watched looked at, before their time.
    renew_all: bool,
}

/// Who is there, and who wants to know.
#[derive(Debug, Default)]
pub(in crate::engine) struct People {
    state: Mutex<State>,
    wake: Notify,
}

impl People {
    /// A user's first device connected, or one changed its status.
    pub(in crate::engine) fn here(&self, user: &UserId) {
        let mut state = self.state.lock();
        state.leaving.remove(user);
        state.dirty.insert(user.clone());
        drop(state);
        self.wake.notify_one();
    }

    /// A user's last device went: they stay for the grace.
    pub(in crate::engine) fn gone(&self, user: &UserId, grace: Duration) {
        self.state.lock().leaving.insert(user.clone(), Instant::now() + grace);
        self.wake.notify_one();
    }

    /// The node goes: nobody is kept for the grace any more. Returns who was.
    pub(in crate::engine) fn depart_all(&self) -> Vec<UserId> {
        self.state.lock().leaving.drain().map(|(user, _)| user).collect()
    }

    /// A hint that a user's presence changed.
    pub(in crate::engine) fn look_at(&self, user: UserId) {
        let mut state = self.state.lock();
        if state.watched.contains_key(&user) {
            state.look.insert(user);
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Hints may have been lost, and leases with them: what carries the one often keeps the other.
    pub(in crate::engine) fn renew_all(&self) {
        self.state.lock().renew_all = true;
        self.wake.notify_one();
    }

    /// Adds a watcher. What the watcher sees first comes from [`People::look`].
    pub(in crate::engine) fn watch(&self, connection: &Arc<Connection>, users: &[UserId]) {
        let state = &mut *self.state.lock();
        for user in users {
            let watched = state
                .watched
                .entry(user.clone())
                .or_insert_with(|| Watched { watchers: Vec::new(), told: None });
            if !watched.watchers.iter().any(|other| other.id == connection.id) {
                watched.watchers.push(Arc::clone(connection));
                state.by_watcher.entry(connection.id).or_default().push(user.clone());
            }
        }
    }

    /// A watcher was shown this. Who has not been told anything else need not be told it again.
    fn shown(&self, found: &[PresenceInfo]) {
        let state = &mut *self.state.lock();
        for info in found {
            let Some(watched) = state.watched.get_mut(&info.user_id) else { continue };
            match &watched.told {
                None => watched.told = Some(info.clone()),
                Some(told) if told.status == info.status => {}
                // One of the two is old: all are told what is found next.
                Some(_) => {
                    watched.told = None;
                    state.look.insert(info.user_id.clone());
                    self.wake.notify_one();
                }
            }
        }
    }

    /// Takes a watcher away from these users; returns those whom nobody watches any more.
    pub(in crate::engine) fn unwatch<'a>(
        &self,
        session: SessionId,
        users: impl IntoIterator<Item = &'a UserId>,
    ) -> Vec<UserId> {
        let mut state = self.state.lock();
        let mut unwatched = Vec::new();
        for user in users {
            if let Entry::Occupied(mut watching) = state.by_watcher.entry(session) {
                watching.get_mut().retain(|watched| watched != user);
                if watching.get().is_empty() {
                    watching.remove();
                }
            }
            if let Some(watched) = state.watched.get_mut(user) {
                watched.watchers.retain(|other| other.id != session);
                if watched.watchers.is_empty() {
                    state.watched.remove(user);
                    unwatched.push(user.clone());
                }
            }
        }
        unwatched
    }

    /// Whom a connection watches.
    pub(in crate::engine) fn all_watched_by(&self, session: SessionId) -> Vec<UserId> {
        let state = self.state.lock();
        state.by_watcher.get(&session).cloned().unwrap_or_default()
    }

    /// A user was removed from a conversation: who watched them may not share one any more, and the
    /// other way round.
    pub(in crate::engine) fn recheck_watches(&self, node: &Arc<Node>, user: &UserId) {
        let mut pairs: Vec<(Arc<Connection>, UserId)> = Vec::new();
        {
            let state = self.state.lock();
            for (other, watched) in &state.watched {
                for watcher in &watched.watchers {
                    if other == user || &watcher.user == user {
                        pairs.push((Arc::clone(watcher), other.clone()));
                    }
                }
            }
        }
        if pairs.is_empty() {
            return;
        }
        let node = Arc::clone(node);
        tokio::spawn(async move {
            for (watcher, other) in pairs {
                let question = [other];
                let sharing = node.store().sharing(&watcher.user, &question);
                if let Ok(sharing) = node.read("sharing", sharing).await
                    && sharing.is_empty()
                {
                    let unwatched = node.people.unwatch(watcher.id, &question);
                    part(&node, unwatched).await;
                }
            }
        });
    }
}

/// Lets a connection watch users, and returns how they are now.
pub(in crate::engine) async fn watch(
    node: &Node,
    connection: &Arc<Connection>,
    users: &[UserId],
) -> Vec<PresenceInfo> {
    node.people.watch(connection, users);
    join(node, users).await;
    let found = look(node, users).await;
    node.people.shown(&found);
    found
}

/// The presence of users as it is now; unknown when the lease store is down.
pub(in crate::engine) async fn look(node: &Node, users: &[UserId]) -> Vec<PresenceInfo> {
    if users.is_empty() {
        return Vec::new();
    }
    match node.tolerate(&node.outages.presence, node.backends.presence.get(users)).await {
        Ok(found) => found,
        Err(_) => users
            .iter()
            .map(|user| PresenceInfo {
                user_id: user.clone(),
                status: PresenceStatus::Unknown,
                last_seen_at: None,
            })
            .collect(),
    }
}

/// Those of `users` whose presence somebody may see: they share a conversation, and the policy allows it.
pub(in crate::engine) async fn visible_to(
    node: &Node,
    who: &Who,
    users: &[UserId],
) -> Result<Vec<UserId>, Error> {
    let Some(identity) = &who.identity else { return Ok(users.to_vec()) };
    let sharing = node.store().sharing(&identity.user_id, users);
    let mut visible = node.read("sharing", sharing).await?;
    if users.contains(&identity.user_id) && !visible.contains(&identity.user_id) {
        visible.push(identity.user_id.clone());
    }
    allowed_to(node, identity, visible).await
}

/// Those of `users`, who all share a conversation with somebody, whose presence the policy shows them.
pub(in crate::engine) async fn allowed_to(
    node: &Node,
    identity: &Identity,
    users: Vec<UserId>,
) -> Result<Vec<UserId>, Error> {
    let mut allowed = Vec::with_capacity(users.len());
    for user in users {
        let action = Action::SeePresence { of: user.clone() };
        let verdict = node.read("policy", node.backends.policy.check(identity, &action)).await?;
        if verdict == Verdict::Allow {
            allowed.push(user);
        }
    }
    Ok(allowed)
}

pub(in crate::engine) async fn join(node: &Node, users: &[UserId]) {
    if node.backends.bus.has_peers() && !users.is_empty() {
        let topics = users.iter().cloned().map(Topic::Presence).collect();
        // Failing, renewals tell.
        let _ = node.tolerate(&node.outages.listen, node.backends.bus.join(topics)).await;
    }
}

pub(in crate::engine) async fn part(node: &Node, users: Vec<UserId>) {
    if !node.backends.bus.has_peers() {
        return;
    }
    let watched = |user: &UserId| node.people.state.lock().watched.contains_key(user);
    // Somebody may watch them again meanwhile.
    let gone: Vec<UserId> = users.into_iter().filter(|user| !watched(user)).collect();
    if gone.is_empty() {
        return;
    }
    let topics = gone.iter().cloned().map(Topic::Presence).collect();
    let _ = node.tolerate(&node.outages.listen, node.backends.bus.part(topics)).await;
    // Or just now, and their join came before our part.
    let back: Vec<UserId> = gone.into_iter().filter(watched).collect();
    join(node, &back).await;
}

/// Starts the task that renews leases and tells watchers. It ends with the engine.
pub(in crate::engine) fn run(node: &Arc<Node>, life: &Life) {
    tokio::spawn(serve(Arc::clone(node), life.clone()));
}

async fn serve(node: Arc<Node>, mut life: Life) {
    let interval = node.config.presence_renewal.max(Duration::from_millis(10));
    let mut renewal = Instant::now() + interval;
    loop {
        let soonest = node.people.state.lock().leaving.values().min().copied();
        let until = soonest.map_or(renewal, |soonest| soonest.min(renewal));
        tokio::select! {
            () = node.people.wake.notified() => {}
            () = tokio::time::sleep_until(until) => {}
            () = life.ended() => return,
        }
        let now = Instant::now();
        let all = std::mem::take(&mut node.people.state.lock().renew_all) || now >= renewal;
        if all {
            renewal = now + interval;
        }
        round(&node, now, all).await;
    }
}

/// One round: leases first, then news.
async fn round(node: &Arc<Node>, now: Instant, all: bool) {
    let (mut dirty, left, look) = take(node, now, all);
    let touched: Vec<UserId> = dirty.iter().chain(&left).cloned().collect();
    if all {
        dirty.extend(node.registry.users());
        dirty.extend(node.people.state.lock().leaving.keys().cloned());
    }
    let leases: Vec<Lease> = dirty.iter().filter_map(|user| lease(node, user)).collect();
    if !leases.is_empty() {
        let renewed = node.backends.presence.renew(node.id, leases);
        let _ = node.tolerate(&node.outages.presence, renewed).await;
    }
    if !left.is_empty() {
        let released = node.backends.presence.release(node.id, left);
        let _ = node.tolerate(&node.outages.presence, released).await;
    }
    for user in &touched {
        node.publisher.presence(user);
    }
    news(node, look.into_iter().chain(touched).collect()).await;
}

/// Who came or changed, who left for good, and who is to be looked at.
fn take(node: &Node, now: Instant, all: bool) -> (HashSet<UserId>, Vec<UserId>, HashSet<UserId>) {
    let mut state = node.people.state.lock();
    let dirty = std::mem::take(&mut state.dirty);
    let due: Vec<UserId> = state
        .leaving
        .iter()
        .filter(|(_, until)| **until <= now)
        .map(|(user, _)| user.clone())
        .collect();
    for user in &due {
        state.leaving.remove(user);
    }
    let mut look = std::mem::take(&mut state.look);
    if all {
        look.extend(state.watched.keys().cloned());
    }
    drop(state);
    let left = due.into_iter().filter(|user| node.registry.of(user).is_empty()).collect();
    (dirty, left, look)
}

/// All devices of a user on this node together; somebody in their grace keeps the last word.
fn lease(node: &Node, user: &UserId) -> Option<Lease> {
    let statuses: Vec<PresenceStatus> =
        node.registry.of(user).iter().map(|connection| connection.status()).collect();
    let status = if statuses.contains(&PresenceStatus::Busy) {
        PresenceStatus::Busy
    } else if statuses.contains(&PresenceStatus::Online) {
        PresenceStatus::Online
    } else if statuses.is_empty() {
        node.people.state.lock().leaving.contains_key(user).then_some(PresenceStatus::Online)?
    } else {
        PresenceStatus::Away
    };
    Some(Lease { user_id: user.clone(), status, ttl: node.config.presence_lease })
}

/// Tells watchers what differs from what they were told.
async fn news(node: &Node, users: HashSet<UserId>) {
    let users: Vec<UserId> = {
        let state = node.people.state.lock();
        users.into_iter().filter(|user| state.watched.contains_key(user)).collect()
    };
    for info in look(node, &users).await {
        let mut state = node.people.state.lock();
        let Some(watched) = state.watched.get_mut(&info.user_id) else { continue };
        if watched.told.as_ref().map(|told| told.status) == Some(info.status) {
            continue;
        }
        watched.told = Some(info.clone());
        let event = Event::Ephemeral(Ephemeral::Presence { users: vec![info] });
        let mut delivery = Delivery::new(event);
        for watcher in &watched.watchers {
            watcher.deliver(&mut delivery);
        }
    }
}
