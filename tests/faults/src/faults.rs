//! One fault after the other, at their times.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tokio::{task::block_in_place, time::sleep};

use crate::{
    Result,
    cluster::{Cluster, NODES},
};

/// A part that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A node is killed and comes back a little later.
    NodeKilled(usize),
    /// Redis is killed and comes back, empty, a little later.
    RedisKilled,
    /// Postgres is restarted as after a crash.
    PostgresRestarted,
    /// A node stands still.
    NodeFrozen(usize),
    /// Nothing gets through between a node and Redis, and what was on its way is lost.
    PathBlackHoled(usize),
}

/// A fault and when it is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) fault: Fault,
    pub(crate) after: Duration,
    pub(crate) lasts: Duration,
}

/// A fault that happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) fault: Fault,
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// Before the first fault.
const LEAD: Duration = Duration::from_secs(4);
/// The last fault begins so long before the last send, and ends so long after it.
const LAST_BEFORE: Duration = Duration::from_secs(9);
const LAST_AFTER: Duration = Duration::from_secs(4);
/// From one fault to the next at most.
const MOST_BETWEEN: Duration = Duration::from_secs(20);
/// Kinds of faults before the last one: each happens, however short the chat.
const KINDS: u32 = 4;

/// The faults of a chat of this length, in order. No two overlap.
pub(crate) fn schedule(chat: Duration) -> Vec<Planned> {
    let last = chat.saturating_sub(LAST_BEFORE);
    let room = last.saturating_sub(LEAD);
    let between = (room / KINDS).min(MOST_BETWEEN);
    let mut planned = Vec::new();
    let mut after = LEAD;
    while after + between <= last {
        let (round, kind) = (planned.len() / 5, planned.len() % 5);
        // Not the one that was killed just now: few have come back to it.
        let (fault, seconds) = match kind {
            0 => (Fault::NodeKilled(round % NODES), 4),
            1 => (Fault::RedisKilled, 3),
            2 => (Fault::PostgresRestarted, 0),
            3 => (Fault::NodeFrozen((round + 1) % NODES), 10),
            _ => (Fault::PathBlackHoled((round + 2) % NODES), 8),
        };
        planned.push(Planned { fault, after, lasts: Duration::from_secs(seconds) });
        after += between;
    }
    let fault = Fault::PathBlackHoled(NODES - 1);
    planned.push(Planned { fault, after: last, lasts: LAST_BEFORE + LAST_AFTER });
    planned
}

/// Lets the faults happen; tells of each when it is over.
pub(crate) async fn run(
    cluster: &mut Cluster,
    planned: Vec<Planned>,
    began: Instant,
) -> Result<Vec<Happened>> {
    let mut happened = Vec::new();
    for Planned { fault, after, lasts } in planned {
        tokio::time::sleep_until((began + after).into()).await;
        let from = Instant::now();
        println!("[{:>5.1} s] {fault}", (from - began).as_secs_f64());
        fault.happen(cluster, lasts).await?;
        let until = Instant::now();
        println!("[{:>5.1} s] {fault}: over", (until - began).as_secs_f64());
        happened.push(Happened { fault, from, until });
    }
    Ok(happened)
}

impl Fault {
    async fn happen(self, cluster: &mut Cluster, lasts: Duration) -> Result<()> {
        // What the cluster does blocks for a moment; the runtime makes up for the thread.
        match self {
            Self::NodeKilled(node) => {
                block_in_place(|| cluster.node(node).kill());
                sleep(lasts).await;
                block_in_place(|| cluster.node(node).revive())?;
            }
            Self::RedisKilled => {
                block_in_place(|| cluster.redis().kill());
                sleep(lasts).await;
                block_in_place(|| cluster.redis().revive());
            }
            Self::PostgresRestarted => block_in_place(|| cluster.postgres().restart()),
            Self::NodeFrozen(node) => {
                cluster.node(node).freeze()?;
                sleep(lasts).await;
                cluster.node(node).thaw()?;
            }
            Self::PathBlackHoled(node) => {
                cluster.path(node).black_hole();
                sleep(lasts).await;
                // The network has forgotten the connections: what they swallowed is gone.
                cluster.path(node).cut();
                cluster.path(node).heal();
            }
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeKilled(node) => write!(f, "kill -9 of node {}", node + 1),
            Self::RedisKilled => f.write_str("kill -9 of Redis"),
            Self::PostgresRestarted => f.write_str("pg_ctl restart -m immediate"),
            Self::NodeFrozen(node) => write!(f, "node {} frozen", node + 1),
            Self::PathBlackHoled(node) => write!(f, "node {} cut off from Redis", node + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_happens_one_after_another_and_the_last_ends_after_the_last_send() {
        for seconds in [60, 61, 90, 600] {
            let chat = Duration::from_secs(seconds);
            let planned = schedule(chat);
            for pair in planned.windows(2) {
                assert!(pair[0].after + pair[0].lasts < pair[1].after, "{pair:?}");
            }
            let kinds = planned.iter().map(|planned| std::mem::discriminant(&planned.fault));
            let kinds: std::collections::HashSet<_> = kinds.collect();
            assert_eq!(kinds.len(), 5, "{planned:?}");
            let last = planned[planned.len() - 1];
            assert!(last.after < chat && chat < last.after + last.lasts, "{last:?}");
        }
    }
}
