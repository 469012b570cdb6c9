//! Everybody of one group: all listen, some send. A message waits until earlier ones have reached everybody, so that
//! the rate is what the server can do and no queue grows.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::sleep};

use super::{
    Acknowledged, Body, Dialect, Outcome, PATIENCE, Span, address_of,
    client::{Ask, Client, Incoming},
    clock,
    order::Received,
    since, tell,
};
use crate::{
    Result,
    measure::Histogram,
    systems::{Logins, user},
};

/// What to do.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) conversation: String,
    /// Members, all of them connected: the users from 0.
    pub(crate) members: usize,
    /// The first of them send.
    pub(crate) senders: usize,
    /// Messages that have not yet reached everybody; a further one waits. Each sender has its share of them.
    pub(crate) window: u64,
    pub(crate) span: Span,
}

/// What all members share.
struct Group {
    conversation: String,
    members: u64,
    window: u64,
    /// Messages of one sender that wait for their acknowledgement.
    share: u64,
    /// Messages handed to the server.
    sent: AtomicU64,
    /// Messages taken, counted for each member.
    delivered: AtomicU64,
    measuring: AtomicBool,
    ended: AtomicBool,
    /// Rings whenever the whole group has had one more message, and at the end.
    moved: Notify,
    latencies: Mutex<Histogram>,
}

impl Group {
    /// Counts a delivery, and its time where the frame says when it was sent.
    fn deliver(&self, sent: Option<u64>) {
        if let Some(sent) = sent.filter(|_| self.measuring.load(Ordering::Relaxed)) {
            self.latencies.lock().record(since(sent));
        }
        let delivered = self.delivered.fetch_add(1, Ordering::AcqRel) + 1;
        if delivered.is_multiple_of(self.members) {
            self.moved.notify_waiters();
        }
    }

    /// Whether all that was sent has reached everybody, and no more will be sent.
    fn complete(&self) -> bool {
        self.ended.load(Ordering::Acquire)
            && self.delivered.load(Ordering::Acquire)
                >= self.sent.load(Ordering::Acquire) * self.members
    }

    /// Waits for a turn to send; false when all is over. Cancel-safe.
    async fn turn(&self) -> bool {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.ended.load(Ordering::Acquire) {
                return false;
            }
            let everybody = self.delivered.load(Ordering::Acquire) / self.members;
            let sent = self.sent.load(Ordering::Acquire);
            // One thread: nobody comes between.
            if sent < everybody + self.window {
                self.sent.store(sent + 1, Ordering::Release);
                return true;
            }
            moved.await;
        }
    }
}

pub(crate) async fn run(dialect: Dialect, server: SocketAddr, load: Load) -> Result<()> {
    let logins = Logins::new()?;
    let group = Arc::new(Group {
        conversation: load.conversation,
        members: load.members as u64,
        window: load.window,
        share: match dialect {
            // It acknowledges nothing.
            Dialect::Floor => u64::MAX,
            _ => load.window.div_ceil(load.senders as u64),
        },
        sent: AtomicU64::new(0),
        delivered: AtomicU64::new(0),
        measuring: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        moved: Notify::new(),
        latencies: Mutex::default(),
    });
    let mut clients = Vec::new();
    for number in 0..load.members {
        let token = logins.token(&user(number))?;
        clients.push(Client::connect(dialect, server, address_of(number)?, &token).await?);
    }
    let running: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, client)| {
            let sends = number < load.senders;
            tokio::spawn(member(client, dialect, number, sends, Arc::clone(&group)))
        })
        .collect();

    sleep(Duration::from_secs(load.span.warmup)).await;
    println!("begin");
    let (before, started) = (group.delivered.load(Ordering::Acquire), Instant::now());
    group.measuring.store(true, Ordering::Release);
    sleep(Duration::from_secs(load.span.seconds)).await;
    group.measuring.store(false, Ordering::Release);
    let (after, seconds) = (group.delivered.load(Ordering::Acquire), started.elapsed());
    println!("end");
    group.ended.store(true, Ordering::Release);
    group.moved.notify_waiters();

    let mut outcome = Outcome {
        count: after - before,
        seconds: seconds.as_secs_f64(),
        latencies: group.latencies.lock().clone(),
        ..Outcome::default()
    };
    let mut first = None;
    for (number, done) in try_join_all(running).await?.into_iter().enumerate() {
        let (sent, received) = done?;
        let digest = *first.get_or_insert(received.digest());
        if dialect != Dialect::Floor && received.digest() != digest {
            return Err(format!("member {number} had another order than member 0").into());
        }
        outcome.again += received.again;
        outcome.disordered += received.disordered;
        if number < load.senders {
            let conversation = group.conversation.clone();
            outcome.acknowledged.push(Acknowledged { conversation, sender: number, count: sent });
        }
    }
    tell(&outcome)
}

/// Takes messages until everybody has had all, and sends whenever it has a turn. Returns how many it sent.
async fn member(
    mut client: Client,
    dialect: Dialect,
    sender: usize,
    sends: bool,
    group: Arc<Group>,
) -> Result<(u64, Received)> {
    let mark = client.mark();
    let (mut received, mut sent, mut answered) = (Received::default(), 0, 0);
    let mut may_send = sends;
    while !(group.complete() && (answered == sent || dialect == Dialect::Floor)) {
        let incoming = tokio::select! {
            turn = group.turn(), if may_send && sent - answered < group.share => {
                may_send = turn;
                if turn {
                    sent += 1;
                    let body = Body { sender, number: sent, sent: clock() };
                    let conversation = &group.conversation;
                    client.ask(sent, Ask::Send { conversation, body }).await?;
                    client.flush().await?;
                }
                continue;
            }
            incoming = client.next() => incoming?,
            // Whoever has the last message still has to hear that it was the last.
            () = group.moved.notified(), if !may_send => continue,
            () = sleep(PATIENCE) => return Err("messages were not delivered".into()),
        };
        match incoming {
            Incoming::Answer(..) => answered += 1,
            // The floor's frame is always the same.
            Incoming::Event(_) if dialect == Dialect::Floor => group.deliver(None),
            Incoming::Event(text) => {
                for body in Body::all(&text, mark) {
                    if received.take(body) {
                        group.deliver(Some(body.sent));
                    }
                }
            }
        }
    }
    Ok((sent, received))
}
