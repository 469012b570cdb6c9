//! Hands what happened here to the other nodes, in order, many at a time. A hint: when the queue is full
//! or the bus is down the others find it in the store.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::engine::{
    node::{Life, Node},
    wire::{Aside, NodeMessage, encode},
};
use crate::{
    event::{Change, ChangeBody, Private},
    model::{ConversationId, UserId},
    traits::{Publication, Topic},
};

const QUEUE: usize = 16_384;
const BATCH: usize = 256;
/// How long a list of members serves for addressing. A node that is told too much ignores it, one that is
/// told too little sweeps.
const ROSTER_TTL: Duration = Duration::from_secs(2);
const ROSTERS: usize = 10_000;

#[derive(Debug)]
enum Job {
    /// To the members of a conversation, and to these users besides.
    Members(ConversationId, Vec<UserId>, NodeMessage),
    /// To topics.
    Topics(Vec<Topic>, NodeMessage),
}

/// Words to all nodes that are kept while the bus is down. No store holds them, so no sweep finds them.
const KEPT: usize = 1024;
/// When those are tried again, if nothing else is published earlier.
const AGAIN: Duration = Duration::from_secs(1);

/// The queue to the bus.
#[derive(Debug)]
pub(in crate::engine) struct Publisher {
    jobs: mpsc::Sender<Job>,
    has_peers: bool,
}

/// The receiving end, for [`run`].
pub(in crate::engine) struct Jobs(mpsc::Receiver<Job>);

impl Publisher {
    pub(in crate::engine) fn new(has_peers: bool) -> (Self, Jobs) {
        let (jobs, queue) = mpsc::channel(if has_peers { QUEUE } else { 1 });
        (Self { jobs, has_peers }, Jobs(queue))
    }

    fn queue(&self, job: impl FnOnce() -> Job) {
        if self.has_peers && self.jobs.try_send(job()).is_err() {
            metrics::counter!("parlor_bus_dropped_total").increment(1);
        }
    }

    pub(in crate::engine) fn change(&self, change: &Change) {
        self.queue(|| {
            let besides = match &change.body {
                ChangeBody::MembersChanged { added, removed, .. } => added
                    .iter()
                    .map(|member| member.user_id.clone())
                    .chain(removed.iter().cloned())
                    .collect(),
                ChangeBody::ConversationCreated { members, .. } => {
                    members.iter().map(|member| member.user_id.clone()).collect()
                }
                _ => Vec::new(),
            };
            Job::Members(change.conversation_id, besides, NodeMessage::Change(change.clone()))
        });
    }

    pub(in crate::engine) fn private(&self, private: &Private) {
        self.queue(|| {
            let topic = Topic::User(private.user_id.clone());
            Job::Topics(vec![topic], NodeMessage::Private(private.clone()))
        });
    }

    pub(in crate::engine) fn aside(&self, id: ConversationId, aside: &Aside) {
        self.queue(|| match &aside.only {
            Some(only) => Job::Topics(
                only.iter().cloned().map(Topic::User).collect(),
                NodeMessage::Ephemeral(aside.clone()),
            ),
            None => Job::Members(id, Vec::new(), NodeMessage::Ephemeral(aside.clone())),
        });
    }

    pub(in crate::engine) fn presence(&self, user: &UserId) {
        self.queue(|| {
            Job::Topics(vec![Topic::Presence(user.clone())], NodeMessage::Presence(user.clone()))
        });
    }

    pub(in crate::engine) fn nodes(&self, message: NodeMessage) {
        self.queue(|| Job::Topics(vec![Topic::Nodes], message));
    }
}

/// Who is to be told of a conversation's changes.
#[derive(Debug, Clone)]
enum Roster {
    Small(Vec<UserId>),
    Large,
}

/// Starts the publishing task. It ends with the engine, after what was queued.
pub(in crate::engine) fn run(node: &Arc<Node>, jobs: Jobs, life: &Life) {
    if node.publisher.has_peers {
        tokio::spawn(serve(Arc::clone(node), jobs.0, life.clone()));
    }
}

async fn serve(node: Arc<Node>, mut jobs: mpsc::Receiver<Job>, mut life: Life) {
    let mut rosters: HashMap<ConversationId, (Roster, Instant)> = HashMap::new();
    let mut batch = Vec::new();
    let mut kept: Vec<Publication> = Vec::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(AGAIN), if !kept.is_empty() => {}
            taken = jobs.recv_many(&mut batch, BATCH) => {
                if taken == 0 {
                    return;
                }
            }
            () = life.ended(), if !jobs.is_closed() => {
                jobs.close();
                continue;
            }
        }
        let mut publications = std::mem::take(&mut kept);
        for job in batch.drain(..) {
            let (topics, message) = match job {
                Job::Topics(topics, message) => (topics, message),
                Job::Members(id, besides, message) => {
                    if !besides.is_empty() {
                        rosters.remove(&id);
                    }
                    let mut topics = address(&node, &mut rosters, id).await;
                    for user in besides {
                        let topic = Topic::User(user);
                        if !topics.contains(&topic) {
                            topics.push(topic);
                        }
                    }
                    (topics, message)
                }
            };
            publications.push(Publication { topics, payload: encode(node.id, &message) });
        }
        let to_all: Vec<Publication> = publications
            .iter()
            .filter(|publication| publication.topics == [Topic::Nodes])
            .take(KEPT)
            .cloned()
            .collect();
        if let Err(error) = node.read("publish", node.backends.bus.publish(publications)).await {
            kept = to_all;
            metrics::counter!("parlor_bus_errors_total").increment(1);
            tracing::warn!(%error, "publish failed, other nodes will catch up");
        }
    }
}

async fn address(
    node: &Node,
    rosters: &mut HashMap<ConversationId, (Roster, Instant)>,
    id: ConversationId,
) -> Vec<Topic> {
    let fresh = |at: &Instant| at.elapsed() < ROSTER_TTL;
    let roster = match rosters.get(&id) {
        Some((roster, at)) if fresh(at) => roster.clone(),
        _ => {
            let small = node.config.small_conversation as usize;
            let members = node.store().members(id, None, small + 1);
            // Not remembered: the next change asks again.
            let Ok(members) = node.read("members", members).await else { return Vec::new() };
            let roster = if members.len() > small {
                Roster::Large
            } else {
                Roster::Small(members.into_iter().map(|member| member.user_id).collect())
            };
            if rosters.len() >= ROSTERS {
                rosters.retain(|_, (_, at)| fresh(at));
            }
            rosters.insert(id, (roster.clone(), Instant::now()));
            roster
        }
    };
    match roster {
        Roster::Small(users) => users.into_iter().map(Topic::User).collect(),
        Roster::Large => vec![Topic::Conversation(id)],
    }
}
