//! Finds connected users who became members of a conversation and were not told: no room here waits for it,
//! so no head shows that something is missing.

use std::{sync::Arc, time::Duration};

use crate::engine::{codec::Delivery, node::Node};
use crate::{
    Timestamp,
    event::{Event, SessionEvent},
    model::{ConversationId, UserId},
    store::Arrival,
};

/// What began so long before the last look is looked at again: another node's clock may be behind, and
/// a commit takes a while.
const OVERLAP: Duration = Duration::from_secs(60);
/// Memberships in one query.
const PAGE: usize = 1000;

/// Memberships since a moment, for the sweep.
#[derive(Debug)]
pub(in crate::engine) struct Arrivals {
    since: Timestamp,
}

impl Arrivals {
    pub(in crate::engine) fn from(now: Timestamp) -> Self {
        Self { since: now.minus(OVERLAP) }
    }

    /// Lets those in who stand outside. When the store fails, the next look begins at the same moment.
    pub(in crate::engine) async fn look(&mut self, node: &Arc<Node>) {
        if !node.backends.bus.has_peers() {
            // Whoever joined did so here, and was told.
            return;
        }
        let now = node.now();
        let mut after: Option<Arrival> = None;
        loop {
            let page = node.store().arrivals(self.since, after.as_ref(), PAGE);
            let Ok(page) = node.read("arrivals", page).await else { return };
            for arrival in &page {
                let (id, user) = (arrival.conversation_id, &arrival.user_id);
                if stands_outside(node, id, user) && !welcome(node, id, user).await {
                    return;
                }
            }
            let full = page.len() == PAGE;
            after = page.into_iter().next_back();
            if !full {
                break;
            }
        }
        self.since = now.minus(OVERLAP);
    }
}

fn stands_outside(node: &Node, id: ConversationId, user: &UserId) -> bool {
    node.registry.of(user).iter().any(|connection| !connection.stands_in(id))
}

/// Lets a user's connections into a room and tells them of it; `false` when the store failed.
async fn welcome(node: &Arc<Node>, id: ConversationId, user: &UserId) -> bool {
    let asked = [id];
    let may = node.backends.policy.may_receive(user, &asked);
    let Ok(may) = node.read("policy", may).await else { return false };
    let cap = node.config.limits.unread_cap;
    let summary = node.read("summary", node.store().summary(id, user, cap)).await;
    let summary = match summary {
        Ok(Some(summary)) => summary,
        // Removed again meanwhile.
        Ok(None) => return true,
        Err(_) => return false,
    };
    let head = summary.conversation.rev;
    let connections = node.registry.of(user);
    if may.first().copied().unwrap_or(false) {
        let event = SessionEvent::ConversationAdded { summary: Box::new(summary) };
        let mut welcome = Delivery::new(Event::Session(event));
        // A room that is ahead of what was read, or is catching up, is tried again by the next sweep.
        node.rooms.welcome(id, &connections, head, &mut welcome);
    } else {
        for connection in &connections {
            node.rooms.enter_revoked(id, connection, head);
        }
    }
    node.gaps.compare([id]);
    // The policy may have changed since it was asked, and the group may have a topic of its own.
    crate::engine::access::regrouped(node, id);
    true
}
