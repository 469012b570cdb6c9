//! Measures parlor over real sockets and real files. Every program ends by itself and leaves nothing behind.

mod clients;
mod database;
mod direct;
mod fill;
mod group;
mod history;
mod idle;
mod peer;
mod proc;
mod server;
mod socket;
mod stats;

use std::{net::SocketAddr, process::ExitCode};

use clap::{Parser, Subcommand};
use parlor::model::ConversationId;

/// Whatever goes wrong ends the program and is shown.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(name = "bench", about = "Measures parlor over real sockets and real files")]
struct Cli {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Memory and CPU of a server with many idle connections, each a user of its own
    Idle(idle::Options),
    /// Time of a page of history in a short and a long conversation
    History(history::Options),
    /// Durable direct messages a second over sockets, acknowledged after their commit
    Direct(direct::Options),
    /// Deliveries a second in one large group, everybody connected to one server
    Group(group::Options),
    /// The server process of the other programs
    #[command(hide = true)]
    Serve {
        database: String,
        /// Let users send and ask as fast as they can
        #[arg(long)]
        lift_quotas: bool,
        /// Batches committed at once
        #[arg(long)]
        lanes: Option<usize>,
    },
    /// The client process of `idle`
    #[command(hide = true)]
    IdleClients { server: SocketAddr, connections: usize },
    /// The client process of `direct`
    #[command(hide = true)]
    DirectClients {
        server: SocketAddr,
        #[command(flatten)]
        load: direct::Load,
        conversations: Vec<ConversationId>,
    },
    /// The client process of `group`
    #[command(hide = true)]
    GroupClients {
        server: SocketAddr,
        conversation: ConversationId,
        #[command(flatten)]
        load: group::Load,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().program {
        Program::Idle(options) => idle::run(options).await,
        Program::History(options) => history::run(options).await,
        Program::Direct(options) => direct::run(options).await,
        Program::Group(options) => group::run(options).await,
        Program::Serve { database, lift_quotas, lanes } => {
            server::run(&database, lift_quotas, lanes).await
        }
        Program::IdleClients { server, connections } => {
            clients::idle::run(server, connections).await
        }
        Program::DirectClients { server, load, conversations } => {
            clients::direct::run(server, load, conversations).await
        }
        Program::GroupClients { server, conversation, load } => {
            clients::group::run(server, conversation, load).await
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
