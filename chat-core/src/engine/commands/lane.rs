//! A lane of the group commit: takes what waits, appends it together, tells the members.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{mpsc, oneshot};

use crate::engine::{
    committer::{Lanes, Waiting, overloaded},
    fanout,
    node::{Life, Node},
};
use crate::{
    BackendError, BackendErrorKind, Error,
    event::Change,
    model::ConversationId,
    store::{Append, Appended, Tried},
};

/// Conversations of a lane that wait for somebody else's lock at once. Each may take a connection of the store.
const APART: usize = 4;

/// Starts the lanes. Each ends with the engine, after what was queued.
pub(in crate::engine) fn run(node: &Arc<Node>, lanes: Lanes, life: &Life) {
    for lane in lanes.0 {
        tokio::spawn(serve(Arc::clone(node), lane, life.clone()));
    }
}

async fn serve(node: Arc<Node>, mut lane: mpsc::Receiver<Waiting>, mut life: Life) {
    let mut apart = Apart::default();
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = lane.recv_many(&mut batch, node.config.batch) => {
                if taken == 0 {
                    break;
                }
            }
            Some(conversation) = apart.running.next() => {
                apart.go_on(&node, conversation);
                continue;
            }
            () = life.ended(), if !lane.is_closed() => {
                lane.close();
                continue;
            }
        }
        let together = apart.hold_back(&node, std::mem::take(&mut batch));
        let locked = commit(&node, together, Locks::Brief).await;
        apart.set_aside(&node, locked);
    }
    while let Some(conversation) = apart.running.next().await {
        apart.go_on(&node, conversation);
    }
}

/// Conversations that somebody else has locked, such as a transaction of the host's own. Their messages wait
/// here, in order, so that nobody else's do.
#[derive(Default)]
struct Apart {
    /// What waits behind the messages that are on their way, by conversation.
    waiting: HashMap<ConversationId, Vec<Waiting>>,
    /// How many those are.
    held: usize,
    /// Conversations whose turn has not come.
    next: VecDeque<ConversationId>,
    running: FuturesUnordered<BoxFuture<'static, ConversationId>>,
}

impl Apart {
    /// Takes out of a batch what must not overtake an earlier message of its conversation.
    fn hold_back(&mut self, node: &Node, mut batch: Vec<Waiting>) -> Vec<Waiting> {
        if !self.waiting.is_empty() {
            let held = batch
                .extract_if(.., |send| self.waiting.contains_key(&send.append.conversation_id));
            for send in held.collect::<Vec<_>>() {
                self.hold(node, send);
            }
        }
        batch
    }

    fn hold(&mut self, node: &Node, send: Waiting) {
        if self.held >= node.config.pending_sends {
            let _ = send.answer.send(Err(overloaded("append")));
            return;
        }
        self.held += 1;
        let conversation = send.append.conversation_id;
        match self.waiting.entry(conversation) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push(send),
            Entry::Vacant(first) => {
                first.insert(vec![send]);
                self.next.push_back(conversation);
            }
        }
    }

    /// Lets messages whose conversation is locked wait here.
    fn set_aside(&mut self, node: &Arc<Node>, locked: Vec<Waiting>) {
        for send in locked {
            self.hold(node, send);
        }
        self.start(node);
    }

    /// A conversation's messages are done: the next of its own, or of another conversation.
    fn go_on(&mut self, node: &Arc<Node>, conversation: ConversationId) {
        match self.waiting.get(&conversation) {
            Some(waiting) if !waiting.is_empty() => self.next.push_back(conversation),
            _ => {
                self.waiting.remove(&conversation);
            }
        }
        self.start(node);
    }

    fn start(&mut self, node: &Arc<Node>) {
        while self.running.len() < APART
            && let Some(conversation) = self.next.pop_front()
        {
            // The empty entry stays, and says that messages are on their way.
            let batch = self.waiting.get_mut(&conversation).map(std::mem::take).unwrap_or_default();
            self.held -= batch.len();
            let node = Arc::clone(node);
            let run = async move {
                commit(&node, batch, Locks::Patient).await;
                conversation
            };
            self.running.push(run.boxed());
        }
    }
}

/// What to do about locks that somebody else holds.
#[derive(Clone, Copy)]
enum Locks {
    /// Wait no longer than a moment.
    Brief,
    /// Wait as long as the store does.
    Patient,
}

/// Appends a batch and tells of it. What was locked comes back.
async fn commit(node: &Arc<Node>, batch: Vec<Waiting>, locks: Locks) -> Vec<Waiting> {
    if batch.is_empty() {
        return batch;
    }
    let _inflight = node.inflight.begin();
    let (appends, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.append, waiting.answer)).unzip();
    metrics::histogram!("parlor_batch_size").record(appends.len() as f64);
    let mut changes = Vec::new();
    let mut locked = Vec::new();
    for (tried, answer) in append(node, appends, locks).await.into_iter().zip(answers) {
        match tried {
            Tried::Answered(outcome) => settle(outcome, answer, &mut changes),
            Tried::Locked(append) => locked.push(Waiting { append, answer }),
        }
    }
    metrics::counter!("parlor_messages_total").increment(changes.len() as u64);
    for change in changes {
        fanout::change(node, change);
    }
    locked
}

/// One answer for each message, whatever the store does.
async fn append(node: &Arc<Node>, appends: Vec<Append>, locks: Locks) -> Vec<Tried> {
    let asked = appends.len();
    let store = Arc::clone(&node.backends.store);
    // In a task of its own: a store that panics must not take the lane with it.
    let outcomes = tokio::spawn(async move {
        match locks {
            Locks::Brief => store.try_append(appends).await,
            Locks::Patient => {
                store.append(appends).await.into_iter().map(Tried::Answered).collect()
            }
        }
    });
    let error = match outcomes.await {
        Ok(outcomes) if outcomes.len() == asked => return outcomes,
        // How far it came nobody knows: with the same key the same may be sent again.
        Ok(_) => BackendError::new(BackendErrorKind::Unavailable, "append"),
        Err(panic) => BackendError::new(BackendErrorKind::Unavailable, "append").with_source(panic),
    };
    vec![Tried::Answered(Err(error)); asked]
}

fn settle(
    outcome: Result<Appended, BackendError>,
    answer: oneshot::Sender<Result<Appended, Error>>,
    changes: &mut Vec<Change>,
) {
    match &outcome {
        Ok(Appended::Fresh(message)) => changes.push(Change::sent(message.clone())),
        Ok(_) => {}
        Err(error) => {
            metrics::counter!("parlor_store_errors_total", "operation" => "append").increment(1);
            tracing::warn!(%error, "append failed");
        }
    }
    let _ = answer.send(outcome.map_err(Error::from));
}
