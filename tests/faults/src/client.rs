//! A client: one user with one device, who chats, loses connections, and comes back elsewhere.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    habits::Habits,
    outbox::Outbox,
    record::{Place, Record},
    session::Session,
    socket::Socket,
};

/// The first pause after a connection broke; doubled each time, half as long to half as long again by chance.
const BACKOFF: Duration = Duration::from_millis(100);
const MOST_BACKOFF: Duration = Duration::from_secs(2);

/// What all clients are asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Be there; finish what was begun.
    Quiet,
    /// Talk.
    Chat,
    /// As `Quiet`, but some of those who lose their connection to this node stay away.
    Part(usize),
}

/// Where the nodes are, and what they all see.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) nodes: Arc<[SocketAddr]>,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// A client.
pub(crate) struct Client {
    pub(crate) record: Arc<Record>,
    pub(crate) world: World,
    pub(crate) token: String,
    pub(crate) habits: Habits,
    pub(crate) outbox: Outbox,
}

impl Client {
    /// Runs until it stays away.
    pub(crate) async fn run(mut self) {
        let mut node = self.record.client as usize % self.world.nodes.len();
        let mut failures = 0;
        loop {
            let reason = match Socket::connect(self.world.nodes[node], &self.token).await {
                Ok(socket) => {
                    let (reason, was_live) = Session::new(&mut self, node, socket).run().await;
                    failures = if was_live { 0 } else { failures + 1 };
                    reason
                }
                Err(reason) => {
                    failures += 1;
                    reason
                }
            };
            let away = self.stays_away(node);
            {
                let mut state = self.record.state.lock();
                state.place = if away { Place::Away } else { Place::Seeking };
                state.reconnects += 1;
                state.note(reason);
            }
            if away {
                return;
            }
            let pause = (BACKOFF * 2_u32.pow(failures.min(8))).min(MOST_BACKOFF);
            tokio::time::sleep(pause.mul_f64(0.5 + self.habits.chance())).await;
            node = self.another(node);
        }
    }

    fn stays_away(&self, node: usize) -> bool {
        *self.world.phase.borrow() == Phase::Part(node) && stays_away(self.record.client)
    }

    fn another(&mut self, node: usize) -> usize {
        let nodes = self.world.nodes.len();
        (node + 1 + self.habits.below(nodes - 1)) % nodes
    }
}

/// Whether this client does not come back when its node dies in the end. Neighbours, who are direct peers,
/// differ, and on each node there are some of either kind.
pub(crate) fn stays_away(client: u32) -> bool {
    client.is_multiple_of(2)
}
