//! All clients come back at once after their server restarted, and each has missed some messages.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::{
    Body, Dialect, Outcome, PATIENCE, address_of,
    client::{Client, Incoming, Known},
    order::Received,
    tell,
};
use crate::{
    Result,
    measure::Histogram,
    systems::{Logins, user},
};

/// What to do.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    /// What the users 0 and 1, 2 and 3, … have.
    pub(crate) known: Vec<Known>,
    /// Messages of the first of a pair that both have missed.
    pub(crate) missed: u64,
    /// Milliseconds over which the clients' first tries are spread.
    pub(crate) spread: u64,
}

pub(crate) async fn run(dialect: Dialect, server: SocketAddr, load: Load) -> Result<()> {
    let logins = Logins::new()?;
    let clients = 2 * load.known.len();
    let tokens = (0..clients).map(|number| logins.token(&user(number)));
    let tokens = tokens.collect::<Result<Vec<String>>>()?;
    println!("begin");
    let started = Instant::now();
    let running: Vec<_> = tokens
        .into_iter()
        .enumerate()
        .map(|(number, token)| {
            let known = load.known[number / 2].clone();
            let wait = Duration::from_millis(fastrand::u64(0..=load.spread));
            tokio::spawn(async move {
                sleep(wait).await;
                let whole = come_back(dialect, server, number, &token, known, load.missed);
                timeout(PATIENCE, whole).await.map_err(|_| "a client never was whole again")?
            })
        })
        .collect();
    let (mut latencies, mut retries, mut again) = (Histogram::default(), 0, 0);
    let mut connected = Vec::new();
    for done in try_join_all(running).await? {
        let back = done?;
        latencies.record(back.took);
        retries += back.retries;
        again += back.again;
        connected.push(back.client);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("end");
    tell(&Outcome {
        count: clients as u64,
        seconds,
        latencies,
        retries,
        again,
        ..Outcome::default()
    })
}

/// A client that has all again. It stays connected until all have.
struct Back {
    client: Client,
    took: Duration,
    retries: u64,
    again: u64,
}

/// Tries until it is let in, with growing pauses spread at random, as the protocol asks of clients.
async fn come_back(
    dialect: Dialect,
    server: SocketAddr,
    number: usize,
    token: &str,
    known: Known,
    missed: u64,
) -> Result<Back> {
    const PAUSE: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(10);
    let (started, mut retries, mut pause) = (Instant::now(), 0, PAUSE);
    loop {
        match resume(dialect, server, number, token, &known, missed).await {
            Ok((client, again)) => {
                return Ok(Back { client, took: started.elapsed(), retries, again });
            }
            Err(Failure::Wrong(error)) => return Err(error),
            Err(Failure::Refused) => {
                retries += 1;
                sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                pause = (2 * pause).min(LONGEST);
            }
        }
    }
}

enum Failure {
    /// Shed, or lost on the way: a further try is welcome.
    Refused,
    /// What came is not what was missed.
    Wrong(Box<dyn std::error::Error + Send + Sync>),
}

async fn resume(
    dialect: Dialect,
    server: SocketAddr,
    number: usize,
    token: &str,
    known: &Known,
    missed: u64,
) -> std::result::Result<(Client, u64), Failure> {
    let refused = |_| Failure::Refused;
    let from = address_of(number).map_err(Failure::Wrong)?;
    let mut client = Client::open(dialect, server, from).await.map_err(refused)?;
    client.resume(token, std::slice::from_ref(known)).await.map_err(refused)?;
    let mut received = Received::default();
    loop {
        let Incoming::Event(text) = client.next().await.map_err(refused)? else { continue };
        for body in Body::all(&text, client.mark()) {
            received.take(body);
        }
        if text.starts_with(r#"{"type":"resumed""#) {
            break;
        }
    }
    let sender = number / 2 * 2;
    if received.through(sender) != missed || received.disordered > 0 {
        let had = received.through(sender);
        return Err(Failure::Wrong(format!("client {number} had {had} of {missed}").into()));
    }
    Ok((client, received.again))
}
