//! Asks a question and waits for its answer, as long as that makes sense.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parlor_core::{BackendError, BackendErrorKind, model::NodeId};
use redis::{FromRedisValue, PushInfo, PushKind, Value};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    desk::Desk,
    wire::{Asked, MAX_BYTES, Request},
};
use crate::{
    RedisConfig,
    connection::{Backoff, Connection, Connector, Health},
    error::Fault,
    link::{Link, while_alive},
    names::Names,
    script::{self, ASK},
};

/// Questions of one node that may wait for answers at once; more are refused.
const PENDING: usize = 1024;
/// Questions of all nodes that may wait to be taken; more are refused.
const WAITING: usize = 10_000;
/// So many times within its deadline a question is asked, if nobody answers.
const ATTEMPTS: u32 = 4;
/// How often a store that has fallen silent is asked for a sign of life.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// One node's end: asks, and listens to the answers over a connection of its own. Both end with it.
#[derive(Debug)]
pub(crate) struct Asker {
    line: Arc<Line>,
    pending: Semaphore,
    _alive: watch::Sender<()>,
}

/// What asking takes.
#[derive(Debug)]
struct Line {
    link: Link,
    requests: String,
    answer_to: String,
    desk: Desk,
    next: AtomicU64,
    deadline: Duration,
    response_timeout: Duration,
}

impl Asker {
    pub(crate) fn start(
        link: Link,
        connector: Connector,
        names: &Names,
        config: &RedisConfig,
        runtime: &Handle,
    ) -> Self {
        let (alive, life) = watch::channel(());
        let line = Arc::new(Line {
            link,
            requests: names.requests(),
            answer_to: names.answers(NodeId::random()),
            desk: Desk::default(),
            next: AtomicU64::new(0),
            deadline: config.store_deadline,
            response_timeout: config.response_timeout,
        });
        runtime.spawn(while_alive(life.clone(), listen(connector, Arc::clone(&line))));
        runtime.spawn(while_alive(life, probe(Arc::clone(&line))));
        Self { line, pending: Semaphore::new(PENDING), _alive: alive }
    }

    /// Asks, again after a moment where that does no harm, until the deadline. Says besides whether it was
    /// asked more than once: then an earlier attempt may have done what this one found done.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        request: &Request,
    ) -> Result<(T, bool), BackendError> {
        let refused = |fault: Fault| fault.during(operation);
        let Ok(_place) = self.pending.try_acquire() else {
            return Err(refused(Fault::unavailable("too many questions to the store at once")));
        };
        if self.line.desk.is_silent() {
            return Err(refused(Fault::unavailable("nobody answers for the store")));
        }
        let id = self.line.next.fetch_add(1, Ordering::Relaxed);
        let question = self.line.write(id, request).map_err(refused)?;
        let mut expected = self.line.desk.expect(id);
        let begun = Instant::now();
        let ends = begun + self.line.deadline;
        let listening = self.line.desk.until_listening();
        if timeout(self.line.response_timeout, listening).await.is_err() {
            return Err(refused(Fault::unavailable("answers of the store cannot be heard")));
        }
        let mut resent = false;
        loop {
            let left = ends.saturating_duration_since(Instant::now());
            self.line.push(&question, left).await.map_err(refused)?;
            let patience = match request.is_repeatable() {
                true => left.min(self.line.deadline / ATTEMPTS),
                false => left,
            };
            match timeout(patience, &mut expected.answer).await {
                Ok(Ok(Ok(answer))) => {
                    let answer = serde_json::from_str(answer.get());
                    let answer = answer.map_err(|error| {
                        BackendError::new(BackendErrorKind::Corrupt, operation).with_source(error)
                    })?;
                    return Ok((answer, resent));
                }
                Ok(Ok(Err(trouble))) => return Err(trouble.during(operation)),
                // Only what stops listening drops the other end.
                Ok(Err(_)) => return Err(refused(Fault::unavailable("nobody listens any more"))),
                Err(_) if Instant::now() < ends => resent = true,
                Err(_) => {
                    self.line.desk.unanswered(begun);
                    return Err(refused(Fault::unavailable("no answer within the deadline")));
                }
            }
        }
    }
}

impl Line {
    fn write(&self, id: u64, request: impl Serialize) -> Result<Vec<u8>, Fault> {
        let asked = Asked { id, answer_to: self.answer_to.clone(), request };
        let question =
            serde_json::to_vec(&asked).map_err(|error| Fault::other(error.to_string()))?;
        if question.len() > MAX_BYTES {
            return Err(Fault::other(format!("a question of more than {MAX_BYTES} bytes")));
        }
        Ok(question)
    }

    /// Puts a question into the list. After `life` nobody takes it any more.
    async fn push(&self, question: &[u8], life: Duration) -> Result<(), Fault> {
        let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut calls = redis::pipe();
        script::call(&mut calls, &ASK, &self.requests).arg(WAITING).arg(millis).arg(question);
        let answer = script::run(&self.link, &calls).await?.pop().ok_or_else(Fault::unexpected)?;
        match bool::from_redis_value(answer) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::unavailable("too many questions wait for the store")),
            Err(_) => Err(Fault::unexpected()),
        }
    }
}

/// Listens to the answers, again and again, until it is dropped.
async fn listen(connector: Connector, line: Arc<Line>) {
    let mut health = Health::new("answers", connector.address());
    let mut backoff = Backoff::new();
    loop {
        let hear = Arc::clone(&line);
        let why = match connector.connect(move |info| receive(info, &hear.desk)).await {
            Ok(connection) => stay(connection, &line, &mut health, &mut backoff).await,
            Err(why) => why,
        };
        line.desk.set_listening(false);
        health.down(&why);
        backoff.pause().await;
    }
}

/// Stays subscribed, and returns why that ended.
async fn stay(
    mut connection: Connection,
    line: &Line,
    health: &mut Health,
    backoff: &mut Backoff,
) -> Fault {
    if let Err(why) = connection.subscribe(&[line.answer_to.as_str().into()]).await {
        return why;
    }
    line.desk.set_listening(true);
    health.up();
    *backoff = Backoff::new();
    loop {
        if let Err(why) = connection.idle().await {
            return why;
        }
        if let Err(why) = connection.ping().await {
            return why;
        }
    }
}

/// Takes in what the server pushes. Runs in the connection's task and never waits.
fn receive(mut info: PushInfo, desk: &Desk) {
    if info.kind == PushKind::Message
        && let Some(Value::BulkString(answer)) = info.data.pop()
    {
        desk.hear(&answer);
    }
}

/// Asks a silent store for a sign of life, until it answers.
async fn probe(line: Arc<Line>) {
    loop {
        line.desk.until_silent(true).await;
        let id = line.next.fetch_add(1, Ordering::Relaxed);
        if let Ok(question) = line.write(id, Request::Ping) {
            // Redis may be down as well: then the next one comes through.
            let _ = line.push(&question, PROBE_EVERY).await;
        }
        tokio::select! {
            () = line.desk.until_silent(false) => {}
            () = sleep(PROBE_EVERY) => {}
        }
    }
}
