//! Rate limits that all nodes share, with a local count for when Redis is not there.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use parlor_core::{
    BackendError,
    backends::GovernorLimiter,
    traits::{Quota, RateLimiter, Rated},
};
use redis::FromRedisValue;

use crate::{
    error::Fault,
    link::Link,
    names::Names,
    script::{self, TAKE},
};

/// Counts in Redis; locally, as a single node would, while Redis does not answer.
#[derive(Debug)]
pub(crate) struct RedisLimiter {
    link: Link,
    names: Names,
    local: GovernorLimiter,
    is_local: AtomicBool,
}

impl RedisLimiter {
    pub(crate) fn new(link: Link, names: Names) -> Self {
        let is_local = AtomicBool::new(false);
        Self { link, names, local: GovernorLimiter::new(), is_local }
    }

    async fn take_shared(&self, class: &str, key: &str, quota: Quota) -> Result<Rated, Fault> {
        let mut calls = redis::pipe();
        script::call(&mut calls, &TAKE, &self.names.rate(class, key))
            .arg(quota.per_second.max(1))
            .arg(quota.burst.max(1));
        let answer = script::run(&self.link, &calls).await?.pop().ok_or_else(Fault::unexpected)?;
        let wait = u64::from_redis_value(answer).map_err(|_| Fault::unexpected())?;
        Ok(if wait == 0 { Rated::Granted } else { Rated::RetryAfter(Duration::from_millis(wait)) })
    }

    /// Says once, not at each call, that counting moved.
    fn moved(&self, why: Option<&Fault>) {
        if self.is_local.swap(why.is_some(), Ordering::AcqRel) == why.is_some() {
            return;
        }
        match why {
            Some(why) => tracing::warn!(%why, "rate limits are counted by this node alone"),
            None => tracing::info!("rate limits are counted for all nodes together again"),
        }
    }
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    async fn take(
        &self,
        class: &'static str,
        key: &str,
        quota: Quota,
    ) -> Result<Rated, BackendError> {
        match self.take_shared(class, key, quota).await {
            Ok(rated) => {
                self.moved(None);
                Ok(rated)
            }
            Err(why) => {
                self.moved(Some(&why));
                metrics::counter!("parlor_redis_local_takes_total").increment(1);
                self.local.take(class, key, quota).await
            }
        }
    }
}
