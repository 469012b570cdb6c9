//! Nodes at the edge, without a database: the native protocol over a store that is asked over Redis.

use std::{sync::Arc, time::Duration};

use parlor::{
    Chat,
    backends::MemoryStore,
    model::NewGroup,
    postgres::PostgresStore,
    redis::{RedisBackends, RedisConfig},
    store::Appended,
};
use parlor_test_services::{postgres, redis};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinSet, time::timeout};
use uuid::Uuid;

use crate::support::*;

/// Two nodes at the edge, and those who have the database.
struct Edge {
    nodes: Vec<Server>,
    services: JoinSet<()>,
    redis: RedisBackends,
    database: String,
}

impl Edge {
    async fn start() -> Self {
        let config = RedisConfig::new().prefix(format!("edge-{}", Uuid::new_v4()));
        let redis = RedisBackends::open_with(redis().url(), config).await.unwrap();
        let database = postgres().database();
        let mut edge = Self { nodes: Vec::new(), services: JoinSet::new(), redis, database };
        edge.serve().await;
        for _ in 0..2 {
            let backends =
                |it: parlor::ChatBuilder| it.bus(edge.redis.bus()).presence(edge.redis.presence());
            let store = edge.redis.remote_store();
            edge.nodes.push(Server::over(store, backends, |transport| transport).await);
        }
        edge
    }

    async fn serve(&mut self) {
        let store = PostgresStore::connect(&self.database).await.unwrap();
        let server = self.redis.store_server(Arc::new(store));
        self.services.spawn(server.run(std::future::pending()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_clients_at_the_edge_see_each_other_and_resume_at_another_node() {
    let edge = Edge::start().await;
    let mut ann = edge.nodes[0].client("ann").await;
    let mut bob = edge.nodes[1].client("bob").await;
    let id = ann.group(&["bob"]).await;
    bob.until_rev(id, 1).await;
    ann.say(id, "1", "one").await;
    bob.until_rev(id, 2).await;
    let (epoch, had) = (bob.welcome["epoch"].clone(), bob.follower);
    ann.say(id, "2", "two").await;
    let mut bob = Client::back(edge.nodes[0].address, &token("bob"), &epoch, had).await;
    assert_eq!(bob.follower.bodies(id), ["one", "two"]);
    let history = edge.nodes[1].rest("bob").history(id).await;
    assert_eq!(history.iter().map(|it| &it["body"]).collect::<Vec<_>>(), ["one", "two"]);
    bob.say(id, "3", "three").await;
    ann.until_rev(id, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_services_come_and_go_every_send_is_stored_once_and_in_order() {
    let mut edge = Edge::start().await;
    let mut ann = edge.nodes[0].client("ann").await;
    let mut bob = edge.nodes[1].client("bob").await;
    let id = ann.group(&["bob"]).await;
    let sends = tokio::spawn(async move {
        for at in 0..150 {
            // As every client does that is told to try again: with the same key.
            let frame = text_frame(id, &format!("{at}"), &format!("{at}"));
            while ann.ask(frame.clone()).await["type"] == "error" {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    for rev in [20, 60, 100] {
        bob.until_rev(id, rev).await;
        // Gone with all that it has taken; nobody is there for a moment.
        edge.services.abort_all();
        edge.serve().await;
    }
    sends.await.unwrap();
    bob.until_rev(id, 151).await;
    let history = edge.nodes[1].rest("bob").history(id).await;
    let bodies: Vec<_> = history.iter().map(|it| it["body"].clone()).collect();
    assert_eq!(bodies, (0..150).map(|at| json!(at.to_string())).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_told_to_stop_finishes_what_it_has_taken() {
    let config = RedisConfig::new().prefix(format!("edge-{}", Uuid::new_v4()));
    let config = config.store_deadline(Duration::from_secs(20));
    let redis = RedisBackends::open_with(redis().url(), config).await.unwrap();
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = redis.store_server(Arc::new(store.clone()));
    let mut serving = tokio::spawn(server.run(async move { drop(stopped.await) }));

    let remote = redis.remote_store();
    let chat = Chat::builder(remote.clone()).build().await.unwrap();
    let ann = chat.as_user(identity("ann"));
    let id = ann.create_group(NewGroup::new("Group", [])).await.unwrap().conversation.id;
    store.lock(Locked { for_long: [id].into(), ..Locked::default() });
    let append = chat.compose(Some(user("ann")), id, keyed("hello", "k")).unwrap();
    let asked = Arc::clone(&remote);
    let mut appending = Box::pin(async move { asked.append(vec![append]).await.remove(0) });
    assert!(futures::poll!(&mut appending).is_pending());
    let appending = tokio::spawn(appending);
    // Questions are taken in turn: when this one is answered, the one before it was taken.
    remote.ping().await.unwrap();

    stop.send(()).unwrap();
    let ends = timeout(Duration::from_secs(2), &mut serving).await;
    assert!(ends.is_err(), "it waits for what it has taken");
    store.lock(Locked::default());
    assert!(matches!(appending.await.unwrap(), Ok(Appended::Fresh(_))));
    serving.await.unwrap();
}
