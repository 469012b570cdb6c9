//! Where the nodes of one process meet, and where tests break things.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::MemoryBus;
use crate::traits::{BusItem, Publication, Topic};

/// Items that wait for a node unless told otherwise.
const CAPACITY: usize = 1024;

/// Connects [`MemoryBus`]es, and loses and reorders what they say when a test asks for it.
/// Clones are the same hub.
#[derive(Debug, Clone)]
pub struct MemoryHub {
    capacity: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<usize, Node>,
    next_node: usize,
    /// Publications to lose.
    drop_next: usize,
    /// Decides the fate of deliveries while the hub is lossy.
    lossy: Option<fastrand::Rng>,
}

#[derive(Debug)]
struct Node {
    inbox: Arc<Inbox>,
    topics: HashSet<Topic>,
    partitioned: bool,
    /// A delivery that waits to come after the next one.
    held: Option<Bytes>,
}

impl MemoryHub {
    /// A hub whose nodes let at most `items` items wait (at least 1; 1,024 by default).
    pub fn with_capacity(items: usize) -> Self {
        Self { capacity: items.max(1), state: Arc::default() }
    }

    /// Connects one more node. Nodes are numbered 0, 1, 2 … in the order in which they come.
    pub fn node(&self) -> MemoryBus {
        let inbox = Arc::new(Inbox::default());
        let mut state = self.state.lock();
        let number = state.next_node;
        state.next_node += 1;
        let topics = HashSet::new();
        let node = Node { inbox: inbox.clone(), topics, partitioned: false, held: None };
        state.nodes.insert(number, node);
        MemoryBus { hub: self.clone(), node: number, inbox }
    }

    /// Loses the next `publications` of whatever node, for every node and in silence.
    pub fn drop_next(&self, publications: usize) {
        self.state.lock().drop_next = publications;
    }

    /// From now on loses a quarter of the deliveries in silence, lets a quarter come only after the
    /// next one to the same node, and brings an eighth twice, as the seed decides. `None` ends it.
    pub fn set_lossy(&self, seed: Option<u64>) {
        let mut state = self.state.lock();
        state.lossy = seed.map(fastrand::Rng::with_seed);
        for node in state.nodes.values_mut() {
            node.let_go(self.capacity);
        }
    }

    /// Cuts a node off (`true`) or connects it again (`false`). While it is cut off its publications
    /// fail and it gets nothing; afterwards it gets a [`BusItem::Gap`]. The others are not told.
    pub fn partition(&self, node: usize, on: bool) {
        let mut state = self.state.lock();
        let Some(node) = state.nodes.get_mut(&node) else { return };
        if node.partitioned && !on {
            node.held = None;
            node.inbox.push(BusItem::Gap, self.capacity);
        }
        node.partitioned = on;
    }

    /// Hands publications to the nodes that joined; `false` when the publisher is cut off.
    pub(super) fn deliver(&self, from: usize, publications: &[Publication]) -> bool {
        let mut state = self.state.lock();
        let State { nodes, drop_next, lossy, .. } = &mut *state;
        if nodes.get(&from).is_none_or(|node| node.partitioned) {
            return false;
        }
        for Publication { topics, payload } in publications {
            if *drop_next > 0 {
                *drop_next -= 1;
                continue;
            }
            let others = nodes.iter_mut().filter(|(number, _)| **number != from);
            for (_, node) in others {
                if !node.partitioned && topics.iter().any(|topic| node.topics.contains(topic)) {
                    node.receive(payload, lossy.as_mut(), self.capacity);
                }
            }
        }
        true
    }

    pub(super) fn join(&self, node: usize, topics: Vec<Topic>) {
        if let Some(node) = self.state.lock().nodes.get_mut(&node) {
            node.topics.extend(topics);
        }
    }

    pub(super) fn part(&self, node: usize, topics: &[Topic]) {
        if let Some(node) = self.state.lock().nodes.get_mut(&node) {
            for topic in topics {
                node.topics.remove(topic);
            }
        }
    }

    pub(super) fn leave(&self, node: usize) {
        if let Some(node) = self.state.lock().nodes.remove(&node) {
            node.inbox.close();
        }
    }
}

impl Default for MemoryHub {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Node {
    fn receive(&mut self, payload: &Bytes, lossy: Option<&mut fastrand::Rng>, capacity: usize) {
        let copies = match lossy.map(|rng| rng.u8(0..8)) {
            Some(0 | 1) => 0,
            Some(2 | 3) if self.held.is_none() => {
                self.held = Some(payload.clone());
                return;
            }
            Some(4) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            self.inbox.push(BusItem::Message(payload.clone()), capacity);
        }
        if copies > 0 {
            self.let_go(capacity);
        }
    }

    fn let_go(&mut self, capacity: usize) {
        if let Some(payload) = self.held.take() {
            self.inbox.push(BusItem::Message(payload), capacity);
        }
    }
}

/// What waits for one node.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<BusItem>,
    closed: bool,
}

impl Inbox {
    fn push(&self, item: BusItem, capacity: usize) {
        let mut queue = self.queue.lock();
        if queue.items.len() >= capacity {
            queue.items.clear();
            queue.items.push_back(BusItem::Gap);
        } else {
            queue.items.push_back(item);
        }
        drop(queue);
        self.changed.notify_one();
    }

    fn close(&self) {
        self.queue.lock().closed = true;
        self.changed.notify_one();
    }

    /// The next item; `None` once the node has left and nothing waits.
    pub(super) async fn next(&self) -> Option<BusItem> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            // A change between the look and this wait has left a permit behind.
            self.changed.notified().await;
        }
    }

    /// An item, or the end (`Some(None)`), or neither yet.
    fn take(&self) -> Option<Option<BusItem>> {
        let mut queue = self.queue.lock();
        match queue.items.pop_front() {
            Some(item) => Some(Some(item)),
            None => queue.closed.then_some(None),
        }
    }
}
