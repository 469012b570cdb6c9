//! A remote store while those who answer die, are not there, or are too many questions behind.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parlor_core::{
    Limits, Timestamp,
    backends::MemoryStore,
    model::{ClientId, ConversationId, ConversationPatch, Draft, MessageId, NewMessage, NodeId},
    store::{
        Append, Appended, ConversationChange, ConversationStore, HistoryQuery, MessageStore,
        NewConversation, Page, Store,
    },
};
use parlor_store_redis::RedisBackends;
use redis::AsyncCommands;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::{open, patient, soon, user};

/// Redis, a conversation in a store behind it, and the store as a node without a database sees it.
struct World {
    backends: RedisBackends,
    raw: redis::aio::MultiplexedConnection,
    requests: String,
    behind: MemoryStore,
    remote: Arc<dyn Store>,
    conversation: ConversationId,
}

impl World {
    async fn with_deadline(deadline: Duration) -> Self {
        let url = parlor_test_services::redis().url();
        let prefix = format!("remote-{}", NodeId::random());
        let config = patient().prefix(&prefix).store_deadline(deadline);
        let backends = open(url, config).await;
        let client = redis::Client::open(url).unwrap();
        let behind = MemoryStore::new();
        let new = NewConversation::direct(
            ConversationId::new(Timestamp::from_millis(1)),
            &user("ann"),
            &user("bob"),
            None,
            Timestamp::from_millis(1),
        );
        let conversation = behind.create(new).await.unwrap().conversation.id;
        Self {
            raw: client.get_multiplexed_async_connection().await.unwrap(),
            requests: format!("{prefix}:{{requests}}"),
            remote: backends.remote_store(),
            backends,
            behind,
            conversation,
        }
    }

    fn serve(&self) -> Serving {
        let (stop, stopped) = oneshot::channel::<()>();
        let server = self.backends.store_server(Arc::new(self.behind.clone()));
        let stopped = async move { drop(stopped.await) };
        Serving { stop, task: tokio::spawn(server.run(stopped)) }
    }

    fn message(&self, key: Option<&str>) -> Append {
        let mut message = NewMessage::text("hello");
        message.client_id = key.map(|key| ClientId::new(key).unwrap());
        let hash = message.content_hash();
        let draft = Draft::check(message, false, &Limits::default()).unwrap();
        let now = Timestamp::from_millis(2);
        Append::new(self.conversation, MessageId::new(now), Some(user("ann")), draft, hash, now)
    }

    /// Asks to append a message, in a task of its own.
    fn append(&self, key: Option<&str>) -> JoinHandle<Result<Appended, parlor_core::BackendError>> {
        let (remote, append) = (Arc::clone(&self.remote), self.message(key));
        tokio::spawn(async move { remote.append(vec![append]).await.remove(0) })
    }

    /// Takes the next question out of the list, as one who dies with it.
    async fn die_with_question(&mut self) -> String {
        let taken: Option<(String, String)> = self.raw.blpop(&self.requests, 10.0).await.unwrap();
        taken.expect("a question was asked").1
    }

    async fn stored(&self) -> usize {
        let query = HistoryQuery { viewer: None, page: Page::Latest, limit: 100 };
        self.behind.history(self.conversation, query).await.unwrap().unwrap().messages.len()
    }
}

