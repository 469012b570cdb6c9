//! Group commit: while one batch of sends commits, the next gathers.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot};

use crate::engine::{
    gate::Admitted,
    node::{Life, Node},
};
use crate::{
    BackendError, BackendErrorKind, Error,
    event::Change,
    model::{ContentHash, ConversationId, Draft, MessageId},
    store::{Append, Appended},
};

type Answer = Result<Appended, Error>;

#[derive(Debug)]
struct Waiting {
    append: Append,
    answer: oneshot::Sender<Answer>,
}

/// Takes sends and appends them in batches, in lanes by conversation.
#[derive(Debug)]
pub(in crate::engine) struct Committer {
    lanes: Vec<mpsc::Sender<Waiting>>,
}

/// The receiving ends, for [`run`].
pub(in crate::engine) struct Lanes(Vec<mpsc::Receiver<Waiting>>);

/// A send whose place in the order is fixed, and whose commit is awaited.
pub(in crate::engine) struct Committing(oneshot::Receiver<Answer>);

fn overloaded(operation: &'static str) -> Error {
    Error::Unavailable(BackendError::new(BackendErrorKind::Unavailable, operation))
}

impl Committer {
    pub(in crate::engine) fn new(lanes: usize, pending: usize) -> (Self, Lanes) {
        let (senders, receivers) = (0..lanes.max(1)).map(|_| mpsc::channel(pending.max(1))).unzip();
        (Self { lanes: senders }, Lanes(receivers))
    }

    /// Queues a send. Only what the gate has admitted gets here.
    pub(in crate::engine) fn append(
        &self,
        node: &Node,
        admitted: Admitted,
        conversation: ConversationId,
        draft: Draft,
        hash: ContentHash,
    ) -> Result<Committing, Error> {
        let now = node.now();
        let append =
            Append::new(conversation, MessageId::new(now), admitted.into_user(), draft, hash, now);
        let (answer, committing) = oneshot::channel();
        let mut hasher = DefaultHasher::new();
        conversation.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % self.lanes.len() as u64).unwrap_or(0);
        self.lanes[lane].try_send(Waiting { append, answer }).map_err(|_| overloaded("append"))?;
        Ok(Committing(committing))
    }
}

impl Committing {
    /// Waits for the commit, at most the store's deadline; then the outcome is unknown.
    pub(in crate::engine) async fn outcome(self, node: &Node) -> Answer {
        match tokio::time::timeout(node.config.store_deadline, self.0).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(overloaded("append")),
        }
    }
}

/// Starts the lanes. Each ends with the engine, after what was queued.
pub(in crate::engine) fn run(node: &Arc<Node>, lanes: Lanes, life: &Life) {
    for lane in lanes.0 {
        tokio::spawn(serve(Arc::clone(node), lane, life.clone()));
    }
}

async fn serve(node: Arc<Node>, mut lane: mpsc::Receiver<Waiting>, mut life: Life) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = lane.recv_many(&mut batch, node.config.batch) => {
                if taken == 0 {
                    return;
                }
            }
            () = life.ended(), if !lane.is_closed() => {
                lane.close();
                continue;
            }
        }
        commit(&node, std::mem::take(&mut batch)).await;
    }
}

async fn commit(node: &Arc<Node>, batch: Vec<Waiting>) {
    let _inflight = node.inflight.begin();
    let (appends, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.append, waiting.answer)).unzip();
    metrics::histogram!("parlor_batch_size").record(appends.len() as f64);
    let store = Arc::clone(&node.backends.store);
    // In a task of its own: a store that panics must not take the lane with it.
    let outcomes = tokio::spawn(async move { store.append(appends).await }).await;
    let outcomes = match outcomes {
        Ok(outcomes) if outcomes.len() == answers.len() => outcomes,
        Ok(_) => vec![Err(BackendError::new(BackendErrorKind::Other, "append")); answers.len()],
        Err(panic) => {
            // How far it came nobody knows: with the same key the same may be sent again.
            let error =
                BackendError::new(BackendErrorKind::Unavailable, "append").with_source(panic);
            vec![Err(error); answers.len()]
        }
    };
    let mut changes = Vec::new();
    for (outcome, answer) in outcomes.into_iter().zip(answers) {
        match &outcome {
            Ok(Appended::Fresh(message)) => changes.push(Change::sent(message.clone())),
            Ok(_) => {}
            Err(error) => {
                metrics::counter!("parlor_store_errors_total", "operation" => "append")
                    .increment(1);
                tracing::warn!(%error, "append failed");
            }
        }
        // Nobody may be waiting any more; the message stands all the same.
        let _ = answer.send(outcome.map_err(Error::from));
    }
    metrics::counter!("parlor_messages_total").increment(changes.len() as u64);
    for change in changes {
        crate::engine::fanout::change(node, change);
    }
}
