//! The backends in memory keep the whole contract.

use std::sync::Arc;

use parlor_core::{
    backends::{GovernorLimiter, MemoryHub, MemoryPresence, MemoryStore},
    conformance::{Fixture, assert_conforms, shared},
    store::Store,
    traits::{Bus, Presence, RateLimiter},
};

/// Clones share one medium.
struct Memory(MemoryStore);

#[async_trait::async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_conforms() {
    assert_conforms(&Memory(MemoryStore::new())).await;
}

/// What the nodes of one process share.
#[derive(Default)]
struct Process {
    hub: MemoryHub,
    presence: MemoryPresence,
    limiter: Arc<GovernorLimiter>,
}

#[async_trait::async_trait]
impl shared::Fixture for Process {
    async fn bus(&self) -> Option<Arc<dyn Bus>> {
        Some(Arc::new(self.hub.node()))
    }

    async fn presence(&self) -> Option<Arc<dyn Presence>> {
        Some(Arc::new(self.presence.clone()))
    }

    async fn rate_limiter(&self) -> Option<Arc<dyn RateLimiter>> {
        Some(self.limiter.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_share_in_memory_conforms() {
    shared::assert_conforms(&Process::default()).await;
}
