//! The load generator: a process of its own, on one thread, so that it leaves the machine to the server. It reads one
//! [`Job`], and for each measurement says `begin`, `end` and its [`Outcome`].

mod body;
mod client;
pub(crate) mod connections;
pub(crate) mod direct;
pub(crate) mod fanout;
mod order;
pub(crate) mod pages;
pub(crate) mod presence;
pub(crate) mod resume;

use std::{
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};

pub(crate) use body::Body;
pub(crate) use client::{Dialect, Known};

use crate::{Result, measure::Histogram};

/// Nothing may take longer than this once sending has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections from one loopback address: an address has about 28,000 ports.
const PER_ADDRESS: usize = 2000;

/// What to do.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) dialect: Dialect,
    /// One server, or the nodes of one.
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) work: Work,
}

/// The kinds of load.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    Direct(direct::Load),
    Fanout(fanout::Load),
    Connections(connections::Load),
    Resume(resume::Load),
    Pages(pages::Load),
    Presence(presence::Load),
}

/// For how long load is applied.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Span {
    /// Seconds before the measurement.
    pub(crate) warmup: u64,
    /// Seconds of the measurement.
    pub(crate) seconds: u64,
}

/// What the generator saw.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// What was counted in the measurement: messages, deliveries, connects, pages.
    pub(crate) count: u64,
    /// How long the measurement took.
    pub(crate) seconds: f64,
    pub(crate) latencies: Histogram,
    /// All that was acknowledged, also outside of the measurement.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Deliveries of what had been delivered before.
    pub(crate) again: u64,
    /// Deliveries out of the order in which they were sent.
    pub(crate) disordered: u64,
    /// Connects that were refused or shed, and tried again.
    pub(crate) retries: u64,
}

/// The messages of one sender in one conversation, numbered 1 to `count`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Acknowledged {
    pub(crate) conversation: String,
    pub(crate) sender: usize,
    pub(crate) count: u64,
}

/// Does the job that standard input names.
pub(crate) async fn run() -> Result<()> {
    let mut stdin = BufReader::new(tokio::io::stdin()).lines();
    let job = stdin.next_line().await?.ok_or("no job")?;
    let Job { dialect, servers, work } = serde_json::from_str(&job)?;
    match work {
        Work::Direct(load) => direct::run(dialect, &servers, load).await,
        Work::Fanout(load) => fanout::run(dialect, servers[0], load).await,
        Work::Connections(load) => {
            connections::run(dialect, servers[0], load, stdin.into_inner()).await
        }
        Work::Resume(load) => resume::run(dialect, servers[0], load).await,
        Work::Pages(load) => pages::run(dialect, servers[0], load).await,
        Work::Presence(load) => presence::run(dialect, servers[0], load).await,
    }
}

/// Microseconds since the generator started.
fn clock() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_micros() as u64
}

fn since(clock_then: u64) -> Duration {
    Duration::from_micros(clock().saturating_sub(clock_then))
}

/// The loopback address, by its last number, of a client.
fn address_of(client: usize) -> Result<u8> {
    Ok(u8::try_from(2 + client / PER_ADDRESS)?)
}

fn tell(outcome: &Outcome) -> Result<()> {
    println!("{}", serde_json::to_string(outcome)?);
    Ok(())
}
