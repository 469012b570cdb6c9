//! Two engines on one store, while the Redis between them dies and comes back.

use std::{sync::Arc, time::Duration};

use parlor_core::{
    Chat, Resume, Subscription,
    backends::MemoryStore,
    event::{ChangeBody, Ephemeral, Event, SessionEvent},
    model::{Identity, NewGroup, NewMessage, PresenceStatus},
};
use parlor_store_redis::RedisBackends;
use parlor_test_services::Redis;

use crate::support::{SOON, hasty, open, soon, user};

async fn node(store: &MemoryStore, backends: &RedisBackends) -> Chat {
    Chat::builder(Arc::new(store.clone()))
        .bus(backends.bus())
        .presence(backends.presence())
        .rate_limiter(backends.rate_limiter())
        // What is lost is found because the bus says so, not because somebody looks now and then.
        .configure(|config| config.sweep_interval = Duration::from_secs(3600))
        .configure(|config| config.presence_renewal = Duration::from_secs(1))
        .build()
        .await
        .unwrap()
}

async fn next(device: &mut Subscription) -> Arc<Event> {
    let next = tokio::time::timeout(SOON, device.next()).await;
    next.expect("an event in time").expect("the connection stays")
}

/// Waits for a message, live or caught up with.
async fn hear(device: &mut Subscription, body: &str) {
    loop {
        let heard = match &*next(device).await {
            Event::Change(change) => match &change.body {
                ChangeBody::MessageSent { message } => message.body == body,
                _ => false,
            },
            Event::Session(SessionEvent::Changes(changes)) => {
                changes.messages.iter().any(|message| message.body == body)
            }
            _ => false,
        };
        if heard {
            return;
        }
    }
}

/// Waits until bob is told to be so.
async fn see(device: &mut Subscription, status: PresenceStatus) {
    loop {
        if let Event::Ephemeral(Ephemeral::Presence { users }) = &*next(device).await
            && users.iter().any(|info| info.user_id == user("bob") && info.status == status)
        {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_goes_on_without_redis_and_what_was_missed_is_made_good() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), hasty()).await;
    let store = MemoryStore::new();
    let (one, two) = (node(&store, &backends).await, node(&store, &backends).await);
    let ann = one.as_user(Identity::new(user("ann")));
    let bob = two.as_user(Identity::new(user("bob")));
    let id = ann.open_direct(user("bob")).await.unwrap().conversation.id;
    let mut ann_hears = ann.subscribe(Resume::new()).await.unwrap();
    let mut bob_hears = bob.subscribe(Resume::new()).await.unwrap();
    see(&mut ann_hears, PresenceStatus::Online).await;
    ann.send(id, NewMessage::text("over the bus")).await.unwrap();
    hear(&mut bob_hears, "over the bus").await;

    redis.kill();
    soon("the loss is noticed", || async { backends.ping().await.is_err() }).await;
    see(&mut ann_hears, PresenceStatus::Unknown).await;
    ann.send(id, NewMessage::text("without redis")).await.unwrap();
    hear(&mut ann_hears, "without redis").await;
    // Who connects now is listened for later.
    let cem = two.as_user(Identity::new(user("cem")));
    let mut cem_hears = cem.subscribe(Resume::new()).await.unwrap();

    redis.revive();
    hear(&mut bob_hears, "without redis").await;
    see(&mut ann_hears, PresenceStatus::Online).await;
    ann.send(id, NewMessage::text("over the bus again")).await.unwrap();
    hear(&mut bob_hears, "over the bus again").await;
    let group = NewGroup::new("Group", [user("cem")]);
    let group = ann.create_group(group).await.unwrap().conversation.id;
    ann.send(group, NewMessage::text("hello cem")).await.unwrap();
    hear(&mut cem_hears, "hello cem").await;
}
