//! Durable direct messages a second.

use std::time::Duration;

use clap::Args;
use parlor::{
    model::ConversationId,
    store::{HistoryQuery, Page},
};

use crate::{
    Result,
    clients::direct::Outcome,
    database::{self, Choice},
    fill,
    peer::Peer,
    proc::Cpu,
    stats::Sorted,
};

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
    #[command(flatten)]
    database: Choice,
    /// Batches that the server commits at once, each of its own conversations; as the store says by default
    #[arg(long)]
    lanes: Option<usize>,
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
pub(crate) async fn run(options: Options) -> Result<()> {
    let Options { pairs, load, show_server, database, lanes } = options;
    let database = database.start()?;
    let opened = database::open(database.url()).await?;
    let conversations = fill::pairs(&*opened.store, pairs).await?;
    opened.close().await;

    let lanes = lanes.map(|lanes| format!("--lanes={lanes}"));
    let mut arguments = vec!["serve", "--lift-quotas", database.url()];
    arguments.extend(lanes.as_deref());
    let mut server = Peer::start(arguments)?;
    let address = server.line().await?;
    if show_server {
        println!("server process:   {}", server.process);
    }
    println!("{}, quotas lifted {}", database.what(), lanes.unwrap_or_default());
    println!("{pairs} pairs, {} in flight each, 100 bytes of text", load.in_flight);
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
    let database_before = database.cpu();
    clients.line().await?;
    let database_cpu = database.cpu().zip(database_before).map(|(now, before)| now.since(before));
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
    if let Some(cpu) = database_cpu {
        println!("database CPU:     {cpu}, {:.1} µs a message", per_message(cpu));
    }
    println!("clients' CPU:     {clients_cpu}, {:.1} µs a message", per_message(clients_cpu));
    let stored = check(database.url(), &outcome.acknowledged).await?;
    println!(
        "checked:          all {stored} acknowledged are stored and were delivered in order, {} twice",
        outcome.again
    );
    Ok(())
}

/// Every conversation holds exactly what was acknowledged, in order.
async fn check(database: &str, acknowledged: &[(ConversationId, u64)]) -> Result<u64> {
    const PAGE: usize = 1000;
    let opened = database::open(database).await?;
    let mut stored = 0;
    for (conversation, count) in acknowledged {
        let mut seq = 0;
        loop {
            let query = HistoryQuery { viewer: None, page: Page::After(seq), limit: PAGE };
            let page = opened.store.history(*conversation, query).await?;
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
    opened.close().await;
    Ok(stored)
}
