use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use governor::{
    RateLimiter as Governor,
    clock::{Clock as _, DefaultClock, Reference as _},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::keyed::DashMapStateStore,
};
use parking_lot::RwLock;

use crate::{
    BackendError, Clock,
    traits::{Quota, RateLimiter, Rated},
};

/// As many takes pass at least between two sweeps.
const SWEEP_EVERY: i64 = 4096;

type Keyed = Governor<String, DashMapStateStore<String>, Ticks, NoOpMiddleware<Nanos>>;

/// Rate limits in memory, for one process (GCRA, by the governor crate).
///
/// Keys whose quota is whole again are swept out now and then, so memory follows those who are
/// active, without a task of its own.
#[derive(Debug)]
pub struct GovernorLimiter {
    ticks: Ticks,
    limiters: RwLock<HashMap<(&'static str, Quota), Arc<Keyed>>>,
    /// Takes left until the next sweep.
    until_sweep: AtomicI64,
}

impl GovernorLimiter {
    /// Counts by the system's monotone clock.
    pub fn new() -> Self {
        let clock = DefaultClock::default();
        let start = clock.now();
        Self::with_ticks(Ticks::System { clock, start })
    }

    /// Counts by the given clock, for tests: a clock that is set back refuses for as long.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::with_ticks(Ticks::Given(clock))
    }

    fn with_ticks(ticks: Ticks) -> Self {
        let until_sweep = AtomicI64::new(SWEEP_EVERY);
        Self { ticks, limiters: RwLock::new(HashMap::new()), until_sweep }
    }

    fn limiter(&self, class: &'static str, quota: Quota) -> Arc<Keyed> {
        if let Some(limiter) = self.limiters.read().get(&(class, quota)) {
            return limiter.clone();
        }
        let mut limiters = self.limiters.write();
        let limiter = limiters.entry((class, quota)).or_insert_with(|| {
            let governed = governor::Quota::per_second(at_least_one(quota.per_second))
                .allow_burst(at_least_one(quota.burst));
            Arc::new(Keyed::dashmap_with_clock(governed, self.ticks.clone()))
        });
        limiter.clone()
    }

    /// Sweeps when its turn has come. The pause grows with what is kept, so a take pays a constant share.
    fn sweep_in_turn(&self) {
        // Exactly one take sees the 1; those after it count below zero until the pause is set anew.
        if self.until_sweep.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        let limiters: Vec<_> = self.limiters.read().values().cloned().collect();
        let mut kept = 0;
        for limiter in limiters {
            limiter.retain_recent();
            limiter.shrink_to_fit();
            kept += limiter.len();
        }
        // A limiter that a take still holds stays: its unit must not be lost.
        self.limiters
            .write()
            .retain(|_, limiter| !limiter.is_empty() || Arc::strong_count(limiter) > 1);
        let pause = i64::try_from(kept).unwrap_or(i64::MAX).max(SWEEP_EVERY);
        self.until_sweep.store(pause, Ordering::Relaxed);
    }
}

