//! Finds what the bus lost: fills holes in rooms from the store, and compares heads in a sweep.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::{
    arrivals::Arrivals,
    node::{Life, Node},
};
use crate::{
    Error,
    event::Changes,
    model::ConversationId,
    store::{ChangesPage, ChangesQuery},
};

/// A hole may close by itself: changes of one conversation can come out of order by a moment.
const PATIENCE: Duration = Duration::from_millis(20);
/// What was committed just now is on its way to the rooms: a head counts only when they stay behind it.
const ON_ITS_WAY: Duration = Duration::from_millis(100);
/// Conversations read at once.
const WIDTH: usize = 4;
/// Conversations whose heads are asked in one query.
const HEADS: usize = 1000;

/// What is to be looked at.
#[derive(Debug, Default)]
struct Wanted {
    holes: HashSet<ConversationId>,
    heads: HashSet<ConversationId>,
    sweep: bool,
}

/// Reports of holes, for the task that fills them.
#[derive(Debug, Default)]
pub(in crate::engine) struct Gaps {
    wanted: Mutex<Wanted>,
    wake: Notify,
}

impl Gaps {
    /// A change arrived whose predecessor did not.
    pub(in crate::engine) fn report(&self, id: ConversationId) {
        self.wanted.lock().holes.insert(id);
        self.wake.notify_one();
    }

    /// Rooms that were made just now may have missed what was sent while their heads were read.
    pub(in crate::engine) fn compare(&self, ids: impl IntoIterator<Item = ConversationId>) {
        self.wanted.lock().heads.extend(ids);
        self.wake.notify_one();
    }

    /// Something may have been missed anywhere.
    pub(in crate::engine) fn sweep_now(&self) {
        self.wanted.lock().sweep = true;
        self.wake.notify_one();
    }
}

/// Starts the task that fills holes and sweeps. It ends with the engine.
pub(in crate::engine) fn run(node: &Arc<Node>, life: &Life) {
    tokio::spawn(serve(Arc::clone(node), life.clone()));
}

async fn serve(node: Arc<Node>, mut life: Life) {
    let interval = node.config.sweep_interval;
    let mut next_sweep = tokio::time::Instant::now() + interval;
    let mut arrivals = Arrivals::from(node.now());
    loop {
        tokio::select! {
            () = node.gaps.wake.notified() => tokio::time::sleep(PATIENCE).await,
            () = tokio::time::sleep_until(next_sweep), if !interval.is_zero() => {
                node.gaps.wanted.lock().sweep = true;
            }
            () = life.ended() => return,
        }
        let wanted = std::mem::take(&mut *node.gaps.wanted.lock());
        let mut behind: HashMap<ConversationId, u64> = wanted
            .holes
            .into_iter()
            .filter_map(|id| node.rooms.gap(id).map(|head| (id, head)))
            .collect();
        if wanted.sweep {
            next_sweep = tokio::time::Instant::now() + interval;
            let rooms: Vec<_> = node.rooms.heads().into_iter().map(|(id, _)| id).collect();
            behind.extend(heads(&node, &rooms).await);
            arrivals.look(&node).await;
            refresh_epoch(&node).await;
        } else if !wanted.heads.is_empty() {
            let rooms: Vec<_> = wanted.heads.into_iter().collect();
            behind.extend(heads(&node, &rooms).await);
        }
        stream::iter(behind).for_each_concurrent(WIDTH, |(id, head)| fill(&node, id, head)).await;
    }
}

/// The heads of those rooms that seem to be behind, after a moment in which they may have caught up.
async fn heads(node: &Node, rooms: &[ConversationId]) -> Vec<(ConversationId, u64)> {
    let mut heads = Vec::new();
    for chunk in rooms.chunks(HEADS) {
        match node.read("heads", node.store().heads(chunk)).await {
            Ok(found) => {
                heads.extend(
                    found.into_iter().filter(|(id, head)| node.rooms.is_behind(*id, *head)),
                );
            }
            // The next sweep asks again.
            Err(_) => break,
        }
    }
    if !heads.is_empty() {
        tokio::time::sleep(ON_ITS_WAY).await;
    }
    heads
}

async fn refresh_epoch(node: &Node) {
    if let Ok(epoch) = node.read("epoch", node.store().epoch()).await {
        *node.epoch.write() = epoch;
    }
}

/// Brings a room up to at least `head`.
async fn fill(node: &Arc<Node>, id: ConversationId, head: u64) {
    let Some(since) = node.rooms.begin_fill(id, head) else { return };
    metrics::counter!("parlor_gap_fills_total").increment(1);
    tracing::debug!(%id, since, head, "filling a hole from the store");
    let through = read_on(node, id, since).await.unwrap_or_default();
    node.rooms.end_fill(id, through, &node.registry);
    // Members may have come with what was missing.
    crate::engine::access::recheck_here(node, id);
    if through.is_none() {
        // The store was down: the sweep, or the next change, asks again.
        return;
    }
    if node.rooms.gap(id).is_some() {
        node.gaps.report(id);
    }
}

/// Reads and delivers all pages since a rev; where they lead to.
async fn read_on(node: &Node, id: ConversationId, since: u64) -> Result<Option<u64>, Error> {
    let mut position = None;
    loop {
        let query =
            ChangesQuery { viewer: None, since, position, limit: node.config.limits.page_max };
        let Some(page) = node.read("changes", node.store().changes(id, query)).await? else {
            return Ok(None);
        };
        if position.is_none() && page.through_rev.saturating_sub(since) > node.config.replay_limit {
            let conversation = node.read("conversation", node.store().conversation(id)).await?;
            let last_seq = conversation.map_or(0, |conversation| conversation.last_seq);
            node.rooms.deliver_limited(id, page.through_rev, last_seq);
            return Ok(Some(page.through_rev));
        }
        let (through, next) = (page.through_rev, page.next);
        node.rooms.deliver_page(to_event(id, since, page), &node.registry);
        match next {
            Some(next) => position = Some(next),
            None => return Ok(Some(through)),
        }
    }
}

/// A page of changes as it is told.
pub(in crate::engine) fn to_event(
    id: ConversationId,
    since_rev: u64,
    page: ChangesPage,
) -> Changes {
    let (conversation, members) = page.conversation.unzip();
    Changes {
        conversation_id: id,
        since_rev,
        messages: page.messages,
        revised: page.revised,
        conversation,
        members,
        through_rev: page.through_rev,
        next: page.next.map(|next| next.to_string()),
    }
}
