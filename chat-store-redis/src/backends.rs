use std::{fmt, sync::Arc};

use parlor_core::{
    BackendError,
    store::Store,
    traits::{Bus, Presence, RateLimiter},
};
use tokio::runtime::Handle;

use crate::{
    RedisConfig, StoreServer,
    bus::RedisBus,
    connection::Connector,
    error::Fault,
    link::Link,
    names::Names,
    presence::RedisPresence,
    rate::RedisLimiter,
    remote::{Asker, RemoteStore},
    url,
};

/// Bus, presence and rate limits on one Redis. Clones share connections, which end with the last of them and of
/// what they handed out.
#[derive(Clone)]
pub struct RedisBackends {
    shared: Arc<Shared>,
}

struct Shared {
    connector: Connector,
    link: Link,
    names: Names,
    config: RedisConfig,
    presence: Arc<RedisPresence>,
    limiter: Arc<RedisLimiter>,
    runtime: Handle,
}

impl RedisBackends {
    /// Opens the Redis of a URL: `redis://host:port`, `rediss://` for TLS, `redis://user:password@host:port/db` for a
    /// user and a database; what is no letter or digit in a password is percent-encoded.
    ///
    /// Waits for the first attempt to connect, at most the connect timeout. A Redis that cannot be reached is no
    /// error: it is tried again in the background, as it is whenever it is lost later, and the log says so.
    ///
    /// # Errors
    /// [`Configuration`](parlor_core::BackendErrorKind::Configuration) names what is wrong with the URL,
    /// and never shows its password. The same outside a tokio runtime.
    pub async fn open(url: &str) -> Result<Self, BackendError> {
        Self::open_with(url, RedisConfig::new()).await
    }

    /// Like [`Self::open`], set up by hand.
    ///
    /// # Errors
    /// As [`Self::open`], and names what is wrong with the configuration.
    pub async fn open_with(url: &str, config: RedisConfig) -> Result<Self, BackendError> {
        let client = config.check().and_then(|()| url::client(url, &config));
        let client = client.map_err(|fault| fault.during("open"))?;
        let runtime = Handle::try_current();
        let runtime = runtime.map_err(|error| Fault::configuration(error).during("open"))?;
        let connector = Connector::new(client, config.connect_timeout);
        let link = Link::open(connector.clone(), config.response_timeout, &runtime).await;
        let names = Names::new(&config.prefix);
        let presence = RedisPresence::new(link.clone(), names.clone(), config.last_seen);
        let limiter = RedisLimiter::new(link.clone(), names.clone());
        let shared = Shared {
            connector,
            link,
            names,
            config,
            presence: Arc::new(presence),
            limiter: Arc::new(limiter),
            runtime,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A bus for one node. Each call makes another one, which connects in the background.
    pub fn bus(&self) -> Arc<dyn Bus> {
        let shared = &*self.shared;
        Arc::new(RedisBus::start(
            shared.link.clone(),
            shared.connector.clone(),
            shared.names.clone(),
            &shared.config,
            &shared.runtime,
        ))
    }

    /// The presence leases.
    pub fn presence(&self) -> Arc<dyn Presence> {
        Arc::clone(&self.shared.presence) as Arc<dyn Presence>
    }

    /// The rate limits. While Redis does not answer they are counted by this node alone, as
    /// [`GovernorLimiter`](parlor_core::backends::GovernorLimiter) does.
    pub fn rate_limiter(&self) -> Arc<dyn RateLimiter> {
        Arc::clone(&self.shared.limiter) as Arc<dyn RateLimiter>
    }

    /// A store for a node without a database: every call is answered by one of the processes that serve theirs
    /// over this Redis with [`Self::store_server`]. Each call makes another one, with a connection of its own
    /// for the answers.
    ///
    /// A call waits at most [`RedisConfig::store_deadline`]. A process that dies with a question is no failure:
    /// reads, and sends with an idempotency key, are asked again and answered by another one; other changes
    /// fail as something to try again, and were made or not. After nobody answered within the deadline, calls
    /// fail at once until somebody does again. At most 1,024 questions of a node and 10,000 of all may wait, and
    /// what nobody takes within the deadline is never carried out.
    pub fn remote_store(&self) -> Arc<dyn Store> {
        let shared = &*self.shared;
        Arc::new(RemoteStore::new(Asker::start(
            shared.link.clone(),
            shared.connector.clone(),
            &shared.names,
            &shared.config,
            &shared.runtime,
        )))
    }

    /// Serves a store to the nodes that ask it with [`Self::remote_store`], once it is run.
    pub fn store_server(&self, store: Arc<dyn Store>) -> StoreServer {
        let shared = &*self.shared;
        StoreServer::new(store, shared.connector.clone(), shared.link.clone(), &shared.names)
    }

    /// Asks Redis for a sign of life.
    ///
    /// # Errors
    /// Says why there is none: [`Configuration`](parlor_core::BackendErrorKind::Configuration) for a password or rights
    /// that are refused, otherwise a retryable error.
    pub async fn ping(&self) -> Result<(), BackendError> {
        self.shared.link.ping().await.map_err(|fault| fault.during("ping"))
    }
}

impl fmt::Debug for RedisBackends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackends")
            .field("address", &self.shared.connector.address())
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
