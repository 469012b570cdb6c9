//! Presence: leases, a grace, several devices as one person, and only among those who share a conversation.

use std::{sync::Arc, time::Duration};

use parlor::{
    BackendError, BackendErrorKind, Chat,
    backends::{MemoryBus, MemoryPresence, MemoryStore},
    command::*,
    model::*,
    testing::TestClock,
    traits::{Lease, Presence},
};
use serde_json::Value;

use crate::support::*;

fn tells(event: &Value, who: &str, status: &str) -> bool {
    event["type"] == "presence"
        && event["users"]
            .as_array()
            .unwrap()
            .iter()
            .any(|info| info["user_id"] == who && info["status"] == status)
}

#[tokio::test(start_paused = true)]
async fn direct_peers_see_who_comes_and_goes_after_the_grace() {
    let chat = chat().await;
    let ann = chat.as_user(identity("ann"));
    ann.open_direct(user("bob")).await.unwrap();
    let mut watcher = Device::connect(&chat, identity("ann")).await;
    watcher.until(|event| tells(event, "bob", "offline")).await;
    let phone = Device::connect(&chat, identity("bob")).await;
    watcher.until(|event| tells(event, "bob", "online")).await;
    let laptop = Device::connect(&chat, identity("bob")).await;
    drop(phone);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let before = tokio::time::Instant::now();
    drop(laptop);
    watcher
        .none_before(|event| tells(event, "bob", "online"), |event| tells(event, "bob", "offline"))
        .await;
    let grace = before.elapsed();
    assert!((9..=12).contains(&grace.as_secs()), "after the grace: {grace:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_is_not_told_again() {
    let chat = chat().await;
    chat.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    let mut watcher = Device::connect(&chat, identity("ann")).await;
    watcher.until(|event| tells(event, "bob", "offline")).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let _bob = Device::connect(&chat, identity("bob")).await;
    watcher
        .none_before(|event| tells(event, "bob", "offline"), |event| tells(event, "bob", "online"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_page_reload_is_not_seen() {
    let chat = chat().await;
    chat.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    let mut watcher = Device::connect(&chat, identity("ann")).await;
    let bob = Device::connect(&chat, identity("bob")).await;
    watcher.until(|event| tells(event, "bob", "online")).await;
    drop(bob);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let bob = Device::connect(&chat, identity("bob")).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    bob.subscription.session().set_status(PresenceStatus::Away).unwrap();
    watcher
        .none_before(|event| tells(event, "bob", "offline"), |event| tells(event, "bob", "away"))
        .await;
}

#[tokio::test]
async fn a_busy_device_speaks_for_all() {
    let chat = chat().await;
    chat.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    let mut watcher = Device::connect(&chat, identity("ann")).await;
    let phone = Device::connect(&chat, identity("bob")).await;
    let laptop = Device::connect(&chat, identity("bob")).await;
    phone.subscription.session().set_status(PresenceStatus::Away).unwrap();
    laptop.subscription.session().set_status(PresenceStatus::Busy).unwrap();
    watcher.until(|event| tells(event, "bob", "busy")).await;
    laptop.subscription.session().set_status(PresenceStatus::Away).unwrap();
    watcher.until(|event| tells(event, "bob", "away")).await;
    assert!(laptop.subscription.session().set_status(PresenceStatus::Offline).is_err());
}

#[tokio::test]
async fn only_those_who_share_a_conversation_can_watch() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut ann = Device::connect(&chat, identity("ann")).await;
    let _eve = Device::connect(&chat, identity("eve")).await;
    let watched = ann.subscription.session().watch(vec![user("bob"), user("eve")]).await.unwrap();
    assert_eq!(watched.len(), 1, "eve is a stranger: {watched:?}");
    assert_eq!(watched[0].status, PresenceStatus::Offline);
    let asked = Command::GetPresence(Users { user_ids: vec![user("eve")] });
    let Reply::Presence(seen) = chat.as_user(identity("ann")).dispatch(asked).await.unwrap() else {
        panic!("presence")
    };
    assert!(seen.is_empty());
    let _bob = Device::connect(&chat, identity("bob")).await;
    ann.until(|event| tells(event, "bob", "online")).await;
    // Once they share nothing any more, nothing more is told.
    chat.as_user(identity("ann")).remove_member(id, user("bob")).await.unwrap();
    let still = Command::GetPresence(Users { user_ids: vec![user("bob")] });
    let Reply::Presence(seen) = chat.as_user(identity("ann")).dispatch(still).await.unwrap() else {
        panic!("presence")
    };
    assert!(seen.is_empty());
}

#[tokio::test]
async fn at_most_two_hundred_are_watched() {
    let chat = chat().await;
    let ann = Device::connect(&chat, identity("ann")).await;
    let many = (0..201).map(|number| user(&format!("user {number}"))).collect();
    let refused = ann.subscription.session().watch(many).await.unwrap_err();
    assert_eq!(refused.field(), Some("user_ids"));
}

/// Two nodes on one lease store with a clock that the test moves.
async fn two_nodes() -> (Chat, Chat, TestClock) {
    let (store, hub, clock) = (MemoryStore::new(), MemoryBus::hub(), TestClock::new());
    let presence = MemoryPresence::new(Arc::new(clock.clone()));
    let node = || {
        Chat::builder(Arc::new(store.clone()))
            .bus(Arc::new(hub.node()))
            .presence(Arc::new(presence.clone()))
            .clock(Arc::new(clock.clone()))
            .configure(unlimited)
            .configure(|config| config.presence_renewal = Duration::from_millis(50))
            .build()
    };
    (node().await.unwrap(), node().await.unwrap(), clock)
}

#[tokio::test]
async fn presence_crosses_nodes() {
    let (one, two, _clock) = two_nodes().await;
    one.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    let mut ann = Device::connect(&one, identity("ann")).await;
    let bob = Device::connect(&two, identity("bob")).await;
    ann.until(|event| tells(event, "bob", "online")).await;
    bob.subscription.session().set_status(PresenceStatus::Busy).unwrap();
    ann.until(|event| tells(event, "bob", "busy")).await;
}

#[tokio::test]
async fn a_node_that_dies_takes_its_users_offline() {
    let (one, _two, clock) = two_nodes().await;
    one.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    let presence = MemoryPresence::new(Arc::new(clock.clone()));
    let dead = NodeId::random();
    let ttl = Duration::from_secs(15);
    let lease = Lease { user_id: user("bob"), status: PresenceStatus::Online, ttl };
    presence.renew(dead, vec![lease]).await.unwrap();
    let chat = Chat::builder(Arc::new(MemoryStore::new()))
        .presence(Arc::new(presence))
        .clock(Arc::new(clock.clone()))
        .configure(unlimited)
        .configure(|config| config.presence_renewal = Duration::from_millis(50))
        .build()
        .await
        .unwrap();
    chat.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    let mut ann = Device::connect(&chat, identity("ann")).await;
    ann.until(|event| tells(event, "bob", "online")).await;
    // The dead node renews nothing; nobody releases anything.
    clock.advance(Duration::from_secs(16));
    ann.until(|event| tells(event, "bob", "offline")).await;
}

#[tokio::test]
async fn leases_that_were_lost_with_the_bus_are_taken_again_at_once() {
    let (hub, clock) = (MemoryBus::hub(), TestClock::new());
    let presence = MemoryPresence::new(Arc::new(clock.clone()));
    let bus = hub.node();
    let number = bus.node();
    let chat = builder()
        .bus(Arc::new(bus))
        .presence(Arc::new(presence.clone()))
        // Nothing is renewed in its time.
        .configure(|config| config.presence_renewal = Duration::from_secs(3600))
        .build()
        .await
        .unwrap();
    let _bob = Device::connect(&chat, identity("bob")).await;
    let becomes = async |status| {
        let waiting = async {
            while presence.get(&[user("bob")]).await.unwrap()[0].status != status {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("in time");
    };
    becomes(PresenceStatus::Online).await;
    clock.advance(Duration::from_secs(16));
    becomes(PresenceStatus::Offline).await;
    hub.partition(number, true);
    hub.partition(number, false);
    becomes(PresenceStatus::Online).await;
}

/// Leases of which the test says how they are seen.
#[derive(Debug, Clone)]
struct Seen(Arc<parking_lot::Mutex<PresenceStatus>>);

#[async_trait::async_trait]
impl Presence for Seen {
    async fn renew(&self, _: NodeId, _: Vec<Lease>) -> Result<(), BackendError> {
        Ok(())
    }
    async fn release(&self, _: NodeId, _: Vec<UserId>) -> Result<(), BackendError> {
        Ok(())
    }
    async fn get(&self, users: &[UserId]) -> Result<Vec<PresenceInfo>, BackendError> {
        let status = *self.0.lock();
        let info = |user_id| PresenceInfo { user_id, status, last_seen_at: None };
        Ok(users.iter().cloned().map(info).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_shown_something_old_is_told_the_news_that_others_had_already() {
    let seen = Seen(Arc::new(parking_lot::Mutex::new(PresenceStatus::Busy)));
    let chat = builder().presence(Arc::new(seen.clone())).build().await.unwrap();
    chat.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    let mut phone = Device::connect(&chat, identity("ann")).await;
    phone.until(|event| tells(event, "bob", "busy")).await;
    *seen.0.lock() = PresenceStatus::Online;
    phone.until(|event| tells(event, "bob", "online")).await;
    // A replica that lags, for a moment.
    *seen.0.lock() = PresenceStatus::Busy;
    let mut laptop = Device::connect(&chat, identity("ann")).await;
    *seen.0.lock() = PresenceStatus::Online;
    laptop.until(|event| tells(event, "bob", "busy")).await;
    laptop.until(|event| tells(event, "bob", "online")).await;
}

#[derive(Debug)]
struct Broken;

#[async_trait::async_trait]
impl Presence for Broken {
    async fn renew(&self, _: NodeId, _: Vec<Lease>) -> Result<(), BackendError> {
        Err(BackendError::new(BackendErrorKind::Unavailable, "renew"))
    }
    async fn release(&self, _: NodeId, _: Vec<UserId>) -> Result<(), BackendError> {
        Err(BackendError::new(BackendErrorKind::Unavailable, "release"))
    }
    async fn get(&self, _: &[UserId]) -> Result<Vec<PresenceInfo>, BackendError> {
        Err(BackendError::new(BackendErrorKind::Unavailable, "get"))
    }
}

#[tokio::test]
async fn a_lease_store_that_is_down_means_unknown_and_chat_goes_on() {
    let chat = builder().presence(Arc::new(Broken)).build().await.unwrap();
    let id = chat.as_user(identity("ann")).open_direct(user("bob")).await.unwrap().conversation.id;
    let mut ann = Device::connect(&chat, identity("ann")).await;
    ann.until(|event| tells(event, "bob", "unknown")).await;
    chat.as_user(identity("bob")).send(id, text("still here")).await.unwrap();
    ann.until_body(id, "still here").await;
}

#[derive(Debug)]
struct Panicking;

#[async_trait::async_trait]
impl Presence for Panicking {
    async fn renew(&self, _: NodeId, _: Vec<Lease>) -> Result<(), BackendError> {
        panic!("a backend of the host panics")
    }
    async fn release(&self, _: NodeId, _: Vec<UserId>) -> Result<(), BackendError> {
        panic!("a backend of the host panics")
    }
    async fn get(&self, _: &[UserId]) -> Result<Vec<PresenceInfo>, BackendError> {
        panic!("a backend of the host panics")
    }
}

#[tokio::test]
async fn a_backend_that_panics_takes_no_task_of_the_engine_with_it() {
    let chat = builder().presence(Arc::new(Panicking)).build().await.unwrap();
    chat.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    for _ in 0..3 {
        // Each connection is news for the task that keeps presence; it is still there to tell.
        let mut ann = Device::connect(&chat, identity("ann")).await;
        ann.until(|event| tells(event, "bob", "unknown")).await;
    }
}

#[tokio::test]
async fn a_drain_keeps_nobody_for_the_grace() {
    let presence = MemoryPresence::default();
    let chat = builder().presence(Arc::new(presence.clone())).build().await.unwrap();
    chat.as_user(identity("ann")).open_direct(user("bob")).await.unwrap();
    let mut ann = Device::connect(&chat, identity("ann")).await;
    let bob = Device::connect(&chat, identity("bob")).await;
    ann.until(|event| tells(event, "bob", "online")).await;
    drop(bob);
    drop(ann);
    chat.drain(Duration::ZERO, Duration::from_secs(5)).await;
    let seen = presence.get(&[user("ann"), user("bob")]).await.unwrap();
    assert!(seen.iter().all(|info| info.status == PresenceStatus::Offline), "{seen:?}");
}
