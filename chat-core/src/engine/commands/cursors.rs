//! Moves cursors in batches: while one batch commits the next gathers, and of one member only the
//! furthest is written.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::engine::node::{Life, Node};
use crate::{
    BackendError, BackendErrorKind, Error,
    event::Private,
    model::{ConversationId, UserId},
    store::{Advance, Advanced},
};

type Answer = Result<Option<Advanced>, Error>;

#[derive(Debug, Default)]
struct Pending {
    delivered: Option<u64>,
    read: Option<u64>,
    answers: Vec<oneshot::Sender<Answer>>,
}

/// Cursors that wait to be written.
#[derive(Debug, Default)]
pub(in crate::engine) struct CursorWriter {
    pending: Mutex<HashMap<(ConversationId, UserId), Pending>>,
    wake: Notify,
}

impl CursorWriter {
    /// Moves a member's cursors and waits until that is stored; `None` when the user is not a member.
    pub(in crate::engine) async fn advance(
        &self,
        node: &Node,
        id: ConversationId,
        user: &UserId,
        delivered: Option<u64>,
        read: Option<u64>,
    ) -> Answer {
        let unavailable =
            || Error::Unavailable(BackendError::new(BackendErrorKind::Unavailable, "advance"));
        let answer = {
            let mut pending = self.pending.lock();
            if pending.len() >= node.config.pending_sends {
                return Err(unavailable());
            }
            let entry = pending.entry((id, user.clone())).or_default();
            entry.delivered = entry.delivered.max(delivered);
            entry.read = entry.read.max(read);
            let (sender, answer) = oneshot::channel();
            entry.answers.push(sender);
            answer
        };
        self.wake.notify_one();
        match tokio::time::timeout(node.config.store_deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(unavailable()),
        }
    }
}

/// Starts the task that writes. It ends with the engine, after what was queued.
pub(in crate::engine) fn run(node: &Arc<Node>, life: &Life) {
    tokio::spawn(serve(Arc::clone(node), life.clone()));
}

async fn serve(node: Arc<Node>, mut life: Life) {
    let mut ending = false;
    while !ending {
        tokio::select! {
            () = node.cursors.wake.notified() => {}
            () = life.ended() => ending = true,
        }
        let pending = std::mem::take(&mut *node.cursors.pending.lock());
        if !pending.is_empty() {
            write(&node, pending).await;
        }
    }
}

async fn write(node: &Arc<Node>, pending: HashMap<(ConversationId, UserId), Pending>) {
    let _inflight = node.inflight.begin();
    let (keys, pending): (Vec<_>, Vec<_>) = pending.into_iter().unzip();
    let batch = keys
        .iter()
        .zip(&pending)
        .map(|((id, user), pending)| Advance {
            conversation_id: *id,
            user_id: user.clone(),
            delivered_seq: pending.delivered,
            read_seq: pending.read,
        })
        .collect();
    let store = Arc::clone(&node.backends.store);
    let cap = node.config.limits.unread_cap;
    // In a task of its own: a store that panics must not take the writer with it.
    let outcomes = tokio::spawn(async move { store.advance(batch, cap).await }).await;
    let outcomes = match outcomes {
        Ok(outcomes) if outcomes.len() == keys.len() => outcomes,
        // How far it came nobody knows; the same may be asked again.
        _ => vec![Err(BackendError::new(BackendErrorKind::Unavailable, "advance")); keys.len()],
    };
    for (((id, user), pending), outcome) in keys.into_iter().zip(pending).zip(outcomes) {
        if let Err(error) = &outcome {
            tracing::warn!(%error, "moving a cursor failed");
        }
        let mut answer = outcome.map_err(Error::from);
        let told = match &answer {
            Ok(Some(advanced)) if advanced.moved => Some(advanced.state.clone()),
            _ => None,
        };
        for waiting in pending.answers {
            // Nobody may be waiting any more; the cursor stands all the same.
            let _ = waiting.send(answer.clone());
            // What was delivered now was delivered by one of them.
            if let Ok(Some(advanced)) = &mut answer {
                advanced.delivered_before = advanced.state.delivered_seq;
            }
        }
        if let Some(state) = told {
            if node.config.receipts && !state.private_receipts {
                node.receipts.moved(id, &user, &state);
            }
            let deleted = Vec::new();
            let private = Private { conversation_id: id, user_id: user, state, deleted };
            crate::engine::fanout::private(node, private);
        }
    }
}
