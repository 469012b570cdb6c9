//! Nodes, and waiting for what must happen.

use std::{
    cell::RefCell,
    collections::HashSet,
    io,
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Future, StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use parlor_core::{
    model::UserId,
    traits::{Bus, BusItem, Publication, Topic},
};
use parlor_store_redis::{RedisBackends, RedisConfig};

/// Within this it happens, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Patient with a busy machine: for tests in which Redis is up.
pub(crate) fn patient() -> RedisConfig {
    RedisConfig::new().response_timeout(Duration::from_secs(10))
}

/// Soon tired of waiting, but not of a busy machine: for tests in which Redis does not answer.
pub(crate) fn hasty() -> RedisConfig {
    RedisConfig::new().response_timeout(Duration::from_secs(1))
}

pub(crate) async fn open(url: &str, config: RedisConfig) -> RedisBackends {
    RedisBackends::open_with(url, config).await.unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn topic(name: &str) -> Topic {
    Topic::User(user(name))
}

pub(crate) fn to(topic: &Topic, payload: impl Into<Bytes>) -> Vec<Publication> {
    vec![Publication { topics: vec![topic.clone()], payload: payload.into() }]
}

/// Looks until `look` says yes.
pub(crate) async fn soon<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
    let deadline = Instant::now() + SOON;
    while !look().await {
        assert!(Instant::now() < deadline, "not within {} s: {what}", SOON.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A node's bus and what came in.
pub(crate) struct Node {
    pub(crate) bus: Arc<dyn Bus>,
    incoming: BoxStream<'static, BusItem>,
}

impl Node {
    pub(crate) fn new(backends: &RedisBackends) -> Self {
        let bus = backends.bus();
        let incoming = bus.incoming();
        Self { bus, incoming }
    }

    pub(crate) async fn join(&self, name: &str) {
        self.bus.join(vec![topic(name)]).await.unwrap();
    }

    pub(crate) async fn publish(&self, name: &str, payload: &str) {
        self.bus.publish(to(&topic(name), payload.to_owned())).await.unwrap();
    }

    /// The next item, `-` for a gap.
    pub(crate) async fn next(&mut self) -> String {
        let next = tokio::time::timeout(SOON, self.incoming.next()).await;
        match next.expect("something comes in").expect("the stream goes on") {
            BusItem::Message(payload) => String::from_utf8(payload.to_vec()).unwrap(),
            BusItem::Gap => "-".to_owned(),
        }
    }

    /// Waits for a gap, past messages.
    pub(crate) async fn gap(&mut self) {
        while self.next().await != "-" {}
    }

    /// Waits until all of these came, in whatever order.
    pub(crate) async fn hear_all(&mut self, payloads: impl IntoIterator<Item = String>) {
        let mut missing: HashSet<String> = payloads.into_iter().collect();
        while !missing.is_empty() {
            missing.remove(&self.next().await);
        }
    }
}

/// Publishes until it works again.
pub(crate) async fn publish_again(bus: &dyn Bus, name: &str, payload: &str) {
    soon("publishing works again", || async {
        bus.publish(to(&topic(name), payload.to_owned())).await.is_ok()
    })
    .await;
}

thread_local! {
    static LOG: RefCell<Log> = RefCell::default();
}

type Log = Arc<Mutex<String>>;

/// What this thread logs from now on: for tests whose tasks all run on it.
pub(crate) fn log() -> Log {
    // One subscriber for all threads: those that come and go make each other miss lines.
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(|| Written(LOG.with_borrow(Clone::clone)))
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    LOG.take();
    LOG.with_borrow(Clone::clone)
}

struct Written(Log);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
