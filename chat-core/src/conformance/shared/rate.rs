//! Rate limits: a quota of units a second, and of units at once.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Fixture, SOON, soon};
use crate::traits::{Quota, RateLimiter, Rated};

async fn open(fixture: &dyn Fixture) -> Arc<dyn RateLimiter> {
    fixture.rate_limiter().await.expect("the fixture brought a limiter before")
}

fn fresh_key() -> String {
    Uuid::new_v4().to_string()
}

async fn take(limiter: &dyn RateLimiter, key: &str, quota: Quota) -> Rated {
    limiter.take("conformance", key, quota).await.expect("take")
}

/// One that may come at once, and the next after so long that no case sees it.
const ONCE: Quota = Quota::new(1, 1);

/// Takes until refused; how many were granted, and how long to wait.
async fn exhaust(limiter: &dyn RateLimiter, key: &str, quota: Quota) -> (u32, Duration) {
    let mut granted = 0;
    loop {
        match take(limiter, key, quota).await {
            Rated::Granted => granted += 1,
            Rated::RetryAfter(wait) => return (granted, wait),
        }
    }
}

pub(super) async fn a_burst_passes_and_then_the_rate_holds(fixture: &dyn Fixture) {
    let limiter = open(fixture).await;
    let (key, began) = (fresh_key(), Instant::now());
    let (granted, wait) = exhaust(&*limiter, &key, Quota::new(1, 5)).await;
    let passed = u32::try_from(began.elapsed().as_secs()).unwrap_or(u32::MAX);
    assert!((5..=6 + passed).contains(&granted), "{granted} at once of a burst of 5");
    assert!(
        !wait.is_zero() && wait <= Duration::from_secs(1),
        "a unit comes each second: {wait:?}"
    );
}

pub(super) async fn refusals_cost_nothing(fixture: &dyn Fixture) {
    let limiter = open(fixture).await;
    let (key, quota) = (fresh_key(), Quota::new(1, 1));
    exhaust(&*limiter, &key, quota).await;
    for _ in 0..200 {
        let rated = take(&*limiter, &key, quota).await;
        let Rated::RetryAfter(wait) = rated else { continue };
        assert!(wait <= Duration::from_secs(1), "refusals were counted: {wait:?}");
    }
}

pub(super) async fn what_was_promised_is_granted(fixture: &dyn Fixture) {
    let limiter = open(fixture).await;
    let (key, quota) = (fresh_key(), Quota::new(5, 2));
    for _ in 0..3 {
        let (_, wait) = exhaust(&*limiter, &key, quota).await;
        // A clock that is a moment behind ours.
        tokio::time::sleep(wait + Duration::from_millis(2)).await;
        assert_eq!(take(&*limiter, &key, quota).await, Rated::Granted, "after {wait:?}");
    }
}

pub(super) async fn the_whole_burst_comes_back(fixture: &dyn Fixture) {
    let limiter = open(fixture).await;
    let (key, quota) = (fresh_key(), Quota::new(20, 10));
    exhaust(&*limiter, &key, quota).await;
    tokio::time::sleep(Duration::from_millis(510)).await;
    let (granted, _) = exhaust(&*limiter, &key, quota).await;
    assert!(granted >= 10, "{granted} of a burst of 10");
}

pub(super) async fn keys_and_classes_count_apart(fixture: &dyn Fixture) {
    let limiter = open(fixture).await;
    let key = fresh_key();
    let keys =
        [format!("{key}:x"), format!("{{{key}}}"), format!("}}{key}"), "x".repeat(300) + &key];
    exhaust(&*limiter, &key, ONCE).await;
    for other in &keys {
        assert_eq!(take(&*limiter, other, ONCE).await, Rated::Granted, "{other}");
    }
    let other = limiter.take("conformance-2", &key, ONCE).await.expect("take");
    assert_eq!(other, Rated::Granted, "another class");
}

pub(super) async fn every_node_counts_the_same(fixture: &dyn Fixture) {
    let (one, other) = (open(fixture).await, open(fixture).await);
    // A second may pass between two takes on a busy machine.
    soon("the other node refuses what the first granted", || async {
        let key = fresh_key();
        assert_eq!(take(&*one, &key, ONCE).await, Rated::Granted);
        (take(&*other, &key, ONCE).await != Rated::Granted).then_some(())
    })
    .await;
}

pub(super) async fn racing_takes_get_no_more_than_the_quota(fixture: &dyn Fixture) {
    let nodes = [open(fixture).await, open(fixture).await];
    let (key, quota, began) = (fresh_key(), Quota::new(1, 10), Instant::now());
    let takes = (0..200).map(|n| take(&*nodes[n % 2], &key, quota));
    let rated = tokio::time::timeout(SOON, join_all(takes)).await.expect("takes return soon");
    let granted = rated.iter().filter(|rated| **rated == Rated::Granted).count();
    let most = 11 + usize::try_from(began.elapsed().as_secs()).unwrap_or(usize::MAX);
    assert!((10..=most).contains(&granted), "{granted} of a burst of 10");
}

pub(super) async fn zeros_count_as_one(fixture: &dyn Fixture) {
    let limiter = open(fixture).await;
    let zero = Quota { per_second: 0, burst: 0 };
    let (granted, wait) = exhaust(&*limiter, &fresh_key(), zero).await;
    assert!(granted >= 1);
    assert!(!wait.is_zero() && wait <= Duration::from_secs(1), "{wait:?}");
}

pub(super) async fn the_largest_quota_lets_all_pass(fixture: &dyn Fixture) {
    let limiter = open(fixture).await;
    let (key, lifted) = (fresh_key(), Quota::new(u32::MAX, u32::MAX));
    for _ in 0..200 {
        assert_eq!(take(&*limiter, &key, lifted).await, Rated::Granted);
    }
}
