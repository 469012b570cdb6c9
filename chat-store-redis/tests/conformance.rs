//! The public conformance suite on a real Redis.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use parlor_core::{
    conformance::shared::{Fixture, assert_conforms},
    traits::{Bus, Presence, RateLimiter},
};
use parlor_store_redis::{RedisBackends, RedisConfig};

/// Each node has connections of its own.
struct Shared;

async fn open() -> RedisBackends {
    // A fallback or a late answer must not pass for Redis' own.
    let config = RedisConfig::new().prefix("conformance").response_timeout(Duration::from_secs(10));
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
