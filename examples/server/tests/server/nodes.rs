//! Postgres and Redis: several processes are one chat.

use parlor_test_services::{Proxy, Redis, postgres, redis};
use serde_json::{Value, json};

use crate::support::*;

/// Options of a node on a database and a Redis.
fn node<'a>(database: &'a str, redis: &'a str, prefix: &'a str) -> Vec<&'a str> {
    vec!["--database", database, "--redis", redis, "--redis-prefix", prefix, "--jwt-secret", SECRET]
}

fn key() -> [&'static str; 2] {
    ["--jwt-secret", SECRET]
}

#[tokio::test]
async fn two_nodes_are_one_chat() {
    let database = postgres().database();
    let options = node(&database, redis().url(), "two-nodes");
    // The sweep does not help: what arrives came over Redis.
    let options = [&options[..], &["--sweep-interval", "0"]].concat();
    let (one, two) = tokio::join!(Process::start(&options), Process::start(&options));
    let mut ann = Client::live(one.address, &one.token("ann", &key()).await).await;
    let mut bob = Client::live(two.address, &two.token("bob", &key()).await).await;
    let conversation = ann.direct("bob").await;
    bob.until("conversation.created").await;
    for number in 0..20 {
        ann.say(&conversation, &format!("from one, {number}")).await;
        bob.hear(&format!("from one, {number}")).await;
        bob.say(&conversation, &format!("from two, {number}")).await;
        ann.hear(&format!("from two, {number}")).await;
    }
    let watched = bob.ask(json!({"type": "get_presence", "user_ids": ["ann"]})).await;
    assert_eq!(watched["users"][0]["status"], "online");

    // A node that goes takes nobody's messages with it.
    let token = one.token("ann", &key()).await;
    one.signal("KILL");
    bob.say(&conversation, "still there?").await;
    let mut ann = Client::live(two.address, &token).await;
    let history = ann.ask(json!({"type": "history", "conversation_id": conversation})).await;
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 41);
    let seqs: Vec<_> = messages.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn quotas_are_counted_for_all_nodes_together() {
    let database = postgres().database();
    let options = node(&database, redis().url(), "quotas");
    let options = [&options[..], &["--sends-per-second", "1", "--sends-burst", "6"]].concat();
    let (one, two) = tokio::join!(Process::start(&options), Process::start(&options));
    let token = one.token("ann", &key()).await;
    let mut here = Client::live(one.address, &token).await;
    let mut there = Client::live(two.address, &token).await;
    let conversation = here.direct("bob").await;
    let mut granted = 0;
    for number in 0..10 {
        for client in [&mut here, &mut there] {
            let sent = attempt(client, &conversation, &format!("{number}")).await;
            granted += u32::from(sent["type"] == "ok");
        }
    }
    // A few more may come by while the first are being sent; two quotas would be 12.
    assert!((6..11).contains(&granted), "{granted}");
}

async fn attempt(client: &mut Client, conversation: &Value, key: &str) -> Value {
    client
        .send(json!({
            "type": "send", "id": key, "conversation_id": conversation, "client_id": key, "body": key
        }))
        .await;
    loop {
        let frame = client.next().await.unwrap();
        if frame["id"] == key {
            return frame;
        }
    }
}

