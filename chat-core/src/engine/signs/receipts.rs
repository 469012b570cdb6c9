//! Tells members how far others have read: coalesced, so that a flood of cursors is a trickle of events.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::node::{Life, Node};
use crate::{
    event::Ephemeral,
    model::{ConversationId, MemberState, UserId},
};

/// Cursors are told at most this often.
const INTERVAL: Duration = Duration::from_millis(100);

/// Cursors that are to be told, the latest of each member.
#[derive(Debug, Default)]
pub(in crate::engine) struct Receipts {
    pending: Mutex<HashMap<(ConversationId, UserId), (u64, u64)>>,
    wake: Notify,
}

impl Receipts {
    /// A member's cursors moved.
    pub(in crate::engine) fn moved(&self, id: ConversationId, user: &UserId, state: &MemberState) {
        let cursors = (state.delivered_seq, state.read_seq);
        let mut pending = self.pending.lock();
        pending.insert((id, user.clone()), cursors);
        drop(pending);
        self.wake.notify_one();
    }
}

/// Starts the task that tells. It ends with the engine.
pub(in crate::engine) fn run(node: &Arc<Node>, life: &Life) {
    tokio::spawn(serve(Arc::clone(node), life.clone()));
}

async fn serve(node: Arc<Node>, mut life: Life) {
    loop {
        tokio::select! {
            () = node.receipts.wake.notified() => {}
            () = life.ended() => return,
        }
        tokio::time::sleep(INTERVAL).await;
        let pending = std::mem::take(&mut *node.receipts.pending.lock());
        for ((conversation_id, user_id), (delivered_seq, read_seq)) in pending {
            let aside = crate::engine::fanout::from_user(
                Ephemeral::Receipt {
                    conversation_id,
                    user_id: user_id.clone(),
                    delivered_seq,
                    read_seq,
                },
                &user_id,
            );
            crate::engine::fanout::aside(&node, conversation_id, aside);
        }
    }
}
