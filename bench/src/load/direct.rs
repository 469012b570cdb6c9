//! Pairs of users: one sends as fast as its messages are acknowledged, the other one receives.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::{
    Acknowledged, Body, Dialect, Outcome, PATIENCE, Span,
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
    /// One for each pair of users, in turn.
    pub(crate) conversations: Vec<String>,
    /// The first user of the first pair.
    pub(crate) first_user: usize,
    /// Messages of one sender that wait for their acknowledgement at once.
    pub(crate) in_flight: usize,
    /// How many nodes on from the sender's the receiver is connected.
    pub(crate) nodes_between: usize,
    pub(crate) span: Span,
}

/// When measuring begins and sending ends.
#[derive(Clone, Copy)]
struct Times {
    from: Instant,
    until: Instant,
}

pub(crate) async fn run(dialect: Dialect, servers: &[SocketAddr], load: Load) -> Result<()> {
    let logins = Logins::new()?;
    let mut pairs = Vec::new();
    for (pair, conversation) in load.conversations.into_iter().enumerate() {
        let mut clients = Vec::new();
        let sender = load.first_user + 2 * pair;
        for (number, node) in [(sender, pair), (sender + 1, pair + load.nodes_between)] {
            let server = servers[node % servers.len()];
            clients.push(Client::connect(dialect, server, 2, &logins.token(&user(number))?).await?);
        }
        pairs.push((sender, clients, conversation));
    }
    let from = Instant::now() + Duration::from_secs(load.span.warmup);
    let times = Times { from, until: from + Duration::from_secs(load.span.seconds) };
    let running: Vec<_> = pairs
        .into_iter()
        .map(|(sender, clients, conversation)| {
            tokio::spawn(pair(clients, sender, conversation, load.in_flight, times))
        })
        .collect();
    sleep(times.from - Instant::now()).await;
    println!("begin");
    sleep(times.until - Instant::now()).await;
    println!("end");
    let mut outcome = Outcome { seconds: load.span.seconds as f64, ..Outcome::default() };
    for done in try_join_all(running).await? {
        let (acknowledged, latencies, received) = done?;
        outcome.count += latencies.total();
        outcome.latencies.add(&latencies);
        outcome.acknowledged.push(acknowledged);
        outcome.again += received.again;
        outcome.disordered += received.disordered;
    }
    tell(&outcome)
}

async fn pair(
    clients: Vec<Client>,
    sender: usize,
    conversation: String,
    in_flight: usize,
    times: Times,
) -> Result<(Acknowledged, Histogram, Received)> {
    let [sending, receiving] =
        <[Client; 2]>::try_from(clients).map_err(|_| "a pair is two clients")?;
    // How many messages the receiver has to wait for; unknown until the sender ends.
    let total = Arc::new(AtomicU64::new(u64::MAX));
    let received = tokio::spawn(receive(receiving, sender, Arc::clone(&total)));
    let (count, latencies) = send(sending, sender, &conversation, in_flight, times).await?;
    total.store(count, Ordering::Release);
    let received =
        timeout(PATIENCE, received).await.map_err(|_| "messages were not delivered")???;
    Ok((Acknowledged { conversation, sender, count }, latencies, received))
}

/// Keeps so many messages in flight until the time is over, then waits for the last answers.
async fn send(
    mut client: Client,
    sender: usize,
    conversation: &str,
    in_flight: usize,
    times: Times,
) -> Result<(u64, Histogram)> {
    let mut waiting: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut sent, mut acknowledged) = (0_u64, 0_u64);
    let mut latencies = Histogram::default();
    loop {
        while waiting.len() < in_flight && Instant::now() < times.until {
            sent += 1;
            let now = clock();
            let body = Body { sender, number: sent, sent: now };
            client.ask(sent, Ask::Send { conversation, body }).await?;
            waiting.insert(sent, now);
        }
        client.flush().await?;
        if waiting.is_empty() {
            return Ok((acknowledged, latencies));
        }
        let next = timeout(PATIENCE, client.next()).await.map_err(|_| "no acknowledgement")??;
        if let Incoming::Answer(id, _) = next {
            let started = waiting.remove(&id).ok_or("an answer to nothing")?;
            acknowledged += 1;
            if (times.from..times.until).contains(&Instant::now()) {
                latencies.record(since(started));
            }
        }
    }
}

/// Takes messages until all that were acknowledged have come.
async fn receive(mut client: Client, sender: usize, total: Arc<AtomicU64>) -> Result<Received> {
    const LOOK: Duration = Duration::from_millis(100);
    let mark = client.mark();
    let mut received = Received::default();
    while received.through(sender) < total.load(Ordering::Acquire) {
        let Ok(next) = timeout(LOOK, client.next()).await else { continue };
        if let Incoming::Event(text) = next? {
            for body in Body::all(&text, mark) {
                received.take(body);
            }
        }
    }
    Ok(received)
}