#[tokio::test]
async fn without_redis_it_starts_says_so_and_chats_on() {
    let own = Redis::start().unwrap();
    let proxy = Proxy::start(own.address()).unwrap();
    proxy.cut();
    let database = postgres().database();
    let url = format!("redis://{}", proxy.address());
    let options = [&node(&database, &url, "late")[..], &["--sweep-interval", "200ms"]].concat();
    let (mut one, two) = tokio::join!(Process::start(&options), Process::start(&options));
    one.until_log("Redis cannot be reached").await;
    let mut ann = Client::live(one.address, &one.token("ann", &key()).await).await;
    let mut bob = Client::live(two.address, &two.token("bob", &key()).await).await;
    let conversation = ann.direct("bob").await;
    ann.say(&conversation, "by the sweep").await;
    let found = async {
        loop {
            let frame = bob.next().await.unwrap();
            if frame.to_string().contains("by the sweep") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the sweep finds it");
    proxy.heal();
    one.until_log("connected to Redis").await;
    assert_eq!(one.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn a_postgres_that_cannot_be_reached_is_tried_again_and_then_told() {
    let database = postgres().database();
    let proxy = Proxy::start(postgres().address()).unwrap();
    proxy.cut();
    let (_, path) = database.rsplit_once('/').unwrap();
    let url = format!("postgres://postgres:hunter2@{}/{path}", proxy.address());
    let options = ["--database", &url, "--jwt-secret", SECRET, "--listen", "127.0.0.1:0"];
    let ended = Process::run(&[&options[..], &["--start-timeout", "1s"]].concat(), &[]).await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.output, "", "it does not say that it listens");
    assert!(ended.log.contains("trying again in 250 ms"), "{}", ended.log);
    let last = ended.log.lines().last().unwrap();
    assert!(last.contains(&format!("postgres://{}/{path}", proxy.address())), "{last}");
    assert!(last.contains("Is it running, and is --database (DATABASE_URL) right?"), "{last}");
    assert!(!ended.log.contains("hunter2"), "{}", ended.log);

    // One that comes in time is taken.
    let starting = async {
        let options = ["--database", &url, "--jwt-secret", SECRET];
        Process::start(&options).await
    };
    let healing = async {
        // Not before a first attempt may have failed.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        proxy.heal();
    };
    let (mut server, ()) = tokio::join!(starting, healing);
    server.until_log("trying again").await;
    assert_eq!(server.get("/readyz").await, (200, "ready\n".into()));

    // One that goes away makes it unready, and ready when it is back.
    proxy.cut();
    let (status, why) = server.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(why.starts_with("the database"), "{why}");
    assert_eq!(server.get("/healthz").await.0, 200);
    proxy.heal();
    let back = async { while server.get("/readyz").await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, back).await.expect("ready again");
}

#[tokio::test]
async fn what_postgres_refuses_is_told_at_once() {
    let (server, _) = postgres().url().rsplit_once('/').unwrap();
    let missing = format!("{server}/no_such_database");
    let options = ["--database", &missing, "--jwt-secret", SECRET, "--listen", "127.0.0.1:0"];
    let ended = Process::run(&options, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(!ended.log.contains("trying again"), "{}", ended.log);
    assert!(ended.log.contains("no_such_database\" does not exist"), "{}", ended.log);

    let database = postgres().database();
    let unmigrated =
        ["--database", &database, "--jwt-secret", SECRET, "--migrate", "false", "--check"];
    let ended = Process::run(&unmigrated, &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.starts_with("database: FAILED"), "{}", ended.output);
    let named = ["--database", &database, "--jwt-secret", SECRET, "--database-schema", "DROP"];
    let ended = Process::run(&named, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.log.contains("schema"), "{}", ended.log);
}

#[tokio::test]
async fn the_check_asks_postgres_and_redis() {
    let database = postgres().database();
    let options = [&node(&database, redis().url(), "check")[..], &["--check"]].concat();
    let ended = Process::run(&options, &[]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.log);
    let lines: Vec<_> = ended.output.lines().collect();
    assert_eq!(lines[0], format!("database: ok, {}", database.replace("postgres@", "")));
    assert_eq!(lines[1], format!("redis: ok, {}", redis().url()));
    assert_eq!(lines[2], "keys: ok, a secret");

    let nowhere = ["postgres://ann:hunter2@127.0.0.1:1/chat", "redis://:hunter2@127.0.0.1:1"];
    let options = [&node(nowhere[0], nowhere[1], "check")[..], &["--check"]].concat();
    let ended = Process::run(&options, &[]).await;
    assert_eq!(ended.code, Some(1));
    let lines: Vec<_> = ended.output.lines().collect();
    assert!(lines[0].starts_with("database: FAILED, postgres://127.0.0.1:1/chat: "), "{lines:?}");
    assert!(lines[1].starts_with("redis: FAILED, redis://127.0.0.1:1: "), "{lines:?}");
    assert!(!format!("{ended:?}").contains("hunter2"));
}
