//! The end that has the database: takes questions and answers them.

use std::{fmt, future::Future, pin::pin, sync::Arc, time::Duration};

use parlor_core::{BackendErrorKind, store::Store};
use redis::{FromRedisValue, RedisResult, Value};
use serde_json::value::RawValue;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};

use super::{
    carry::carry,
    wire::{Answered, Asked, Request, Trouble},
};
use crate::{
    connection::{Backoff, Connection, Connector, Health},
    error::Fault,
    link::Link,
    names::Names,
};

/// Questions carried out at once.
const AT_ONCE: usize = 64;
/// Questions taken at once: so many are lost for a moment with a process that dies.
const TAKEN: usize = 16;
/// So long one look at the list waits for a question. It is the sign of life as well.
const LOOK: Duration = Duration::from_secs(1);
/// How long the answer to a look may be late.
const LATE: Duration = Duration::from_secs(2);

/// Answers the questions of [remote stores](crate::RedisBackends::remote_store) from a store of one's own.
///
/// Any number of processes may serve one database: each question is taken by one of them. A process takes at most
/// 16 questions at a time and carries out at most 64 at once; what nobody takes in time is forgotten.
pub struct StoreServer {
    store: Arc<dyn Store>,
    connector: Connector,
    link: Link,
    requests: String,
}

impl StoreServer {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        connector: Connector,
        link: Link,
        names: &Names,
    ) -> Self {
        Self { store, connector, link, requests: names.requests() }
    }

    /// Serves until `stop` is done, then answers what was taken and returns. Dropped, it leaves what was taken
    /// unanswered, and another process is asked.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut health = Health::new("questions", self.connector.address());
        let mut backoff = Backoff::new();
        let mut work = Work::default();
        loop {
            let connecting = self.connector.connect(|_| {});
            let connected = tokio::select! {
                connected = connecting => connected,
                () = &mut stop => break,
            };
            let why = match connected {
                Ok(connection) => {
                    health.up();
                    backoff = Backoff::new();
                    self.serve(connection, &mut work, stop.as_mut()).await
                }
                Err(why) => Some(why),
            };
            let Some(why) = why else { break };
            health.down(&why);
            tokio::select! {
                () = backoff.pause() => {}
                () = &mut stop => break,
            }
        }
        while work.tasks.join_next().await.is_some() {}
    }

    /// Takes and answers, until it is told to stop (`None`) or the connection ends.
    async fn serve(
        &self,
        mut connection: Connection,
        work: &mut Work,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Fault> {
        loop {
            while work.tasks.try_join_next().is_some() {}
            let places = tokio::select! {
                places = work.places() => places,
                () = &mut stop => return None,
            };
            let mut taking = pin!(take(&mut connection, &self.requests, places.len()));
            let (taken, stopped) = tokio::select! {
                taken = &mut taking => (taken, false),
                // What it takes at the last moment is answered.
                () = &mut stop => (taking.await, true),
            };
            let (questions, now) = match taken {
                Ok(taken) => taken,
                Err(why) => return Some(why),
            };
            for (question, place) in questions.into_iter().zip(places) {
                let (store, link) = (Arc::clone(&self.store), self.link.clone());
                work.tasks.spawn(async move {
                    answer(&*store, &link, &question, now).await;
                    drop(place);
                });
            }
            if stopped {
                return None;
            }
        }
    }
}

impl fmt::Debug for StoreServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreServer")
            .field("store", &self.store)
            .field("address", &self.connector.address())
            .finish_non_exhaustive()
    }
}

/// Questions that are carried out.
struct Work {
    free: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Default for Work {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(AT_ONCE)), tasks: JoinSet::new() }
    }
}

impl Work {
    /// Waits for a place for a question, and takes more if they are free.
    async fn places(&self) -> Vec<OwnedSemaphorePermit> {
        // Nobody closes it.
        let Ok(first) = Arc::clone(&self.free).acquire_owned().await else { return Vec::new() };
        let more = (1..TAKEN).map_while(|_| Arc::clone(&self.free).try_acquire_owned().ok());
        std::iter::once(first).chain(more).collect()
    }
}

/// Waits for questions, and takes `count` of them at most, with the moment by the server's clock.
async fn take(
    connection: &mut Connection,
    requests: &str,
    count: usize,
) -> Result<(Vec<Vec<u8>>, u64), Fault> {
    let mut commands = redis::pipe();
    commands.cmd("BLPOP").arg(requests).arg(LOOK.as_secs());
    if count > 1 {
        commands.cmd("LPOP").arg(requests).arg(count - 1);
    }
    commands.cmd("TIME");
    let asking = commands.query_async::<Vec<Value>>(&mut connection.redis);
    let answers = timeout(LOOK + LATE, asking).await.map_err(|_| Fault::late(LOOK + LATE))??;
    read(answers).map_err(|_| Fault::unexpected())
}

fn read(answers: Vec<Value>) -> RedisResult<(Vec<Vec<u8>>, u64)> {
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or(Value::Nil);
    let first = Option::<(Value, Vec<u8>)>::from_redis_value(next())?;
    let mut questions: Vec<Vec<u8>> = first.map(|(_, question)| question).into_iter().collect();
    let (mut more, mut time) = (Value::Nil, next());
    if let Some(last) = answers.next() {
        (more, time) = (time, last);
    }
    questions.extend(Option::<Vec<Vec<u8>>>::from_redis_value(more)?.unwrap_or_default());
    let (seconds, micros) = <(u64, u64)>::from_redis_value(time)?;
    Ok((questions, seconds * 1000 + micros / 1000))
}

/// Carries a question out, unless it came too late, and publishes the answer.
async fn answer(store: &dyn Store, link: &Link, question: &[u8], now: u64) {
    let Some((ends, asked)) = open(question) else {
        metrics::counter!("parlor_redis_skipped_total").increment(1);
        return;
    };
    if ends <= now {
        metrics::counter!("parlor_store_server_expired_total").increment(1);
        return;
    }
    metrics::counter!("parlor_store_server_questions_total").increment(1);
    let answer = match serde_json::from_str::<Request>(asked.request.get()) {
        Ok(request) => carry(store, request).await,
        // Of a newer version, perhaps.
        Err(error) => {
            Err(Trouble::new(BackendErrorKind::Other, format!("not understood: {error}")))
        }
    };
    let answered = Answered { id: asked.id, answer };
    let Ok(answered) = serde_json::to_vec(&answered) else { return };
    let mut commands = redis::pipe();
    commands.cmd("PUBLISH").arg(&asked.answer_to).arg(answered);
    if let Err(why) = link.run(&commands).await {
        tracing::debug!(%why, "an answer was lost, who asked asks again");
    }
}

/// The moment after which nobody wants the answer, and the question.
fn open(question: &[u8]) -> Option<(u64, Asked<Box<RawValue>>)> {
    let space = question.iter().position(|byte| *byte == b' ')?;
    let ends = std::str::from_utf8(&question[..space]).ok()?.parse().ok()?;
    Some((ends, serde_json::from_slice(&question[space + 1..]).ok()?))
}
