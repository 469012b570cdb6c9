//! Puts an engine together.

use std::sync::{Arc, atomic::AtomicBool};

use parking_lot::RwLock;
use tokio::sync::Semaphore;

use super::{
    Chat, Config,
    budget::Budget,
    catchup,
    committer::Committer,
    cursors::{self, CursorWriter},
    hooks::{self, Hooks},
    inflight::Inflight,
    lane,
    node::{Backends, Life, Node},
    outage::Outages,
    people::{self, People},
    publisher::{self, Publisher},
    receipts::{self, Receipts},
    registry::{Caps, Registry},
    relay,
    rooms::Rooms,
    session,
    typing::{self, TypingBoard},
};
use crate::{
    Clock, Error, SystemClock,
    backends::{GovernorLimiter, LocalBus, MemoryPresence, TokenDirectory},
    model::NodeId,
    store::Store,
    traits::{
        AccessPolicy, Authenticator, Bus, Everyone, Hook, MembershipSource, Presence, RateLimiter,
        UserDirectory,
    },
};

/// Puts a [`Chat`] together. Everything but the store has a default.
#[derive(Debug)]
#[must_use]
pub struct ChatBuilder {
    config: Config,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    presence: Option<Arc<dyn Presence>>,
    limiter: Arc<dyn RateLimiter>,
    policy: Arc<dyn AccessPolicy>,
    directory: Arc<dyn UserDirectory>,
    authenticator: Option<Arc<dyn Authenticator>>,
    membership: Option<Arc<dyn MembershipSource>>,
    hooks: Vec<Arc<dyn Hook>>,
    clock: Arc<dyn Clock>,
}

impl ChatBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            config: Config::default(),
            store,
            bus: Arc::new(LocalBus),
            presence: None,
            limiter: Arc::new(GovernorLimiter::default()),
            policy: Arc::new(Everyone),
            directory: Arc::new(TokenDirectory::default()),
            authenticator: None,
            membership: None,
            hooks: Vec::new(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the settings. Defaults to [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Changes the settings in place.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Sets what carries events between nodes. Defaults to none: one node.
    pub fn bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.bus = bus;
        self
    }

    /// Sets where presence is kept. Defaults to memory: one node.
    pub fn presence(mut self, presence: Arc<dyn Presence>) -> Self {
        self.presence = Some(presence);
        self
    }

    /// Sets what counts requests. Defaults to memory: each node for itself.
    pub fn rate_limiter(mut self, limiter: Arc<dyn RateLimiter>) -> Self {
        self.limiter = limiter;
        self
    }

    /// Sets what decides beyond membership and roles. Defaults to [`Everyone`].
    pub fn policy(mut self, policy: Arc<dyn AccessPolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Sets where names and pictures come from. Defaults to what tokens said.
    pub fn directory(mut self, directory: Arc<dyn UserDirectory>) -> Self {
        self.directory = directory;
        self
    }

    /// Sets what tells callers by their tokens. Defaults to none: then only the host's own session
    /// layer brings identities.
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Sets the host's own tables of members. Defaults to none: the store's members count.
    pub fn membership(mut self, source: Arc<dyn MembershipSource>) -> Self {
        self.membership = Some(source);
        self
    }

    /// Adds a hook; they are called in the order in which they were added.
    pub fn hook(mut self, hook: Arc<dyn Hook>) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Sets the clock. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Asks the store for its epoch and starts the engine's tasks. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store does not answer.
    pub async fn build(self) -> Result<Chat, Error> {
        let epoch = self.store.epoch().await?;
        let config = self.config;
        let presence =
            self.presence.unwrap_or_else(|| Arc::new(MemoryPresence::new(Arc::clone(&self.clock))));
        let lanes = config.lanes.unwrap_or_else(|| self.store.lanes());
        let (committer, lanes) = Committer::new(lanes, config.pending_sends);
        let (publisher, jobs) = Publisher::new(self.bus.has_peers());
        let (hooks, after) = Hooks::new(self.hooks, config.hook_deadline);
        let node = Arc::new(Node {
            id: NodeId::random(),
            registry: Registry::new(Caps {
                per_user: config.connections_per_user,
                per_address: config.connections_per_address,
                total: config.connections,
            }),
            rooms: Rooms::new(),
            budget: Arc::new(Budget::new(config.node_outbox_bytes)),
            committer,
            cursors: CursorWriter::default(),
            receipts: Receipts::default(),
            typing: TypingBoard::default(),
            people: People::default(),
            publisher,
            hooks,
            gaps: catchup::Gaps::default(),
            inflight: Arc::new(Inflight::default()),
            outages: Outages::default(),
            resumes: Semaphore::new(config.concurrent_resumes.max(1)),
            epoch: RwLock::new(epoch),
            draining: AtomicBool::new(false),
            config,
            backends: Backends {
                store: self.store,
                bus: self.bus,
                presence,
                limiter: self.limiter,
                policy: self.policy,
                directory: self.directory,
                authenticator: self.authenticator,
                membership: self.membership,
                clock: self.clock,
            },
        });
        let (end, life) = Life::new();
        lane::run(&node, lanes, &life);
        publisher::run(&node, jobs, &life);
        hooks::run(&node, after, &life);
        cursors::run(&node, &life);
        receipts::run(&node, &life);
        typing::run(&node, &life);
        people::run(&node, &life);
        catchup::run(&node, &life);
        relay::run(&node, &life);
        session::run_expiry(&node, &life);
        Ok(Chat::new(node, end))
    }
}
