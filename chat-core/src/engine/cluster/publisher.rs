//! Hands what happened here to the other nodes, in order, many at a time. A hint: when the queue is full
//! or the bus is down the others find it in the store.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
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
/// Lists of members read at once.
const LOOK_UPS: usize = 16;

type Rosters = HashMap<ConversationId, (Roster, Instant)>;

#[derive(Debug)]
enum Job {
    /// To the members of a conversation, and to these users besides.
    Members(ConversationId, Vec<UserId>, NodeMessage),
    /// To topics.
    Topics(Vec<Topic>, NodeMessage),
    /// Nothing to tell: this conversation has other members now, as another node said.
    Forget(ConversationId),
}

/// Words to all nodes that wait, and are kept while the bus is down. No store holds them, so no sweep finds them:
/// they do not share a queue with hints, which may be full.
const KEPT: usize = 1024;
/// When those are tried again, if nothing else is published earlier.
const AGAIN: Duration = Duration::from_secs(1);

/// The queue to the bus.
#[derive(Debug)]
pub(in crate::engine) struct Publisher {
    jobs: mpsc::Sender<Job>,
    words: mpsc::Sender<NodeMessage>,
    has_peers: bool,
}

/// The receiving ends, for [`run`].
pub(in crate::engine) struct Jobs(mpsc::Receiver<Job>, mpsc::Receiver<NodeMessage>);

impl Publisher {
    pub(in crate::engine) fn new(has_peers: bool) -> (Self, Jobs) {
        let (jobs, queue) = mpsc::channel(if has_peers { QUEUE } else { 1 });
        let (words, said) = mpsc::channel(KEPT);
        (Self { jobs, words, has_peers }, Jobs(queue, said))
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
        if self.has_peers && self.words.try_send(message).is_err() {
            tracing::error!(
                "too many revocations wait for the bus: other nodes were not told of one"
            );
            metrics::counter!("parlor_bus_dropped_total").increment(1);
        }
    }

    /// Another node changed who belongs to a conversation.
    pub(in crate::engine) fn forget(&self, id: ConversationId) {
        self.queue(|| Job::Forget(id));
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
        tokio::spawn(serve(Arc::clone(node), jobs, life.clone()));
    }
}

async fn serve(node: Arc<Node>, Jobs(mut jobs, mut words): Jobs, mut life: Life) {
    let mut rosters = Rosters::new();
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
            Some(word) = words.recv() => batch.push(Job::Topics(vec![Topic::Nodes], word)),
            () = life.ended(), if !jobs.is_closed() => {
                jobs.close();
                continue;
            }
        }
        look_up(&node, &mut rosters, &batch).await;
        let mut publications = std::mem::take(&mut kept);
        for job in batch.drain(..) {
            let (topics, message) = match job {
                Job::Topics(topics, message) => (topics, message),
                Job::Members(id, besides, message) => (address(&rosters, id, besides), message),
                Job::Forget(_) => continue,
            };
            publications.push(Publication { topics, payload: encode(node.id, &message) });
        }
        let to_all: Vec<Publication> = publications
            .iter()
            .filter(|publication| publication.topics == [Topic::Nodes])
            .take(KEPT)
            .cloned()
            .collect();
        let published = node.backends.bus.publish(publications);
        if node.tolerate(&node.outages.publish, published).await.is_err() {
            kept = to_all;
        }
    }
}

/// Reads the lists of members that these jobs need and that are not known, or not any more.
async fn look_up(node: &Node, rosters: &mut Rosters, batch: &[Job]) {
    for job in batch {
        if let Job::Forget(id) = job {
            rosters.remove(id);
        }
    }
    let mut wanted = HashSet::new();
    for job in batch {
        let Job::Members(id, besides, _) = job else { continue };
        let known = rosters.get(id).is_some_and(|(_, at)| at.elapsed() < ROSTER_TTL);
        // Where somebody came or went the list is another one now.
        if !known || !besides.is_empty() {
            wanted.insert(*id);
        }
    }
    if wanted.is_empty() {
        return;
    }
    if rosters.len() + wanted.len() > ROSTERS {
        rosters.retain(|_, (_, at)| at.elapsed() < ROSTER_TTL);
    }
    let found: Vec<_> = stream::iter(wanted)
        .map(|id| async move { (id, roster(node, id).await) })
        .buffer_unordered(LOOK_UPS)
        .collect()
        .await;
    let now = Instant::now();
    for (id, roster) in found {
        match roster {
            Some(roster) => rosters.insert(id, (roster, now)),
            // The next change asks again.
            None => rosters.remove(&id),
        };
    }
}

async fn roster(node: &Node, id: ConversationId) -> Option<Roster> {
    let small = node.config.small_conversation as usize;
    let members = node.read("members", node.store().members(id, None, small + 1)).await.ok()?;
    if members.len() > small {
        return Some(Roster::Large);
    }
    Some(Roster::Small(members.into_iter().map(|member| member.user_id).collect()))
}

/// The topics of a conversation's members and of these users besides.
fn address(rosters: &Rosters, id: ConversationId, besides: Vec<UserId>) -> Vec<Topic> {
    let mut topics = match rosters.get(&id) {
        Some((Roster::Small(users), _)) => users.iter().cloned().map(Topic::User).collect(),
        Some((Roster::Large, _)) => vec![Topic::Conversation(id)],
        None => Vec::new(),
    };
    for user in besides {
        let topic = Topic::User(user);
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    topics
}
