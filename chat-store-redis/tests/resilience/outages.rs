//! Redis is killed, frozen, cut off or swallowed, and comes back.

use std::time::{Duration, Instant};

use parlor_core::BackendErrorKind;
use parlor_store_redis::RedisBackends;
use parlor_test_services::{Proxy, Redis};

use crate::support::{Node, hasty, log, open, patient, publish_again, soon, to, topic};

/// A call that fails does so as something that may work later, and does not keep the caller.
async fn fails_quickly(backends: &RedisBackends, node: &Node) {
    let began = Instant::now();
    let error = node.bus.publish(to(&topic("ann"), "lost")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(node.bus.join(vec![topic("late")]).await.unwrap_err().is_retryable());
    let error = backends.presence().get(&[crate::support::user("ann")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(backends.ping().await.unwrap_err().is_retryable());
    // The response timeout, and time for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_and_comes_back_is_listened_to_again_after_a_gap() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), hasty()).await;
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    other.join("ann").await;
    one.publish("ann", "before").await;
    assert_eq!(other.next().await, "before");

    redis.kill();
    soon("the loss is noticed", || async { backends.ping().await.is_err() }).await;
    for _ in 0..3 {
        fails_quickly(&backends, &other).await;
    }
    redis.revive();
    assert_eq!(other.next().await, "-", "what was missed is looked for in the store");
    publish_again(&*one.bus, "ann", "after").await;
    assert_eq!(other.next().await, "after");
    one.publish("late", "joined while it was down").await;
    assert_eq!(other.next().await, "joined while it was down");
    backends.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_keeps_nobody_waiting() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), hasty()).await;
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    other.join("ann").await;
    redis.freeze();
    // The first ones wait for an answer; then it is known that none comes.
    fails_quickly(&backends, &other).await;
    soon("calls fail at once", || async {
        let began = Instant::now();
        let failed = other.bus.join(vec![topic("later")]).await.is_err();
        failed && began.elapsed() < Duration::from_millis(50)
    })
    .await;
    redis.thaw();
    other.gap().await;
    publish_again(&*one.bus, "later", "after").await;
    other.hear_all(["after".to_owned()]).await;
}

#[tokio::test]
async fn a_path_that_swallows_everything_is_found_out_and_replaced() {
    let log = log();
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.address()).unwrap();
    let far = open(&format!("redis://{}", proxy.address()), hasty()).await;
    let near = open(redis.url(), patient()).await;
    let (one, mut other) = (Node::new(&near), Node::new(&far));
    other.join("ann").await;
    one.publish("ann", "before").await;
    assert_eq!(other.next().await, "before");

    proxy.black_hole();
    let began = Instant::now();
    one.publish("ann", "into the hole").await;
    // Nobody closes the connection: only asking shows that it is dead.
    soon("the listening connection is given up", || async {
        let log = log.lock();
        let given_up = |line: &str| line.contains("no connection") && line.contains("\"bus\"");
        log.lines().any(given_up)
    })
    .await;
    println!("the hole was found out after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    fails_quickly(&far, &other).await;

    proxy.heal();
    other.gap().await;
    one.publish("late", "after").await;
    other.hear_all(["after".to_owned()]).await;
    soon("commands work again", || async { far.ping().await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_cut_again_and_again_heals_each_time() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.address()).unwrap();
    let far = open(&format!("redis://{}", proxy.address()), hasty()).await;
    let near = open(redis.url(), patient()).await;
    let (one, mut other) = (Node::new(&near), Node::new(&far));
    other.join("ann").await;
    for round in 0..3 {
        proxy.cut();
        soon("the loss is noticed", || async { far.ping().await.is_err() }).await;
        proxy.heal();
        other.gap().await;
        one.publish("ann", &round.to_string()).await;
        other.hear_all([round.to_string()]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_at_the_start_all_is_ready_and_works_once_it_is_there() {
    let redis = Redis::start().unwrap();
    redis.kill();
    let began = Instant::now();
    let backends = open(redis.url(), hasty()).await;
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    let error = backends.ping().await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Unavailable);
    assert!(error.to_string().contains("refused"), "says why: {error}");
    assert!(other.bus.join(vec![topic("ann")]).await.unwrap_err().is_retryable());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    redis.revive();
    other.gap().await;
    publish_again(&*one.bus, "ann", "hello").await;
    other.hear_all(["hello".to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_end_with_what_uses_them() {
    let redis = Redis::start().unwrap();
    let clients = || redis.command(&["CLIENT", "LIST"]).lines().count();
    let backends = open(redis.url(), patient()).await;
    let (one, other) = (Node::new(&backends), Node::new(&backends));
    one.join("ann").await;
    other.join("ann").await;
    // Two that listen, one for commands, and the one that asks.
    assert_eq!(clients(), 4);
    drop(one);
    soon("a bus takes its connection along", || async { clients() == 3 }).await;
    drop(backends);
    other.publish("bob", "the bus still has its own").await;
    drop(other);
    soon("nothing is left", || async { clients() == 1 }).await;
}
