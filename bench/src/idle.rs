//! Memory and CPU of a server with many idle connections.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use crate::{
    Result,
    database::{self, Choice},
    fill,
    peer::Peer,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Connections; each is a user of its own, in one direct conversation with the next
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Seconds between the last connection and the first measurement
    #[arg(long, default_value_t = 10)]
    settle: u64,
    /// Seconds of idling between the two measurements
    #[arg(long, default_value_t = 60)]
    idle: u64,
    #[command(flatten)]
    database: Choice,
}

/// Runs a server and its clients, each in a process of its own.
pub(crate) async fn run(options: Options) -> Result<()> {
    let database = options.database.start()?;
    prepare(database.url(), options.connections).await?;
    let mut server = Peer::start(["serve", database.url()])?;
    let address = server.line().await?;
    sleep(Duration::from_secs(1)).await;
    println!("default limits, {}, development tokens, no bus", database.what());
    let before = server.process.memory()?;
    println!("before:           {before}");

    let started = server.process.cpu()?;
    let connections = options.connections.to_string();
    let mut clients = Peer::start(["idle-clients", &address, &connections])?;
    let seconds: f64 = clients.line().await?.parse()?;
    println!(
        "connected:        {connections} in {seconds:.1} s, {:.0} a second, server CPU {}",
        options.connections as f64 / seconds,
        server.process.cpu()?.since(started)
    );
    sleep(Duration::from_secs(options.settle)).await;
    let settled = server.process.memory()?;
    println!("settled:          {settled}");

    let started = server.process.cpu()?;
    sleep(Duration::from_secs(options.idle)).await;
    let cpu = server.process.cpu()?.since(started);
    let after = server.process.memory()?;
    println!("after {:>2} s idle:  {after}", options.idle);
    println!("idle CPU:         {cpu} in {} s", options.idle);
    let each =
        |before: u64, after: u64| after.saturating_sub(before) as f64 / options.connections as f64;
    println!(
        "per connection:   {:.2} KiB of RSS, {:.2} KiB of USS",
        each(before.rss, after.rss),
        each(before.uss, after.uss)
    );
    // Fails if any connection was lost meanwhile.
    clients.end().await?;
    server.end().await
}

async fn prepare(database: &str, users: usize) -> Result<()> {
    let opened = database::open(database).await?;
    fill::pairs(&*opened.store, users.div_ceil(2)).await?;
    opened.close().await;
    Ok(())
}
