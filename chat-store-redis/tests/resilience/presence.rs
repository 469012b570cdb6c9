//! Leases, and what is left of them.

use std::time::Duration;

use parlor_core::{
    model::{NodeId, PresenceStatus},
    traits::Lease,
};
use parlor_store_redis::RedisBackends;
use parlor_test_services::Redis;

use crate::support::{open, patient, soon, user};

fn lease(name: &str, ttl: Duration) -> Lease {
    Lease { user_id: user(name), status: PresenceStatus::Online, ttl }
}

async fn status(backends: &RedisBackends, name: &str) -> PresenceStatus {
    backends.presence().get(&[user(name)]).await.unwrap()[0].status
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_node_that_dies_go_offline_and_in_the_end_nothing_is_left() {
    let redis = Redis::start().unwrap();
    let config = patient().last_seen(Duration::from_millis(1500));
    let (dying, other) = (open(redis.url(), config.clone()).await, open(redis.url(), config).await);
    let leases = vec![lease("ann", Duration::from_secs(1)), lease("bob", Duration::from_secs(1))];
    dying.presence().renew(NodeId::random(), leases).await.unwrap();
    let alive = vec![lease("bob", Duration::from_secs(60))];
    other.presence().renew(NodeId::random(), alive).await.unwrap();
    assert_eq!(status(&other, "ann").await, PresenceStatus::Online);
    drop(dying);
    soon("the lease runs out", || async { status(&other, "ann").await == PresenceStatus::Offline })
        .await;
    assert_eq!(status(&other, "bob").await, PresenceStatus::Online);
    soon("they are forgotten", || async { redis.command(&["KEYS", "*"]) == "parlor:leases:{bob}" })
        .await;
    let info = other.presence().get(&[user("ann")]).await.unwrap().remove(0);
    assert_eq!(info.last_seen_at, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_expires_and_dead_nodes_leave_no_fields() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), patient()).await;
    let presence = backends.presence();
    for _ in 0..20 {
        let leases = vec![lease("ann", Duration::from_millis(1))];
        presence.renew(NodeId::random(), leases).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    presence.renew(NodeId::random(), vec![lease("ann", Duration::from_secs(60))]).await.unwrap();
    assert_eq!(redis.command(&["HLEN", "parlor:leases:{ann}"]), "1");
    let node = NodeId::random();
    presence.renew(node, vec![lease("bob", Duration::from_secs(60))]).await.unwrap();
    presence.release(node, vec![user("bob")]).await.unwrap();
    let quota = parlor_core::traits::Quota::new(1, 5);
    backends.rate_limiter().take("sends", "ann", quota).await.unwrap();
    let month = 30 * 24 * 3600;
    for (key, longest) in
        [("leases:{ann}", month + 60), ("leases:{bob}", month), ("rate:sends:{ann}", 1)]
    {
        let left: i64 = redis.command(&["TTL", &format!("parlor:{key}")]).parse().unwrap();
        assert!((0..=longest).contains(&left), "{key} is kept for {left} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_users_are_renewed_in_one_write() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), patient()).await;
    let reads = || {
        let info = redis.command(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let names: Vec<String> = (0..1000).map(|number| format!("user-{number}")).collect();
    let leases: Vec<Lease> =
        names.iter().map(|name| lease(name, Duration::from_secs(60))).collect();
    let before = reads();
    backends.presence().renew(NodeId::random(), leases).await.unwrap();
    let users: Vec<_> = names.iter().map(|name| user(name)).collect();
    let infos = backends.presence().get(&users).await.unwrap();
    let reads = reads() - before;
    assert!(infos.iter().all(|info| info.status == PresenceStatus::Online));
    // About 250 KiB, of which the server reads 16 KiB at a time.
    assert!(reads < 100, "{reads} reads for 1,000 users");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_redis_forgot_are_taught_again() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), patient()).await;
    for name in ["ann", "bob"] {
        redis.command(&["SCRIPT", "FLUSH"]);
        let node = NodeId::random();
        let leases =
            vec![lease(name, Duration::from_secs(60)), lease("eve", Duration::from_secs(60))];
        backends.presence().renew(node, leases).await.unwrap();
        redis.command(&["SCRIPT", "FLUSH"]);
        assert_eq!(status(&backends, name).await, PresenceStatus::Online);
        redis.command(&["SCRIPT", "FLUSH"]);
        backends.presence().release(node, vec![user(name), user("eve")]).await.unwrap();
        assert_eq!(status(&backends, name).await, PresenceStatus::Offline);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_next_renewal_brings_users_back() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), patient()).await;
    let node = NodeId::random();
    let renew = || async {
        let leases = vec![lease("ann", Duration::from_secs(60))];
        backends.presence().renew(node, leases).await.is_ok()
    };
    assert!(renew().await);
    redis.restart();
    soon("leases can be renewed", renew).await;
    assert_eq!(status(&backends, "ann").await, PresenceStatus::Online);
}
