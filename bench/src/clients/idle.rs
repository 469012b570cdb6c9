//! Many connections that say nothing.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::{io::AsyncReadExt, task::JoinSet};

use crate::{Result, fill, server::Logins, socket::Client};

/// Connects under way at once.
const TOGETHER: usize = 64;
/// Connections from one address.
const PER_ADDRESS: usize = 2000;

/// Connects, says how many seconds that took, and idles until standard input ends.
pub(crate) async fn run(server: SocketAddr, connections: usize) -> Result<()> {
    let logins = Arc::new(Logins::new()?);
    let started = Instant::now();
    let clients: Vec<Client> = stream::iter(0..connections)
        .map(|number| {
            let logins = Arc::clone(&logins);
            async move {
                let token = logins.token(&fill::user(number)?)?;
                let from = u8::try_from(2 + number / PER_ADDRESS)?;
                Client::connect(server, from, &token).await
            }
        })
        .buffer_unordered(TOGETHER)
        .try_collect()
        .await?;
    println!("{}", started.elapsed().as_secs_f64());
    let mut idle: JoinSet<Result<()>> = clients.into_iter().map(Client::idle).collect();
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        Some(lost) = idle.join_next() => lost?,
        _ = stdin.read_u8() => Ok(()),
    }
}