struct Serving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Serving {
    async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn a_question_with_which_somebody_died_is_answered_by_another() {
    let mut world = World::with_deadline(Duration::from_secs(8)).await;
    let appending = world.append(Some("k"));
    world.die_with_question().await;
    let serving = world.serve();
    let appended = appending.await.unwrap().unwrap();
    assert!(matches!(appended, Appended::Fresh(_)), "{appended:?}");
    assert_eq!(world.stored().await, 1);
    serving.end().await;
}

#[tokio::test]
async fn what_somebody_stored_before_dying_is_not_stored_twice_and_still_told_as_new() {
    let mut world = World::with_deadline(Duration::from_secs(8)).await;
    let appending = world.append(Some("k"));
    let question = world.die_with_question().await;
    // Carried out, and the answer goes astray.
    let at = question.find("remote-").unwrap();
    let astray = format!("{}nowhere-{}", &question[..at], &question[at + 8..]);
    let () = world.raw.rpush(&world.requests, astray).await.unwrap();
    let serving = world.serve();
    soon("the message is stored", || async { world.stored().await == 1 }).await;
    let appended = appending.await.unwrap().unwrap();
    assert!(matches!(appended, Appended::Fresh(_)), "{appended:?}");
    assert_eq!(world.stored().await, 1);
    let again = world.append(Some("k")).await.unwrap().unwrap();
    assert!(matches!(again, Appended::Replayed(_)), "{again:?}");
    serving.end().await;
}

#[tokio::test]
async fn what_has_no_key_is_asked_once_and_fails_as_something_to_try_again() {
    let mut world = World::with_deadline(Duration::from_secs(2)).await;
    let unkeyed = world.append(None);
    world.die_with_question().await;
    let (remote, id) = (Arc::clone(&world.remote), world.conversation);
    let changing = tokio::spawn(async move {
        let patch = ConversationPatch { metadata: Some(Default::default()), ..Default::default() };
        let change = ConversationChange::Patch(patch);
        remote.change(id, None, change, 10, Timestamp::from_millis(3)).await
    });
    world.die_with_question().await;
    let serving = world.serve();
    assert!(unkeyed.await.unwrap().unwrap_err().is_retryable());
    assert!(changing.await.unwrap().unwrap_err().is_retryable());
    assert_eq!(world.stored().await, 0);
    serving.end().await;
}

#[tokio::test]
async fn while_nobody_answers_calls_fail_and_what_they_asked_is_never_done() {
    let deadline = Duration::from_secs(1);
    let mut world = World::with_deadline(deadline).await;
    let began = Instant::now();
    let late = world.append(Some("late"));
    let question = world.die_with_question().await;
    assert!(late.await.unwrap().unwrap_err().is_retryable());
    assert!(began.elapsed() >= deadline, "{:?}", began.elapsed());
    assert!(began.elapsed() < 2 * deadline, "{:?}", began.elapsed());
    let began = Instant::now();
    for _ in 0..100 {
        assert!(world.remote.ping().await.unwrap_err().is_retryable());
    }
    assert!(began.elapsed() < deadline, "at once: {:?}", began.elapsed());

    // Still there when somebody comes who would carry it out.
    let () = world.raw.lpush(&world.requests, question).await.unwrap();
    let serving = world.serve();
    soon("it answers again", || async { world.remote.ping().await.is_ok() }).await;
    assert!(matches!(world.append(Some("k")).await.unwrap(), Ok(Appended::Fresh(_))));
    assert_eq!(world.stored().await, 1, "the late one was not carried out");
    serving.end().await;
}

#[tokio::test]
async fn more_questions_than_may_wait_are_refused_at_once() {
    let mut world = World::with_deadline(Duration::from_secs(60)).await;
    let filler = vec!["0 none of ours"; 10_000];
    let () = world.raw.rpush(&world.requests, filler).await.unwrap();
    let began = Instant::now();
    let refused = world.remote.ping().await.unwrap_err();
    assert!(refused.is_retryable() && refused.to_string().contains("too many"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // What is not understood is thrown away, and the list is free again.
    let serving = world.serve();
    soon("it answers again", || async { world.remote.ping().await.is_ok() }).await;
    serving.end().await;
}

#[tokio::test]
async fn whoever_stops_answers_what_was_taken_and_the_others_go_on() {
    let world = World::with_deadline(Duration::from_secs(20)).await;
    let mut serving = vec![world.serve(), world.serve()];
    let sends: Vec<_> = (0..200).map(|at| world.append(Some(&format!("k{at}")))).collect();
    serving.remove(0).end().await;
    for send in sends {
        assert!(matches!(send.await.unwrap(), Ok(Appended::Fresh(_))));
    }
    assert_eq!(world.behind.conversation(world.conversation).await.unwrap().unwrap().last_seq, 200);
    serving.remove(0).end().await;
    let left: bool = world.raw.clone().exists(&world.requests).await.unwrap();
    assert!(!left, "the list is gone with the last question");
}
