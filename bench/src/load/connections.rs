//! Many clients connect as fast as they can, and then say nothing.

use std::{net::SocketAddr, time::Instant};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, BufReader, Stdin},
    task::JoinSet,
};

use super::{Dialect, Outcome, address_of, client::Client, tell};
use crate::{
    Result,
    measure::Histogram,
    systems::{Logins, user},
};

/// What to do.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Connections, each a user of its own.
    pub(crate) count: usize,
    /// Connects under way at once.
    pub(crate) together: usize,
}

/// Connects all, tells how that went, and idles until standard input ends; every connection must last.
pub(crate) async fn run(
    dialect: Dialect,
    server: SocketAddr,
    load: Load,
    mut stdin: BufReader<Stdin>,
) -> Result<()> {
    let logins = Logins::new()?;
    let tokens = (0..load.count).map(|number| logins.token(&user(number)));
    let tokens = tokens.collect::<Result<Vec<String>>>()?;
    let (mut connected, mut latencies) = (Vec::with_capacity(load.count), Histogram::default());
    println!("begin");
    let started = Instant::now();
    let mut connecting = stream::iter(tokens.iter().enumerate())
        .map(|(number, token)| async move {
            let begun = Instant::now();
            let client = Client::connect(dialect, server, address_of(number)?, token).await?;
            Result::Ok((client, begun.elapsed()))
        })
        .buffer_unordered(load.together);
    while let Some((client, took)) = connecting.try_next().await? {
        latencies.record(took);
        connected.push(client);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("end");
    let mut idle = JoinSet::new();
    for client in connected {
        idle.spawn(listen(client));
    }
    tell(&Outcome { count: load.count as u64, seconds, latencies, ..Outcome::default() })?;
    tokio::select! {
        Some(lost) = idle.join_next() => lost?,
        _ = stdin.read_u8() => Ok(()),
    }
}

/// Answers heartbeats until the connection ends, which it must not.
async fn listen(mut client: Client) -> Result<()> {
    loop {
        client.next().await?;
    }
}
