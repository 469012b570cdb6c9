//! What was acknowledged survives `kill -9` of the real process, and nothing is invented.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use parlor::model::ConversationId;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::*;

const PEOPLE: usize = 16;
const PIPELINED: usize = 4;

/// One person's device: what it sent, what was acknowledged, and its copy of the group.
struct Person {
    name: String,
    token: String,
    epoch: Value,
    follower: Follower,
    /// Texts by idempotency key. A text is its sender's name and the key.
    sent: BTreeSet<String>,
    /// The results by key.
    acknowledged: BTreeMap<String, Value>,
}

/// How far all people are together.
#[derive(Default)]
struct Progress {
    acknowledged: AtomicU64,
    grown: Notify,
}

impl Progress {
    async fn reaches(&self, acknowledged: u64) {
        let reached = async {
            while self.acknowledged.load(Ordering::SeqCst) < acknowledged {
                self.grown.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("sends go on");
    }
}

impl Person {
    fn new(number: usize) -> Self {
        Self {
            name: format!("person{number}"),
            token: String::new(),
            epoch: Value::Null,
            follower: Follower::default(),
            sent: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    fn text(&self, key: &str) -> String {
        format!("{} says {key}", self.name)
    }

    async fn connect(&mut self, server: &Quickstart) -> Client {
        let had = std::mem::take(&mut self.follower);
        let client = Client::back(server.address, &self.token, &self.epoch, had).await;
        self.epoch = client.welcome["epoch"].clone();
        client
    }

    /// Sends until the server is gone, always with four sends on their way.
    async fn talk(
        &mut self,
        (mut client, id): (Client, ConversationId),
        round: usize,
        progress: &Progress,
    ) {
        let mut pending: BTreeMap<u64, String> = BTreeMap::new();
        let mut again = Vec::new();
        for number in 0.. {
            while pending.len() >= PIPELINED {
                let Ok(frame) = client.next().await else {
                    self.follower = client.follower;
                    return;
                };
                let Some(key) = frame["id"].as_u64().and_then(|id| pending.remove(&id)) else {
                    continue;
                };
                if frame["type"] == "ok" {
                    self.acknowledged.insert(key, frame["result"].clone());
                    progress.acknowledged.fetch_add(1, Ordering::SeqCst);
                    progress.grown.notify_one();
                } else {
                    assert_eq!(frame["error"]["code"], "rate_limited", "{frame}");
                    let wait = frame["error"]["retry_after_ms"].as_u64().unwrap();
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    again.push(key);
                }
            }
            let key = again.pop().unwrap_or_else(|| format!("{round}.{number}"));
            let frame = text_frame(id, &key, &self.text(&key));
            self.sent.insert(key.clone());
            pending.insert(client.post(frame).await, key);
        }
    }

    /// Sends again what has no answer and something that has one, as a client does that came back.
    async fn retry(&mut self, server: &Quickstart, before: &History) -> Client {
        let mut client = self.connect(server).await;
        let id = lounge(&mut client).await;
        let unanswered = self.sent.iter().filter(|key| !self.acknowledged.contains_key(*key));
        let unanswered: Vec<String> = unanswered.cloned().collect();
        assert!(unanswered.len() <= PIPELINED + 1, "{unanswered:?}");
        let answered: Vec<String> = self.acknowledged.keys().rev().take(2).cloned().collect();
        for key in unanswered {
            let result = client.say(id, &key, &self.text(&key)).await;
            let stored = before.by_key.get(&(self.name.clone(), key.clone()));
            assert_eq!(result["replayed"], stored.is_some(), "{result}");
            if let Some(stored) = stored {
                assert_eq!(result["message_id"], stored["id"]);
            }
            self.acknowledged.insert(key, result);
        }
        for key in answered {
            let result = client.say(id, &key, &self.text(&key)).await;
            let first = &self.acknowledged[&key];
            assert_eq!(result["replayed"], true);
            for field in ["message_id", "number", "seq", "rev", "created_at"] {
                assert_eq!(result[field], first[field], "{field}");
            }
        }
        client
    }
}

/// The group's history as the server tells it.
struct History {
    messages: Vec<Value>,
    by_key: BTreeMap<(String, String), Value>,
}

impl History {
    /// Reads it, and checks that it is what the people sent: no hole, nothing twice, nothing invented.
    async fn check(server: &Quickstart, people: &[Person]) -> Self {
        let mut client = Client::connect(server.address, &people[0].token).await;
        let id = lounge(&mut client).await;
        let messages = Rest::new(server.address, &people[0].token).history(id).await;
        let mut by_key = BTreeMap::new();
        for (message, seq) in messages.iter().zip(1..) {
            assert_eq!(message["seq"], seq, "seqs have no hole");
            let sender = message["sender_id"].as_str().unwrap().to_owned();
            let key = message["client_id"].as_str().unwrap().to_owned();
            let person = people.iter().find(|person| person.name == sender).unwrap();
            assert!(person.sent.contains(&key), "invented: {message}");
            assert_eq!(message["body"], person.text(&key));
            assert!(by_key.insert((sender, key), message.clone()).is_none(), "twice: {message}");
        }
        for person in people {
            for (key, result) in &person.acknowledged {
                let Some(stored) = by_key.get(&(person.name.clone(), key.clone())) else {
                    panic!("lost: {} of {}, acknowledged as {result}", key, person.name);
                };
                assert_eq!(stored["id"], result["message_id"]);
                assert_eq!(stored["seq"], result["seq"]);
            }
        }
        Self { messages, by_key }
    }
}

/// Starts the server, lets everybody talk, and kills it once so much was acknowledged.
async fn round(database: &Path, people: &mut [Person], round: usize, kill_at: u64) {
    let server = Quickstart::start(database).await;
    let mut clients = Vec::new();
    for person in people.iter_mut() {
        person.token = server.login(&person.name).await;
        let mut client = person.connect(&server).await;
        let id = lounge(&mut client).await;
        clients.push((client, id));
    }
    let progress = Arc::new(Progress::default());
    let talking = people.iter_mut().zip(clients).map(|(person, client)| {
        let progress = Arc::clone(&progress);
        async move { person.talk(client, round, &progress).await }
    });
    let killing = async {
        progress.reaches(kill_at).await;
        server.kill().await;
    };
    tokio::join!(join_all(talking), killing);
    assert!(progress.acknowledged.load(Ordering::SeqCst) >= kill_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_it_acknowledged_and_invents_nothing() {
    let began = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let mut people: Vec<_> = (0..PEOPLE).map(Person::new).collect();
    let mut stored_unanswered = 0;
    for (number, kill_at) in [1, 40, 111, 200].into_iter().enumerate() {
        round(&database, &mut people, number, kill_at).await;
        let server = Quickstart::start(&database).await;
        let before = History::check(&server, &people).await;
        let answered: usize = people.iter().map(|person| person.acknowledged.len()).sum();
        stored_unanswered += before.messages.len() - answered;
        let retries = people.iter_mut().map(|person| person.retry(&server, &before));
        let mut clients = join_all(retries).await;
        let after = History::check(&server, &people).await;
        let sent: usize = people.iter().map(|person| person.sent.len()).sum();
        assert_eq!(after.messages.len(), sent, "every send is one message");
        // Everybody's copy is the history: what came live, what the resumes brought, nothing else.
        for (client, person) in clients.iter_mut().zip(&mut people) {
            let entry =
                json!({"type": "get_conversation", "conversation_id": lounge(client).await});
            let entry = client.result(entry).await;
            let id = id_in(&entry["conversation"]);
            client.until_rev(id, entry["conversation"]["rev"].as_u64().unwrap()).await;
            let copy: Vec<_> = client.follower.copy(id).messages.values().cloned().collect();
            assert_eq!(copy, after.messages, "the copy of {}", person.name);
            assert_eq!((client.follower.holes, client.follower.resyncs), (0, 0));
            person.follower = std::mem::take(&mut client.follower);
        }
        drop(clients);
        server.kill().await;
    }
    println!(
        "4 kills of {PEOPLE} clients, {stored_unanswered} sends stored without an answer, {:?}",
        began.elapsed()
    );
}
