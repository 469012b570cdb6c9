//! Durable direct messages a second.

use std::{path::Path, time::Duration};

use clap::Args;
use parlor::{
    model::ConversationId,
    sqlite::SqliteStore,
    store::{HistoryQuery, MessageStore, Page},
};

use crate::{Result, clients::direct::Outcome, fill, peer::Peer, proc::Cpu, stats::Sorted};

#[derive(Args)]
pub(crate) struct Options {
    /// Direct conversations, each with one who sends and one who receives
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    #[command(flatten)]
    load: Load,
    /// Name the server's process id, for a profiler
    #[arg(long)]
    show_server: bool,
}

/// What the senders do.
#[derive(Args, Clone, Copy)]
pub(crate) struct Load {
    /// Messages of one sender that wait for their acknowledgement at once
    #[arg(long, default_value_t = 4)]
    pub(crate) in_flight: usize,
    /// Seconds of sending before the measurement
    #[arg(long, default_value_t = 3)]
    pub(crate) warmup: u64,
    /// Seconds of the measurement
    #[arg(long, default_value_t = 15)]
    pub(crate) seconds: u64,
}

/// Runs a server and its clients, each in a process of its own, and then reads what was stored.
pub(crate) async fn run(Options { pairs, load, show_server }: Options) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("direct.db");
    let store = SqliteStore::open(database.to_string_lossy()).await?;
    let conversations = fill::pairs(&store, pairs).await?;
    store.close().await;
    drop(store);

    let mut server =
        Peer::start(["serve".as_ref(), "--lift-quotas".as_ref(), database.as_os_str()])?;
    let address = server.line().await?;
    if show_server {
        println!("server process:   {}", server.process);
    }
    println!("quotas lifted; {pairs} pairs, {} in flight each, 100 bytes of text", load.in_flight);
    let mut arguments = vec![
        "direct-clients".to_owned(),
        format!("--in-flight={}", load.in_flight),
        format!("--warmup={}", load.warmup),
        format!("--seconds={}", load.seconds),
        address,
    ];
    arguments.extend(conversations.iter().map(ConversationId::to_string));
    let mut clients = Peer::start(arguments)?;
    clients.line().await?;
    let (server_before, clients_before) = (server.process.cpu()?, clients.process.cpu()?);
    clients.line().await?;
    let server_cpu = server.process.cpu()?.since(server_before);
    let clients_cpu = clients.process.cpu()?.since(clients_before);
    let outcome: Outcome = serde_json::from_str(&clients.line().await?)?;
    clients.end().await?;
    server.end().await?;

    let latencies: Vec<_> = outcome.latencies.iter().copied().map(Duration::from_micros).collect();
    let rate = latencies.len() as f64 / load.seconds as f64;
    println!("acknowledged:     {rate:.0} messages a second, {}", Sorted::new(latencies));
    let per_message = |cpu: Cpu| cpu.total() * 1e6 / (rate * load.seconds as f64);
    println!("server CPU:       {server_cpu}, {:.1} µs a message", per_message(server_cpu));
    println!("clients' CPU:     {clients_cpu}, {:.1} µs a message", per_message(clients_cpu));
    let stored = check(&database, &outcome.acknowledged).await?;
    println!(
        "checked:          all {stored} acknowledged are stored and were delivered in order, {} twice",
        outcome.again
    );
    Ok(())
}

/// Every conversation holds exactly what was acknowledged, in order.
async fn check(database: &Path, acknowledged: &[(ConversationId, u64)]) -> Result<u64> {
    const PAGE: usize = 1000;
    let store = SqliteStore::open(database.to_string_lossy()).await?;
    let mut stored = 0;
    for (conversation, count) in acknowledged {
        let mut seq = 0;
        loop {
            let query = HistoryQuery { viewer: None, page: Page::After(seq), limit: PAGE };
            let page = store.history(*conversation, query).await?;
            for message in &page.messages {
                seq += 1;
                let key = message.client_id.as_ref().map(|key| key.as_str());
                if message.seq != seq || key != Some(seq.to_string().as_str()) {
                    return Err(format!("{conversation} holds {key:?} as seq {seq}").into());
                }
            }
            if !page.has_more {
                break;
            }
        }
        if seq != *count {
            return Err(format!("{conversation}: {count} acknowledged, {seq} stored").into());
        }
        stored += seq;
    }
    store.close().await;
    Ok(stored)
}
