//! Deliveries a second in one large group.

use clap::Args;

use crate::{
    Result,
    clients::group::Outcome,
    database::{self, Choice},
    fill,
    peer::Peer,
    proc::Cpu,
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    load: Load,
    /// Name the server's process id, for a profiler
    #[arg(long)]
    show_server: bool,
    #[command(flatten)]
    database: Choice,
}

/// What the members do.
#[derive(Args, Clone, Copy)]
pub(crate) struct Load {
    /// Members, all of them connected
    #[arg(long, default_value_t = 1000)]
    pub(crate) members: usize,
    /// Members who send
    #[arg(long, default_value_t = 10)]
    pub(crate) senders: usize,
    /// Messages that have not yet reached everybody; a further one waits. Must fit into an outbox (256)
    #[arg(long, default_value_t = 32)]
    pub(crate) window: u64,
    /// Seconds of sending before the measurement
    #[arg(long, default_value_t = 3)]
    pub(crate) warmup: u64,
    /// Seconds of the measurement
    #[arg(long, default_value_t = 15)]
    pub(crate) seconds: u64,
}

/// Runs a server and the members, each in a process of its own.
pub(crate) async fn run(Options { load, show_server, database }: Options) -> Result<()> {
    let database = database.start()?;
    let opened = database::open(database.url()).await?;
    let conversation = fill::group(&*opened.store, load.members).await?;
    opened.close().await;

    let mut server = Peer::start(["serve", "--lift-quotas", database.url()])?;
    let address = server.line().await?;
    if show_server {
        println!("server process:   {}", server.process);
    }
    println!("{}, quotas lifted", database.what());
    println!(
        "one group of {}, {} send, {} messages on their way at most, 100 bytes of text",
        load.members, load.senders, load.window
    );
    let mut clients = Peer::start([
        "group-clients".to_owned(),
        format!("--members={}", load.members),
        format!("--senders={}", load.senders),
        format!("--window={}", load.window),
        format!("--warmup={}", load.warmup),
        format!("--seconds={}", load.seconds),
        address,
        conversation.to_string(),
    ])?;
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

    let seconds = load.seconds as f64;
    let rate = outcome.deliveries as f64 / seconds;
    println!(
        "delivered:        {rate:.0} a second ({:.0} messages a second to {} members)",
        rate / load.members as f64,
        load.members
    );
    let each = |cpu: Cpu| cpu.total() * 1e6 / (rate * seconds);
    println!("server CPU:       {server_cpu}, {:.2} µs a delivery", each(server_cpu));
    if let Some(cpu) = database_cpu {
        println!("database CPU:     {cpu}, {:.2} µs a delivery", each(cpu));
    }
    println!("clients' CPU:     {clients_cpu}, {:.2} µs a delivery", each(clients_cpu));
    println!(
        "checked:          every member had all {} messages in order, without a hole",
        outcome.messages
    );
    Ok(())
}
