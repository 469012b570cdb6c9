//! The public conformance suite on a real Redis.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use parlor_core::{
    backends::MemoryStore,
    conformance::{
        self,
        shared::{Fixture, assert_conforms},
    },
    model::NodeId,
    store::Store,
    traits::{Bus, Presence, RateLimiter},
};
use parlor_store_redis::{RedisBackends, RedisConfig};
use tokio::task::JoinSet;

/// Each node has connections of its own.
struct Shared;

async fn open() -> RedisBackends {
    redis("conformance").await
}

async fn redis(prefix: &str) -> RedisBackends {
    // A fallback or a late answer must not pass for Redis' own.
    let config = RedisConfig::new().prefix(prefix).response_timeout(Duration::from_secs(10));
    RedisBackends::open_with(parlor_test_services::redis().url(), config).await.unwrap()
}

#[async_trait::async_trait]
impl Fixture for Shared {
    async fn bus(&self) -> Option<Arc<dyn Bus>> {
        Some(open().await.bus())
    }

    async fn presence(&self) -> Option<Arc<dyn Presence>> {
        Some(open().await.presence())
    }

    async fn rate_limiter(&self) -> Option<Arc<dyn RateLimiter>> {
        Some(open().await.rate_limiter())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms() {
    assert_conforms(&Shared).await;
}

/// Every node asks over Redis; two processes, so to speak, have the store.
struct Remote {
    prefix: String,
    _servers: JoinSet<()>,
}

impl Remote {
    async fn start() -> Self {
        let prefix = format!("remote-{}", NodeId::random());
        let store = MemoryStore::new();
        let mut servers = JoinSet::new();
        for _ in 0..2 {
            let server = redis(&prefix).await.store_server(Arc::new(store.clone()));
            servers.spawn(server.run(std::future::pending()));
        }
        Self { prefix, _servers: servers }
    }
}

#[async_trait::async_trait]
impl conformance::Fixture for Remote {
    async fn open(&self) -> Arc<dyn Store> {
        redis(&self.prefix).await.remote_store()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_store_conforms() {
    conformance::assert_conforms(&Remote::start().await).await;
}
