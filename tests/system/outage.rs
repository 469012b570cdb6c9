//! The database is down or hangs, a hook panics or hangs: an error in time for whom it concerns, and
//! everything works again by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parlor::{
    ChatBuilder,
    command::Command,
    model::Identity,
    sqlite::{SqliteConfig, SqliteStore},
    traits::{Hook, Rejection},
};
use serde_json::{Value, json};

use crate::support::*;

const DEADLINE: Duration = Duration::from_millis(400);
const HOOK_DEADLINE: Duration = Duration::from_millis(1500);

fn deadlines(builder: ChatBuilder) -> ChatBuilder {
    builder.configure(|config| {
        config.store_deadline = DEADLINE;
        config.hook_deadline = HOOK_DEADLINE;
    })
}

fn assert_retryable(error: &Value) {
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("unavailable"), &json!(true)),
        "{error}"
    );
}

async fn outage(health: Health) {
    let (store, _directory) = sqlite().await;
    let store = FaultyStore::new(Arc::new(store));
    let server = Server::over(Arc::new(store.clone()), deadlines, |it| it).await;
    let (mut ann, mut bob) = (server.client("ann").await, server.client("bob").await);
    let id = ann.group(&["bob"]).await;
    ann.say(id, "before", "before").await;
    bob.until_rev(id, 2).await;

    store.set(health);
    let began = Instant::now();
    let sends = [
        ann.post(text_frame(id, "1", "meanwhile 1")).await,
        ann.post(text_frame(id, "2", "meanwhile 2")).await,
    ];
    for send in sends {
        assert_retryable(&ann.answer(send).await["error"]);
    }
    for kind in ["history", "list_members", "clear", "mark_read"] {
        let frame = json!({"type": kind, "conversation_id": id, "seq": 1});
        assert_retryable(&ann.refusal(frame).await);
    }
    let rest = server.rest("ann");
    let problem = rest.get("/conversations").await.expect(503);
    assert_retryable(&problem);
    assert!(!problem.to_string().contains("faulty"), "nothing inside is told: {problem}");
    rest.post("/conversations", json!({"title": "G"})).await.expect(503);
    // Seven calls, one after the other, each within its deadline.
    assert!(began.elapsed() < DEADLINE * 7 + Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(ann.result(json!({"type": "ping"})).await["time"].as_str().map(str::len), Some(24));
    assert!(server.chat.ready().await.is_err());

    store.set(Health::Well);
    // The very same requests, on the connections that stayed.
    for (key, body) in [("1", "meanwhile 1"), ("2", "meanwhile 2")] {
        ann.say(id, key, body).await;
    }
    let last = ann.say(id, "after", "after").await["rev"].as_u64().unwrap();
    bob.until_rev(id, last).await;
    assert_eq!(bob.follower.bodies(id), ["before", "meanwhile 1", "meanwhile 2", "after"]);
    assert_eq!(bob.follower.holes, 0);
    bob.follower.assert_dense(id);
    // What was asked of a store that hangs may still be carried out: ann's history may be cleared.
    assert_eq!(server.rest("bob").history(id).await.len(), 4);
    server.chat.ready().await.unwrap();
    let late = server.client("bob").await;
    assert_eq!(late.follower.copy(id).rev, last);
}

#[tokio::test]
async fn a_database_that_is_down_is_a_retryable_error_and_comes_back_by_itself() {
    outage(Health::Down).await;
}

#[tokio::test]
async fn a_database_that_hangs_is_a_retryable_error_in_time_and_nothing_is_stored_twice() {
    outage(Health::Hanging).await;
}

#[tokio::test]
async fn a_device_that_resumes_during_an_outage_is_sent_away_and_loses_nothing() {
    let (store, _directory) = sqlite().await;
    let store = FaultyStore::new(Arc::new(store));
    let server = Server::over(Arc::new(store.clone()), deadlines, |it| it).await;
    let mut ann = server.client("ann").await;
    let id = ann.group(&["bob"]).await;
    for health in [Health::Down, Health::Hanging] {
        store.set(health);
        let mut bob = Client::connect(server.address, &token("bob")).await;
        bob.send(json!({"type": "resume", "known": []})).await;
        let began = Instant::now();
        assert_eq!(bob.closed().await, 1013, "{health:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        store.set(Health::Well);
    }
    let bob = server.client("bob").await;
    assert_eq!(bob.follower.copy(id).rev, 1);
}

#[tokio::test]
async fn a_list_that_takes_long_keeps_back_no_welcome() {
    let (store, _directory) = sqlite().await;
    let store = FaultyStore::new(Arc::new(store));
    let server = Server::over(Arc::new(store.clone()), |it| it, |it| it).await;
    let (read, go_on) = store.pause_after_list();
    let mut ann = Client::open(server.address, &[]).await.unwrap();
    ann.send(json!({"type": "authenticate", "token": token("ann")})).await;
    ann.send(json!({"type": "resume", "known": []})).await;
    ann.welcomed().await;
    read.await.unwrap();
    ann.result(json!({"type": "ping"})).await;
    go_on.send(()).unwrap();
    ann.until_type("resumed").await;
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_is_waited_for_and_then_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chat.db");
    let config = SqliteConfig::new().busy_timeout(Duration::from_millis(200));
    let store = SqliteStore::open_with(path.to_str().unwrap(), config).await.unwrap();
    let server = Server::over(Arc::new(store), |it| it, |it| it).await;
    let mut ann = server.client("ann").await;
    let id = ann.group(&["bob"]).await;
    ann.say(id, "before", "before").await;
    use sqlx::{ConnectOptions, Connection, Executor};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut other = options.connect().await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let began = Instant::now();
    assert_retryable(&ann.refusal(text_frame(id, "k", "locked")).await);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // Reading goes on.
    assert_eq!(server.rest("bob").history(id).await.len(), 1);
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    assert_eq!(ann.say(id, "k", "locked").await["seq"], 2);
}

#[derive(Debug)]
struct Moody;

#[async_trait]
impl Hook for Moody {
    async fn before(&self, _: Option<&Identity>, command: Command) -> Result<Command, Rejection> {
        if let Command::Send(send) = &command {
            match send.message.body.as_str() {
                "panic" => panic!("a hook of the host panics"),
                "hang" => std::future::pending().await,
                _ => {}
            }
        }
        Ok(command)
    }
}

#[tokio::test]
async fn a_hook_that_panics_or_hangs_costs_its_own_command_and_no_other() {
    let hooked = |builder| deadlines(builder).hook(Arc::new(Moody));
    let server = Server::with(hooked, |it| it).await;
    let (mut ann, mut bob) = (server.client("ann").await, server.client("bob").await);
    let id = ann.group(&["bob"]).await;
    let began = Instant::now();
    let hanging = ann.post(text_frame(id, "hang", "hang")).await;
    // Others do not wait for it.
    bob.say(id, "k", "not held up").await;
    assert!(began.elapsed() < HOOK_DEADLINE, "{:?}", began.elapsed());
    assert_retryable(&ann.answer(hanging).await["error"]);
    assert!(began.elapsed() >= HOOK_DEADLINE, "{:?}", began.elapsed());
    assert_retryable(&ann.refusal(text_frame(id, "panic", "panic")).await);
    let path = format!("/conversations/{id}/messages");
    let rest = server.rest("ann");
    rest.post(&path, json!({"client_id": "panic", "body": "panic"})).await.expect(503);
    ann.say(id, "panic", "calm again").await;
    assert_eq!(rest.history(id).await.len(), 2);
}
