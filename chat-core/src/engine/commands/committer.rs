//! Group commit: while one batch of sends commits, the next gathers. This is where they queue.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{mpsc, oneshot};

use crate::engine::{gate::Admitted, node::Node};
use crate::{
    BackendError, BackendErrorKind, Error,
    model::{ContentHash, ConversationId, Draft, MessageId},
    store::{Append, Appended},
};

type Answer = Result<Appended, Error>;

/// A send that waits for its commit.
#[derive(Debug)]
pub(in crate::engine) struct Waiting {
    pub(in crate::engine) append: Append,
    /// Nobody may be listening any more; the message is stored all the same.
    pub(in crate::engine) answer: oneshot::Sender<Answer>,
}

/// Takes sends and appends them in batches, in lanes by conversation.
#[derive(Debug)]
pub(in crate::engine) struct Committer {
    lanes: Vec<mpsc::Sender<Waiting>>,
}

/// The receiving ends, for [`crate::engine::lane::run`].
pub(in crate::engine) struct Lanes(pub(in crate::engine) Vec<mpsc::Receiver<Waiting>>);

/// A send whose place in the order is fixed, and whose commit is awaited.
pub(in crate::engine) struct Committing(oneshot::Receiver<Answer>);

pub(in crate::engine) fn overloaded(operation: &'static str) -> Error {
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
