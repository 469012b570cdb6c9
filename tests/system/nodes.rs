//! Three nodes on a real Postgres and a real Redis, in one process where the host's own code matters.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use parlor::{
    BackendError,
    model::*,
    postgres::PostgresStore,
    redis::{RedisBackends, RedisConfig},
    traits::{AccessPolicy, Action, Verdict},
};
use parlor_test_services::{postgres, redis};
use serde_json::Value;

use crate::support::*;

/// Who receives nothing any more.
#[derive(Debug, Default)]
struct Revoked(Mutex<HashSet<UserId>>);

#[async_trait]
impl AccessPolicy for Revoked {
    async fn check(&self, _: &Identity, _: &Action) -> Result<Verdict, BackendError> {
        Ok(Verdict::Allow)
    }

    async fn may_receive(
        &self,
        user: &UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<bool>, BackendError> {
        Ok(vec![!self.0.lock().contains(user); conversations.len()])
    }
}

/// Three nodes on one medium that ask one policy.
async fn three(policy: &Arc<Revoked>) -> Vec<Server> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("nodes_{}_{count}", std::process::id());
    let database = postgres().database();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let store = PostgresStore::connect(&database).await.unwrap();
        let config = RedisConfig::new().prefix(&prefix);
        let redis = RedisBackends::open_with(redis().url(), config).await.unwrap();
        let build = |builder: parlor::ChatBuilder| {
            builder.bus(redis.bus()).presence(redis.presence()).policy(policy.clone())
        };
        nodes.push(Server::over(Arc::new(store), build, |transport| transport).await);
    }
    nodes
}

/// bob, on node 3, is revoked by node 1 in a group of so many.
async fn revoked(members: usize) {
    let policy = Arc::new(Revoked::default());
    let nodes = three(&policy).await;
    let mut others = vec!["bob".to_owned()];
    others.extend((2..members).map(|number| format!("user {number}")));
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let (mut ann, mut bob) = (nodes[0].client("ann").await, nodes[2].client("bob").await);
    let mut cem = nodes[1].client("user 2").await;
    let id = ann.group(&others).await;
    bob.until_rev(id, 1).await;
    ann.say(id, "1", "before").await;
    bob.until_rev(id, 2).await;

    policy.0.lock().insert(user("bob"));
    let since = Instant::now();
    nodes[0].chat.recheck_access(id);
    bob.until_type("conversation.removed").await;
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    ann.say(id, "2", "secret").await;
    cem.until_rev(id, 3).await;
    // Given back, bob hears of everything by a new beginning: the secret did not come before it.
    policy.0.lock().clear();
    nodes[0].chat.recheck_access(id);
    bob.until_type("conversation.added").await;
    ann.say(id, "3", "back again").await;
    bob.until(|event| event["message"]["body"] == "back again").await;
    let secret = |event: &&Value| event["message"]["body"] == "secret";
    assert_eq!(bob.heard.iter().filter(secret).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_revocation_takes_effect_on_another_node_within_a_second() {
    revoked(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_revocation_in_a_large_group_does_so_too() {
    revoked(20).await;
}
