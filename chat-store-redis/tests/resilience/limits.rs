//! Rate limits while Redis is not there.

use std::time::{Duration, Instant};

use parlor_core::traits::{Quota, RateLimiter, Rated};
use parlor_store_redis::RedisConfig;
use parlor_test_services::{Proxy, Redis};

use crate::support::{log, open, patient, soon};

/// No unit comes back while a test looks.
const FEW: Quota = Quota::new(1, 3);

async fn granted(limiter: &dyn RateLimiter, key: &str, takes: usize) -> usize {
    let mut granted = 0;
    for _ in 0..takes {
        let rated = limiter.take("sends", key, FEW).await.expect("a limit is always told");
        granted += usize::from(rated == Rated::Granted);
    }
    granted
}

#[tokio::test]
async fn limits_are_local_while_redis_is_down_and_shared_again_after() {
    let log = log();
    let redis = Redis::start().unwrap();
    let backends = [open(redis.url(), patient()).await, open(redis.url(), patient()).await];
    let [one, other] = backends.each_ref().map(|backends| backends.rate_limiter());
    let together = granted(&*one, "ann", 20).await + granted(&*other, "ann", 20).await;
    assert!((3..=4).contains(&together), "{together} of a burst of 3 on two nodes");

    redis.kill();
    soon("the loss is noticed", || async {
        backends[0].ping().await.is_err() && backends[1].ping().await.is_err()
    })
    .await;
    let began = Instant::now();
    for limiter in [&one, &other] {
        let alone = granted(&**limiter, "bob", 500).await;
        assert!((3..=6).contains(&alone), "{alone} of a burst of 3 on each node");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    redis.revive();
    soon("both are connected", || async {
        backends[0].ping().await.is_ok() && backends[1].ping().await.is_ok()
    })
    .await;
    let together = granted(&*one, "eve", 20).await + granted(&*other, "eve", 20).await;
    assert!((3..=4).contains(&together), "{together} of a burst of 3 on two nodes");
    let lines = |words: &str| log.lock().matches(words).count();
    assert_eq!(lines("rate limits are counted by this node alone"), 2, "once a node");
    assert_eq!(lines("rate limits are counted for all nodes together again"), 2, "once a node");
    assert_eq!(lines("no connection to Redis"), 2, "once a connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_path_swallows_everything_few_wait_for_an_answer() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.address()).unwrap();
    let backends = open(&format!("redis://{}", proxy.address()), RedisConfig::new()).await;
    let limiter = backends.rate_limiter();
    assert_eq!(limiter.take("sends", "ann", FEW).await.unwrap(), Rated::Granted);
    proxy.black_hole();
    let began = Instant::now();
    let mut slow = 0;
    for take in 0..1000 {
        let took = Instant::now();
        granted(&*limiter, &format!("user-{take}"), 1).await;
        slow += u32::from(took.elapsed() > Duration::from_millis(200));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // They last longer than it takes to find out and to try again.
    assert!(began.elapsed() > Duration::from_secs(5));
    println!("{slow} of 1,000 takes waited");
    assert!(slow <= 5, "{slow} takes waited for the timeout");
    proxy.heal();
    soon("connected again", || async { backends.ping().await.is_ok() }).await;
    assert_eq!(limiter.take("sends", "bob", FEW).await.unwrap(), Rated::Granted);
    assert_eq!(redis.command(&["EXISTS", "parlor:rate:sends:{bob}"]), "1", "counted in Redis");
}