impl Default for GovernorLimiter {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RateLimiter for GovernorLimiter {
    async fn take(
        &self,
        class: &'static str,
        key: &str,
        quota: Quota,
    ) -> Result<Rated, BackendError> {
        self.sweep_in_turn();
        let limiter = self.limiter(class, quota);
        Ok(match limiter.check_key(&key.to_owned()) {
            Ok(()) => Rated::Granted,
            Err(until) => Rated::RetryAfter(whole_millis(until.wait_time_from(self.ticks.now()))),
        })
    }
}

fn at_least_one(units: u32) -> NonZeroU32 {
    NonZeroU32::new(units).unwrap_or(NonZeroU32::MIN)
}

/// Rounds up: a caller told in milliseconds must not come back a fraction too early.
fn whole_millis(wait: Duration) -> Duration {
    let millis = wait.as_nanos().div_ceil(1_000_000).max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The time that governor counts by.
#[derive(Debug, Clone)]
enum Ticks {
    System { clock: DefaultClock, start: <DefaultClock as governor::clock::Clock>::Instant },
    Given(Arc<dyn Clock>),
}

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match self {
            Self::System { clock, start } => clock.now().duration_since(*start),
            Self::Given(clock) => {
                let millis = u64::try_from(clock.now().as_millis()).unwrap_or(0);
                Nanos::new(millis.saturating_mul(1_000_000))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestClock;

    const QUOTA: Quota = Quota::new(3, 2);

    fn limiter() -> (TestClock, GovernorLimiter) {
        let clock = TestClock::new();
        (clock.clone(), GovernorLimiter::with_clock(Arc::new(clock)))
    }

    async fn take(limiter: &GovernorLimiter, class: &'static str, key: &str) -> Rated {
        limiter.take(class, key, QUOTA).await.unwrap()
    }

    #[tokio::test]
    async fn a_burst_passes_and_then_the_rate_holds() {
        let (clock, limiter) = limiter();
        assert_eq!(take(&limiter, "send", "ann").await, Rated::Granted);
        assert_eq!(take(&limiter, "send", "ann").await, Rated::Granted);
        let wait = Duration::from_millis(334);
        assert_eq!(take(&limiter, "send", "ann").await, Rated::RetryAfter(wait));
        clock.advance(wait - Duration::from_millis(1));
        assert!(matches!(take(&limiter, "send", "ann").await, Rated::RetryAfter(_)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(take(&limiter, "send", "ann").await, Rated::Granted, "refusals cost nothing");
        assert!(matches!(take(&limiter, "send", "ann").await, Rated::RetryAfter(_)));
    }

    #[tokio::test]
    async fn keys_and_classes_count_apart() {
        let (_, limiter) = limiter();
        while take(&limiter, "send", "ann").await == Rated::Granted {}
        assert_eq!(take(&limiter, "send", "bob").await, Rated::Granted);
        assert_eq!(take(&limiter, "typing", "ann").await, Rated::Granted);
    }

    #[tokio::test]
    async fn zeros_count_as_one_and_the_largest_quota_lets_all_pass() {
        let limiter = GovernorLimiter::default();
        let zero = Quota { per_second: 0, burst: 0 };
        assert_eq!(limiter.take("zero", "ann", zero).await.unwrap(), Rated::Granted);
        let refused = limiter.take("zero", "ann", zero).await.unwrap();
        assert!(
            matches!(refused, Rated::RetryAfter(wait) if !wait.is_zero() && wait.as_secs() <= 1)
        );
        let lifted = Quota::new(u32::MAX, u32::MAX);
        for _ in 0..10_000 {
            assert_eq!(limiter.take("lifted", "ann", lifted).await.unwrap(), Rated::Granted);
        }
    }

    #[tokio::test]
    async fn keys_that_are_whole_again_are_swept_out() {
        let (clock, limiter) = limiter();
        for round in 0..5 {
            for key in 0..SWEEP_EVERY {
                let key = format!("{round}:{key}");
                assert_eq!(take(&limiter, "send", &key).await, Rated::Granted);
            }
            clock.advance(Duration::from_secs(10));
        }
        let kept: usize = limiter.limiters.read().values().map(|limiter| limiter.len()).sum();
        assert!(kept <= 2 * usize::try_from(SWEEP_EVERY).unwrap(), "{kept} keys are kept");
    }

    #[tokio::test]
    async fn a_sweep_spares_those_who_are_not_whole_yet_and_drops_idle_quotas() {
        let (clock, limiter) = limiter();
        limiter.take("once", "ann", Quota::new(1, 1)).await.unwrap();
        clock.advance(Duration::from_secs(10));
        while take(&limiter, "send", "ann").await == Rated::Granted {}
        limiter.until_sweep.store(1, Ordering::Relaxed);
        assert!(matches!(take(&limiter, "send", "ann").await, Rated::RetryAfter(_)));
        let classes: Vec<_> = limiter.limiters.read().keys().map(|(class, _)| *class).collect();
        assert_eq!(classes, ["send"]);
    }
}
